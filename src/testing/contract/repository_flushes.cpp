// A flush against the verbs that change or read what is there: none that begins when it has returned sees what was put
// before it, and nothing of that is there again when those are over that began before.
#include <flux/cache/testing/repository_contract.hpp>

#include <charconv>

#include "anchors.hpp"
#include "flush_rounds.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

void detail::link_verb_flushes() {}

using namespace std::chrono_literals;
using detail::AroundFlush;
using detail::FlushRounds;
using detail::kRepeaters;

namespace {

constexpr const char* kKey = "k";
constexpr const char* kMissing = "miss";
/// More than anybody counts to from nothing.
constexpr std::int64_t kOld = 1'000'000'000;
constexpr int kRounds = 60;

/// The verbs under a tag, and each way to flush what carries it.
class Racers {
 public:
  explicit Racers(const Repository& cache)
      : cache_(cache), red_(cache.tags({"red"})), both_(cache.tags({"red", "blue"})) {}

  const TagSet& tagged() const { return both_; }
  const Repository& cache() const { return cache_; }

  std::string run(std::function<bool(std::size_t, std::int64_t)> repeat,
                  std::function<bool(const std::string&, const AroundFlush&)> is_right) const {
    const FlushRounds race{
        .put = [&](int) { EXPECT_TRUE(both_.put(kKey, kOld, 60s)); },
        .flush =
            [&](int round) {
              switch (round % 4) {
                case 0: EXPECT_TRUE(cache_.flush()); break;
                case 1: EXPECT_TRUE(red_.flush()); break;
                case 2: EXPECT_TRUE(both_.flush()); break;
                default: EXPECT_TRUE(both_.flush_any()); break;
              }
            },
        .repeat = std::move(repeat),
        .look =
            [&] {
              const auto seen = cache_.get<std::int64_t>(kKey);
              return seen ? std::to_string(*seen) : std::string(kMissing);
            },
        .is_right = std::move(is_right),
    };
    return race.run(kRounds);
  }

 private:
  const Repository& cache_;
  TagSet red_, both_;
};

std::int64_t number_in(const std::string& seen) {
  std::int64_t number = 0;
  std::from_chars(seen.data(), seen.data() + seen.size(), number);
  return number;
}

bool is_gone(const std::string& seen, const AroundFlush&) { return seen == kMissing; }

}  // namespace

TEST_P(RepositoryContract, AFlushEndsWhatOthersKeepTouching) {
  const Racers racers(cache());
  EXPECT_EQ(
      racers.run([&](std::size_t i,
                     std::int64_t) { return i == 0 ? cache().touch(kKey, 60s) : racers.tagged().touch(kKey, 60s); },
                 is_gone),
      "");
}

// Up by one and down by one: from nothing, no further from zero than there are operations.
TEST_P(RepositoryContract, AFlushEndsWhatOthersCountWith) {
  const Racers racers(cache());
  EXPECT_EQ(racers.run(
                [&](std::size_t i, std::int64_t) {
                  const std::int64_t number =
                      i == 0 ? racers.tagged().increment(kKey, 1, 60s) : racers.tagged().decrement(kKey, 1, 60s);
                  return number > kOld / 2;
                },
                [](const std::string& seen, const AroundFlush& around) {
                  if (seen == kMissing) return around.least() == 0;
                  return std::abs(number_in(seen)) <= around.most();
                }),
            "");
}

// What is added tells who added it, and when.
TEST_P(RepositoryContract, AFlushEndsWhatStandsInTheWayOfAdd) {
  constexpr auto kMany = static_cast<std::int64_t>(kRepeaters);
  const Racers racers(cache());
  EXPECT_EQ(racers.run(
                [&](std::size_t i, std::int64_t number) {
                  racers.tagged().add(kKey, number * kMany + static_cast<std::int64_t>(i), 60s);
                  return false;
                },
                [](const std::string& seen, const AroundFlush& around) {
                  if (seen == kMissing) return around.least() == 0;
                  const std::int64_t number = number_in(seen);
                  return number < kOld && number / kMany > around.over_before[static_cast<std::size_t>(number % kMany)];
                }),
            "");
}

TEST_P(RepositoryContract, AFlushEndsWhatOthersReadInAnyWay) {
  const Racers racers(cache());
  const TagSet& tagged = racers.tagged();
  EXPECT_EQ(racers.run(
                [&](std::size_t, std::int64_t number) {
                  switch (number % 8) {
                    case 0: return cache().get<std::int64_t>(kKey).has_value();
                    case 1: return tagged.get_shared<std::int64_t>(kKey) != nullptr;
                    case 2: return cache().has(kKey);
                    case 3: return tagged.many<std::int64_t>({"absent", kKey}).at(kKey).has_value();
                    case 4: return tagged.with<std::int64_t>(kKey, [](const std::int64_t&) {});
                    case 5: return cache().expires_in(kKey).has_value();
                    case 6:
                      return number % 64 == 6 && tagged.pull<std::int64_t>(kKey).has_value();  // seldom: it removes
                    default: return number % 64 == 7 && cache().forget(kKey);
                  }
                },
                is_gone),
            "");
}

// A load that begins after a flush runs, or shares one that does: it is never answered by what was put before.
TEST_P(RepositoryContract, AFlushEndsWhatOthersRemember) {
  const Racers racers(cache());
  EXPECT_EQ(racers.run(
                [&](std::size_t i, std::int64_t) {
                  const auto load = [] { return std::int64_t{1}; };
                  return (i == 0 ? cache().remember(kKey, {.ttl = 60s, .tags = Tags{"red", "blue"}}, load)
                                 : racers.tagged().remember(kKey, 60s, load)) == kOld;
                },
                [](const std::string& seen, const AroundFlush&) { return seen == kMissing || seen == "1"; }),
            "");
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
