// What a manager puts around a store that may be out of reach does not show while it is there.
#include <flux/cache/layers/breaker.hpp>
#include <flux/cache/layers/owing.hpp>
#include <flux/cache/testing/reference_store.hpp>
#include <flux/cache/testing/repository_contract.hpp>

namespace flux::cache::testing {
namespace {

StorePtr guarded(const Clock& clock) {
  return make_owing(make_breaker(make_reference({.clock = &clock}), {.clock = &clock}));
}

INSTANTIATE_TEST_SUITE_P(Guarded, StoreContract, ::testing::Values(ContractParam{.make = guarded}), pipeline_name);
INSTANTIATE_TEST_SUITE_P(Guarded, RepositoryContract, repositories({.make = guarded}), repository_name);

}  // namespace
}  // namespace flux::cache::testing
