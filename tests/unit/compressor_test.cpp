// compressor.hpp: what goes in comes out, and nothing more than was announced.
#include <gtest/gtest.h>
#include <flux/cache/compressor.hpp>

#include <memory>
#include <random>
#include <thread>

namespace flux::cache {
namespace {

class EveryCompressor : public testing::TestWithParam<const char*> {
 protected:
  const Compressor& compressor() const { return *compressors().find(GetParam()); }

  std::string compressed(std::string_view bytes, int level = 0) const {
    std::string out;
    auto done = compressor().compress(bytes, level, bytes.size() + 1000, out);
    EXPECT_TRUE(done.ok() && *done);
    return out;
  }
  Result<std::string> decompressed(std::string_view bytes, std::size_t size) const {
    std::string out(size, '\0');
    auto done = compressor().decompress(bytes, out.data(), size);
    if (!done.ok()) return Result<std::string>(done.take_error());
    return out;
  }
};

std::string text_of(std::size_t size) {
  std::string text;
  for (int i = 0; text.size() < size; ++i) text += "the quick brown fox number " + std::to_string(i * 7919) + ", ";
  text.resize(size);
  return text;
}

TEST_P(EveryCompressor, WhatGoesInComesOut) {
  for (const std::size_t size : {1U, 100U, 1000U, 100'000U, 3'000'000U}) {
    for (const int level : {0, 1, 9}) {
      const std::string text = text_of(size);
      const auto back = decompressed(compressed(text, level), size);
      ASSERT_TRUE(back.ok()) << back.error().to_string();
      EXPECT_TRUE(*back == text);
    }
  }
}

TEST_P(EveryCompressor, AppendsToWhatIsThere) {
  std::string out = "head";
  ASSERT_TRUE(*compressor().compress(text_of(1000), 0, 1000, out));
  EXPECT_EQ(out.substr(0, 4), "head");
  EXPECT_TRUE(decompressed(std::string_view(out).substr(4), 1000).ok());
}

TEST_P(EveryCompressor, GivesUpWhereTheResultWouldBeLongerThanAllowed) {
  std::mt19937_64 random(1);
  std::string noise(10'000, '\0');
  for (char& c : noise) c = static_cast<char>(random());
  std::string out = "head";
  const auto done = compressor().compress(noise, 0, 9000, out);
  ASSERT_TRUE(done.ok());
  EXPECT_FALSE(*done);
  EXPECT_EQ(out, "head");
  EXPECT_TRUE(decompressed(compressed(text_of(500)), 500).ok());  // and the next value is not harmed by it
}

TEST_P(EveryCompressor, AnotherLengthThanAnnouncedIsCorrupt) {
  const std::string text = text_of(5000);
  const std::string bytes = compressed(text);
  for (const std::size_t size : {0U, 1U, 4999U, 5001U, 100'000U}) {
    const auto back = decompressed(bytes, size);
    ASSERT_FALSE(back.ok()) << size;
    EXPECT_EQ(back.error().code, Errc::corrupt);
  }
}

TEST_P(EveryCompressor, DamagedBytesNeverGiveMoreThanWasAskedFor) {
  const std::string text = text_of(2000);
  const std::string bytes = compressed(text);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decompressed(std::string_view(bytes).substr(0, size), text.size()).ok()) << size;
  }
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x55);
    (void)decompressed(damaged, text.size());  // any answer, as long as nothing is written beyond the end
  }
  EXPECT_EQ(*decompressed(bytes, text.size()), text);
}

TEST_P(EveryCompressor, ABombIsStoppedAtTheAnnouncedLength) {
  const std::string bytes = compressed(std::string(50'000'000, '\0'));
  EXPECT_LT(bytes.size(), 60'000u);
  const auto back = decompressed(bytes, 1'000'000);
  ASSERT_FALSE(back.ok());
  EXPECT_EQ(back.error().code, Errc::corrupt);
}

TEST_P(EveryCompressor, WorksInManyThreadsAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const std::string text = text_of(static_cast<std::size_t>(500 + 100 * t + i));
        const auto back = decompressed(compressed(text, 1 + (t + i) % 5), text.size());
        if (back.ok() && *back == text) ++right;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 400);
}

INSTANTIATE_TEST_SUITE_P(Compressors, EveryCompressor, testing::ValuesIn([] {
                           std::vector<const char*> names;
                           for (const char* name : {"zstd", "gzip"}) {
                             if (compressors().find(name) != nullptr) names.push_back(name);
                           }
                           return names;
                         }()),
                         [](const auto& info) { return std::string(info.param); });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(EveryCompressor);

TEST(Compressors, UnknownNamesAndNumbersAreNull) {
  EXPECT_EQ(compressors().find("lzma"), nullptr);
  EXPECT_EQ(compressors().find(Compressor::Id{0}), nullptr);
  EXPECT_EQ(compressors().find(Compressor::Id{99}), nullptr);
}

}  // namespace
}  // namespace flux::cache
