// Typed values: what goes in comes out, value and type; and what another type is told.
#include <flux/cache/testing/repository_contract.hpp>

#include <bit>
#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <set>
#include <tuple>
#include <unordered_map>
#include <variant>

#include "anchors.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

void detail::link_typed() {}

using namespace std::chrono_literals;

namespace contract {

enum class Colour : std::uint8_t { red = 1, blue = 200 };

struct Part {
  int number = 0;
  std::optional<std::string> label;
  bool operator==(const Part&) const = default;
};

struct Product {
  std::int64_t id = 0;
  std::string name;
  double price = 0;
  Colour colour = Colour::red;
  std::vector<Part> parts;
  std::map<std::string, std::vector<double>> scores;
  std::chrono::milliseconds delivery{};
  bool operator==(const Product&) const = default;
};

inline Product product() {
  return {7,
          std::string("n\0\xff", 3),
          9.75,
          Colour::blue,
          {{1, "one"}, {2, std::nullopt}},
          {{"a", {1.5, -0.0}}, {"", {}}},
          1500ms};
}

}  // namespace contract

namespace {

/// Puts and gets, by every verb that reads.
template <class T>
void comes_back(const Repository& cache, const T& value) {
  ASSERT_TRUE(cache.put("k", value, 1h));
  EXPECT_EQ(cache.get<T>("k"), value);
  const auto tried = cache.try_get<T>("k");
  ASSERT_TRUE(tried.ok()) << tried.error().to_string();
  EXPECT_EQ(*tried, value);
  const auto shared = cache.get_shared<T>("k");
  ASSERT_TRUE(shared);
  EXPECT_EQ(*shared, value);
  EXPECT_EQ(cache.many<T>({"k"}).at("k"), value);
  EXPECT_EQ(cache.many({"k"}).template get<T>("k"), value);
  EXPECT_TRUE(cache.has("k"));
  EXPECT_EQ(cache.pull<T>("k"), value);
  EXPECT_FALSE(cache.has("k"));
}

std::uint64_t bits(double number) { return std::bit_cast<std::uint64_t>(number); }

}  // namespace

TEST_P(RepositoryContract, IntegersOfEveryWidthComeBack) {
  comes_back<std::int8_t>(cache(), -128);
  comes_back<std::uint8_t>(cache(), 255);
  comes_back<std::int16_t>(cache(), -32'768);
  comes_back<std::uint16_t>(cache(), 65'535);
  comes_back<int>(cache(), std::numeric_limits<int>::min());
  comes_back<unsigned>(cache(), std::numeric_limits<unsigned>::max());
  comes_back<std::int64_t>(cache(), std::numeric_limits<std::int64_t>::min());
  comes_back<std::int64_t>(cache(), (std::int64_t{1} << 53) + 1);
  comes_back<std::uint64_t>(cache(), std::numeric_limits<std::uint64_t>::max());
  comes_back<std::uint64_t>(cache(), std::uint64_t{1} << 63);
}

TEST_P(RepositoryContract, TruthAndEnumerationsComeBack) {
  comes_back(cache(), true);
  comes_back(cache(), false);
  comes_back(cache(), contract::Colour::blue);
}

TEST_P(RepositoryContract, RealNumbersComeBackBitForBit) {
  for (const double number : {0.0, -0.0, 3.25, 0.1, -1e308, 5e-324, std::numeric_limits<double>::infinity(),
                              -std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    ASSERT_TRUE(cache().put("k", number, 1h));
    const auto back = cache().get<double>("k");
    ASSERT_TRUE(back);
    EXPECT_EQ(bits(*back), bits(number)) << number;
  }
  comes_back(cache(), 1.5F);
}

TEST_P(RepositoryContract, TextOfAnyBytesComesBackTyped) {
  comes_back(cache(), std::string());
  comes_back(cache(), std::string("plain"));
  comes_back(cache(), std::string("\0\r\n\xff\xc3\x28", 6));
  comes_back(cache(), std::string("12"));
  comes_back(cache(), std::string(200'000, 'x'));
  ASSERT_TRUE(cache().put("literal", "text"));
  EXPECT_EQ(cache().get<std::string>("literal"), "text");
}

TEST_P(RepositoryContract, ContainersComeBack) {
  comes_back(cache(), std::vector<int>{});
  comes_back(cache(), std::vector<int>{1, -2, 3});
  comes_back(cache(), std::vector<std::byte>{std::byte{0}, std::byte{255}});
  comes_back(cache(), std::vector<std::string>{"", "a", std::string("\0", 1)});
  comes_back(cache(), std::vector<bool>{true, false, true});
  comes_back(cache(), std::map<std::string, std::vector<double>>{{"a", {1.5}}, {"b", {}}});
  comes_back(cache(), std::unordered_map<int, std::string>{{1, "one"}, {2, "two"}});
  comes_back(cache(), std::set<std::string>{"x", "y"});
  comes_back(cache(), std::pair<int, std::string>{1, "one"});
  comes_back(cache(), std::tuple<int, double, std::string>{1, 2.5, "three"});
  comes_back(cache(), std::variant<int, std::string>{"text"});
  comes_back(cache(), std::vector<std::optional<int>>{1, std::nullopt});
  comes_back(cache(), std::chrono::milliseconds(1500));
}

TEST_P(RepositoryContract, NestedStructsComeBack) {
  comes_back(cache(), contract::Part{});
  comes_back(cache(), contract::product());
  comes_back(cache(), std::vector<contract::Product>(3, contract::product()));
}

TEST_P(RepositoryContract, EmptyValuesArePresent) {
  cache().put("zero", 0), cache().put("false", false), cache().put("text", ""), cache().put("list", std::vector<int>{});
  for (const char* const key : {"zero", "false", "text", "list"}) EXPECT_TRUE(cache().has(key)) << key;
  EXPECT_EQ(cache().get("zero", 5), 0);
  EXPECT_EQ(cache().get("false", true), false);
  EXPECT_EQ(cache().get("text", "d"), "");
  EXPECT_EQ(cache().get("list", std::vector<int>{1}), std::vector<int>{});
}

TEST_P(RepositoryContract, WhatIsCachedCannotBeChangedFromOutside) {
  std::vector<int> mine{1, 2, 3};
  cache().put("k", mine);
  mine[0] = 100;
  EXPECT_EQ(cache().get<std::vector<int>>("k"), (std::vector<int>{1, 2, 3}));
  auto copy = cache().get<std::vector<int>>("k");
  (*copy)[1] = 100;
  EXPECT_EQ(cache().get<std::vector<int>>("k"), (std::vector<int>{1, 2, 3}));
  const auto object = std::make_shared<const std::vector<int>>(std::vector<int>{4, 5});
  cache().put("shared", object);
  EXPECT_EQ(*cache().get_shared<std::vector<int>>("shared"), *object);
}

TEST_P(RepositoryContract, AnIntegerIsReadAtAnyWidthThatFits) {
  cache().put("small", std::int64_t{200});
  EXPECT_EQ(cache().get<int>("small"), 200);
  EXPECT_EQ(cache().get<std::uint8_t>("small"), 200);
  EXPECT_EQ(cache().get<std::int8_t>("small"), std::nullopt);
  cache().put("large", std::int64_t{1} << 40);
  EXPECT_EQ(cache().get<int>("large"), std::nullopt);
  EXPECT_EQ(cache().get<std::int64_t>("large"), std::int64_t{1} << 40);
  cache().put("negative", -1);
  EXPECT_EQ(cache().get<unsigned>("negative"), std::nullopt);
  cache().put("above", std::uint64_t{1} << 63);
  EXPECT_EQ(cache().get<std::int64_t>("above"), std::nullopt);
  EXPECT_EQ(cache().stats().wrong_type, 4u);
}

TEST_P(RepositoryContract, TextThatIsAnIntegerReadsAsOne) {
  cache().put("number", "123"), cache().put("minus", "-5"), cache().put("real", "1.5"), cache().put("word", "abc");
  EXPECT_EQ(cache().get<int>("number"), 123);
  EXPECT_EQ(cache().get<std::int64_t>("minus"), -5);
  EXPECT_EQ(cache().get<int>("real"), std::nullopt);
  EXPECT_EQ(cache().get<int>("word"), std::nullopt);
  EXPECT_EQ(cache().get<std::string>("number"), "123");
}

TEST_P(RepositoryContract, AnotherTypeIsAMissThatIsCounted) {
  cache().put("k", "abc");
  EXPECT_EQ(cache().get<int>("k"), std::nullopt);
  EXPECT_EQ(cache().get<contract::Part>("k"), std::nullopt);
  EXPECT_EQ(cache().get("k", 7), 7);
  const Stats stats = cache().stats();
  EXPECT_EQ(stats.hits, 0u);
  EXPECT_EQ(stats.misses, 3u);
  EXPECT_EQ(stats.wrong_type, 3u);
  EXPECT_EQ(cache().get<std::string>("k"), "abc");
}

TEST_P(RepositoryContract, TryGetTellsOfAnotherTypeAndNamesTheKeyAndBothTypes) {
  const auto expect_told = [](const Error& error, std::string_view stored, std::string_view wanted) {
    EXPECT_EQ(error.code, Errc::wrong_type);
    EXPECT_EQ(error.key, "k");
    EXPECT_EQ(error.store, "contract");
    EXPECT_EQ(error.message, std::string(stored) + " is stored, " + std::string(wanted) + " was wanted");
  };
  cache().put("k", "abc");
  expect_told(cache().try_get<int>("k").error(), "text", type_of<int>().name);
  expect_told(cache().try_get<contract::Part>("k").error(), "text", type_of<contract::Part>().name);
  cache().put("k", 300);
  expect_told(cache().try_get<contract::Part>("k").error(), "a whole number", type_of<contract::Part>().name);
  expect_told(cache().try_get<std::int8_t>("k").error(), "a whole number that does not fit",
              type_of<std::int8_t>().name);
  cache().put("k", 1.5);
  expect_told(cache().try_get<contract::Part>("k").error(), "double", type_of<contract::Part>().name);
  cache().put("k", contract::Part{1, "one"});
  const auto answer = cache().try_get<contract::Product>("k");
  ASSERT_FALSE(answer.ok());
  const auto ends_with = [](const std::string& message, std::string_view wanted) {
    EXPECT_TRUE(message.ends_with(" is stored, " + std::string(wanted) + " was wanted")) << message;
  };
  ends_with(answer.error().message, type_of<contract::Product>().name);
  ends_with(cache().try_get<int>("k").error().message, type_of<int>().name);
  ends_with(cache().try_get<std::string>("k").error().message, "std::string");
  EXPECT_TRUE(cache().has("k"));
  cache().put("k", "abc");
  expect_told(cache().try_pull<int>("k").error(), "text", type_of<int>().name);
}

TEST_P(RepositoryContract, NoTypeIsReadAsAnother) {
  cache().put("part", contract::Part{1, "one"});
  EXPECT_FALSE(cache().get<contract::Product>("part"));
  EXPECT_FALSE(cache().get<std::string>("part"));
  EXPECT_FALSE(cache().get<int>("part"));
  EXPECT_FALSE(cache().get<std::vector<int>>("part"));
  cache().put("list", std::vector<int>{1});
  EXPECT_FALSE(cache().get<std::vector<std::string>>("list"));
  EXPECT_FALSE(cache().get<std::vector<double>>("list"));
  EXPECT_FALSE(cache().get<bool>("list"));
  cache().put("real", 1.0);
  EXPECT_FALSE(cache().get<int>("real"));
  EXPECT_TRUE(cache().has("part") && cache().has("list") && cache().has("real"));
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
