// frame.hpp: the header around values, the way of whole numbers, and the rule for reading one type as another.
#include <gtest/gtest.h>

#include <limits>

#include "unit/values.hpp"

namespace flux::cache {
namespace {

using samples::Point;
using samples::Product;

std::vector<const Format*> all_formats() {
  std::vector<const Format*> found;
  for (const char* name : {"native", "msgpack", "json"}) {
    if (const Format* format = formats().find(name)) found.push_back(format);
  }
  return found;
}

std::vector<const Compressor*> all_compressors() {
  std::vector<const Compressor*> found{nullptr};
  for (const char* name : {"zstd", "gzip"}) {
    if (const Compressor* compressor = compressors().find(name)) found.push_back(compressor);
  }
  return found;
}

template <class T>
std::string framed(const T& value, const FrameOptions& options = {}) {
  auto frame = encode_frame(options, type_of<T>(), &value);
  EXPECT_TRUE(frame.ok()) << (frame.ok() ? "" : frame.error().to_string());
  return frame.ok() ? *frame : std::string();
}

template <class T>
Result<T> opened(std::string_view bytes, const Limits& limits = {}, const Format* plain = nullptr) {
  auto loaded = decode_value(bytes, type_of<T>(), limits, plain);
  if (!loaded.ok()) return Result<T>(loaded.take_error());
  return std::move(*static_cast<T*>(loaded->get()));
}

template <class T>
Errc error_of(std::string_view bytes, const Limits& limits = {}) {
  const auto value = opened<T>(bytes, limits);
  EXPECT_FALSE(value.ok());
  return value.ok() ? Errc{} : value.error().code;
}

TEST(Frame, EveryFormatUnderEveryCompressorComesBackUnderNoConfigurationAtAll) {
  Product long_product = samples::product();
  for (int i = 0; i < 50; ++i) long_product.description += " And it makes very good coffee.";
  for (const Format* format : all_formats()) {
    for (const Compressor* compressor : all_compressors()) {
      for (const Product& product : {samples::product(), long_product, Product{}}) {
        const auto back = opened<Product>(framed(product, {.format = format, .compressor = compressor}));
        ASSERT_TRUE(back.ok()) << back.error().to_string();
        EXPECT_EQ(*back, product);
      }
      const std::string text(3000, 't');
      EXPECT_EQ(*opened<std::string>(framed(text, {.format = format, .compressor = compressor})), text);
    }
  }
}

TEST(Frame, SaysWhatItIs) {
  const Format* json = formats().find("json");
  const auto info = inspect_frame(framed(Point{1, 2}, {.format = json}));
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info->version, 1);
  EXPECT_EQ(info->format, json->id());
  EXPECT_EQ(info->compressor, 0);
  EXPECT_EQ(info->lane, Lane::object);
  EXPECT_EQ(info->fingerprint, type_of<Point>().fingerprint);
  EXPECT_EQ(info->raw_length, std::string_view(R"({"x":1,"y":2})").size());
}

TEST(Frame, BeginsWithAByteThatStartsNothingElse) {
  const std::string frame = framed(std::string("x"));
  EXPECT_EQ(static_cast<unsigned char>(frame[0]), 0xc1);
  EXPECT_TRUE(is_frame(frame));
  for (const char* other : {"", "0", "-1", "{}", "[1]", "\"a\"", "true", "null", " 1", "\x93", "\x80\x04"}) {
    EXPECT_FALSE(is_frame(other)) << other;
  }
}

TEST(Frame, TextAndBytesStandInItAsTheyAre) {
  const std::string text("any\0thing\xff", 10);
  const std::string frame = framed(text);
  EXPECT_EQ(frame.size(), kFrameHeader + text.size());
  EXPECT_EQ(frame.substr(kFrameHeader), text);
  EXPECT_EQ(*encode_text_frame({}, text), frame);
  EXPECT_EQ(*decode_text_frame(frame), text);
  EXPECT_EQ(inspect_frame(frame)->lane, Lane::text);
  const std::vector<std::byte> bytes{std::byte{0}, std::byte{1}};
  EXPECT_EQ(*opened<std::vector<std::byte>>(framed(bytes)), bytes);
  EXPECT_EQ(inspect_frame(framed(bytes))->lane, Lane::bytes);
  EXPECT_EQ(*opened<std::string>(framed(std::string())), "");
}

TEST(Frame, LooksLikeTheExampleInTheDocumentation) {
  std::string shown;
  for (const char c : framed(std::string("hi"))) {
    char hex[4];
    std::snprintf(hex, sizeof hex, "%02x ", static_cast<unsigned>(static_cast<unsigned char>(c)));
    shown += hex;
  }
  EXPECT_EQ(shown, "c1 01 00 00 01 00 00 00 18 43 18 78 c9 18 78 c9 30 4e 75 5e 92 81 83 57 68 69 ");
}

TEST(Frame, AnyBitThatFlipsIsNoticed) {
  std::string frame = framed(samples::product());
  for (std::size_t bit = 0; bit < frame.size() * 8; ++bit) {
    frame[bit / 8] = static_cast<char>(frame[bit / 8] ^ (1 << bit % 8));
    const auto back = opened<Product>(frame);
    ASSERT_FALSE(back.ok()) << "bit " << bit;
    EXPECT_TRUE(back.error().code == Errc::corrupt || (bit / 8 == 1 && back.error().code == Errc::schema)) << bit;
    frame[bit / 8] = static_cast<char>(frame[bit / 8] ^ (1 << bit % 8));
  }
}

TEST(Frame, AnyTornEndIsNoticed) {
  const std::string frame = framed(samples::product());
  for (std::size_t size = 0; size < frame.size(); ++size) {
    EXPECT_EQ(error_of<Product>(std::string_view(frame).substr(0, size)), Errc::corrupt) << size;
  }
  EXPECT_EQ(error_of<Product>(frame + '\0'), Errc::corrupt);
}

TEST(Frame, WhatOthersLeftUnderAKeyIsCorrupt) {
  for (const std::string_view foreign :
       {std::string_view("\x80\x04\x95\x05\x00\x00\x00\x8c\x01x\x94.", 12),
        std::string_view("O:4:\"User\":1:{s:2:\"id\";i:7;}"), std::string_view("\xac\xed\x00\x05t\x00\x01x", 8),
        std::string_view("\x04\bI\"\x06x\x06:\x06ET", 11), std::string_view("hello"), std::string_view("")}) {
    EXPECT_EQ(error_of<std::string>(foreign), Errc::corrupt);
    EXPECT_EQ(error_of<Product>(foreign), Errc::corrupt);
    EXPECT_EQ(error_of<int>(foreign), Errc::corrupt);
  }
}

namespace old {
struct Point {
  double x = 0;
};
}  // namespace old

TEST(Frame, AStructThatChangedIsSchemaAndAnotherTypeIsWrongType) {
  EXPECT_EQ(error_of<Point>(framed(old::Point{1})), Errc::schema);
  EXPECT_EQ(error_of<std::vector<Point>>(framed(std::vector<old::Point>{{1}})), Errc::schema);
  EXPECT_EQ(error_of<Product>(framed(Point{1, 2})), Errc::wrong_type);
  EXPECT_EQ(error_of<std::string>(framed(Point{1, 2})), Errc::wrong_type);
  EXPECT_EQ(error_of<Point>(framed(std::string("text"))), Errc::wrong_type);
  EXPECT_EQ(error_of<std::vector<std::byte>>(framed(std::string("text"))), Errc::wrong_type);
  EXPECT_EQ(error_of<std::vector<long>>(framed(std::vector<int>{1})), Errc::wrong_type);
  EXPECT_EQ(error_of<float>(framed(1.0)), Errc::wrong_type);
}

TEST(Frame, OfANewerVersionIsAMissAndNoDamage) {
  std::string frame = framed(Point{1, 2});
  frame[1] = 2;
  EXPECT_EQ(error_of<Point>(frame), Errc::schema);
  EXPECT_EQ(inspect_frame(frame).error().code, Errc::schema);
}

TEST(Frame, ATypeThatCannotBeReadIsNamed) {
  struct Holder {
    int* pointer = nullptr;
  };
  const Holder holder;
  EXPECT_EQ(encode_frame({}, type_of<Holder>(), &holder).error().code, Errc::not_serializable);
  EXPECT_EQ(decode_frame(framed(Point{}), type_of<Holder>()).error().code, Errc::not_serializable);
}

TEST(Frame, IsCompressedFromAThresholdOnAndOnlyWhereItPays) {
  const Compressor* zstd = compressors().find("zstd");
  if (zstd == nullptr) GTEST_SKIP() << "built without zstd";
  const auto compressor_of = [&](const std::string& text, std::size_t from = 512) {
    return inspect_frame(*encode_text_frame({.compressor = zstd, .compress_from = from}, text))->compressor;
  };
  EXPECT_EQ(compressor_of(std::string(511, 'x')), 0);
  EXPECT_EQ(compressor_of(std::string(512, 'x')), zstd->id());
  EXPECT_EQ(compressor_of(std::string(64, 'x'), 64), zstd->id());
  std::string noise;
  for (unsigned state = 1; noise.size() < 4000;)
    noise.push_back(static_cast<char>((state = state * 1664525 + 1013904223) >> 24));
  EXPECT_EQ(compressor_of(noise), 0);
  // An eighth must be saved: a text of which less than that repeats stays as it is.
  EXPECT_EQ(compressor_of(noise + std::string(400, 'x')), 0);
  EXPECT_EQ(compressor_of(noise + std::string(1000, 'x')), zstd->id());
}

TEST(Frame, ACompressedOneKnowsItsLength) {
  for (const Compressor* compressor : all_compressors()) {
    const std::string text(10'000, 'x');
    const std::string frame = framed(text, {.compressor = compressor});
    EXPECT_EQ(inspect_frame(frame)->raw_length, text.size());
    if (compressor != nullptr) {
      EXPECT_LT(frame.size(), 200u);
    }
    EXPECT_EQ(*opened<std::string>(frame), text);
  }
}

TEST(Frame, NothingOverTheLimitIsWrittenOrRead) {
  const std::string text(10'000, 'x');
  EXPECT_EQ(encode_text_frame({.limits = {.total = 9999}}, text).error().code, Errc::too_large);
  EXPECT_EQ(encode_frame({.limits = {.total = 9999}}, type_of<std::string>(), &text).error().code, Errc::too_large);
  for (const Compressor* compressor : all_compressors()) {
    const std::string frame = framed(text, {.compressor = compressor});
    EXPECT_EQ(error_of<std::string>(frame, {.total = 9999}), Errc::too_large);
    EXPECT_TRUE(opened<std::string>(frame, {.total = 10'000}).ok());
  }
}

TEST(Frame, APlainDocumentIsThePayloadAlone) {
  const Format* json = formats().find("json");
  const Compressor* zstd = compressors().find("zstd");
  const FrameOptions options{.format = json, .compressor = zstd, .compress_from = 1, .frame = false};
  const std::string document = framed(Point{1, -2.5}, options);
  EXPECT_EQ(document, R"({"x":1,"y":-2.5})");
  EXPECT_EQ(*opened<Point>(document, {}, json), (Point{1, -2.5}));
  EXPECT_EQ(*opened<Point>(" { \"y\" : 4, \"more\": [{}], \"x\" : 3 }\n", {}, json), (Point{3, 4}));
  EXPECT_EQ(*encode_text_frame(options, "text"), "\"text\"");
  EXPECT_EQ(*decode_text_frame("\"text\"", {}, json), "text");
}

TEST(Frame, IsReadAlsoWherePlainDocumentsAreExpected) {
  const Format* json = formats().find("json");
  EXPECT_EQ(*opened<Point>(framed(Point{1, 2}), {}, json), (Point{1, 2}));
}

TEST(Frame, NativeDocumentsNeedIt) {
  const Point point;
  EXPECT_EQ(encode_frame({.frame = false}, type_of<Point>(), &point).error().code, Errc::unsupported);
}

template <class T>
std::string stored(const T& value) {
  auto bytes = encode_value({}, type_of<T>(), &value);
  EXPECT_TRUE(bytes.ok());
  return *bytes;
}

TEST(WholeNumbers, TravelAsDecimalText) {
  EXPECT_EQ(stored(42), "42");
  EXPECT_EQ(stored(std::int8_t{-128}), "-128");
  EXPECT_EQ(stored(std::numeric_limits<std::uint64_t>::max()), "18446744073709551615");
  EXPECT_EQ(stored(std::numeric_limits<std::int64_t>::min()), "-9223372036854775808");
  EXPECT_EQ(stored('x'), "120");
  EXPECT_TRUE(is_frame(stored(true)));
  EXPECT_TRUE(is_frame(stored(1.0)));
}

TEST(WholeNumbers, AreReadAtAnyWidthThatHoldsThem) {
  EXPECT_EQ(*opened<int>("300"), 300);
  EXPECT_EQ(*opened<std::int64_t>("300"), 300);
  EXPECT_EQ(*opened<std::uint8_t>("255"), 255);
  EXPECT_EQ(*opened<std::uint64_t>("18446744073709551615"), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(*opened<std::int8_t>("-128"), -128);
  EXPECT_EQ(error_of<std::uint8_t>("256"), Errc::wrong_type);
  EXPECT_EQ(error_of<unsigned>("-1"), Errc::wrong_type);
  EXPECT_EQ(error_of<std::int64_t>("9223372036854775808"), Errc::wrong_type);
  EXPECT_EQ(error_of<int>("4294967296"), Errc::wrong_type);
}

TEST(WholeNumbers, AreNoOtherType) {
  EXPECT_EQ(error_of<std::string>("42"), Errc::wrong_type);
  EXPECT_EQ(error_of<double>("42"), Errc::wrong_type);
  EXPECT_EQ(error_of<bool>("1"), Errc::wrong_type);
  EXPECT_EQ(error_of<Product>("42"), Errc::wrong_type);
  EXPECT_EQ(error_of<std::vector<int>>("42"), Errc::wrong_type);
}

TEST(WholeNumbers, AreReadFromTextThatIsOneAsAWhole) {
  EXPECT_EQ(*opened<int>(framed(std::string("42"))), 42);
  EXPECT_EQ(*opened<int>(framed(std::string("-7"))), -7);
  EXPECT_EQ(error_of<std::uint8_t>(framed(std::string("300"))), Errc::wrong_type);
  for (const char* text : {"", "4 2", "42x", "+42", "042", "4.2"}) {
    EXPECT_EQ(error_of<int>(framed(std::string(text))), Errc::wrong_type) << text;
  }
  EXPECT_EQ(error_of<double>(framed(std::string("42"))), Errc::wrong_type);
  EXPECT_EQ(error_of<int>(framed(true)), Errc::wrong_type);
  EXPECT_EQ(error_of<int>(framed(42.0)), Errc::wrong_type);
}

template <class To, class From>
Result<To> converted(const From& value) {
  auto object = convert_object(std::make_shared<const From>(value), type_of<From>(), type_of<To>());
  if (!object.ok()) return Result<To>(object.take_error());
  return *static_cast<const To*>(object->get());
}

TEST(Conversion, FollowsTheSameRuleForLiveObjects) {
  EXPECT_EQ(*converted<long>(5), 5);
  EXPECT_EQ(*converted<unsigned char>(200L), 200);
  EXPECT_EQ(*converted<int>(std::string("42")), 42);
  EXPECT_EQ((*converted<Point>(Point{1, 2})), (Point{1, 2}));
  EXPECT_EQ(converted<unsigned char>(300L).error().code, Errc::wrong_type);
  EXPECT_EQ(converted<unsigned>(-1).error().code, Errc::wrong_type);
  EXPECT_EQ(converted<int>(std::string("x")).error().code, Errc::wrong_type);
  EXPECT_EQ(converted<int>(1.0).error().code, Errc::wrong_type);
  EXPECT_EQ(converted<std::string>(5).error().code, Errc::wrong_type);
  EXPECT_EQ(converted<Product>(Point{}).error().code, Errc::wrong_type);
  EXPECT_EQ(converted<Point>(old::Point{}).error().code, Errc::schema);
}

TEST(Conversion, TheSameTypePassesWithoutACopy) {
  const Object object = std::make_shared<const Point>(Point{1, 2});
  EXPECT_EQ(convert_object(object, type_of<Point>(), type_of<Point>())->get(), object.get());
}

}  // namespace
}  // namespace flux::cache
