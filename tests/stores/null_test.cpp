// The null store: nothing is kept, nobody is kept out.
#include <gtest/gtest.h>
#include <flux/cache/drivers.hpp>
#include <flux/cache/manager.hpp>
#include <flux/cache/stores/null.hpp>

#include <vector>

namespace flux::cache {
namespace {

Entry text(std::string_view value) { return {.value = {.kind = Kind::text, .text = value}}; }

class NullStore : public testing::Test {
 protected:
  StorePtr store_ = make_null();
};

TEST_F(NullStore, AnswersFalseToPutsAndMissesEveryRead) {
  const Key key("k");
  EXPECT_FALSE(*store_->put(key, text("v"), {}));
  EXPECT_FALSE(*store_->put(key, text("v"), {When::absent}));
  EXPECT_FALSE(*store_->get(key, {}, [](const Entry&) { ADD_FAILURE(); }));
  EXPECT_FALSE(*store_->get(key, {.stale = true}, [](const Entry&) { ADD_FAILURE(); }));
  EXPECT_FALSE(*store_->has(key));
  EXPECT_FALSE(*store_->pull(key, {}, [](const Entry&) { ADD_FAILURE(); }));
  EXPECT_FALSE(*store_->touch(key, {}));
  EXPECT_FALSE(*store_->forget(key, {}));
}

TEST_F(NullStore, NamesEveryKeyOfABatchAsNotWritten) {
  const Item items[] = {{Key("a"), text("1")}, {Key("b"), text("2")}};
  const auto written = store_->put_many(items);
  ASSERT_TRUE(written.ok());
  EXPECT_EQ(written->failed, (std::vector<std::size_t>{0, 1}));
  EXPECT_EQ(written->error, nullptr);
  const Key keys[] = {Key("a"), Key("b")};
  EXPECT_TRUE(store_->get_many(keys, {}, [](std::size_t, const Entry&) { ADD_FAILURE(); }).ok());
  EXPECT_EQ(*store_->forget_many(keys), 0u);
}

TEST_F(NullStore, CountsFromZeroEachTime) {
  EXPECT_EQ(*store_->increment(Key("n"), 5, {}), 5);
  EXPECT_EQ(*store_->increment(Key("n"), -2, {}), -2);
}

TEST_F(NullStore, GrantsEveryLockToEverybody) {
  const Key lock("l", Space::locks);
  EXPECT_TRUE(*store_->put(lock, text("one"), {When::absent}));
  EXPECT_TRUE(*store_->put(lock, text("two"), {When::absent}));
  EXPECT_TRUE(*store_->forget(lock, {.version = 1}));
}

/// As a configuration builds it, with all layers.
TEST_F(NullStore, KeepsNoProgramFromRunning) {
  const StoreManager manager({.stores = {{"off", NullConfig{}}}});
  const Repository cache = manager.store();
  int troubles = 0;
  const auto listening = cache.listen([&](const Event& event) { troubles += event.error != nullptr; });
  const auto lease = std::chrono::seconds(10);
  Lock one = cache.lock("l", lease), two = cache.lock("l", lease);
  EXPECT_TRUE(one.try_lock());
  EXPECT_TRUE(two.try_lock());
  one.unlock();
  RateLimiter limiter = cache.rate_limiter("r", {.max_attempts = 1});
  Funnel funnel = cache.funnel("f", {.limit = 1, .release_after = lease});
  std::vector<FunnelPlace> places;
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(limiter.attempt());
    places.push_back(funnel.try_enter());
    EXPECT_TRUE(places.back());
  }
  EXPECT_FALSE(cache.put("k", 1));
  EXPECT_FALSE(cache.add("k", 1));
  EXPECT_FALSE(cache.put_many({{"a", 1}, {"b", 2}}));
  EXPECT_EQ(cache.get<int>("k"), std::nullopt);
  EXPECT_TRUE(cache.flush());
  const TagSet tagged = cache.tags({"red", "blue"});
  EXPECT_FALSE(tagged.put("k", 1));
  EXPECT_EQ(tagged.get<int>("k"), std::nullopt);
  EXPECT_EQ(tagged.remember("k", lease, [] { return 7; }), 7);
  EXPECT_TRUE(tagged.flush());
  EXPECT_TRUE(tagged.flush_any());
  int runs = 0;
  for (int i = 0; i < 2; ++i) EXPECT_EQ(cache.flexible("k", {lease, 2 * lease}, [&] { return ++runs; }), runs);
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(troubles, 0) << "that a store is off is no trouble";
  EXPECT_EQ(cache.stats().store_errors, 0u);
}

TEST_F(NullStore, FlushesAndListsNothing) {
  EXPECT_TRUE(store_->flush({}).ok());
  const std::string_view tags[] = {"t"};
  EXPECT_TRUE(store_->flush({.tags = tags}).ok());
  EXPECT_TRUE(store_->scan(Space::values, [](std::string_view, const Entry&) { return ADD_FAILURE(), true; }).ok());
  EXPECT_EQ(*store_->prune(100), 0u);
}

TEST_F(NullStore, HandsOnWhatALoaderAnswersAndLoadsAnewEachTime) {
  const Repository cache(store_);
  int runs = 0;
  const auto load = [&] { return ++runs; };
  EXPECT_EQ(cache.remember("k", std::chrono::hours(1), load), 1);
  EXPECT_EQ(cache.remember("k", {.hours = 1, .tags = {"t"}}, load), 2);
  const auto many = cache.remember_many<int>({"a", "b"}, std::chrono::hours(1), [&](const auto& missing) {
    std::vector<std::pair<std::string, int>> found;
    ++runs;
    for (const std::string& key : missing) found.emplace_back(key, runs);
    return found;
  });
  EXPECT_EQ(many.at("a"), 3);
  EXPECT_EQ(many.at("b"), 3) << "one call of the loader for both";
  EXPECT_FALSE(cache.has("a"));
}

TEST_F(NullStore, IsADriver) {
  const Config config = checked({.stores = {{"off", NullConfig{}}}});
  const DriverContext context("off", config, system_clock(), {});
  EXPECT_EQ(drivers().make(context)->traits().kind, "null");
}

}  // namespace
}  // namespace flux::cache
