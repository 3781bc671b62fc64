// flux/cache/testing/repository_contract.hpp - the suite at the verbs' level: what a program sees, on every store.
//
//   INSTANTIATE_TEST_SUITE_P(Mine, RepositoryContract, repositories({.make = ...}), repository_name);
//
// takes the same ContractParam as StoreContract, and puts the store under its full pipeline: the border where it keeps
// bytes alone, the tag layer where it leaves tags to one. Any other repository is given as a RepositoryParam of one's
// own.
#pragma once
#include <flux/cache/repository.hpp>
#include <flux/cache/testing/store_contract.hpp>

namespace flux::cache {
inline namespace v1 {
namespace testing {

/// How the suite gets at a repository.
struct RepositoryParam {
  std::string name = "Full";
  /// Makes a store, empty, with all its layers, that tells time by the clock. Null: it cannot be had here.
  std::function<StorePtr(const Clock& clock)> make{};
  std::string needs{};     ///< what `make` needs; said where it answers null
  bool real_time = false;  ///< the store cannot take a clock
};

/// The store under its full pipeline, and, where it keeps live objects, once more with values encoded.
std::vector<RepositoryParam> repositories_of(const ContractParam& bare);
inline auto repositories(const ContractParam& bare) { return ::testing::ValuesIn(repositories_of(bare)); }
inline void PrintTo(const RepositoryParam& param, std::ostream* out) { *out << param.name; }
std::string repository_name(const ::testing::TestParamInfo<RepositoryParam>& info);

/// The fixture: one repository, named "contract", on a fresh store.
class RepositoryContract : public ::testing::TestWithParam<RepositoryParam> {
 protected:
  RepositoryContract();
  ~RepositoryContract() override;
  void SetUp() override;
  void TearDown() override;

  const Repository& cache() const { return *cache_; }
  /// Another repository on the same store, with rules of its own.
  Repository with(RepositoryOptions options) const;
  const Clock& clock() const;
  void advance(Duration length);
  /// Can the store tell what it holds? One that cannot says so.
  bool can_list() const;

  FakeClock& clock_;  ///< outlives the test: a load left behind may still be looking at it
  std::optional<Repository> cache_;
};

namespace detail {
int link_repository_contract();
[[maybe_unused]] inline const int repository_contract_linked = link_repository_contract();
}  // namespace detail

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
