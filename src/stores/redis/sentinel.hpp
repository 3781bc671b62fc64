// Where the primary is, as sentinels know it.
#pragma once
#include <flux/cache/stores/redis.hpp>

#include <atomic>

#include "net/stream.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

/// Asks the sentinels in turn, beginning with the one that knew last, until one names the primary.
Result<net::Endpoint> find_primary(const RedisSentinel& sentinel, const net::TlsContext* tls, Duration usual,
                                   const net::Deadline& deadline, std::atomic<std::size_t>& first);

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
