// A key is any bytes, and no two of them are one.
#include <flux/cache/testing/store_contract.hpp>

#include <random>
#include <set>

#include "anchors.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

void detail::link_keys() {}

namespace {

/// Keys that have broken a cache somewhere: protocols, paths, SQL, patterns, encodings.
std::vector<std::string> nasty_keys() {
  using namespace std::string_literals;
  return {"k",
          "K",
          "kk",
          " ",
          "  ",
          "k ",
          " k",
          "k\t",
          "k\n",
          "k\r",
          "k\r\n",
          "\0"s,
          "\0\0"s,
          "k\0"s,
          "\0k"s,
          "k\0x"s,
          "k\0y"s,
          "\x7f",
          "\x80",
          "\xff",
          "\xff\xff",
          "\xc3\x28",
          "\xf0\x9f\x98\x80",
          "\xc3\xa9",
          "e\xcc\x81",
          "\xef\xbb\xbf",
          ".",
          "..",
          "...",
          "/",
          "//",
          "a/b",
          "a//b",
          "/a",
          "a/",
          "../../etc/passwd",
          "/etc/passwd",
          "con",
          "CON",
          "nul",
          "aux.txt",
          "k.",
          "~",
          "$HOME",
          "*",
          "?",
          "[a-z]",
          "k*",
          "{k}",
          "%",
          "%%",
          "%s%n",
          "%00",
          "%2e%2e%2f",
          "\\",
          "\\\\",
          "\\0",
          "'",
          "\"",
          "`",
          ";",
          "--",
          "' OR 1=1 --",
          "'; DROP TABLE cache; --",
          "#",
          "k#1",
          ":",
          "::",
          "a:b",
          "a::b",
          "-",
          "_",
          "0",
          "00",
          "01",
          "1",
          "1.0",
          "-1",
          "+1",
          "1e1",
          "null",
          "true",
          "x 0 0 1\r\nq\r\nset victim 0 0 4\r\nEVIL\r\nset y",
          "END\r\n",
          "*1\r\n$4\r\nPING\r\n",
          "gets",
          "get",
          "flush_all",
          "FLUSHALL",
          "values",
          "locks",
          "tags",
          "limits",
          "meta",
          "version",
          "generation",
          "lock",
          "tmp",
          ".tmp",
          ".lock",
          "\x1b[2J",
          "\b",
          "\v",
          "\f",
          "\x01",
          "\x1f"};
}

std::string key_of_length(std::size_t length, char last) {
  std::string key(length, 'k');
  for (std::size_t i = 0; i < length; ++i) key[i] = static_cast<char>('a' + i % 23);
  key.back() = last;
  return key;
}

}  // namespace

TEST_P(StoreContract, NastyKeysAreAllApart) {
  const auto keys = nasty_keys();
  for (const std::string& key : keys) ASSERT_TRUE(put(key, text("of " + key)));
  for (const std::string& key : keys) ASSERT_EQ(got(key), show(text("of " + key))) << ::testing::PrintToString(key);
  for (const std::string& key : keys) {
    ASSERT_TRUE(forget(key)) << ::testing::PrintToString(key);
    ASSERT_FALSE(has(key)) << ::testing::PrintToString(key);
  }
}

TEST_P(StoreContract, NastyKeysTakeEveryOperation) {
  for (const std::string& key : nasty_keys()) {
    SCOPED_TRACE(::testing::PrintToString(key));
    ASSERT_EQ(increment(key, 2), 2);
    ASSERT_FALSE(add(key, text("v")));
    ASSERT_TRUE(touch(key, {}));
    ASSERT_TRUE(put(key, integer(3), {}, {When::unchanged, version(key)}));
    ASSERT_EQ(got_many({key}), std::vector<std::string>{"integer 3"});
    ASSERT_EQ(pulled(key), "integer 3");
    ASSERT_TRUE(put_many({{Key(key), {.value = text("v")}}}).empty());
    ASSERT_EQ(forget_many({key, key}), 1u);
  }
}

TEST_P(StoreContract, KeysOfAllLengthsUpToTheLimitAreThere) {
  for (const std::size_t length :
       {1u,   2u,   15u,  16u,  22u,  23u,  31u,  32u,  63u,   64u,   127u,  128u,  200u,  239u,    240u,    249u,
        250u, 251u, 255u, 256u, 257u, 300u, 511u, 512u, 1023u, 1024u, 4095u, 4096u, 4097u, 16'384u, 65'535u, 65'536u}) {
    const std::string key = key_of_length(length, 'x');
    ASSERT_TRUE(put(key, integer(static_cast<std::int64_t>(length))));
    ASSERT_EQ(got(key), "integer " + std::to_string(length));
  }
  EXPECT_EQ(got(key_of_length(250, 'x')), "integer 250");
  EXPECT_EQ(got(key_of_length(65'536, 'x')), "integer 65536");
}

TEST_P(StoreContract, LongKeysThatDifferInTheirLastByteAreApart) {
  for (const std::size_t length : {23u, 64u, 250u, 251u, 300u, 1024u, 4096u, 65'536u}) {
    put(key_of_length(length, 'x'), text("x")), put(key_of_length(length, 'y'), text("y"));
    ASSERT_EQ(got(key_of_length(length, 'x')), R"(text "x")") << length;
    ASSERT_EQ(got(key_of_length(length, 'y')), R"(text "y")") << length;
    ASSERT_EQ(got(key_of_length(length, 'z')), kMiss) << length;
  }
}

TEST_P(StoreContract, LongKeysThatDifferInTheirFirstByteAreApart) {
  for (const std::size_t length : {250u, 300u, 65'536u}) {
    const std::string tail = key_of_length(length, 'x');
    put("1" + tail.substr(1), text("1")), put("2" + tail.substr(1), text("2"));
    ASSERT_EQ(got("1" + tail.substr(1)), R"(text "1")") << length;
    ASSERT_EQ(got("2" + tail.substr(1)), R"(text "2")") << length;
  }
}

TEST_P(StoreContract, KeysThatDifferInCaseAreApart) {
  put("key", text("lower")), put("KEY", text("upper")), put("Key", text("title"));
  EXPECT_EQ(got("key"), R"(text "lower")");
  EXPECT_EQ(got("KEY"), R"(text "upper")");
  EXPECT_EQ(got("Key"), R"(text "title")");
}

TEST_P(StoreContract, EveryByteIsAKey) {
  for (int byte = 0; byte < 256; ++byte) put(std::string(1, static_cast<char>(byte)), integer(byte));
  for (int byte = 0; byte < 256; ++byte)
    ASSERT_EQ(got(std::string(1, static_cast<char>(byte))), "integer " + std::to_string(byte));
}

TEST_P(StoreContract, TenThousandRandomKeysAreAllApart) {
  std::mt19937 random(20'260'101);
  const auto nasty = nasty_keys();
  std::set<std::string> distinct(nasty.begin(), nasty.end());
  constexpr std::string_view kAlphabet("aA0.%/\\ \0\r\n\xff", 12);
  while (distinct.size() < static_cast<std::size_t>(rounds(10'000))) {
    std::string key;
    for (std::size_t length = 1 + random() % 12; length > 0; --length) key += kAlphabet[random() % kAlphabet.size()];
    distinct.insert(std::move(key));
  }
  std::int64_t number = 0;
  for (const std::string& key : distinct) ASSERT_TRUE(put(key, integer(number++)));
  number = 0;
  for (const std::string& key : distinct)
    ASSERT_EQ(got(key), "integer " + std::to_string(number++)) << ::testing::PrintToString(key);
  if (const auto listed = list()) {
    ASSERT_EQ(listed->size(), distinct.size());
    auto at = distinct.begin();
    for (const auto& [key, shown] : *listed) ASSERT_EQ(key, *at++);
  }
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
