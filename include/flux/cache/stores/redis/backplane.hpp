// flux/cache/stores/redis/backplane.hpp - near tiers in several processes hear of each other over a redis server.
//
// Messages go through the server's PUBLISH and SUBSCRIBE: nothing is stored there. It may be the server that holds the
// entries, or another one. docs/guide/backplane.md tells what is heard when what fails.
#pragma once
#include <flux/cache/backplane.hpp>
#include <flux/cache/stores/redis.hpp>

#include <chrono>
#include <memory>
#include <string>

namespace flux::cache {
inline namespace v1 {

struct RedisBackplaneOptions {
  std::string channel = "flux:backplane";  ///< all who share near tiers use the same one; 1 byte or more
  /// How long the server may be silent before it is asked whether it is there. One that hangs is noticed after this and
  /// the connection's timeout, one that goes at once; above 0.
  Duration heartbeat = std::chrono::seconds(1);
};

/// A backplane over the server. It connects behind, with a thread for each subscription, and never gives up; whoever
/// listens is told when the connection is lost and when it is back. `publish` is one round trip; while the server is
/// known to be away it answers false at once. Channels are one for all databases of a server, so the connection's
/// database is added to the channel's name. Thread-safe; a child of fork begins anew at its first call. Throws
/// ConfigError where the connection or the options do not validate.
FLUX_CACHE_API std::shared_ptr<Backplane> make_redis_backplane(const RedisConnection& connection,
                                                               const RedisBackplaneOptions& options = {});

}  // namespace v1
}  // namespace flux::cache
