// config/tree.hpp - a whole configuration as one tree of settings, and back.
#pragma once
#include <flux/cache/config.hpp>

#include <cstddef>

#include "config/reading.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail {

/// Stores, or connections, of one configuration.
inline constexpr std::size_t kMaxNamed = 1'000;

/// Reads the top: the text and the groups that belong to no driver, and which stores and connections there are.
void read_top(Reading& reading, const Settings& tree, Config& config);
/// Everything, secrets as well.
Settings tree_of(const Config& config);

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
