// A whole configuration, checked: each name is there, each key is known, no store is inside itself.
#include <flux/cache/drivers.hpp>
#include <flux/cache/format.hpp>

#include <algorithm>

#include "config/secrets.hpp"
#include "config/settings_access.hpp"
#include "config/tree.hpp"
#include "config/utf8.hpp"

namespace flux::cache {
inline namespace v1 {

namespace {

using detail::join_pointer;
using detail::Reading;

template <class T>
std::vector<std::string_view> names_of(const Named<T>& things) {
  std::vector<std::string_view> names;
  for (const auto& thing : things) names.emplace_back(thing.first);
  return names;
}

std::vector<std::string_view> views(const std::vector<std::string>& names) { return {names.begin(), names.end()}; }

/// Names stand in messages, metrics and calls.
void check_names(Reading& reading, std::string_view pointer, std::vector<std::string_view> names) {
  constexpr std::size_t kLongest = 64;
  for (const std::string_view name : names) {
    const bool plain = detail::is_utf8(name) && std::none_of(name.begin(), name.end(), [](char c) {
                         const auto byte = static_cast<unsigned char>(c);
                         return byte < 0x20 || byte == 0x7f;
                       });
    if (name.empty() || name.size() > kLongest || !plain)
      reading.problems.add(join_pointer(pointer, name), nullptr,
                           "a name is 1 to 64 bytes long, in UTF-8 and without control characters");
  }
  std::sort(names.begin(), names.end());
  for (auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end();
       twice = std::adjacent_find(twice + 1, names.end()))
    reading.problems.add(join_pointer(pointer, *twice), nullptr, "the name stands here twice");
}

/// Reads one store or connection with its driver's check; without one only what `otherwise` describes.
template <class Find, class Otherwise>
void check_driver(Reading& reading, const std::string& pointer, const Settings& settings,
                  const std::vector<std::string>& known, Find find, Otherwise otherwise) {
  const std::string where = pointer + "/driver";
  const Settings* const driver = settings.find("driver");
  if (driver == nullptr || driver->is_null())
    return reading.problems.add(where, &settings,
                                "missing: which driver? Known are " + detail::alternatives(views(known)));
  if (!driver->is_text())
    return reading.problems.add(where, driver, "expected a driver's name, found " + detail::described(*driver));
  const auto found = find(driver->text());
  if (found == nullptr)
    return reading.problems.add(where, driver,
                                "there is no driver " + detail::named(*driver) + "; known are " +
                                    detail::alternatives(views(known)) +
                                    detail::suggestion(driver->text(), views(known)));
  if (found->check)
    reading.read(settings, pointer, [&](Fields& fields) { found->check(fields); });
  else
    reading.read_some(settings, pointer, otherwise);
}

struct Nothing {};

/// A store's references to others: [first, last) of `Reading::references`.
struct Span {
  std::size_t first, last;
};

/// Walks from store to store; a reference back to one that is still open closes a circle.
class Circles {
 public:
  Circles(Reading& reading, const Config& config, const std::vector<Span>& spans)
      : reading_(reading), names_(names_of(config.stores)), spans_(spans), states_(names_.size(), State::unseen) {}

  void find() {
    for (std::size_t i = 0; i < names_.size(); ++i) visit(i);
  }

 private:
  enum class State : std::uint8_t { unseen, open, done };

  void visit(std::size_t store) {
    if (states_[store] != State::unseen) return;
    states_[store] = State::open;
    path_.push_back(store);
    for (std::size_t i = spans_[store].first; i < spans_[store].last; ++i) {
      const detail::Reference& reference = reading_.references[i];
      const auto inner =
          static_cast<std::size_t>(std::find(names_.begin(), names_.end(), reference.store) - names_.begin());
      if (states_[inner] == State::open)
        report(reference, inner);
      else
        visit(inner);
    }
    path_.pop_back();
    states_[store] = State::done;
  }

  void report(const detail::Reference& reference, std::size_t store) {
    std::string circle;
    for (auto at = std::find(path_.begin(), path_.end(), store); at != path_.end(); ++at)
      circle.append(names_[*at]).append(" > ");
    reading_.problems.add(
        reference.pointer, reference.at,
        "the store " + detail::shown(names_[store]) + " is inside itself: " + circle + std::string(names_[store]));
  }

  Reading& reading_;
  std::vector<std::string_view> names_;
  const std::vector<Span>& spans_;
  std::vector<State> states_;
  std::vector<std::size_t> path_;
};

void check_default(Reading& reading, Config& config) {
  if (config.stores.empty() && (config.default_store.empty() || config.default_store == "memory"))
    config.stores.add("memory", MemoryConfig{});
  if (config.default_store.empty()) {
    if (config.stores.size() == 1)
      config.default_store = config.stores.begin()->first;
    else
      reading.problems.add(
          "/default", nullptr,
          "missing: which of the stores is the default? There are " + detail::alternatives(names_of(config.stores)));
  } else if (config.stores.find(config.default_store) == nullptr) {
    reading.problems.add("/default", nullptr,
                         "there is no store " + detail::shown(detail::without_secrets(config.default_store)) +
                             detail::suggestion(config.default_store, names_of(config.stores)));
  }
}

/// What tells one back end from another.
std::string back_end_of(const Config& config, const StoreConfig& store) {
  std::string text(store.driver());
  for (const std::string_view key : {"servers", "path", "table"}) {
    const Settings* const found = store.settings().find(key);
    text.append("\n").append(found != nullptr ? found->to_json(false) : "");
  }
  const Settings* const named = store.settings().find("connection");
  const ConnectionConfig* const connection =
      config.connections.find(named != nullptr && !named->text().empty() ? named->text() : "default");
  if (connection != nullptr) text.append("\n").append(connection->settings().to_json(false));
  return text;
}

/// Keys of one store could be spelled like those of another where the prefix of one begins the other's.
void warn_of_nested_prefixes(Config& config) {
  struct Place {
    std::string back_end, prefix;
    std::string_view store;
  };
  std::vector<Place> places;
  for (const auto& [name, store] : config.stores)
    if (store.driver() == "redis" || store.driver() == "memcached" || store.driver() == "file" ||
        store.driver() == "database")
      places.push_back({back_end_of(config, store), rules_of(config, name).prefix, name});
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    return a.back_end != b.back_end ? a.back_end < b.back_end : a.prefix < b.prefix;
  });
  for (std::size_t i = 1; i < places.size(); ++i) {
    const Place &outer = places[i - 1], &inner = places[i];
    if (outer.back_end != inner.back_end || outer.prefix == inner.prefix || !inner.prefix.starts_with(outer.prefix))
      continue;
    std::string warning = "the stores " + detail::shown(outer.store) + " and " + detail::shown(inner.store) +
                          " share a back end, and the prefix " + detail::shown(outer.prefix) +
                          " of the first begins the prefix " + detail::shown(inner.prefix) +
                          " of the second; give them prefixes of which none begins the other";
    if (std::find(config.warnings.begin(), config.warnings.end(), warning) == config.warnings.end())
      config.warnings.push_back(std::move(warning));
  }
}

/// What every store may be told, wherever it is said.
struct Said {
  std::string prefix{}, serializer{}, compression{}, on_error{};
  std::optional<Ttl> ttl{};
  bool frame = true, prohibit_flush = false, hash_keys = false;
  std::uint64_t max_value = 0;
  Duration timeout{0};
  std::optional<BreakerOptions> circuit_breaker{};
  MemcachedOptions options{};
};

/// Plain documents want a format that can be read without a frame; of another one nothing could ever be written.
void check_plain_documents(Reading& reading, const Config& config, std::string_view store) {
  const StoreRules rules = rules_of(config, store);
  const Format* const format = rules.frame ? nullptr : formats().find(rules.serializer);
  if (format == nullptr || format->self_describing()) return;
  reading.problems.add(join_pointer(join_pointer("/stores", store), "frame"),
                       config.stores.find(store)->settings().find("frame"),
                       "plain documents need a serializer that others can read, and " + detail::shown(format->name()) +
                           " is none; write \"serializer\": \"json\" or \"msgpack\" beside it, or leave \"frame\" out");
}

/// Completes it.
void check_all(Config& config) {
  Reading reading;
  check_names(reading, "/stores", names_of(config.stores));
  check_names(reading, "/connections", names_of(config.connections));
  Config top;
  detail::read_top(reading, detail::tree_of(config), top);
  reading.problems.raise();
  check_default(reading, config);

  reading.config = &config;
  const DriverTable& table = drivers();
  for (const auto& [name, connection] : config.connections)
    check_driver(
        reading, join_pointer("/connections", name), connection.settings(), table.connection_names(),
        [&](const std::string& driver) { return table.find_connection(driver); }, [](Fields&) {});
  std::vector<Span> spans;
  for (const auto& [name, store] : config.stores) {
    const std::size_t first = reading.references.size(), mistakes = reading.problems.size();
    check_driver(
        reading, join_pointer("/stores", name), store.settings(), table.names(),
        [&](const std::string& driver) { return table.find(driver); },
        [](Fields& fields) {
          Nothing nothing;
          fields.common(nothing);
        });
    if (reading.problems.size() == mistakes) check_plain_documents(reading, config, name);
    spans.push_back({first, reading.references.size()});
  }
  Circles(reading, config, spans).find();
  reading.problems.raise();
  warn_of_nested_prefixes(config);
}

}  // namespace

Config checked(Config config) {
  try {
    check_all(config);
  } catch (const ConfigError& mistakes) {
    if (config.file.empty()) throw;
    Error error = mistakes.error();
    error.message.insert(0, detail::shown(config.file) + ": ");
    throw ConfigError(std::move(error));
  }
  return config;
}

void validate(const Config& config) { (void)checked(config); }

StoreRules rules_of(const Config& config, std::string_view store) {
  const StoreConfig* const found = config.stores.find(store);
  Said said;
  if (found != nullptr) {
    Reading reading;
    reading.read_some(found->settings(), "", [&](Fields& fields) {
      fields.common(said);
      if (found->driver() == "memcached") fields.group("options", said.options);
    });
  }
  if (said.serializer.empty()) said.serializer = said.options.serializer;
  if (said.compression.empty()) said.compression = said.options.compression;

  StoreRules rules;
  rules.bytes = !said.serializer.empty() || (!said.compression.empty() && said.compression != "none") || !said.frame;
  rules.serializer = said.serializer.empty() ? config.serialize.serializer : said.serializer;
  if (rules.serializer == "pickle") rules.serializer = "native";
  if (said.compression.empty()) said.compression = config.serialize.compress ? "default" : "none";
  rules.compression = said.compression == "default" ? config.serialize.algorithm : said.compression;
  rules.compress_from = config.serialize.threshold;
  if (rules.compression == "zstd") rules.dictionary = config.serialize.dictionary;
  rules.frame = said.frame;
  rules.max_value = said.max_value;
  rules.timeout = said.timeout;
  rules.circuit_breaker = said.circuit_breaker;
  rules.prefix = compose_prefix(config.prefix, said.prefix);
  rules.repository.ttl = said.ttl;
  rules.repository.on_error = said.on_error == "throw" ? OnError::raise : OnError::soft;
  rules.repository.prohibit_flush = said.prohibit_flush;
  rules.repository.hash_keys = said.hash_keys;
  rules.repository.max_key_bytes = config.limits.key;
  rules.repository.max_tags = static_cast<std::size_t>(config.limits.tags);
  rules.repository.max_tag_bytes = config.limits.tag;
  return rules;
}

std::string compose_prefix(std::string_view global, std::string_view store) {
  std::string composed;
  for (const std::string_view part : {global, store}) {
    composed += part;
    if (!part.empty() && part.back() != ':') composed += ':';
  }
  return composed;
}

}  // namespace v1
}  // namespace flux::cache
