// A flush against operations that change what is there. What was put before a flush is seen by no operation that begins
// when it has returned, and is not there again when those are over that began before: neither as it was nor as one of
// them made it. What an operation writes from nothing may have come after the flush, and stays.
#include <flux/cache/testing/store_contract.hpp>

#include <algorithm>
#include <charconv>

#include "anchors.hpp"
#include "flush_rounds.hpp"
#include "read_as.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

void detail::link_flushes() {}

using namespace std::chrono_literals;
using detail::AroundFlush;
using detail::FlushRounds;
using detail::kRepeaters;

namespace {

constexpr const char* kKey = "k";
/// More than anybody counts to from nothing.
constexpr std::int64_t kOld = 1'000'000'000;

enum class Of { everything, tags };

const TagStamp kStampedByTheStore[] = {{"red", 0}, {"blue", 0}};

/// The entry that a flush is to end: under two tags, where those are what it flushes.
Entry entry_for(Of what, const ValueView& value, const Expiry& expiry) {
  Entry entry{.value = value, .expiry = expiry};
  if (what == Of::tags) entry.tags = kStampedByTheStore;
  return entry;
}

/// Everything, or the tags of the entry, in each of the ways there are.
void flush(const StoreProbe& store, Of what, int round) {
  if (what == Of::everything) return store.flush();
  switch (round % 3) {
    case 0: return store.flush_tags({"red"});
    case 1: return store.flush_tags({"blue", "red"});
    default: return store.flush_tags({"green", "blue"}, true);
  }
}

std::int64_t number_in(const std::string& seen) {
  std::int64_t number = 0;
  const std::size_t start = seen.find_first_of("-0123456789");
  if (start != std::string::npos) std::from_chars(seen.data() + start, seen.data() + seen.size(), number);
  return number;
}

/// Of an operation that only changes or reads what it finds, a flush leaves nothing.
bool is_gone(const std::string& seen, const AroundFlush&) { return seen == kMiss; }

/// A counter shows at the most what was added by operations that were not over when the flush began, and at the least
/// what those added that began after it.
bool counts_from_nothing(const std::string& seen, const AroundFlush& around) {
  if (seen == kMiss) return around.least() == 0;
  const std::int64_t number = number_in(seen);
  return number >= around.least() && number <= around.most();
}

/// What `add` wrote tells who wrote it, and when: not before the flush. One that came after it, and wrote or did not,
/// leaves something.
bool was_added_since(const std::string& seen, const AroundFlush& around) {
  if (seen == kMiss) return around.least() == 0;
  const std::int64_t number = number_in(seen);
  return number < kOld && number / static_cast<std::int64_t>(kRepeaters) >
                              around.over_before[static_cast<std::size_t>(number) % kRepeaters];
}

/// The store of the test, and for the last of those who repeat another instance on the same entries, where there is
/// one.
class Racers {
 public:
  Racers(const StoreProbe& mine, StorePtr other, Of what, Expiry expiry)
      : mine_(mine), other_(other != nullptr ? std::move(other) : mine.share()), what_(what), expiry_(expiry) {}

  const StoreProbe& of(std::size_t repeater) const { return repeater + 1 == kRepeaters ? other_ : mine_; }
  Entry entry(const ValueView& value) const { return entry_for(what_, value, expiry_); }
  const Expiry& expiry() const { return expiry_; }
  Of what() const { return what_; }

  std::string run(int rounds, std::function<bool(std::size_t, std::int64_t)> repeat,
                  std::function<bool(const std::string&, const AroundFlush&)> is_right = is_gone) const {
    const FlushRounds race{
        .put =
            [&](int round) {
              const std::string old = std::to_string(kOld);
              mine_.put(kKey, entry(round % 2 == 0 ? integer(kOld) : text(old)));
            },
        .flush = [&](int round) { flush(mine_, what_, round); },
        .repeat = std::move(repeat),
        .look =
            [&] {
              const auto copy = mine_.entry(kKey, true);
              // What was never there for anybody is a load's or a repair's placeholder.
              return copy && copy->view().value.kind != Kind::none ? show(copy->view().value) : std::string(kMiss);
            },
        .is_right = std::move(is_right),
    };
    return race.run(rounds);
  }

 private:
  StoreProbe mine_, other_;
  Of what_;
  Expiry expiry_;
};

constexpr int kRounds = 200;

std::string touching(const Racers& racers, int rounds) {
  return racers.run(rounds, [&](std::size_t i, std::int64_t) { return racers.of(i).touch(kKey, racers.expiry()); });
}

std::string replacing(const Racers& racers, int rounds) {
  return racers.run(rounds, [&](std::size_t i, std::int64_t) {
    return racers.of(i).put(kKey, racers.entry(integer(kOld)), {.when = When::present});
  });
}

std::string swapping(const Racers& racers, int rounds) {
  return racers.run(rounds, [&](std::size_t i, std::int64_t) {
    const auto seen = racers.of(i).entry(kKey);
    return seen && racers.of(i).put(kKey, racers.entry(integer(kOld)), {When::unchanged, seen->view().version});
  });
}

std::string counting(const Racers& racers, int rounds) {
  return racers.run(
      rounds,
      [&](std::size_t i, std::int64_t) {
        const auto number = racers.of(i).store().increment(Key(kKey), 1, racers.entry({}));
        EXPECT_TRUE(number.ok()) << number.error().to_string();
        return number.ok() && *number >= kOld;
      },
      counts_from_nothing);
}

std::string adding(const Racers& racers, int rounds) {
  return racers.run(
      rounds,
      [&](std::size_t i, std::int64_t number) {
        const StoreProbe& mine = racers.of(i);
        const ValueView value = integer(number * static_cast<std::int64_t>(kRepeaters) + static_cast<std::int64_t>(i));
        Entry entry = racers.entry(value);
        std::vector<TagStamp> stamps(entry.tags.begin(), entry.tags.end());
        if (!stamps.empty() && number % 2 == 0) {  // stamped before the value is computed, as a load does
          const auto epochs = mine.epochs({stamps[0].name, stamps[1].name});
          for (std::size_t tag = 0; tag < stamps.size(); ++tag) stamps[tag].epoch = epochs[tag];
          entry.tags = stamps;
        }
        mine.put(kKey, entry, {.when = When::absent});
        return false;
      },
      was_added_since);
}

/// Every operation that can find something, in turn.
std::string reading(const Racers& racers, int rounds) {
  return racers.run(rounds, [&](std::size_t i, std::int64_t number) {
    const StoreProbe& mine = racers.of(i);
    const auto take = [](const ValueView&) { return true; };
    switch (number % 8) {
      case 0: return mine.got(kKey) != kMiss;
      case 1: return mine.has(kKey);
      case 2: return mine.got_many({"absent", kKey})[1] != kMiss;
      case 3: {
        const auto got = mine.store().get_value(Key(kKey), {*detail::read_as(), {}, take});
        EXPECT_TRUE(got.ok()) << got.error().to_string();
        return got.ok() && *got != Got::nothing;
      }
      case 4: return mine.touch(kKey, racers.expiry());
      case 5: return number % 64 == 5 && mine.pulled(kKey) != kMiss;  // seldom: it leaves nothing to find
      case 6: return number % 64 == 6 && mine.forget(kKey);
      default: return number % 64 == 7 && mine.forget_many({kKey, "absent"}) != 0;
    }
  });
}

}  // namespace

#define FLUX_CACHE_FLUSH_RACE(name, repeating)                                                  \
  TEST_P(StoreContract, AFlushEndsWhat##name) {                                                 \
    EXPECT_EQ(repeating(Racers(*this, again(), Of::everything, in(60s)), rounds(kRounds)), ""); \
  }                                                                                             \
  TEST_P(StoreContract, AFlushOfItsTagsEndsWhat##name) {                                        \
    FLUX_CACHE_SKIP_UNLESS(traits().tags, "this store leaves tags to the layer above it");      \
    EXPECT_EQ(repeating(Racers(*this, again(), Of::tags, in(60s)), rounds(kRounds)), "");       \
  }                                                                                             \
  static_assert(true)

FLUX_CACHE_FLUSH_RACE(OthersTouch, touching);
FLUX_CACHE_FLUSH_RACE(OthersReplaceWhereItIs, replacing);
FLUX_CACHE_FLUSH_RACE(OthersSwapByItsVersion, swapping);
FLUX_CACHE_FLUSH_RACE(OthersCountWith, counting);
FLUX_CACHE_FLUSH_RACE(OthersAddTo, adding);
FLUX_CACHE_FLUSH_RACE(OthersRead, reading);

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
