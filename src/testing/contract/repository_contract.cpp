#include <flux/cache/layers/serialized.hpp>
#include <flux/cache/layers/tagged.hpp>
#include <flux/cache/testing/repository_contract.hpp>

#include <deque>
#include <thread>

#include "anchors.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(RepositoryContract);

int detail::link_repository_contract() {
  link_typed(), link_unreadable(), link_verbs(), link_verb_batches(), link_verb_loads(), link_verb_tags(),
      link_verb_faults();
  link_stale(), link_races(), link_locks(), link_limits(), link_scopes(), link_chance(), link_events(), link_takeover();
  link_cancel(), link_keep_alive(), link_growth(), link_verb_flushes();
  return 0;
}

namespace {

StorePtr full_pipeline(StorePtr store, bool encoded, const Clock& clock) {
  if (encoded || !store->traits().objects) store = make_serialized(std::move(store));
  if (!store->traits().tags) store = make_tagged(std::move(store), {.clock = &clock});
  return store;
}

}  // namespace

std::vector<RepositoryParam> repositories_of(const ContractParam& bare) {
  std::vector<RepositoryParam> all;
  for (const bool encoded : {false, true})
    all.push_back({.name = encoded ? "Encoded" : "Full",
                   .make =
                       [make = bare.make, encoded](const Clock& clock) {
                         StorePtr store = make(clock);
                         if (store == nullptr) return store;
                         if (encoded && !store->traits().objects) return StorePtr();
                         return full_pipeline(std::move(store), encoded, clock);
                       },
                   .needs = !bare.needs.empty() ? bare.needs : "a store of live objects, which can be had encoded too",
                   .real_time = bare.real_time});
  return all;
}

std::string repository_name(const ::testing::TestParamInfo<RepositoryParam>& info) { return info.param.name; }

namespace {

FakeClock& clock_for_one_test() {
  static auto* const all = new std::deque<FakeClock>;
  return all->emplace_back();
}

}  // namespace

RepositoryContract::RepositoryContract() : clock_(clock_for_one_test()) {}
RepositoryContract::~RepositoryContract() = default;

void RepositoryContract::SetUp() {
  StorePtr store = GetParam().make(clock());
  if (store == nullptr) GTEST_SKIP() << "no store here; it needs " << GetParam().needs;
  cache_.emplace(std::move(store), RepositoryOptions{.clock = &clock()}, "contract");
}

void RepositoryContract::TearDown() {
  if (!cache_) return;
  const Stats stats = cache().stats();
  EXPECT_LE(stats.wrong_type + stats.schema + stats.corrupt, stats.misses) << "each of these is a miss too";
  EXPECT_LE(stats.stale_hits, stats.hits + stats.misses);
  EXPECT_LE(stats.load_failures, stats.loads);
  cache_.reset();
}

Repository RepositoryContract::with(RepositoryOptions options) const {
  options.clock = &clock();
  return Repository(cache().store(), options, "contract");
}

const Clock& RepositoryContract::clock() const {
  if (GetParam().real_time) return system_clock();
  return clock_;
}

bool RepositoryContract::can_list() const {
  const auto walked = cache().store()->scan(Space::locks, [](std::string_view, const Entry&) { return false; });
  return walked.ok() || walked.error().code != Errc::unsupported;
}

void RepositoryContract::advance(Duration length) {
  if (GetParam().real_time)
    std::this_thread::sleep_for(length);
  else
    clock_.travel(length);
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
