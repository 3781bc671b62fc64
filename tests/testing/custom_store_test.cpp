// The store of examples/09_custom_store.cpp, proved as docs/guide/custom_store.md says.
#include <flux/cache/testing/repository_contract.hpp>

#define main run_the_example
#include "../../examples/09_custom_store.cpp"
#undef main

namespace flux::cache::testing {

// [prove]
const ContractParam kMapStore{.make = [](const Clock& clock) { return std::make_shared<MapStore>(clock); }};

INSTANTIATE_TEST_SUITE_P(MapStore, StoreContract, pipelines(kMapStore), pipeline_name);
INSTANTIATE_TEST_SUITE_P(MapStore, RepositoryContract, repositories(kMapStore), repository_name);
// [/prove]

TEST(CustomStore, RunsBehindTheFacadeOnceItsDriverIsNamed) { EXPECT_EQ(run_the_example(), 0); }

}  // namespace flux::cache::testing
