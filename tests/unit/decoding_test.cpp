// Hostile bytes: an answer or an error, in bounded memory, never anything else.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <random>

#include <flux/cache/detail/stable_hash.hpp>

#include "unit/values.hpp"

namespace flux::cache {
namespace {

using samples::decoded;
using samples::encoded;
using samples::Node;
using samples::Point;
using samples::Product;

/// Bytes that this process has ever had in memory, at most.
std::size_t peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

const Format& format(const char* name) { return *formats().find(name); }

/// Every value of the sort that a document of a few bytes may claim to hold.
template <class T>
void expect_refused_cheaply(const Format& format, std::string_view bytes) {
  const std::size_t before = peak_memory();
  const auto value = decoded<T>(format, bytes);
  ASSERT_FALSE(value.ok());
  EXPECT_TRUE(value.error().code == Errc::corrupt || value.error().code == Errc::too_large ||
              value.error().code == Errc::wrong_type)
      << value.error().to_string();
  EXPECT_LT(peak_memory() - before, 4u << 20);
}

TEST(Decoding, CountsBeyondTheBytesAtHandCostNothing) {
  for (const std::string_view bytes :
       {std::string_view("\xff\xff\xff\xff\x0f", 5), std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10),
        std::string_view("\x80\x80\x80\x80\x08", 5)}) {
    expect_refused_cheaply<std::vector<std::string>>(native_format(), bytes);
    expect_refused_cheaply<std::vector<double>>(native_format(), bytes);
    expect_refused_cheaply<std::map<std::string, int>>(native_format(), bytes);
    expect_refused_cheaply<std::unordered_map<int, int>>(native_format(), bytes);
    expect_refused_cheaply<std::string>(native_format(), bytes);
    expect_refused_cheaply<std::vector<std::byte>>(native_format(), bytes);
  }
}

TEST(Decoding, MsgpackHeadersThatClaimFourBillionElementsAreRefused) {
  if (formats().find("msgpack") == nullptr) GTEST_SKIP() << "built without msgpack";
  const Format& msgpack = format("msgpack");
  expect_refused_cheaply<std::vector<std::string>>(msgpack, std::string_view("\xdd\xff\xff\xff\xff", 5));
  expect_refused_cheaply<std::vector<double>>(msgpack, std::string_view("\xdd\xff\xff\xff\xff", 5));
  expect_refused_cheaply<std::vector<double>>(msgpack, std::string_view("\xc9\xff\xff\xff\xff\x11\x0a", 7));
  expect_refused_cheaply<std::map<int, int>>(msgpack, std::string_view("\xdf\xff\xff\xff\xff", 5));
  expect_refused_cheaply<Product>(msgpack, std::string_view("\xdf\xff\xff\xff\xff", 5));
  expect_refused_cheaply<std::string>(msgpack, std::string_view("\xdb\xff\xff\xff\xff", 5));
  expect_refused_cheaply<std::vector<std::byte>>(msgpack, std::string_view("\xc6\xff\xff\xff\xff", 5));
}

TEST(Decoding, AMillionBracketsAreTooDeep) {
  for (const std::size_t depth : {100'000U, 1'000'000U}) {
    EXPECT_EQ(decoded<Node>(format("json"), std::string(depth, '[')).error().code, Errc::wrong_type);
    std::string nested = R"({"value":1,"next":null,"unknown":)" + std::string(depth, '[');
    EXPECT_EQ(decoded<Node>(format("json"), nested).error().code, Errc::too_large);
    nested.clear();
    for (std::size_t i = 0; i < depth; ++i) nested += R"({"children":[)";
    EXPECT_EQ(decoded<Node>(format("json"), nested).error().code, Errc::too_large);
    if (formats().find("msgpack") != nullptr) {
      const std::string arrays = std::string("\x81\xa1z", 3) + std::string(depth, '\x91');
      EXPECT_EQ(decoded<Point>(format("msgpack"), arrays).error().code, Errc::too_large);
    }
  }
  EXPECT_EQ(decoded<Node>(native_format(), std::string(1'000'000, '\x01')).error().code, Errc::too_large);
}

TEST(Decoding, LengthsAreBounded) {
  const Limits limits{.length = 10};
  for (const char* name : {"native", "msgpack", "json"}) {
    if (formats().find(name) == nullptr) continue;
    EXPECT_TRUE(decoded<std::string>(format(name), encoded(format(name), std::string(10, 'x')), limits).ok());
    EXPECT_EQ(decoded<std::string>(format(name), encoded(format(name), std::string(11, 'x')), limits).error().code,
              Errc::too_large);
  }
  EXPECT_EQ(
      decoded<std::vector<int>>(native_format(), encoded(native_format(), std::vector<int>(11)), limits).error().code,
      Errc::too_large);
}

TEST(Decoding, NumbersHaveOneSpellingInNativeDocuments) {
  EXPECT_EQ(**decoded<unsigned>(native_format(), "\x05"), 5u);
  EXPECT_FALSE(decoded<unsigned>(native_format(), std::string_view("\x85\x00", 2)).ok());
  EXPECT_FALSE(decoded<std::uint64_t>(native_format(), "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02").ok());
  EXPECT_FALSE(decoded<bool>(native_format(), "\x02").ok());
  EXPECT_EQ(decoded<std::uint8_t>(native_format(), "\x80\x02").error().code, Errc::wrong_type);
}

TEST(Decoding, AVariantsIndexIsChecked) {
  using Variant = std::variant<int, std::string>;
  EXPECT_EQ(decoded<Variant>(format("json"), "[2,1]").error().code, Errc::corrupt);
  EXPECT_EQ(decoded<Variant>(format("json"), "[0]").error().code, Errc::corrupt);
  EXPECT_EQ(decoded<Variant>(format("json"), "[0,1,2]").error().code, Errc::corrupt);
  EXPECT_EQ(decoded<Variant>(format("json"), "[-1,1]").error().code, Errc::wrong_type);
}

TEST(Decoding, FixedLengthsAreChecked) {
  using Three = std::array<int, 3>;
  for (const char* document : {"[]", "[1,2]", "[1,2,3,4]"}) {
    EXPECT_FALSE(decoded<Three>(format("json"), document).ok()) << document;
    EXPECT_FALSE((decoded<std::tuple<int, int, int>>(format("json"), document).ok())) << document;
  }
  EXPECT_EQ(**decoded<Three>(format("json"), "[1,2,3]"), (Three{1, 2, 3}));
}

TEST(Decoding, NumbersThatDoNotFitAreNeverCutShort) {
  EXPECT_EQ(decoded<std::int8_t>(format("json"), "128").error().code, Errc::wrong_type);
  EXPECT_EQ(decoded<unsigned>(format("json"), "-1").error().code, Errc::wrong_type);
  EXPECT_EQ(decoded<int>(format("json"), "1.0").error().code, Errc::wrong_type);
  EXPECT_EQ(decoded<int>(format("json"), "99999999999999999999").error().code, Errc::wrong_type);
  EXPECT_EQ(decoded<double>(format("json"), "1e400").error().code, Errc::wrong_type);
  EXPECT_EQ(decoded<double>(format("json"), "\"NaN:0\"").error().code, Errc::wrong_type);
  EXPECT_EQ(**decoded<double>(format("json"), "7"), 7.0);
}

template <class T>
void expect_survives(const Format& format, const std::string& seed, std::mt19937& random) {
  for (int i = 0; i < 3000; ++i) {
    std::string bytes = seed;
    for (std::size_t changes = 1 + random() % 4; changes > 0 && !bytes.empty(); --changes) {
      const std::size_t at = random() % bytes.size();
      switch (random() % 4) {
        case 0: bytes[at] = static_cast<char>(random()); break;
        case 1: bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8)); break;
        case 2: bytes.erase(at, 1 + random() % 4); break;
        default: bytes.insert(at, 1 + random() % 4, static_cast<char>(random()));
      }
    }
    const auto value = decoded<T>(format, bytes);
    if (value.ok()) (void)encoded(format, **value);
  }
}

TEST(Decoding, DamagedDocumentsGiveAValueOrAnError) {
  std::mt19937 random(7);
  for (const char* name : {"native", "msgpack", "json"}) {
    if (formats().find(name) == nullptr) continue;
    const std::size_t before = peak_memory();
    expect_survives<Product>(format(name), encoded(format(name), samples::product()), random);
    using Mixed = std::map<std::string, std::variant<int, std::vector<std::optional<double>>, std::set<std::string>>>;
    const Mixed mixed{{"a", 1}, {"b", std::vector<std::optional<double>>{1, {}}}, {"c", std::set<std::string>{"x"}}};
    expect_survives<Mixed>(format(name), encoded(format(name), mixed), random);
    EXPECT_LT(peak_memory() - before, 64u << 20) << name;
  }
}

/// A frame like those of ours, around a payload of somebody else's making.
std::string forged(std::string_view payload, char compressor, std::uint64_t raw_length) {
  std::string frame = *encode_text_frame({}, "");
  frame[3] = compressor;
  for (int i = 0; i < 8; ++i) frame.push_back(static_cast<char>(raw_length >> 8 * i));
  frame.append(payload);
  const std::uint64_t head = detail::stable_hash64(std::string_view(frame).substr(0, 16));
  const std::uint64_t sum = detail::stable_hash64(std::string_view(frame).substr(kFrameHeader), head);
  for (int i = 0; i < 8; ++i) frame[static_cast<std::size_t>(16 + i)] = static_cast<char>(sum >> 8 * i);
  return frame;
}

TEST(Decoding, BombsAreRefusedAtTheLimit) {
  for (const char* name : {"zstd", "gzip"}) {
    const Compressor* compressor = compressors().find(name);
    if (compressor == nullptr) continue;
    const auto id = static_cast<char>(compressor->id());
    std::string bomb;
    ASSERT_TRUE(*compressor->compress(std::string(100'000'000, '\0'), 0, 1'000'000, bomb));
    const std::size_t before = peak_memory();
    EXPECT_EQ(decode_text_frame(forged(bomb, id, 100'000'000)).error().code, Errc::too_large);
    EXPECT_EQ(decode_text_frame(forged(bomb, id, std::uint64_t{1} << 60)).error().code, Errc::too_large);
    EXPECT_EQ(decode_text_frame(forged(bomb, id, 1000)).error().code, Errc::corrupt);
    EXPECT_EQ(decode_text_frame(forged("", id, 60'000'000)).error().code, Errc::corrupt);
    EXPECT_LT(peak_memory() - before, 32u << 20) << name;
  }
}

TEST(Decoding, AZstdHeaderThatClaimsToHoldTheWorldAllocatesNothing) {
  const Compressor* zstd = compressors().find("zstd");
  if (zstd == nullptr) GTEST_SKIP() << "built without zstd";
  // Magic, a frame of one segment with an 8-byte content size of 2^60, and an empty last block (RFC 8878,
  // section 3.1.1).
  const std::string_view claim("\x28\xb5\x2f\xfd\xe0\x00\x00\x00\x00\x00\x00\x00\x10\x01\x00\x00", 16);
  const std::size_t before = peak_memory();
  EXPECT_EQ(decode_text_frame(forged(claim, static_cast<char>(zstd->id()), 1000)).error().code, Errc::corrupt);
  EXPECT_LT(peak_memory() - before, 4u << 20);
}

TEST(Decoding, AFormatOrCompressorThatIsNotHereIsSaidToBe) {
  EXPECT_EQ(decode_text_frame(forged("x", 99, 1)).error().code, Errc::unsupported);
}

}  // namespace
}  // namespace flux::cache
