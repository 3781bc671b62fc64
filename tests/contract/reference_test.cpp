// The reference store passes what it is the reference of.
#include <flux/cache/testing/reference_store.hpp>
#include <flux/cache/testing/repository_contract.hpp>

namespace flux::cache::testing {

INSTANTIATE_TEST_SUITE_P(Reference, StoreContract,
                         pipelines({.make = [](const Clock& clock) { return make_reference({.clock = &clock}); }}),
                         pipeline_name);

INSTANTIATE_TEST_SUITE_P(
    ReferenceOfBytes, StoreContract,
    pipelines({.make = [](const Clock& clock) { return make_reference({.clock = &clock, .objects = false}); }}),
    pipeline_name);

INSTANTIATE_TEST_SUITE_P(Reference, RepositoryContract,
                         repositories({.make = [](const Clock& clock) { return make_reference({.clock = &clock}); }}),
                         repository_name);

INSTANTIATE_TEST_SUITE_P(
    ReferenceOfBytes, RepositoryContract,
    repositories({.make = [](const Clock& clock) { return make_reference({.clock = &clock, .objects = false}); }}),
    repository_name);

}  // namespace flux::cache::testing
