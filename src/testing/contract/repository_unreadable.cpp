// What cannot be read as it was wanted: a struct that changed, bytes of others, a codec that throws.
#include <flux/cache/testing/repository_contract.hpp>

#include <atomic>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "anchors.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

void detail::link_unreadable() {}

namespace contract {

/// Read by a codec of its own, which refuses while it is told to.
struct Moody {
  int value = 0;
  bool operator==(const Moody&) const = default;
};
std::atomic<bool> is_refusing{false};

namespace before {
struct Ticket {
  int id = 0;
  std::string name;
  bool operator==(const Ticket&) const = default;
};
}  // namespace before
namespace after {
struct Ticket {
  int id = 0;
  std::string name;
  double price = 0;
  bool operator==(const Ticket&) const = default;
};
}  // namespace after

}  // namespace contract
}  // namespace testing

template <>
struct Codec<testing::contract::Moody> {
  static void save(const testing::contract::Moody& moody, Writer& out) { out.integer(moody.value); }
  static void load(Reader& in, testing::contract::Moody& moody) {
    moody.value = static_cast<int>(in.integer());
    if (testing::contract::is_refusing) throw std::runtime_error("not today");
  }
};

namespace testing {

using namespace std::chrono_literals;

namespace {

/// The store hands back the object that was put, so nothing is ever decoded.
bool keeps_objects(const Repository& cache) {
  cache.put("an object", std::vector<int>{1});
  const auto one = cache.get_shared<std::vector<int>>("an object");
  const bool same = one != nullptr && one == cache.get_shared<std::vector<int>>("an object");
  cache.forget("an object"), cache.reset_stats();
  return same;
}

/// As a program of another language, an older release or a broken disk might have left them.
bool put_bytes(const Repository& cache, std::string_view key, std::string_view bytes) {
  auto written = cache.store()->put(Key(key), {.value = {.kind = Kind::bytes, .text = bytes}}, {});
  return written.ok() && *written;
}

}  // namespace

TEST_P(RepositoryContract, AStructThatChangedIsAMissThatIsCountedAndRememberHeals) {
  if (keeps_objects(cache())) GTEST_SKIP() << "a live object is of the type that it was put as";
  const contract::before::Ticket old{7, "Ada"};
  ASSERT_TRUE(cache().put("k", old, 1h));
  EXPECT_EQ(cache().get<contract::after::Ticket>("k"), std::nullopt);
  const auto answer = cache().try_get<contract::after::Ticket>("k");
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, Errc::schema);
  EXPECT_EQ(answer.error().key, "k");
  EXPECT_NE(answer.error().message.find("Ticket"), std::string::npos) << answer.error().message;
  Stats stats = cache().stats();
  EXPECT_EQ(stats.schema, 2u);
  EXPECT_EQ(stats.misses, 2u);
  EXPECT_EQ(stats.wrong_type + stats.corrupt + stats.hits, 0u);
  EXPECT_EQ(cache().get<contract::before::Ticket>("k"), old) << "an older program may still read it";

  const contract::after::Ticket young{7, "Ada", 9.5};
  EXPECT_EQ(cache().remember("k", 1h, [&] { return young; }), young);
  EXPECT_EQ(cache().get<contract::after::Ticket>("k"), young);
}

TEST_P(RepositoryContract, BytesThatDoNotCheckOutAreAMissThatIsCountedAndAreRemoved) {
  if (keeps_objects(cache())) GTEST_SKIP() << "a live object is not decoded";
  if (cache().store()->traits().kind == "tiered")
    GTEST_SKIP() << "what a border above tiers found in a near one, it removes when it comes by again";
  const std::string_view foreign[] = {{"\x80\x04\x95\x05\x00\x00\x00\x8c\x01x\x94.", 12},  // Python's pickle
                                      "O:4:\"User\":1:{s:2:\"id\";i:7;}",                  // PHP
                                      {"\xac\xed\x00\x05t\x00\x01x", 8},                   // Java
                                      {"\x04\bI\"\x06x\x06:\x06ET", 11},                   // Ruby
                                      {"\xc1\x01\x01\x00\x00\x00\x00\x00", 8},             // a frame that was cut off
                                      ""};
  // A key for each: a replica's copier that is behind may come by and read, as the type that stood there before.
  int number = 0;
  for (const std::string_view bytes : foreign) {
    SCOPED_TRACE(::testing::PrintToString(std::string(bytes)));
    const std::string key = "k" + std::to_string(++number);
    cache().reset_stats();
    ASSERT_TRUE(put_bytes(cache(), key, bytes));
    EXPECT_EQ(cache().get<contract::Moody>(key), std::nullopt);
    EXPECT_EQ(cache().stats().corrupt, 1u);
    EXPECT_EQ(cache().stats().misses, 1u);
    EXPECT_FALSE(cache().has(key));
    EXPECT_EQ(cache().get<contract::Moody>(key), std::nullopt);
    EXPECT_EQ(cache().stats().corrupt, 1u) << "once, for then it was gone";

    ASSERT_TRUE(put_bytes(cache(), key, bytes));
    const auto answer = cache().try_get<contract::Moody>(key);
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().code, Errc::corrupt);
    EXPECT_EQ(answer.error().key, key);

    ASSERT_TRUE(put_bytes(cache(), key, bytes));
    EXPECT_EQ(cache().remember(key, 1h, [] { return contract::Moody{3}; }), contract::Moody{3});
    EXPECT_EQ(cache().get<contract::Moody>(key), contract::Moody{3});
  }
}

TEST_P(RepositoryContract, ManyTellsOfEachKeyWhatItCannotReadAndAnswersTheOthers) {
  if (keeps_objects(cache())) GTEST_SKIP() << "a live object is not decoded";
  const bool is_tiered = cache().store()->traits().kind == "tiered";  // which may have asked a nearer one, see above
  const contract::after::Ticket good{7, "Ada", 9.5};
  ASSERT_TRUE(cache().put("old", contract::before::Ticket{7, "Ada"}, 1h));
  ASSERT_TRUE(cache().put("words", "and nothing else", 1h));
  ASSERT_TRUE(cache().put("good", good, 1h) && cache().put("good too", good, 1h));
  ASSERT_TRUE(is_tiered || put_bytes(cache(), "broken", "\xc1\x01\x01"));
  std::vector<std::string> heard;
  const Listening listening = cache().listen([&](const Event& event) {
    heard.push_back(std::string(to_string(event.kind)) + " " + std::string(event.key));
    if (event.cause != MissCause::none) heard.back().append(": ").append(to_string(event.cause));
    if (event.error != nullptr)
      heard.back().append(" of ").append(event.error->key).append(" by ").append(event.error->operation);
  });
  const std::vector<std::string> keys{"good", "old", "words", "broken", "absent", "good too"};
  const std::vector<std::string> story{"hit good",
                                       "miss old: schema of old by many",
                                       "miss words: wrong_type of words by many",
                                       is_tiered ? "miss broken: absent" : "miss broken: corrupt of broken by many",
                                       "miss absent: absent",
                                       "hit good too"};

  cache().reset_stats();
  const auto answers = cache().many<contract::after::Ticket>(keys);
  EXPECT_EQ(heard, story);
  EXPECT_EQ(answers.at("good"), good);
  EXPECT_EQ(answers.at("good too"), good);
  for (const char* key : {"old", "words", "broken", "absent"}) EXPECT_FALSE(answers.has(key)) << key;
  const Stats stats = cache().stats();
  EXPECT_EQ(stats.hits, 2u);
  EXPECT_EQ(stats.misses, 4u);
  EXPECT_EQ(stats.schema, 1u);
  EXPECT_EQ(stats.wrong_type, 1u);
  EXPECT_EQ(stats.corrupt, is_tiered ? 0u : 1u);
  EXPECT_EQ(stats.store_errors, 0u);

  const auto again = cache().try_many<contract::after::Ticket>(keys);
  ASSERT_TRUE(again.ok()) << again.error().to_string();
  EXPECT_TRUE(again->has("good"));
  EXPECT_EQ(cache().stats().schema, 2u) << "an older program may still read it";
  EXPECT_EQ(cache().stats().corrupt, is_tiered ? 0u : 1u) << "once, for then it was gone";

  heard.clear();
  (void)cache().tags({"red"}).many<contract::after::Ticket>({"good", "old"});
  EXPECT_EQ(heard, (std::vector<std::string>{"miss good: tags", story[1]}));

  const auto healed =
      cache().remember_many<contract::after::Ticket>(keys, 1h, [&](const std::vector<std::string>& missing) {
        std::vector<std::pair<std::string, contract::after::Ticket>> made;
        for (const std::string& key : missing) made.emplace_back(key, good);
        return made;
      });
  for (const std::string& key : keys) EXPECT_EQ(healed.at(key), good) << key;
  heard.clear();
  (void)cache().many<contract::after::Ticket>(keys);
  for (const std::string& line : heard) EXPECT_EQ(line.substr(0, 4), "hit ") << line;
}

TEST_P(RepositoryContract, ACodecThatThrowsMakesAMissAndTheEntryStays) {
  if (keeps_objects(cache())) GTEST_SKIP() << "a live object is not decoded";
  ASSERT_TRUE(cache().put("k", contract::Moody{7}, 1h));
  contract::is_refusing = true;
  EXPECT_EQ(cache().get<contract::Moody>("k"), std::nullopt);
  EXPECT_FALSE(cache().many<contract::Moody>({"k"}).at("k"));
  EXPECT_EQ(cache().stats().schema, 2u);
  const auto answer = cache().try_get<contract::Moody>("k");
  contract::is_refusing = false;
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, Errc::schema);
  EXPECT_EQ(answer.error().key, "k");
  EXPECT_NE(answer.error().message.find("not today"), std::string::npos) << answer.error().message;
  EXPECT_EQ(cache().get<contract::Moody>("k"), contract::Moody{7}) << "the bytes were good all the time";

  contract::is_refusing = true;
  EXPECT_EQ(cache().remember("k", 1h, [] { return contract::Moody{8}; }), contract::Moody{8});
  contract::is_refusing = false;
  EXPECT_EQ(cache().get<contract::Moody>("k"), contract::Moody{8});
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
