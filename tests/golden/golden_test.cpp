// The bytes of every released version are kept for ever: what was written once is read by each later program.
//
// v1/NAME holds one value as a store keeps it. A new kind of value is added under a new name; files that stand are
// never rewritten. FLUX_GOLDEN_WRITE=1 writes those that are missing.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "unit/values.hpp"

namespace flux::cache {
namespace {

using samples::Account;
using samples::Colour;
using samples::Money;
using samples::Point;
using samples::Product;

std::filesystem::path file_of(const std::string& name) {
  return std::filesystem::path(FLUX_CACHE_SOURCE_DIR) / "tests/golden/v1" / name;
}

std::string read(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Everything {
  std::int8_t i8 = -128;
  std::uint16_t u16 = 65535;
  std::int64_t i64 = INT64_MIN;
  std::uint64_t u64 = UINT64_MAX;
  bool yes = true;
  float f32 = -0.0F;
  double f64 = 0.1;
  std::string text = std::string("any\0\xff", 5);
  std::vector<std::byte> bytes = {std::byte{0}, std::byte{255}};
  std::optional<std::optional<int>> twice = std::optional<int>();
  std::unique_ptr<Point> pointer = std::make_unique<Point>(Point{1, 2});
  std::variant<int, std::string> variant = "second";
  std::tuple<int, std::string> tuple = {1, "one"};
  std::map<std::string, int> named = {{"a", 1}, {"b", -2}};
  std::map<int, Point> numbered = {{-7, {3, 4}}};
  std::set<std::string> set = {"x", "y"};
  std::vector<double> doubles = {1.5, -2.25, 1e300};
  std::vector<std::uint16_t> shorts = {1, 256, 65535};
  std::array<Colour, 2> colours = {Colour::green, Colour::blue};
  std::chrono::milliseconds length = std::chrono::milliseconds(1500);
  std::chrono::sys_seconds moment = std::chrono::sys_seconds(std::chrono::seconds(1'700'000'000));
  Account account = {"Ada", 100};
  std::optional<Money> money = Money::of_cents(-1);
  std::vector<bool> flags = {true, false};
};

bool operator==(const Everything& a, const Everything& b) {
  return visit_fields(a, [&](const auto&... left) {
    return visit_fields(b, [&](const auto&... right) {
      const auto same = []<class T>(const T& x, const T& y) {
        if constexpr (std::is_same_v<T, std::unique_ptr<Point>>) {
          return *x == *y;
        } else {
          return x == y;
        }
      };
      return (same(left, right) && ...);
    });
  });
}

/// The file is what is written today (where `exact`), and what is read from it is `value`.
template <class T>
void expect_golden(const std::string& name, const T& value, const FrameOptions& options, bool exact = true) {
  auto written = encode_value(options, type_of<T>(), &value);
  ASSERT_TRUE(written.ok()) << written.error().to_string();
  if (!std::filesystem::exists(file_of(name)) && std::getenv("FLUX_GOLDEN_WRITE") != nullptr) {
    std::ofstream(file_of(name), std::ios::binary) << *written;
  }
  ASSERT_TRUE(std::filesystem::exists(file_of(name))) << name;
  const std::string golden = read(file_of(name));
  if (exact) {
    EXPECT_EQ(*written, golden) << name;
  }
  auto loaded = decode_value(golden, type_of<T>(), {}, options.frame ? nullptr : options.format);
  ASSERT_TRUE(loaded.ok()) << name << ": " << loaded.error().to_string();
  EXPECT_TRUE(*static_cast<const T*>(loaded->get()) == value) << name;
}

class Golden : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    format_ = formats().find(GetParam());
    if (format_ == nullptr) GTEST_SKIP() << "built without " << GetParam();
  }
  std::string name(const char* what) const { return std::string(GetParam()) + "_" + what; }
  const Format* format_ = nullptr;
};

TEST_P(Golden, EveryKindOfValue) { expect_golden(name("everything.bin"), Everything{}, {.format = format_}); }

TEST_P(Golden, AProduct) { expect_golden(name("product.bin"), samples::product(), {.format = format_}); }

TEST_P(Golden, AList) {
  expect_golden(name("list.bin"), std::vector<Product>(2, samples::product()), {.format = format_});
}

TEST_P(Golden, APlainDocument) {
  const FrameOptions options{.format = format_, .frame = false};
  if (format_->self_describing()) return expect_golden(name("plain.bin"), Everything{}, options);
  const Everything value;
  EXPECT_EQ(encode_value(options, type_of<Everything>(), &value).error().code, Errc::unsupported);
}

INSTANTIATE_TEST_SUITE_P(V1, Golden, testing::Values("native", "msgpack", "json"),
                         [](const auto& info) { return std::string(info.param); });

TEST(GoldenValues, TextBytesAndNumbers) {
  expect_golden("text.bin", std::string("any\0thing \xc3\xa9 \xff", 14), {});
  expect_golden("bytes.bin", std::vector<std::byte>{std::byte{0}, std::byte{1}, std::byte{255}}, {});
  expect_golden("integer.bin", std::int64_t{-42}, {});
  expect_golden("natural.bin", UINT64_MAX, {});
  expect_golden("double.bin", 0.1, {});
}

TEST(GoldenValues, CompressedOnes) {
  for (const char* name : {"zstd", "gzip"}) {
    const Compressor* compressor = compressors().find(name);
    if (compressor == nullptr) continue;
    // Another version of the library may compress otherwise, but must read this.
    expect_golden(std::string(name) + "_text.bin", std::string(2000, 'x'), {.compressor = compressor}, false);
    expect_golden(std::string(name) + "_list.bin", std::vector<Product>(5, samples::product()),
                  {.compressor = compressor}, false);
  }
}

}  // namespace
}  // namespace flux::cache
