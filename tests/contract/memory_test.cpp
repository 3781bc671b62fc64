// The memory store, bare and under the layers.
#include <flux/cache/stores/memory.hpp>
#include <flux/cache/testing/repository_contract.hpp>

namespace flux::cache::testing {

INSTANTIATE_TEST_SUITE_P(Memory, StoreContract,
                         pipelines({.make = [](const Clock& clock) { return make_memory({.clock = &clock}); }}),
                         pipeline_name);

INSTANTIATE_TEST_SUITE_P(Memory, RepositoryContract,
                         repositories({.make = [](const Clock& clock) { return make_memory({.clock = &clock}); }}),
                         repository_name);

}  // namespace flux::cache::testing
