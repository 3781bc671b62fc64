// The tag layer counts its calls: what a read under tags costs a store that leaves tags to it.
#include <flux/cache/layers/tagged.hpp>
#include <flux/cache/repository.hpp>
#include <flux/cache/testing/recorder.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/file_cache.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;

struct Layered {
  FileCache file;
  std::shared_ptr<Recorder> beneath = std::make_shared<Recorder>(file.open());
  Repository cache{make_tagged(beneath, {.clock = &file.clock()}), {.clock = &file.clock()}};

  /// A second process as it were: nothing is known yet of any tag.
  Repository stranger() { return Repository(make_tagged(beneath, {.clock = &file.clock()}), {.clock = &file.clock()}); }
};

TEST(Tagged, ManyUnderTagsIsTwoCallsHoweverManyKeysAndTags) {
  Layered layered;
  for (int i = 0; i < 100; ++i)
    layered.cache.tags({"of all", "tag " + std::to_string(i)}).put("k" + std::to_string(i), i, 1h);
  std::vector<std::string> keys;
  for (int i = 0; i < 120; ++i) keys.push_back("k" + std::to_string(i));
  const Repository stranger = layered.stranger();
  layered.beneath->clear();
  const auto found = stranger.tags({"of all"}).many<int>(keys);
  EXPECT_EQ(layered.beneath->story(), "get_many get_many");
  EXPECT_EQ(found.at("k99"), 99);
  EXPECT_FALSE(found.at("k100"));
}

/// What it writes over was read for it; only where that had other tags a flush may have ended it in between.
TEST(Tagged, ALoadLooksOnceMoreOnlyAtWhatHadOtherTags) {
  Layered layered;
  const auto calls_of_a_load = [&](const auto& cache, const char* key) {
    layered.beneath->clear();
    cache.remember(key, 1h, [] { return 2; });
    const auto calls = layered.beneath->calls();
    return std::count_if(calls.begin(), calls.end(),
                         [](const Recorded& call) { return call.operation == "get" && call.space == Space::values; });
  };
  EXPECT_EQ(calls_of_a_load(layered.cache, "plain"), 3);
  EXPECT_EQ(calls_of_a_load(layered.cache.tags({"red"}), "tagged"), 3);
  const Options kept{.ttl = 1s, .fail_safe = 1h};
  layered.cache.put("was plain", 1, kept), layered.cache.tags({"red"}).put("was tagged", 1, kept);
  layered.file.clock().travel(2s);
  const auto over_plain = calls_of_a_load(layered.cache, "was plain");
  EXPECT_EQ(calls_of_a_load(layered.cache, "was tagged"), over_plain + 1);
  EXPECT_EQ(layered.cache.get<int>("was tagged"), 2);
}

TEST(Tagged, AReadWithoutTagsIsOneCallAndOneWithThemTwo) {
  Layered layered;
  layered.cache.put("plain", 1, 1h), layered.cache.tags({"a", "b", "c"}).put("tagged", 2, 1h);
  const Repository stranger = layered.stranger();
  layered.beneath->clear();
  EXPECT_EQ(stranger.get<int>("plain"), 1);
  EXPECT_EQ(layered.beneath->story(), "get");
  layered.beneath->clear();
  EXPECT_EQ(stranger.tags({"b"}).get<int>("tagged"), 2);
  EXPECT_EQ(layered.beneath->story(), "get get_many");
}

}  // namespace
}  // namespace flux::cache::testing
