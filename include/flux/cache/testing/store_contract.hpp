// flux/cache/testing/store_contract.hpp - the suite that every store passes, of ours and of yours.
//
//   using namespace flux::cache::testing;
//   INSTANTIATE_TEST_SUITE_P(Mine, StoreContract,
//                            pipelines({.make = [](const Clock& clock) { return make_mine({.clock = &clock}); }}),
//                            pipeline_name);
//
// Link `flux::cache_contract` and GoogleTest. What the store says in its traits that it cannot is skipped aloud. A
// store that is bounded is to be made with room for 20,000 entries and 64 MiB. docs/guide/custom_store.md shows the
// whole way.
#pragma once
#include <gtest/gtest.h>
#include <flux/cache/testing/fake_clock.hpp>
#include <flux/cache/testing/store_probe.hpp>

#include <functional>
#include <string>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace testing {

/// How the suite gets at a store.
struct ContractParam {
  /// Makes an empty store that tells time by the clock. Called once for each test; the clock outlives the store. Null:
  /// the store cannot be had here, and the test is skipped.
  std::function<StorePtr(const Clock& clock)> make{};
  /// Makes another instance on the entries of the last `make`, as after a restart or in another process. Null: there is
  /// no such thing.
  std::function<StorePtr(const Clock& clock)> again{};
  /// What `make` needs, such as "a redis server (FLUX_TEST_REDIS)"; said where it answers null.
  std::string needs{};
  /// The store cannot take a clock: lifetimes are waited for, and what needs exact or far moments is skipped.
  bool real_time = false;
  /// The layers over the store; set by `pipelines`.
  std::string layers{};
};

/// The store bare, and under each layer that must not show.
std::vector<ContractParam> pipelines_of(const ContractParam& bare);
inline auto pipelines(const ContractParam& bare) { return ::testing::ValuesIn(pipelines_of(bare)); }
/// Keeps messages short.
inline void PrintTo(const ContractParam& param, std::ostream* out) {
  *out << (param.layers.empty() ? "the store bare" : "under " + param.layers);
}
/// Names the instances "Bare", "PassThrough", "Chaos"...
std::string pipeline_name(const ::testing::TestParamInfo<ContractParam>& info);

/// The fixture. Speaks to `store()` through the probe that it is; after each test it checks what must always hold, and
/// empties the store.
class StoreContract : public ::testing::TestWithParam<ContractParam>, public StoreProbe {
 public:
  StoreContract();
  ~StoreContract() override;

 protected:
  void SetUp() override;
  void TearDown() override;

  Traits traits() const { return store().traits(); }
  const Clock& clock() const;
  Instant now() const { return clock().now(); }
  /// The expiry of an entry that lives so long from now, and is kept so much longer.
  Expiry in(Duration life, Duration grace = Duration(0)) const;
  /// Time passes; truly where the store takes no clock.
  void advance(Duration length);
  void jump_wall(Duration length) { clock_.jump_wall(length); }
  /// The least length of time that the store can tell.
  Duration grain() const { return std::max(traits().grain, Duration(1)); }
  /// A further instance on the same entries. Null, and the test is skipped, where there is none.
  StorePtr again() const;
  bool is_bare() const { return GetParam().layers.empty(); }
  /// How often to repeat what races: fewer times under layers and sanitizers.
  int rounds(int bare) const;

 private:
  void check_invariants() const;

  FakeClock clock_;
};

namespace detail {
int link_store_contract();
/// Takes the tests out of the archive: no other part of a program names them.
[[maybe_unused]] inline const int store_contract_linked = link_store_contract();
}  // namespace detail

/// Ends the test as skipped, aloud.
#define FLUX_CACHE_SKIP_UNLESS(condition, reason) \
  if (!(condition)) GTEST_SKIP() << (reason)

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
