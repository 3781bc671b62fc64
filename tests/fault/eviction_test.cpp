// Servers without room, which drop what was not asked for lately: entries, the records of tags, generations. Whatever
// they drop, what was flushed stays flushed.
#include <gtest/gtest.h>
#include <flux/cache/layers/serialized.hpp>
#include <flux/cache/layers/tagged.hpp>
#include <flux/cache/repository.hpp>
#include <flux/cache/stores/memcached.hpp>
#include <flux/cache/stores/redis.hpp>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <ostream>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/server.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;

/// A store on a server with little room.
struct Cramped {
  std::unique_ptr<Server> server;
  StorePtr store;
};

StorePtr whole(StorePtr store) {
  if (!store->traits().objects) store = make_serialized(std::move(store));
  if (!store->traits().tags) store = make_tagged(std::move(store), {});
  return store;
}

Cramped cramped_redis() {
  Cramped one{Server::redis({"--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru"}), {}};
  if (one.server == nullptr) return one;
  one.store = whole(make_redis({.prefix = unique_prefix()},
                               {.host = one.server->host(), .port = one.server->port(), .timeout = 10s}));
  return one;
}

Cramped cramped_memcached() {
  // One list for each size, in the order of writing: nothing is kept for having been read.
  Cramped one{Server::memcached({"-m", "2", "-o", "no_lru_maintainer"}), {}};
  if (one.server == nullptr) return one;
  one.store = whole(make_memcached({.servers = {{.host = one.server->host(), .port = one.server->port()}},
                                    .prefix = unique_prefix(),
                                    .timeout = 10s}));
  return one;
}

struct Kind {
  const char* name;
  Cramped (*make)();
};
void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

class Eviction : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    ground_ = GetParam().make();
    if (ground_.server == nullptr) GTEST_SKIP() << "no server: " << Server::why_not();
  }
  /// Makes records of other tags until the server drops some that are as large as those of the test and were made
  /// later: each witness is looked at once, for a look may keep it. A server that keeps sizes apart leaves the larger
  /// entries.
  void press() {
    const auto witnesses = records_of(kBatch);
    for (std::size_t batch = 0; batch < 1'500; ++batch) {
      (void)records_of(kBatch);
      if (batch % 15 != 14) continue;
      const auto& [name, epoch] = witnesses[batch / 15];
      const std::string_view view = name;
      auto now = ground_.store->epochs({&view, 1});
      if (now.ok() && now->front() != epoch) return;
    }
    FAIL() << "the server never ran out of room";
  }
  /// New tags with their epochs, named as shortly as those of the test.
  std::vector<std::pair<std::string, std::uint64_t>> records_of(std::size_t count) {
    std::vector<std::pair<std::string, std::uint64_t>> records;
    std::vector<std::string_view> names;
    for (std::size_t i = 0; i < count; ++i, ++made_) {
      std::string name(4, ' ');
      for (std::size_t digit = 0, rest = made_; digit < 4; ++digit, rest /= 36) name[digit] = kDigits[rest % 36];
      records.emplace_back(std::move(name), 0);
    }
    for (const auto& [name, epoch] : records) names.push_back(name);
    auto epochs = ground_.store->epochs(names);
    for (std::size_t i = 0; epochs.ok() && i < count; ++i) records[i].second = (*epochs)[i];
    return records;
  }
  /// A value of more bytes than any record of a tag has.
  static std::string value_of(int number) { return std::to_string(number) + std::string(1'500, '.'); }

  static constexpr std::size_t kBatch = 100;
  static constexpr std::string_view kDigits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  Cramped ground_;
  std::size_t made_ = 0;
};

}  // namespace

TEST_P(Eviction, WhateverIsDroppedNothingFlushedComesBack) {
  const Repository cache(ground_.store, {}, "cramped");
  std::mt19937 random(7);
  // What each key may show: the value written last, as long as nothing has ended it.
  std::map<std::string, int> alive;
  std::map<std::string, Tags> tags_of;
  int dropped = 0, risen = 0, read = 0;
  const auto check = [&] {
    for (const auto& [key, tags] : tags_of) {
      const auto seen = cache.get<std::string>(key);
      const auto at = alive.find(key);
      ++read;
      if (!seen && at != alive.end()) ++dropped, alive.erase(at);
      if (seen && (at == alive.end() || value_of(at->second) != *seen)) ++risen;
    }
  };
  const std::array<Tags, 4> labels{Tags{"pink"}, {"blue"}, {"pink", "blue"}, {"pink", "blue", "gray"}};
  const int rounds = 8;
  for (int round = 1; round <= rounds; ++round) {
    for (int i = 0; i < 40; ++i) {
      const std::string key = "entry of test " + std::to_string(i);
      if (random() % 3 == 0 && tags_of.contains(key)) continue;  // an older one stays
      const int value = round * 1'000 + i;
      tags_of[key] = labels[random() % labels.size()];
      if (cache.put(key, value_of(value), {.ttl = Ttl(600s), .tags = tags_of[key]}))
        alive[key] = value;
      else
        alive.erase(key);
    }
    const auto ends = [&](const Tags& flushed, bool any) {
      std::erase_if(alive, [&](const auto& one) {
        const Tags& carried = tags_of[one.first];
        const auto carries = [&](const std::string& tag) {
          return std::find(carried.begin(), carried.end(), tag) != carried.end();
        };
        return any ? std::any_of(flushed.begin(), flushed.end(), carries)
                   : std::all_of(flushed.begin(), flushed.end(), carries);
      });
    };
    if (random() % 2 == 0) press();  // the records may go before the flush, or after it
    switch (round % 4) {
      case 0: cache.tags({"pink"}).flush(), ends({"pink"}, false); break;
      case 1: cache.tags({"pink", "blue"}).flush(), ends({"pink", "blue"}, false); break;
      case 2: cache.tags({"blue", "gray"}).flush_any(), ends({"blue", "gray"}, true); break;
      default: cache.flush(), alive.clear();
    }
    if (round % 5 == 0) check();  // not each time: a look at what is dead removes it
    press();
    if (round % 5 == 1) check();
    // Writers begin the lost records anew; that must not be the epoch of anything dead.
    cache.put("begins them", round, {.ttl = Ttl(600s), .tags = {"pink", "blue", "gray"}});
    check();
  }
  EXPECT_EQ(risen, 0) << "of " << read << " reads";
  EXPECT_GT(dropped, 0) << "neither an entry nor the record of its tag was dropped";
}

TEST_P(Eviction, ALoadWhoseTagsAreFlushedAndDroppedMeanwhileIsNotServed) {
  const Repository cache(ground_.store, {}, "cramped");
  for (int round = 0; round < 4; ++round) {
    int source = round * 10;
    const int loaded = cache.tags({"pink", "blue"}).remember("k", 600s, [&] {
      const int read = source;
      if (round % 2 == 0) press();
      ++source;
      if (round % 4 < 2)
        cache.tags({"pink"}).flush();
      else
        cache.tags({"pink", "blue"}).flush();
      if (round % 2 == 1) press();
      return read;
    });
    EXPECT_EQ(loaded, round * 10);
    EXPECT_EQ(cache.get<int>("k"), std::nullopt) << round;
    cache.put("begins them", round, {.ttl = Ttl(600s), .tags = {"pink", "blue"}});
    EXPECT_EQ(cache.get<int>("k"), std::nullopt) << round;
    EXPECT_EQ(cache.tags({"pink", "blue"}).remember("k", 600s, [&] { return source; }), source);
    cache.forget("k");
  }
}

INSTANTIATE_TEST_SUITE_P(Servers, Eviction,
                         ::testing::Values(Kind{"Redis", cramped_redis}, Kind{"Memcached", cramped_memcached}),
                         [](const ::testing::TestParamInfo<Kind>& info) { return std::string(info.param.name); });

}  // namespace flux::cache::testing
