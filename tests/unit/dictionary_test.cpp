// Dictionaries of zstd: trained, used, found again by their number, and missed where they are not there.
#include <gtest/gtest.h>
#include <flux/cache/frame.hpp>
#include <flux/cache/layers/serialized.hpp>
#include <flux/cache/manager.hpp>
#include <flux/cache/stores/memory.hpp>

#include <cstdio>
#include <fstream>
#include <random>

#include "support/scratch_directory.hpp"

namespace flux::cache {
namespace {

using namespace std::chrono_literals;

/// A short document of a kind that repeats itself from one to the next.
std::string document(unsigned seed) {
  std::mt19937 random(seed);
  const auto number = [&](int most) { return std::to_string(std::uniform_int_distribution<>(0, most)(random)); };
  return R"({"id":)" + number(1'000'000) + R"(,"title":"Product number )" + number(9'999) + R"(","price":{"amount":)" +
         number(99'999) + R"(,"currency":"EUR"},"stock":{"warehouse":"north-)" + number(20) + R"(","available":)" +
         number(500) + R"(},"tags":["new","sale","shipping-free"],"rating":)" + number(5) + "}";
}

/// Trained on documents from `first` on; other ones make another dictionary.
std::string trained(unsigned first = 1) {
  std::vector<std::string> samples;
  for (unsigned seed = first; seed < first + 2'000; ++seed) samples.push_back(document(seed));
  const std::vector<std::string_view> views(samples.begin(), samples.end());
  auto made = compressors().find("zstd")->train(views, 8 * 1024);
  EXPECT_TRUE(made.ok()) << made.error().to_string();
  return made.ok() ? *made : std::string();
}

class Dictionary : public ::testing::Test {
 protected:
  void SetUp() override {
    if (compressors().find("zstd") == nullptr) GTEST_SKIP() << "this build has no zstd";
  }
};

TEST_F(Dictionary, MakesShortDocumentsMuchShorter) {
  const Compressor& plain = *compressors().find("zstd");
  const auto with = plain.with_dictionary(trained());
  ASSERT_TRUE(with.ok()) << with.error().to_string();
  std::size_t raw = 0, without = 0, shorter = 0;
  for (unsigned seed = 10'000; seed < 10'200; ++seed) {
    const std::string text = document(seed);
    std::string a, b;
    ASSERT_TRUE(*plain.compress(text, 0, 1'000, a));
    ASSERT_TRUE(*(*with)->compress(text, 0, 1'000, b));
    raw += text.size(), without += a.size(), shorter += b.size();
    for (const int level : {0, 9}) {
      std::string packed;
      ASSERT_TRUE(*(*with)->compress(text, level, 1'000, packed));
      std::string back(text.size(), '\0');
      ASSERT_TRUE(plain.decompress(packed, back.data(), back.size()).ok()) << "read by whoever knows the dictionary";
      ASSERT_EQ(back, text);
    }
  }
  EXPECT_LT(shorter * 2, without);
  EXPECT_LT(shorter * 3, raw);
}

TEST_F(Dictionary, IsOneWhateverItIsAskedFor) {
  const std::string bytes = trained();
  const Compressor& zstd = *compressors().find("zstd");
  EXPECT_EQ(*zstd.with_dictionary(bytes), *zstd.with_dictionary(bytes));
  EXPECT_EQ((*zstd.with_dictionary(bytes))->id(), zstd.id());
  std::string other = bytes;
  other.back() = static_cast<char>(other.back() + 1);
  EXPECT_EQ(zstd.with_dictionary(other).error().code, Errc::bad_config) << "another one of the same number";
  EXPECT_EQ(zstd.with_dictionary("no dictionary").error().code, Errc::bad_config);
  EXPECT_EQ(zstd.with_dictionary(bytes.substr(0, 20)).error().code, Errc::bad_config);
}

TEST_F(Dictionary, CannotBeTrainedOnNothing) {
  const Compressor& zstd = *compressors().find("zstd");
  EXPECT_EQ(zstd.train({}).error().code, Errc::bad_config);
  const std::string_view one[] = {"one sample"};
  EXPECT_EQ(zstd.train(one).error().code, Errc::bad_config);
  EXPECT_EQ(zstd.train(one, 10).error().code, Errc::bad_config);
  if (const Compressor* gzip = compressors().find("gzip")) {
    EXPECT_EQ(gzip->train(one).error().code, Errc::unsupported);
    EXPECT_EQ(gzip->with_dictionary("x").error().code, Errc::unsupported);
  }
}

TEST_F(Dictionary, ThatIsNotThereIsAMissAndTheErrorNamesItsNumber) {
  const auto with = compressors().find("zstd")->with_dictionary(trained());
  ASSERT_TRUE(with.ok());
  // What another process wrote, whose dictionary has another number: the number is in bytes 5 to 8 of its payload.
  const StorePtr bytes = make_memory();
  const Repository writer(make_serialized(bytes, {.compressor = *with, .compress_from = 64}));
  ASSERT_TRUE(writer.put("k", document(1)));
  std::string raw;
  ASSERT_TRUE(*bytes->get(Key("k"), {}, [&](const Entry& entry) { raw = entry.value.text; }));
  std::string payload = raw.substr(32);
  ASSERT_EQ(payload.substr(0, 4), "\x28\xb5\x2f\xfd");
  payload[5] = static_cast<char>(payload[5] ^ 0x55);
  std::string to(document(1).size(), '\0');
  const auto read = compressors().find("zstd")->decompress(payload, to.data(), to.size());
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code, Errc::schema);
  EXPECT_NE(read.error().message.find("dictionary number"), std::string::npos) << read.error().message;
}

TEST_F(Dictionary, IsNamedInTheConfiguration) {
  const testing::ScratchDirectory scratch;
  const std::string path = scratch / "products.zdict";
  std::ofstream(path, std::ios::binary) << trained();
  const std::string text = R"({"stores": {"m": {"driver": "memory", "compression": true}},
      "serialize": {"compress": true, "threshold": 64, "dictionary": ")" +
                           path + R"("}})";
  const StoreManager manager(Config::from_json(text));
  const Repository cache = manager.store();
  ASSERT_TRUE(cache.put("k", document(7), 1h));
  EXPECT_EQ(cache.get<std::string>("k"), document(7));
  EXPECT_EQ(manager.config().serialize.dictionary, path);
}

TEST_F(Dictionary, ThatIsWrongIsAConfigErrorNamingThePlace) {
  const auto refusal = [](const std::string& more) {
    try {
      (void)StoreManager(Config::from_json(R"({"stores": {"m": {"driver": "memory", "compression": true}},
          "serialize": {"compress": true, )" +
                                           more + "}}"))
          .store();
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
    return std::string("none");
  };
  EXPECT_NE(refusal(R"("dictionary": "nowhere.zdict")").find("/serialize/dictionary"), std::string::npos);
  EXPECT_NE(refusal(R"("dictionary": ")" FLUX_CACHE_SOURCE_DIR R"(/README.md")").find("/serialize/dictionary"),
            std::string::npos);
  EXPECT_NE(refusal(R"("algorithm": "gzip", "dictionary": "x")").find("only zstd has such"), std::string::npos);
}

}  // namespace
}  // namespace flux::cache
