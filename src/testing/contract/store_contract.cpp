#include <flux/cache/testing/store_contract.hpp>

#include <thread>

#include "anchors.hpp"
#include "sanitized.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

// A program may link the suite for RepositoryContract alone, or for a store that is not in this build.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(StoreContract);

int detail::link_store_contract() {
  link_values(), link_conditions(), link_lifetimes(), link_counters(), link_batches(), link_spaces(), link_tags();
  link_keys(), link_threads(), link_restart(), link_processes(), link_model(), link_tag_model(), link_flushes();
  return 0;
}

StoreContract::StoreContract() = default;
StoreContract::~StoreContract() = default;

const Clock& StoreContract::clock() const {
  if (GetParam().real_time) return system_clock();
  return clock_;
}

Expiry StoreContract::in(Duration life, Duration grace) const {
  const Instant fresh_until = after(now(), life);
  return {fresh_until, after(fresh_until, grace)};
}

void StoreContract::advance(Duration length) {
  if (GetParam().real_time)
    std::this_thread::sleep_for(length);
  else
    clock_.travel(length);
}

StorePtr StoreContract::again() const { return GetParam().again ? GetParam().again(clock()) : nullptr; }

int StoreContract::rounds(int bare) const { return std::max(1, bare / (is_bare() ? 1 : 8) / (kSanitized ? 8 : 1)); }

void StoreContract::SetUp() {
  watch(GetParam().make(clock()));
  if (share() == nullptr) GTEST_SKIP() << "no store here; it needs " << GetParam().needs;
}

void StoreContract::TearDown() {
  if (share() == nullptr) return;
  if (!HasFailure() && !IsSkipped()) check_invariants();
  watch(nullptr);
}

void StoreContract::check_invariants() const {
  const auto listed = list();
  if (!listed) return;
  std::vector<At> keys;
  for (const auto& [key, shown] : *listed) {
    keys.emplace_back(key);
    const auto copy = entry(key, true);
    ASSERT_TRUE(copy) << "scan lists what a read does not find: " << key;
    EXPECT_EQ(raw(key), shown) << "scan and get differ about " << key;
    EXPECT_NE(copy->view().version, 0u) << key;
    EXPECT_EQ(has(key), copy->view().expiry.is_fresh(now())) << "has and the deadline differ about " << key;
  }
  EXPECT_LE(forget_many(keys), keys.size());
  for (const At& key : keys) EXPECT_EQ(stale(key), kMiss) << "forget_many left " << key.key.text();
  EXPECT_TRUE(list()->empty()) << "scan lists entries that were all forgotten";
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
