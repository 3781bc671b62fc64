// Renews the claims of loads that take long, so that nobody takes their loader for dead.
#pragma once
#include <flux/cache/detail/core.hpp>

#include <memory>

namespace flux::cache {
inline namespace v1 {
namespace detail {

/// From now on, and as long as loads are in progress, claims that are older than a sixth of `load_lease` are renewed,
/// three times a lease, on the executor. Once for all loads of a core, so that a short one costs nothing.
void keep_claims(const std::shared_ptr<Core>& core);

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
