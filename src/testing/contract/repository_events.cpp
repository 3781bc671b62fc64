// What listeners hear, and what they must not.
#include <flux/cache/layers/chaos.hpp>
#include <flux/cache/memo.hpp>
#include <flux/cache/testing/repository_contract.hpp>

#include <algorithm>
#include <mutex>
#include <set>
#include <stdexcept>

#include "anchors.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

void detail::link_events() {}

using namespace std::chrono_literals;

namespace {

/// What is heard while it lives: the kind, the key, and what else an event says.
struct Ear {
  explicit Ear(const Repository& cache)
      : listening(cache.listen([this](const Event& event) {
          std::string line = std::string(to_string(event.kind)) + " " + std::string(event.key);
          if (event.tags != nullptr)
            for (const std::string& tag : *event.tags) line += " #" + tag;
          if (event.cause != MissCause::none) line += " (" + std::string(to_string(event.cause)) + ")";
          const std::scoped_lock lock(mutex);  // what is refreshed behind is told by another thread
          heard.push_back(std::move(line));
        })) {}
  std::vector<std::string> take() {
    const std::scoped_lock lock(mutex);
    return std::exchange(heard, {});
  }

  std::mutex mutex;
  std::vector<std::string> heard;
  Listening listening;
};

using Lines = std::vector<std::string>;

}  // namespace

TEST_P(RepositoryContract, EventsCarryTheTagsOfTheirCallAndTheCauseOfAMiss) {
  Ear ear(cache());
  const TagSet red = cache().tags({"red"});
  red.put("k", 1), cache().put("plain", 2);
  EXPECT_EQ(ear.take(), (Lines{"put k #red", "put plain"}));
  (void)red.get<int>("k"), (void)red.get<int>("plain"), (void)red.get<int>("absent");
  EXPECT_EQ(ear.take(), (Lines{"hit k #red", "miss plain #red (tags)", "miss absent #red (absent)"}));
  (void)cache().get<std::vector<int>>("k");
  EXPECT_EQ(ear.take(), (Lines{"miss k (wrong_type)"}));
  red.flush();
  EXPECT_EQ(ear.take(), (Lines{"flush  #red"}));
}

TEST_P(RepositoryContract, ABatchIsAnEventForEachKey) {
  Ear ear(cache());
  cache().put_many({{"a", 1}, {"b", 2}});
  EXPECT_EQ(ear.take(), (Lines{"put a", "put b"}));
  (void)cache().many<int>({"b", "absent", "a"});
  EXPECT_EQ(ear.take(), (Lines{"hit b", "miss absent (absent)", "hit a"}));
}

TEST_P(RepositoryContract, WhatIsServedPastItsLifeIsToldApart) {
  const Options options{.ttl = Ttl(2s), .fail_safe = 60s};
  cache().remember("k", options, [] { return 1; });
  advance(2s);
  Ear ear(cache());
  EXPECT_EQ(cache().remember("k", options, []() -> int { throw std::runtime_error("down"); }), 1);
  EXPECT_EQ(ear.take(), (Lines{"miss k (absent)", "load_failed k", "fail_safe k"}));
  EXPECT_EQ(cache().remember("k", {.ttl = Ttl(2s), .stale = 60s, .throttle = 0s}, [] { return 2; }), 1);
  const Lines stale = ear.take();
  EXPECT_EQ(std::count(stale.begin(), stale.end(), "stale_hit k"), 1);
}

TEST_P(RepositoryContract, AMemoTellsNothingOfWhatItServes) {
  cache().put("k", 1);
  Ear ear(cache());
  Memo memo(cache());
  for (int i = 0; i < 3; ++i) (void)memo.get<int>("k"), (void)memo.get<int>("absent");
  EXPECT_EQ(ear.take(), (Lines{"hit k", "miss absent (absent)"}));
}

TEST_P(RepositoryContract, WhereKeysAreHashedNoneIsShown) {
  const std::string secret = "somebodys-address";
  const auto chaos = make_chaos(cache().store());
  const Repository discreet(chaos, {.hash_keys = true, .clock = &clock()}, "contract");
  std::set<std::string> shown;
  std::string all;
  const auto listening = discreet.listen([&](const Event& event) {
    if (!event.key.empty()) shown.insert(std::string(event.key));
    all += std::string(event.key) + " ";
    if (event.error != nullptr) all += event.error->to_string() + " ";
  });
  const auto note = [&](const auto& work) {
    try {
      work();
    } catch (const Exception& error) {
      all += error.what();
      all += error.error().to_string() + " ";
    }
  };
  discreet.put(secret, "text"), (void)discreet.get<std::string>(secret), (void)discreet.get<int>("x" + secret);
  all += discreet.try_get<std::vector<int>>(secret).error().to_string();
  note([&] { discreet.increment(secret); });
  note([&] { discreet.get<int>(secret + std::string(kMaxKeyBytes, 'x')); });
  note([&] {
    discreet.remember("r" + secret, 60s, [&] { return discreet.remember("r" + secret, 60s, [] { return 1; }); });
  });
  note([&] { discreet.remember("f" + secret, 60s, [](Load<int>& load) { return load.fail("no"), 1; }); });
  chaos->set({.fail_rate = 1});
  discreet.put(secret, 1), (void)discreet.get<int>(secret), discreet.forget(secret);
  discreet.remember(secret, 60s, [] { return 1; });
  note([&] { discreet.increment(secret); });
  all += discreet.try_get<int>(secret).error().to_string();
  EXPECT_EQ(all.find("address"), std::string::npos) << all;
  EXPECT_EQ(shown.size(), 4u) << "one name for each key";
}

TEST_P(RepositoryContract, KeysThatAreTooLongAreToldApartWhereKeysAreHashed) {
  const Repository discreet(cache().store(), {.hash_keys = true, .clock = &clock()}, "contract");
  const std::string begin(kMaxKeyBytes, 'x');
  const auto named = [&](const std::string& key) { return discreet.try_get<int>(key).error().key; };
  EXPECT_EQ(named(begin + "a"), named(begin + "a"));
  EXPECT_NE(named(begin + "a"), named(begin + "b"));
  EXPECT_EQ(named(begin + "a").size(), 16u);
  EXPECT_EQ(cache().try_get<int>(begin + "a").error().key, begin.substr(0, 64));
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
