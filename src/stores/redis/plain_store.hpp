// Values as plain documents (`"frame": false`), which other programs read and write under the same keys.
#pragma once
#include <flux/cache/stores/redis.hpp>

#include <memory>

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

/// The store for a connection's server or cluster.
std::shared_ptr<RedisStore> make_plain(const RedisConfig& config, const RedisConnection& connection, Duration timeout,
                                       std::unique_ptr<Error> wrong);

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
