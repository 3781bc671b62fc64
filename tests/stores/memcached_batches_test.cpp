// Batches on memcached: what they need of the pool, and that lines, parts and several servers lose nothing.
#include <flux/cache/stores/memcached.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "support/memcached.hpp"

namespace flux::cache::testing {
namespace {

class MemcachedBatches : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (one_memcached().empty() || three_memcached().empty()) GTEST_SKIP() << "no memcached here";
  }
  std::shared_ptr<MemcachedStore> store(const std::vector<MemcachedServer>& servers, int connections) const {
    return make_memcached({.servers = servers,
                           .prefix = unique_prefix(),
                           .timeout = std::chrono::seconds(20),
                           .protocol = GetParam(),
                           .pool_size = connections});
  }
};

void put(Store& store, const std::vector<std::string>& names, const std::vector<std::string>& values) {
  std::vector<Item> items;
  for (std::size_t i = 0; i < names.size(); ++i)
    items.push_back({Key(names[i]), {.value = {.kind = Kind::bytes, .text = values[i]}}});
  const auto written = store.put_many(items);
  ASSERT_TRUE(written.ok()) << written.error().to_string();
  ASSERT_TRUE(written->failed.empty()) << written->error->to_string();
}

std::map<std::string, std::string> all_of(Store& store, const std::vector<std::string>& names) {
  const std::vector<Key> keys(names.begin(), names.end());
  std::map<std::string, std::string> all;
  const auto read = store.get_many(
      keys, {}, [&](std::size_t i, const Entry& entry) { all[names[i]] = std::string(entry.value.text); });
  EXPECT_TRUE(read.ok()) << read.error().to_string();
  return all;
}

std::vector<std::string> numbered(std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) names.push_back("key " + std::to_string(i) + std::string(i % 7 * 60, 'k'));
  return names;
}

// The generation is learned before the batch has a connection: by one of its own, and there is none.
TEST_P(MemcachedBatches, NeedNoSecondConnection) {
  const auto one = store(three_memcached(), 1);
  const auto names = numbered(300);
  const std::vector<std::string> values(names.size(), "v");
  const auto begun = std::chrono::steady_clock::now();
  put(*one, names, values);
  ASSERT_TRUE(one->flush({}).ok());
  put(*one, names, values);
  EXPECT_EQ(all_of(*one, names).size(), names.size());
  EXPECT_EQ(*one->forget_many(std::vector<Key>(names.begin(), names.end())), names.size());
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(20)) << "one waited for the other";
}

// Every line is full at some time, and broken by its length at another; every part ends somewhere in a command.
TEST_P(MemcachedBatches, BringBackWhatWasPutWhateverItsSize) {
  for (const auto& servers : {one_memcached(), three_memcached()}) {
    const auto some = store(servers, 4);
    for (const std::size_t count : {1, 2, 4, 5, 63, 64, 65, 129, 2500}) {
      auto names = numbered(count);
      std::vector<std::string> values;
      std::map<std::string, std::string> wanted;
      for (std::size_t i = 0; i < count; ++i) {
        values.push_back(std::string(i * 2654435761U % (i % 50 == 0 ? 60'000 : 300), static_cast<char>('a' + i % 26)));
        wanted[names[i]] = values[i];
      }
      put(*some, names, values);
      for (std::size_t i = 0; i < count; ++i) names.insert(names.begin() + static_cast<std::ptrdiff_t>(2 * i), "none");
      ASSERT_EQ(all_of(*some, names), wanted) << count;
      const auto once = names;
      names.insert(names.end(), once.begin(), once.end());
      ASSERT_EQ(all_of(*some, names), wanted) << count << ", each twice";
      const std::vector<Key> keys(names.begin(), names.end());
      ASSERT_EQ(*some->forget_many(keys), count);
      ASSERT_TRUE(all_of(*some, names).empty());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(By, MemcachedBatches, ::testing::Values("meta", "binary"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace flux::cache::testing
