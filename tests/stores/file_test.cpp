// The file store: the contract, and what only files have.
#include <flux/cache/stores/file.hpp>
#include <flux/cache/testing/repository_contract.hpp>

#include <memory>
#include <string>

#include "support/scratch_directory.hpp"

namespace flux::cache::testing {
namespace {

// The directory of the store that a test of the contract made last.
std::unique_ptr<ScratchDirectory> contract_directory;

StorePtr open_again(const Clock& clock) {
  return make_file({.path = *contract_directory / "cache",
                    .prefix = "contract:",
                    .timeout = std::chrono::seconds(60),
                    .clock = &clock});
}

StorePtr make_anew(const Clock& clock) {
  contract_directory = std::make_unique<ScratchDirectory>(memory_backed_directory());
  return open_again(clock);
}

INSTANTIATE_TEST_SUITE_P(File, StoreContract, pipelines({.make = make_anew, .again = open_again}), pipeline_name);
INSTANTIATE_TEST_SUITE_P(File, RepositoryContract, repositories({.make = make_anew}), repository_name);

}  // namespace
}  // namespace flux::cache::testing
