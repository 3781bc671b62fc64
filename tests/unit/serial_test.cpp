// serial.hpp: every kind of value goes through every format and comes back as it was.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "unit/values.hpp"

namespace flux::cache {
namespace {

using samples::Account;
using samples::Colour;
using samples::decoded;
using samples::encoded;
using samples::expect_round_trip;
using samples::Money;
using samples::Node;
using samples::Point;
using samples::Product;

class EveryFormat : public testing::TestWithParam<const char*> {
 protected:
  const Format& format() const { return *formats().find(GetParam()); }
};

template <class T>
class Numbers : public testing::Test {};
using NumberTypes = testing::Types<bool, char, signed char, unsigned char, short, unsigned short, int, unsigned, long,
                                   unsigned long, long long, unsigned long long, char16_t, char32_t, wchar_t>;
TYPED_TEST_SUITE(Numbers, NumberTypes);

TYPED_TEST(Numbers, KeepTheirLimitsInEveryFormat) {
  for (const char* name : {"native", "msgpack", "json"}) {
    const Format* format = formats().find(name);
    if (format == nullptr) continue;
    expect_round_trip<TypeParam>(*format, std::numeric_limits<TypeParam>::min());
    expect_round_trip<TypeParam>(*format, std::numeric_limits<TypeParam>::max());
    expect_round_trip<TypeParam>(*format, TypeParam{0});
    expect_round_trip<TypeParam>(*format, TypeParam{1});
    expect_round_trip(*format, std::vector<TypeParam>{TypeParam{0}, std::numeric_limits<TypeParam>::max(),
                                                      std::numeric_limits<TypeParam>::min()});
    expect_round_trip(*format, std::array<TypeParam, 2>{TypeParam{1}, std::numeric_limits<TypeParam>::max()});
  }
}

template <class Float, class Word>
void expect_same_bits(const Format& format, Word bits) {
  const auto value = std::bit_cast<Float>(bits);
  for (const bool plain : {false, true}) {
    auto back = decoded<Float>(format, encoded(format, value, {.plain = plain}));
    ASSERT_TRUE(back.ok()) << back.error().to_string();
    EXPECT_EQ(std::bit_cast<Word>(**back), bits) << format.name() << " " << value;
    auto many = decoded<std::vector<Float>>(format, encoded(format, std::vector<Float>{1, value}, {.plain = plain}));
    ASSERT_TRUE(many.ok()) << many.error().to_string();
    EXPECT_EQ(std::bit_cast<Word>((**many)[1]), bits) << format.name() << " " << value;
  }
}

TEST_P(EveryFormat, DoublesComeBackBitForBit) {
  using Limit = std::numeric_limits<double>;
  for (const double value : {0.0, -0.0, 1.0, -1.0, 0.1, 1.0 / 3, 1e300, 5e-324, Limit::max(), Limit::min(),
                             Limit::lowest(), Limit::denorm_min(), Limit::infinity(), -Limit::infinity(),
                             Limit::quiet_NaN(), 9007199254740993.0, 123456789.0, 1e21}) {
    expect_same_bits<double>(format(), std::bit_cast<std::uint64_t>(value));
  }
  expect_same_bits<double>(format(), std::uint64_t{0x7ff8000000000123});
  expect_same_bits<double>(format(), std::uint64_t{0xfff8000000000001});
  std::mt19937_64 random(1);
  for (int i = 0; i < 1000; ++i) expect_same_bits<double>(format(), random() | std::uint64_t{1} << 51);
}

TEST_P(EveryFormat, FloatsComeBackBitForBit) {
  using Limit = std::numeric_limits<float>;
  for (const float value : {0.0F, -0.0F, 0.1F, 16777217.0F, Limit::max(), Limit::denorm_min(), Limit::infinity(),
                            -Limit::infinity(), Limit::quiet_NaN()}) {
    expect_same_bits<float>(format(), std::bit_cast<std::uint32_t>(value));
  }
  expect_same_bits<float>(format(), std::uint32_t{0x7fc00456});
  std::mt19937 random(1);
  for (int i = 0; i < 1000; ++i) expect_same_bits<float>(format(), static_cast<std::uint32_t>(random()) | 1U << 22);
}

TEST_P(EveryFormat, StringsHoldAnyBytes) {
  std::string all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<char>(i));
  for (const std::string& text :
       {std::string(), std::string("plain"), std::string("\0", 1), std::string("\"quoted\\ \n\t\r\b\f\x01\x7f"),
        std::string("Käse, 奶酪, 🧀"), all, std::string("\xff\xfe"), std::string("\xed\xa0\x80"),
        std::string("\xc0\xaf"), std::string("$base64:"), std::string("$base64:!!"), std::string("$"),
        std::string(100'000, 'x'), std::string(511, 'y') + "\xe2\x82", std::string("\xf4\x90\x80\x80")}) {
    expect_round_trip(format(), text);
    expect_round_trip(format(), std::map<std::string, int>{{text, 1}});
    expect_round_trip(format(), std::vector<std::string>{text, text});
  }
}

TEST_P(EveryFormat, BytesAreBytes) {
  expect_round_trip(format(), std::vector<std::byte>{});
  expect_round_trip(format(), std::vector<std::byte>{std::byte{0}, std::byte{255}, std::byte{10}});
  for (std::size_t size = 1; size < 8; ++size) expect_round_trip(format(), std::vector<std::uint8_t>(size, 0xfb));
  expect_round_trip(format(), std::vector<std::uint8_t>(100'000, 0xab));
}

TEST_P(EveryFormat, ContainersOfEveryKind) {
  expect_round_trip(format(), std::vector<int>{});
  expect_round_trip(format(), std::vector<int>{1, -2, 3});
  expect_round_trip(format(), std::vector<bool>{true, false, true});
  expect_round_trip(format(), std::vector<std::vector<double>>{{}, {1.5}, {2, 3}});
  expect_round_trip(format(), std::deque<std::string>{"a", "b"});
  expect_round_trip(format(), std::list<int>{3, 2, 1});
  expect_round_trip(format(), std::set<std::string>{"b", "a"});
  expect_round_trip(format(), std::multiset<int>{1, 1, 2});
  expect_round_trip(format(), std::unordered_set<int>{1, 2, 3});
  expect_round_trip(format(), std::map<int, std::string>{{-1, "minus"}, {2, "two"}});
  expect_round_trip(format(), std::map<std::string, std::map<std::string, int>>{{"a", {{"b", 1}}}, {"", {}}});
  expect_round_trip(format(), std::multimap<std::string, int>{{"a", 1}, {"a", 2}});
  expect_round_trip(format(), std::unordered_map<std::string, double>{{"x", 1}, {"y", 2}});
  expect_round_trip(format(), std::map<std::pair<int, int>, bool>{{{1, 2}, true}});
  expect_round_trip(format(), std::array<std::string, 2>{"left", "right"});
  expect_round_trip(format(), std::array<int, 0>{});
  expect_round_trip(format(), std::vector<Colour>{Colour::red, Colour::blue});
  expect_round_trip(format(), std::u16string(u"wide"));
}

TEST_P(EveryFormat, PairsTuplesAndVariants) {
  expect_round_trip(format(), std::pair<int, std::string>{1, "one"});
  expect_round_trip(format(), std::tuple<>{});
  expect_round_trip(format(), std::tuple<int, double, std::string>{1, 2.5, "three"});
  using Variant = std::variant<int, std::string, int, Point, std::monostate>;
  expect_round_trip(format(), Variant(std::in_place_index<0>, 5));
  expect_round_trip(format(), Variant(std::in_place_index<2>, 5));
  expect_round_trip(format(), Variant("text"));
  expect_round_trip(format(), Variant(Point{1, 2}));
  expect_round_trip(format(), Variant(std::monostate{}));
}

TEST_P(EveryFormat, AbsenceIsKeptApartOnEveryLevel) {
  using Twice = std::optional<std::optional<int>>;
  expect_round_trip(format(), std::optional<int>());
  expect_round_trip(format(), std::optional<int>(0));
  expect_round_trip(format(), Twice());
  expect_round_trip(format(), Twice(std::in_place));
  expect_round_trip(format(), Twice(std::optional<int>(7)));
  expect_round_trip(format(), std::vector<std::optional<std::string>>{std::nullopt, "", "x"});
  expect_round_trip(format(), std::optional<Point>({1, 2}));
}

TEST_P(EveryFormat, PointersAreWrittenAsWhatTheyOwn) {
  auto owned = decoded<std::unique_ptr<Point>>(format(), encoded(format(), std::make_unique<Point>(Point{1, 2})));
  ASSERT_TRUE(owned.ok());
  EXPECT_EQ(***owned, (Point{1, 2}));
  auto shared = decoded<std::shared_ptr<const Point>>(
      format(), encoded(format(), std::shared_ptr<const Point>(std::make_shared<Point>(Point{3, 4}))));
  ASSERT_TRUE(shared.ok());
  EXPECT_EQ(***shared, (Point{3, 4}));
  auto none = decoded<std::unique_ptr<Point>>(format(), encoded(format(), std::unique_ptr<Point>()));
  ASSERT_TRUE(none.ok());
  EXPECT_EQ(**none, nullptr);
}

TEST_P(EveryFormat, TimesAndEnums) {
  using namespace std::chrono;
  expect_round_trip(format(), seconds(-5));
  expect_round_trip(format(), nanoseconds::max());
  expect_round_trip(format(), duration<double>(0.1));
  expect_round_trip(format(), system_clock::time_point(microseconds(1'700'000'000'123'456)));
  expect_round_trip(format(), sys_days(days(19000)));
  expect_round_trip(format(), Colour::blue);
  expect_round_trip(format(), std::byte{200});
}

struct Empty {
  bool operator==(const Empty&) const = default;
};
struct Nested {
  Empty empty;
  std::vector<Empty> many;
  std::optional<Product> product;
  std::map<int, std::variant<Point, std::vector<Point>>> plots;
  bool operator==(const Nested&) const = default;
};

TEST_P(EveryFormat, StructsWithinStructs) {
  expect_round_trip(format(), samples::product());
  expect_round_trip(format(), Product{});
  expect_round_trip(format(), std::vector<Product>(3, samples::product()));
  expect_round_trip(format(), Empty{});
  expect_round_trip(format(),
                    Nested{{}, {{}, {}}, samples::product(), {{1, Point{1, 2}}, {2, std::vector<Point>{{3, 4}}}}});
  expect_round_trip(format(), Account("Ada", -5));
}

TEST_P(EveryFormat, RecursiveTypes) {
  Node root{1, {}, nullptr};
  root.children.push_back({2, {}, nullptr});
  root.children.push_back({3, {}, std::make_unique<Node>(Node{4, {}, nullptr})});
  auto back = decoded<Node>(format(), encoded(format(), root));
  ASSERT_TRUE(back.ok());
  EXPECT_TRUE(**back == root);
}

TEST_P(EveryFormat, ForeignTypesByTheirCodec) {
  expect_round_trip(format(), Money::of_cents(1299));
  expect_round_trip(format(), std::vector<Money>{Money::of_cents(1), Money::of_cents(-2)});
  expect_round_trip(format(), std::optional<Money>(Money::of_cents(3)));
  expect_round_trip(format(), std::map<std::string, Money>{{"price", Money::of_cents(4)}});
}

TEST_P(EveryFormat, LongNumbersInBulk) {
  std::mt19937_64 random(3);
  std::vector<double> doubles;
  std::vector<std::int64_t> integers;
  for (int i = 0; i < 5000; ++i) {
    doubles.push_back(static_cast<double>(random()) / 7);
    integers.push_back(static_cast<std::int64_t>(random()));
  }
  expect_round_trip(format(), doubles);
  expect_round_trip(format(), integers);
}

Node chain(int length) {
  Node root;
  for (int i = 0; i < length; ++i) root = Node{i, {}, std::make_unique<Node>(std::move(root))};
  return root;
}

TEST_P(EveryFormat, WhatIsNestedTooDeeplyIsRefusedWhenWrittenAndWhenRead) {
  const Node deep = chain(100);
  std::string out = "before";
  auto done = format().encode(type_of<Node>(), &deep, out, {});
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, Errc::too_large);
  EXPECT_EQ(out, "before");
  ASSERT_TRUE(format().encode(type_of<Node>(), &deep, out, {.depth = 200}).ok());
  const std::string_view bytes = std::string_view(out).substr(6);
  EXPECT_EQ(decoded<Node>(format(), bytes).error().code, Errc::too_large);
  EXPECT_TRUE(decoded<Node>(format(), bytes, {.depth = 200}).ok());
}

TEST_P(EveryFormat, NoSettingGoesBelowTheCeilingOfTheDepth) {
  const Node deep = chain(600);
  std::string out;
  EXPECT_EQ(format().encode(type_of<Node>(), &deep, out, {.depth = 100'000}).error().code, Errc::too_large);
}

struct Walk {
  int x = 0;
  std::string name;
  std::vector<short> path;
};

TEST(Native, LooksLikeTheExampleInTheDocumentation) {
  EXPECT_EQ(encoded(native_format(), Walk{-3, "ab", {1, 256}}), std::string("\x05\x02"
                                                                            "ab\x02\x01\x00\x00\x01",
                                                                            9));
}

struct Grumpy {
  int value = 0;
};

struct Liar {};

}  // namespace

template <>
struct Codec<Grumpy> {
  static void save(const Grumpy& grumpy, Writer& out) {
    if (grumpy.value < 0) throw std::runtime_error("no negative ones");
    out.integer(grumpy.value);
  }
  static void load(Reader& in, Grumpy& grumpy) {
    grumpy.value = static_cast<int>(in.integer());
    if (grumpy.value == 13) throw std::runtime_error("no thirteen");
  }
};

template <>
struct Codec<Liar> {
  static void save(const Liar&, Writer& out) { out.text("not what is read"); }
  static void load(Reader& in, Liar&) { (void)in.begin_array(); }
};

namespace {

TEST_P(EveryFormat, ACodecThatThrowsIsAnErrorAndNothingIsWritten) {
  std::string out = "kept";
  const Grumpy negative{-1};
  auto saved = format().encode(type_of<Grumpy>(), &negative, out, {});
  ASSERT_FALSE(saved.ok());
  EXPECT_EQ(saved.error().code, Errc::not_serializable);
  EXPECT_NE(saved.error().message.find("no negative ones"), std::string::npos);
  EXPECT_EQ(out, "kept");
  auto loaded = decoded<Grumpy>(format(), encoded(format(), Grumpy{13}));
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.error().code, Errc::schema) << "the bytes are good";
  EXPECT_NE(loaded.error().message.find("no thirteen"), std::string::npos);
}

TEST_P(EveryFormat, ACodecThatReadsSomethingElseGetsAnError) {
  EXPECT_FALSE(decoded<Liar>(format(), encoded(format(), Liar{})).ok());
}

TEST_P(EveryFormat, ATypeThatCannotBeWrittenIsNamed) {
  struct Holder {
    int* pointer = nullptr;
  };
  const Holder holder;
  std::string out;
  auto done = format().encode(type_of<Holder>(), &holder, out, {});
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, Errc::not_serializable);
  EXPECT_NE(done.error().message.find("Holder"), std::string::npos);
  EXPECT_EQ(format().decode(type_of<Holder>(), "x", {}).error().code, Errc::not_serializable);
}

TEST_P(EveryFormat, OneByteTooManyOrTooFewIsAnError) {
  const std::string bytes = encoded(format(), samples::product());
  EXPECT_FALSE(decoded<Product>(format(), bytes + "x").ok());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decoded<Product>(format(), std::string_view(bytes).substr(0, size)).ok()) << size;
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, EveryFormat, testing::ValuesIn([] {
                           std::vector<const char*> names;
                           for (const char* name : {"native", "msgpack", "json"}) {
                             if (formats().find(name) != nullptr) names.push_back(name);
                           }
                           return names;
                         }()),
                         [](const auto& info) { return std::string(info.param); });

TEST(Formats, AreFoundByNameNumberAndAlias) {
  EXPECT_EQ(formats().find("native"), &native_format());
  EXPECT_EQ(formats().find("pickle"), &native_format());
  EXPECT_EQ(formats().find(Format::Id{1}), &native_format());
  EXPECT_EQ(formats().find("yaml"), nullptr);
  EXPECT_EQ(formats().find(Format::Id{0}), nullptr);
}

class Named final : public Format {
 public:
  Named(std::string name, Id id) : name_(std::move(name)), id_(id) {}
  std::string_view name() const noexcept override { return name_; }
  Id id() const noexcept override { return id_; }
  bool self_describing() const noexcept override { return false; }
  Result<void> encode(const Type&, const void*, std::string&, const EncodeOptions&) const override { return {}; }
  Result<std::shared_ptr<void>> decode(const Type&, std::string_view, const Limits&) const override {
    return std::shared_ptr<void>();
  }

 private:
  std::string name_;
  Id id_;
};

TEST(Formats, ANameOrNumberIsNeverGivenTwice) {
  static const Named first("mine", 200), same_number("other", 200), same_name("mine", 201), same_alias("third", 202),
      no_number("zero", 0);
  FormatRegistry registry;
  EXPECT_TRUE(registry.add(first, {"my own"}));
  EXPECT_TRUE(registry.add(first, {"my own"}));
  EXPECT_FALSE(registry.add(same_number));
  EXPECT_FALSE(registry.add(same_name));
  EXPECT_FALSE(registry.add(same_alias, {"my own"}));
  EXPECT_FALSE(registry.add(no_number));
  EXPECT_EQ(registry.find("my own"), &first);
  EXPECT_EQ(registry.find("third"), nullptr);
  EXPECT_EQ(registry.find(Format::Id{202}), nullptr);
}

}  // namespace
}  // namespace flux::cache
