// Random configurations under random operations: every pair of options at least once, every answer that of a map.
//
// The seed is printed; FLUX_CACHE_SEED repeats it, step for step and answer for answer. FLUX_CACHE_STEPS makes each
// configuration's walk longer.
#include <flux/cache/compressor.hpp>
#include <flux/cache/drivers.hpp>
#include <flux/cache/format.hpp>
#include <flux/cache/manager.hpp>
#include <flux/cache/testing/fake_clock.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "support/scratch_directory.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* const said = std::getenv(name);
  return said != nullptr ? std::strtoull(said, nullptr, 10) : otherwise;
}

/// An option and what it may be, as JSON of the place it stands at; empty: left out.
struct Axis {
  const char* name;
  std::vector<std::string> values;
};

const std::vector<Axis>& axes() {
  static const std::vector<Axis> all = [] {
    Axis kind{"kind",
              {R"("driver": "memory")", R"("driver": "memory", "max_size": 8, "policy": "adaptive")",
               R"("driver": "memory", "max_size": 8, "policy": "lru")",
               R"("driver": "memory", "max_bytes": 4096, "max_size": 0, "policy": "fifo")",
               R"("driver": "file", "path": "@PATH@")"}};
    const auto database = drivers().find("database");
    if (database != nullptr && database->make) kind.values.push_back(R"("driver": "database", "connection": "sqlite")");
    Axis serializer{"serializer", {"", R"("serializer": "native")"}};
    for (const char* const name : {"msgpack", "json"})
      if (formats().find(name) != nullptr) serializer.values.push_back(R"("serializer": ")" + std::string(name) + '"');
    Axis compression{"compression", {"", R"("compression": "none")"}};
    for (const char* const name : {"zstd", "gzip"})
      if (compressors().find(name) != nullptr)
        compression.values.push_back(R"("compression": ")" + std::string(name) + '"');
    Axis serialize{"serialize", {"", R"("serialize": {"serializer": "json"})"}};
    if (compressors().find("zstd") != nullptr)
      serialize.values.push_back(R"("serialize": {"compress": true, "threshold": 16})");
    return std::vector<Axis>{kind,
                             serializer,
                             compression,
                             {"frame", {"", R"("frame": true)", R"("frame": false)"}},
                             {"prefix", {"", R"("prefix": "mine:")"}},
                             {"ttl", {"", R"("ttl": 7)"}},
                             {"max_value", {"", R"("max_value": 1024)"}},
                             {"on_error", {"", R"("on_error": "soft")", R"("on_error": "throw")"}},
                             {"prohibit_flush", {"", R"("prohibit_flush": true)"}},
                             {"global prefix", {"", R"("prefix": "all")"}},
                             serialize,
                             {"tiered", {"", "near"}}};
  }();
  return all;
}
enum Place { kKind, kSerializer, kCompression, kFrame, kOnError = 7, kGlobalPrefix = 9, kSerialize, kTiered };

/// The index of each axis's value.
using Row = std::vector<std::size_t>;
using Pair = std::array<std::size_t, 4>;  ///< axis, value, axis, value

const std::string& said(const Row& row, std::size_t axis) { return axes()[axis].values[row[axis]]; }

std::string json_of(const Row& row, const std::string& path) {
  std::string store;
  for (std::size_t axis = 0; axis < kGlobalPrefix; ++axis)
    if (!said(row, axis).empty()) store += (store.empty() ? "" : ", ") + said(row, axis);
  std::string stores = R"("one": {)" + store + "}";
  if (!said(row, kTiered).empty())
    stores += R"(, "near": {"driver": "memory"}, "tiers": {"driver": "tiered", "stores": ["near", "one"], )"
              R"("on_error": )" +
              std::string(said(row, kOnError).ends_with("\"throw\"") ? "\"throw\"" : "\"soft\"") + "}";
  std::string text = R"({"default": ")" + std::string(said(row, kTiered).empty() ? "one" : "tiers") +
                     R"(", "stores": {)" + stores +
                     R"(}, "connections": {"sqlite": {"driver": "sqlite", "database": "@PATH@.sqlite"}})";
  for (const std::size_t axis : {std::size_t{kGlobalPrefix}, std::size_t{kSerialize}})
    if (!said(row, axis).empty()) text += ", " + said(row, axis);
  text += "}";
  for (std::size_t at = 0; (at = text.find("@PATH@", at)) != std::string::npos;) text.replace(at, 6, path);
  return text;
}

/// Plain documents of the format native are refused.
bool is_possible(const Row& row) {
  const std::string& own = said(row, kSerializer);
  const bool native =
      own.ends_with("\"native\"") || (own.empty() && said(row, kSerialize).find("json") == std::string::npos);
  return !native || !said(row, kFrame).ends_with("false");
}
bool is_possible(const Pair& pair) {
  return !(pair[0] == kSerializer && axes()[kSerializer].values[pair[1]].ends_with("\"native\"") && pair[2] == kFrame &&
           axes()[kFrame].values[pair[3]].ends_with("false"));
}

std::set<Pair> pairs_of(const Row& row) {
  std::set<Pair> all;
  for (std::size_t a = 0; a < row.size(); ++a)
    for (std::size_t b = a + 1; b < row.size(); ++b) all.insert({a, row[a], b, row[b]});
  return all;
}
std::set<Pair> every_pair() {
  std::set<Pair> all;
  for (std::size_t a = 0; a < axes().size(); ++a)
    for (std::size_t b = a + 1; b < axes().size(); ++b)
      for (std::size_t x = 0; x < axes()[a].values.size(); ++x)
        for (std::size_t y = 0; y < axes()[b].values.size(); ++y)
          if (const Pair pair{a, x, b, y}; is_possible(pair)) all.insert(pair);
  return all;
}

/// Rows that hold every pair.
std::vector<Row> covering(std::mt19937_64& random) {
  std::vector<Row> rows;
  for (std::set<Pair> left = every_pair(); !left.empty();) {
    const Pair wanted = *std::next(left.begin(), static_cast<std::ptrdiff_t>(random() % left.size()));
    Row best;
    std::size_t most = 0;
    for (int tries = 0; tries < 12; ++tries) {
      Row row;
      for (const Axis& axis : axes()) row.push_back(random() % axis.values.size());
      row[wanted[0]] = wanted[1], row[wanted[2]] = wanted[3];
      if (!is_possible(row)) continue;
      std::size_t fresh = 0;
      for (const Pair& pair : pairs_of(row)) fresh += left.contains(pair);
      if (fresh > most) most = fresh, best = row;
    }
    if (best.empty()) continue;
    for (const Pair& pair : pairs_of(best)) left.erase(pair);
    rows.push_back(best);
  }
  return rows;
}

/// One configuration's walk, beside a map.
class Walk {
 public:
  Walk(const Row& row, std::uint64_t seed)
      : manager_(Config::from_json(json_of(row, directory_ / "cache")), clock_),
        cache_(manager_.store()),
        random_(seed),
        is_exact_(said(row, kKind).find("max_") == std::string::npos),
        has_ttl_(!said(row, 5).empty() && said(row, kTiered).empty()),
        is_small_(!said(row, 6).empty()),
        is_loud_(said(row, kOnError).ends_with("\"throw\"")),
        may_flush_(said(row, 8).empty() || !said(row, kTiered).empty()) {}

  /// One random operation; false: an answer was not the map's, and the last line of the story says which.
  bool step() {
    const std::string key = "key " + std::to_string(random_() % 12);
    const std::uint64_t choice = random_() % 24;
    try {
      return answer(key, choice);
    } catch (const Exception& error) {
      const Errc code = error.error().code;
      const bool is_expected =
          ((is_small_ || !is_exact_) && code == Errc::too_large) || (is_loud_ && code == Errc::prohibited);
      tell(key, error.what(), is_expected);
      return is_right_;
    }
  }
  const std::string& story() const { return story_; }

 private:
  struct Known {
    std::string text;
    Instant until;
    bool tagged;
  };

  Known* known(const std::string& key) {
    const auto at = map_.find(key);
    if (at == map_.end()) return nullptr;
    if (at->second.until > clock_.now()) return &at->second;
    map_.erase(at);
    return nullptr;
  }
  Instant until(std::optional<Duration> life) const {
    if (life) return clock_.now() + *life;
    return has_ttl_ ? clock_.now() + 7s : kNever;
  }
  void tell(const std::string& key, const std::string& what, bool is_right = true) {
    story_ += key + ": " + what + (is_right ? "\n" : "   <- wrong\n");
    is_right_ = is_right_ && is_right;
  }
  /// What was answered to a question about presence: where entries make room for others, absent is never wrong.
  void tell_presence(const std::string& key, const char* verb, bool answer) {
    const bool is_known = known(key) != nullptr;
    tell(key, std::string(verb) + (answer ? " true" : " false"), answer == is_known || (!is_exact_ && !answer));
  }
  void put(const std::string& key, const std::string& value, std::optional<Duration> life, bool tagged) {
    map_.erase(key);  // whatever becomes of it, the old one is gone
    const Options options{.ttl = life ? std::optional<Ttl>(Ttl(*life)) : std::nullopt,
                          .tags = tagged ? Tags{"red"} : Tags{}};
    const bool is_large = value.size() > 1024;
    const bool done = cache_.put(key, value, options);
    tell(key, done ? "put" : "not put", done == !(is_small_ && is_large) || !is_exact_);
    if (done) map_[key] = {value, until(life), tagged};
  }
  std::string random_text(std::size_t length) {
    std::string text;
    while (text.size() < length) text += static_cast<char>('a' + random_() % 26);
    return text;
  }

  bool answer(const std::string& key, std::uint64_t choice) {
    switch (choice) {
      case 0:
      case 1:
      case 2: put(key, random_text(random_() % 40), std::nullopt, random_() % 2 == 0); break;
      case 3:
      case 4: put(key, random_text(random_() % 300), Duration(1s) * (1 + random_() % 9), random_() % 2 == 0); break;
      case 5: put(key, random_text(3'000), std::nullopt, false); break;
      case 6: tell_presence(key, "forget", cache_.forget(key)), map_.erase(key); break;
      case 7: tell_presence(key, "has", cache_.has(key)); break;
      case 8: {
        const bool was_known = known(key) != nullptr;
        const std::string value = random_text(10);
        const bool done = cache_.add(key, value, 5s);
        tell(key, done ? "added" : "not added", done == !was_known || !is_exact_);
        if (done) map_[key] = {value, until(5s), false};
        break;
      }
      case 9: {
        const bool done = cache_.touch(key, 6s);
        tell_presence(key, "touch", done);
        if (Known* const one = known(key); done && one != nullptr) one->until = until(6s);
        break;
      }
      case 10: {
        const auto pulled = cache_.pull<std::string>(key);
        tell_value(key, "pulled", pulled);
        map_.erase(key);
        break;
      }
      case 11: {
        const auto all = cache_.many<std::string>({key, "never there"});
        tell_value(key, "many", all.at(key));
        tell("never there", "many", !all.at("never there"));
        break;
      }
      case 12: {
        const std::string value = "loaded " + random_text(5);
        const std::string got = cache_.remember(key, 4s, [&] { return value; });
        const Known* const one = known(key);
        const bool is_loaded = got == value;
        tell(key, "remembered " + got, is_loaded ? one == nullptr || !is_exact_ : one != nullptr && one->text == got);
        if (is_loaded) map_[key] = {value, until(4s), false};
        break;
      }
      case 13: {
        const bool done = cache_.tags({"red"}).flush();
        tell("red", done ? "flushed" : "not flushed", done);
        if (done) std::erase_if(map_, [](const auto& one) { return one.second.tagged; });
        break;
      }
      case 14:
        if (random_() % 8 == 0) {
          const bool done = cache_.flush();
          tell("all", done ? "flushed" : "not flushed", done == may_flush_);
          if (done) map_.clear(), count_.reset();
        }
        break;
      case 15:
      case 16: clock_.travel(500ms * (random_() % 6)); break;
      case 17: {
        const std::int64_t now = cache_.increment("count", 1, Ttl::forever());
        tell("count", std::to_string(now), now == count_.value_or(0) + 1 || (!is_exact_ && now == 1));
        count_ = now;
        break;
      }
      default: tell_value(key, "got", cache_.get<std::string>(key)); break;
    }
    return is_right_;
  }
  void tell_value(const std::string& key, const char* verb, const std::optional<std::string>& got) {
    const Known* const one = known(key);
    tell(key, std::string(verb) + ' ' + (got ? *got : "nothing"),
         got ? one != nullptr && one->text == *got : one == nullptr || !is_exact_);
  }

  ScratchDirectory directory_{memory_backed_directory()};
  FakeClock clock_;
  StoreManager manager_;
  Repository cache_;
  std::mt19937_64 random_;
  std::map<std::string, Known> map_;
  std::optional<std::int64_t> count_;
  std::string story_;
  bool is_right_ = true;
  const bool is_exact_, has_ttl_, is_small_, is_loud_, may_flush_;
};

std::string last_lines(const std::string& story) {
  std::size_t from = story.size();
  for (int lines = 0; lines < 15 && from > 0 && from != std::string::npos; ++lines) from = story.rfind('\n', from - 1);
  return story.substr(from == std::string::npos ? 0 : from);
}

/// All of it by one seed: the configurations, what was asked and what was answered.
struct Story {
  explicit Story(std::uint64_t seed) {
    std::mt19937_64 random(seed);
    const std::uint64_t steps = from_environment("FLUX_CACHE_STEPS", 250);
    for (const Row& row : covering(random)) {
      const std::string json = json_of(row, "PATH");
      Walk walk(row, random());
      bool is_right = true;
      for (std::uint64_t i = 0; i < steps && is_right; ++i) {
        is_right = walk.step();
        if (is_right) continue;
        ADD_FAILURE() << "after " << i + 1 << " steps with FLUX_CACHE_SEED=" << seed << " of\n"
                      << json << "\n..." << last_lines(walk.story());
      }
      text += json + "\n" + walk.story();
      covered.merge(pairs_of(row));
      ++configurations;
    }
  }
  std::string text;
  std::set<Pair> covered;
  std::size_t configurations = 0;
};

TEST(Configurations, EveryPairOfOptionsAnswersAsAMapDoesAndASeedRepeatsItAll) {
  const std::uint64_t seed = from_environment("FLUX_CACHE_SEED", std::random_device()());
  std::printf("FLUX_CACHE_SEED=%llu\n", static_cast<unsigned long long>(seed));
  const Story story(seed);
  std::printf("%zu configurations hold %zu pairs of options\n", story.configurations, story.covered.size());
  EXPECT_EQ(story.covered, every_pair());

  const Story again(seed);
  const auto [here, there] = std::mismatch(story.text.begin(), story.text.end(), again.text.begin(), again.text.end());
  EXPECT_TRUE(here == story.text.end() && there == again.text.end())
      << "the same seed, another answer after\n"
      << last_lines(story.text.substr(0, static_cast<std::size_t>(here - story.text.begin())));
}

}  // namespace
}  // namespace flux::cache::testing
