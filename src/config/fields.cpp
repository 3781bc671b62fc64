// The strict reading, both ways: texts, names and what is nested. Numbers are in number_fields.cpp.
#include <flux/cache/fields.hpp>

#include <flux/cache/drivers.hpp>

#include <algorithm>

#include "config/reading.hpp"
#include "config/secrets.hpp"
#include "config/settings_access.hpp"
#include "config/utf8.hpp"

namespace flux::cache {
inline namespace v1 {

using detail::described;
using detail::is_variable;
using detail::named;

namespace {

std::string_view kind_name(const Settings& found) {
  switch (found.kind()) {
    case Settings::Kind::null: return "null";
    case Settings::Kind::boolean: return "a bool";
    case Settings::Kind::integer: return "an integer";
    case Settings::Kind::real: return "a number with a fraction";
    case Settings::Kind::text: return "text";
    case Settings::Kind::list: return "a list";
    case Settings::Kind::map: return "a map";
  }
  return "something else";
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

bool has_space_or_control(std::string_view text) { return has_control(text) || text.find(' ') != text.npos; }

/// C++ may hand over any bytes; JSON holds UTF-8 alone.
constexpr const char* kNotUtf8 = "the text is not UTF-8";

bool is_table(std::string_view text) {
  constexpr std::size_t kLongest = 128;
  const auto is_word = [](std::string_view part) {
    return !part.empty() && !(part.front() >= '0' && part.front() <= '9') &&
           std::all_of(part.begin(), part.end(), [](char c) {
             return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
           });
  };
  const std::size_t dot = text.find('.');
  if (text.size() > kLongest) return false;
  return dot == text.npos ? is_word(text) : is_word(text.substr(0, dot)) && is_word(text.substr(dot + 1));
}

template <class Things>
std::vector<std::string_view> views(const Things& things) {
  return {things.begin(), things.end()};
}

template <class T>
std::vector<std::string_view> names_of(const Named<T>& things) {
  std::vector<std::string_view> names;
  for (const auto& thing : things) names.emplace_back(thing.first);
  return names;
}

}  // namespace

Fields::Fields(detail::Reading& reading, const Settings& from, std::string pointer)
    : reading_(&reading), from_(&from), pointer_(std::move(pointer)) {}

std::string Fields::pointer_to(std::string_view name) const { return detail::join_pointer(pointer_, name); }

void Fields::mistake(std::string_view name, std::string message) {
  if (reading_ == nullptr) return;
  const Settings* const at = name.empty() ? nullptr : from_->find(name);
  reading_->problems.add(name.empty() ? pointer_ : pointer_to(name), at != nullptr ? at : from_, message);
}

void Fields::mistake(const Error& error) {
  std::string_view name = error.key, message = error.message;
  if (const std::size_t colon = message.find(": ");
      colon != message.npos && (name.empty() || name == message.substr(0, colon))) {
    name = message.substr(0, colon);
    message.remove_prefix(colon + 2);
  }
  if (std::find(known_.begin(), known_.end(), name) != known_.end()) return mistake(name, std::string(message));
  mistake("", name.empty() ? std::string(message) : std::string(name).append(": ").append(message));
}

void Fields::wrong(std::string_view name, const Settings& found, std::string_view wanted) {
  mistake(name, "expected " + std::string(wanted) + ", found " + described(found));
}

const Settings* Fields::take(std::string_view name) {
  if (reading_ == nullptr) return nullptr;
  known_.emplace_back(name);
  const Settings* const found = from_->find(name);
  // An empty variable is as if the key were not there.
  if (found == nullptr || found->is_null() || (is_variable(*found) && found->text().empty())) return nullptr;
  return found;
}

const std::string* Fields::take_text(std::string_view name, std::string_view wanted) {
  const Settings* const found = take(name);
  if (found == nullptr) return nullptr;
  if (found->is_text()) return &found->text();
  // The kind alone: a number may be somebody's password.
  mistake(name, "expected " + std::string(wanted) + ", found " + std::string(kind_name(*found)));
  return nullptr;
}

void Fields::write_text(std::string_view name, const std::string& value) {
  if (to_ != nullptr) to_->set(name, value);
}

void Fields::finish() {
  for (std::size_t i = 0; i < from_->size() && !reading_->problems.full(); ++i) {
    const std::string& name = from_->name(i);
    if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
    reading_->problems.add(pointer_to(name), &(*from_)[i], "unknown key" + detail::suggestion(name, views(known_)));
  }
}

void Fields::driver(std::string_view name) {
  if (to_ != nullptr)
    to_->set("driver", name);
  else
    known_.emplace_back("driver");
}

void Fields::text(std::string_view name, std::string& value) {
  write_text(name, value);
  const std::string* const found = take_text(name, "text");
  if (found == nullptr) return;
  if (has_control(*found)) return mistake(name, "control characters are not allowed here");
  if (!detail::is_utf8(*found)) return mistake(name, kNotUtf8);
  value = *found;
}

void Fields::secret(std::string_view name, std::string& value) {
  write_text(name, value);
  if (const std::string* const found = take_text(name, "text")) value = *found;
}

void Fields::path(std::string_view name, std::string& value) {
  write_text(name, value);
  const std::string* const found = take_text(name, "a path");
  if (found == nullptr) return;
  if (found->empty() || found->find('\0') != found->npos)
    return mistake(name, "a path is neither empty nor holds a NUL");
  if (*found == "~" || found->starts_with("~/"))
    return mistake(name, "only a shell knows what ~ is; write ${HOME}, or ./~ for a folder of that name");
  value = *found;
}

void Fields::prefix(std::string_view name, std::string& value) {
  constexpr std::size_t kLongest = 128;
  write_text(name, value);
  const std::string* const found = take_text(name, "text");
  if (found == nullptr) return;
  if (has_space_or_control(*found)) return mistake(name, "a prefix holds no spaces and no control characters");
  if (!detail::is_utf8(*found)) return mistake(name, kNotUtf8);
  if (found->size() > kLongest) return mistake(name, "a prefix is at most " + std::to_string(kLongest) + " bytes long");
  value = *found;
}

void Fields::host(std::string_view name, std::string& value) {
  constexpr std::size_t kLongest = 255;
  write_text(name, value);
  const std::string* const found = take_text(name, "a host's name or address");
  if (found == nullptr) return;
  const bool socket = found->starts_with('/');
  if (found->empty() || found->size() > kLongest || (socket ? has_control(*found) : has_space_or_control(*found)))
    return mistake(name, "a host is 1 to 255 bytes long and holds no spaces and no control characters");
  if (found->find("://") != found->npos || found->find('@') != found->npos)
    return mistake(name, "a host is a name or an address, not a URL");
  value = *found;
}

void Fields::url(std::string_view name, std::string& value, Words schemes) {
  write_text(name, value);
  const std::string* const found = take_text(name, "a URL");
  if (found == nullptr || found->empty()) return;
  if (has_space_or_control(*found)) return mistake(name, "a URL holds no spaces and no control characters");
  for (const std::string_view scheme : schemes)
    if (found->size() > scheme.size() + 3 && found->starts_with(scheme) && found->substr(scheme.size(), 3) == "://")
      return void(value = *found);
  mistake(name, "expected a URL whose scheme is " + detail::alternatives(views(schemes)));
}

void Fields::table(std::string_view name, std::string& value) {
  write_text(name, value);
  const std::string* const found = take_text(name, "a table's name");
  if (found == nullptr) return;
  if (!is_table(*found))
    return mistake(name,
                   "a table's name is made of letters, digits and underscores, with at most one schema before a dot");
  value = *found;
}

void Fields::read_word(std::string_view name, std::string& value, const std::vector<std::string_view>& words) {
  write_text(name, value);
  const std::string* const found = take_text(name, "one of " + detail::alternatives(words));
  if (found == nullptr || (found->empty() && value.empty())) return;
  if (std::find(words.begin(), words.end(), *found) == words.end())
    return mistake(name, named(*from_->find(name)) + " is not one of " + detail::alternatives(words) +
                             detail::suggestion(*found, words));
  value = *found;
}

void Fields::serializer(std::string_view name, std::string& value) {
  write_text(name, value);
  const std::string* const found = take_text(name, "a serializer's name");
  if (found == nullptr || found->empty()) return;
  if (drivers().has_serializer(*found)) return void(value = *found);
  const auto known = drivers().serializer_names();
  mistake(name, named(*from_->find(name)) + " is no serializer; known are " + detail::alternatives(views(known)) +
                    detail::suggestion(*found, views(known)));
}

void Fields::compression(std::string_view name, std::string& value) {
  write_text(name, value);
  const Settings* const found = take(name);
  if (found == nullptr) return;
  if (found->kind() == Settings::Kind::boolean) return void(value = found->boolean() ? "default" : "none");
  if (!found->is_text()) return wrong(name, *found, "a compressor's name, true or false");
  if (found->text().empty()) return;
  if (is_variable(*found) && (found->text() == "true" || found->text() == "false"))
    return void(value = found->text() == "true" ? "default" : "none");
  if (found->text() == "default" || drivers().has_compressor(found->text())) return void(value = found->text());
  const auto known = drivers().compressor_names();
  mistake(name, named(*found) + " is no compressor; known are " + detail::alternatives(views(known)) +
                    detail::suggestion(found->text(), views(known)));
}

bool Fields::known_store(std::string_view pointer, const Settings& found) {
  const Config* const config = reading_->config;
  if (config == nullptr || config->stores.find(found.text()) != nullptr) return true;
  reading_->problems.add(
      pointer, &found,
      "there is no store " + named(found) + detail::suggestion(found.text(), names_of(config->stores)));
  return false;
}

void Fields::store(std::string_view name, std::string& value) {
  write_text(name, value);
  const std::string* const found = take_text(name, "a store's name");
  if (found == nullptr || found->empty() || !known_store(pointer_to(name), *from_->find(name))) return;
  value = *found;
}

void Fields::stores(std::string_view name, std::vector<std::string>& value) {
  if (to_ != nullptr) {
    Settings& list = to_->set(name, Settings::list());
    for (const std::string& store : value) list.push(store);
    return;
  }
  const Settings* const found = take(name);
  if (found == nullptr) return mistake(name, "missing: which stores?");
  if (!found->is_list()) return wrong(name, *found, "a list of stores' names");
  if (found->size() == 0) return mistake(name, "names no store");
  value.clear();
  for (std::size_t i = 0; i < found->size() && !reading_->problems.full(); ++i) {
    const Settings& item = (*found)[i];
    const std::string pointer = pointer_to(name) + "/" + std::to_string(i);
    if (!item.is_text()) {
      reading_->problems.add(pointer, &item, "expected a store's name, found " + described(item));
    } else if (std::find(value.begin(), value.end(), item.text()) != value.end()) {
      reading_->problems.add(pointer, &item, "the store " + named(item) + " stands here twice");
    } else if (known_store(pointer, item)) {
      value.push_back(item.text());
      reading_->references.push_back({pointer, item.text(), &item});
    }
  }
}

void Fields::connection(std::string_view name, std::string& value, Words drivers) {
  write_text(name, value);
  if (to_ != nullptr) return;
  const std::string* const found = take_text(name, "a connection's name");
  const Config* const config = reading_->config;
  const bool said = found != nullptr && !found->empty();
  if (said) value = *found;
  if (config == nullptr) return;
  const std::string_view wanted = said ? std::string_view(*found) : "default";
  const ConnectionConfig* const connection = config->connections.find(wanted);
  if (connection == nullptr) {
    if (said)
      mistake(name, "there is no connection " + named(*from_->find(name)) +
                        detail::suggestion(wanted, names_of(config->connections)));
  } else if (std::find(drivers.begin(), drivers.end(), connection->driver()) == drivers.end()) {
    mistake(name, "the connection " + detail::shown(wanted) + " has the driver " + detail::shown(connection->driver()) +
                      "; this store needs " + detail::alternatives(views(drivers)));
  }
}

void Fields::read_group(std::string_view name, detail::FunctionRef<void(Fields&)> describe) {
  if (to_ != nullptr) {
    Fields inner(to_->set(name, Settings::map()));
    return describe(inner);
  }
  const Settings* const found = take(name);
  if (found == nullptr) return;
  if (!found->is_map()) return wrong(name, *found, "a map");
  Fields inner(*reading_, *found, pointer_to(name));
  describe(inner);
  inner.finish();
}

void Fields::read_each(std::string_view name, std::size_t count, detail::FunctionRef<void(std::size_t)> resize,
                       detail::FunctionRef<void(std::size_t, Fields&)> describe) {
  if (to_ != nullptr) {
    Settings& list = to_->set(name, Settings::list());
    for (std::size_t i = 0; i < count; ++i) {
      Fields inner(list.push(Settings::map()));
      describe(i, inner);
    }
    return;
  }
  const Settings* const found = take(name);
  if (found == nullptr) return;
  if (!found->is_list()) return wrong(name, *found, "a list of maps");
  resize(found->size());
  for (std::size_t i = 0; i < found->size() && !reading_->problems.full(); ++i) {
    const std::string pointer = pointer_to(name) + "/" + std::to_string(i);
    if (!(*found)[i].is_map()) {
      reading_->problems.add(pointer, &(*found)[i], "expected a map, found " + described((*found)[i]));
      continue;
    }
    Fields inner(*reading_, (*found)[i], pointer);
    describe(i, inner);
    inner.finish();
  }
}

namespace detail {

std::string described(const Settings& found) {
  if (found.kind() == Settings::Kind::integer || found.kind() == Settings::Kind::real) return found.to_json();
  return std::string(kind_name(found));
}

std::string named(const Settings& found) {
  return is_variable(found) ? std::string("the variable's value") : shown(without_secrets(found.text()));
}

void Reading::read(const Settings& settings, std::string_view pointer, FunctionRef<void(Fields&)> describe) {
  if (!settings.is_map()) return problems.add(pointer, &settings, "expected a map, found " + described(settings));
  Fields fields(*this, settings, std::string(pointer));
  describe(fields);
  fields.finish();
}

void Reading::read_some(const Settings& settings, std::string_view pointer, FunctionRef<void(Fields&)> describe) {
  Fields fields(*this, settings, std::string(pointer));
  describe(fields);
}

Settings Reading::write(FunctionRef<void(Fields&)> describe) {
  Settings written = Settings::map();
  Fields fields(written);
  describe(fields);
  return written;
}

Settings settings_of(FunctionRef<void(Fields&)> plain, FunctionRef<void(Fields&)> given) {
  const Settings before = Reading::write(plain), after = Reading::write(given);
  Settings differing = Settings::map();
  for (std::size_t i = 0; i < after.size(); ++i) {
    const Settings* const same = before.find(after.name(i));
    if (after.name(i) == "driver" || same == nullptr || !(*same == after[i])) differing.set(after.name(i), after[i]);
  }
  return differing;
}

void read_fields(const Settings& settings, std::string_view pointer, FunctionRef<void(Fields&)> describe) {
  Reading reading;
  reading.read(settings, pointer, describe);
  reading.problems.raise();
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
