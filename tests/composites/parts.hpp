// The stores that composites are tried over: whole ones, each with its own border and tags. One line adds another.
#pragma once
#include <gtest/gtest.h>
#include <flux/cache/layers/serialized.hpp>
#include <flux/cache/layers/tagged.hpp>
#include <flux/cache/stores/distributed.hpp>
#include <flux/cache/stores/file.hpp>
#include <flux/cache/stores/memcached.hpp>
#include <flux/cache/stores/memory.hpp>
#include <flux/cache/stores/redis.hpp>
#include <flux/cache/stores/tiered.hpp>

#include <memory>
#include <string>
#include <vector>

#include "support/memcached.hpp"
#include "support/scratch_directory.hpp"
#include "support/server.hpp"

namespace flux::cache::testing {

/// A store with its border and its tags, as the manager would make it.
inline StorePtr whole(StorePtr store, const Clock& clock) {
  if (!store->traits().objects) store = make_serialized(std::move(store));
  if (!store->traits().tags) store = make_tagged(std::move(store), {.clock = &clock});
  return store;
}

/// A second redis server: the one that the run was given, or one of this program's own. Empty: there is none.
inline const std::optional<Address>& second_redis() {
  static std::unique_ptr<Server> own;
  static const std::optional<Address> address = []() -> std::optional<Address> {
    if (auto given = address_from("FLUX_TEST_SECOND_REDIS")) return given;
    own = Server::redis();
    return own == nullptr ? std::nullopt : std::optional(Address{own->host(), own->port()});
  }();
  return address;
}

/// The stores of one composite, by the kinds of its parts. `again` makes them on the same entries; private ones anew.
struct Parts {
  std::string name;                ///< such as "MemoryAndFile"
  std::vector<std::string> kinds;  ///< memory, file, redis, redis2 (on another server), memcached

  /// Nothing where a server is missing.
  std::vector<StorePtr> make(const Clock& clock) const {
    directories() = std::make_shared<ScratchDirectory>(memory_backed_directory());
    prefix() = unique_prefix();
    return again(clock);
  }
  std::vector<StorePtr> again(const Clock& clock) const {
    std::vector<StorePtr> stores;
    for (std::size_t i = 0; i < kinds.size(); ++i) {
      StorePtr store = one(kinds[i], i, clock);
      if (store == nullptr) return {};
      stores.push_back(whole(std::move(store), clock));
    }
    return stores;
  }

 private:
  static std::shared_ptr<ScratchDirectory>& directories() {
    static std::shared_ptr<ScratchDirectory> current;
    return current;
  }
  static std::string& prefix() {
    static std::string current;
    return current;
  }
  static StorePtr redis(const std::string& host, std::uint16_t port, const Clock& clock) {
    return make_redis({.prefix = prefix(), .timeout = std::chrono::seconds(60), .clock = &clock},
                      {.host = host, .port = port, .pool_wait = std::chrono::seconds(60)});
  }
  static StorePtr one(const std::string& kind, std::size_t place, const Clock& clock) {
    if (kind == "memory") return make_memory({.clock = &clock});
    if (kind == "file")
      return make_file({.path = *directories() / ("cache" + std::to_string(place)),
                        .timeout = std::chrono::seconds(60),
                        .clock = &clock});
    if (kind == "redis") {
      const SharedServer* const server = shared_redis();
      return server == nullptr ? nullptr : redis(server->host, server->port, clock);
    }
    if (kind == "redis2") {
      const auto& server = second_redis();
      return server ? redis(server->host, server->port, clock) : nullptr;
    }
    if (kind == "memcached") {
      const auto& servers = one_memcached();
      if (servers.empty()) return nullptr;
      return make_memcached({.servers = servers,
                             .prefix = prefix(),
                             .timeout = std::chrono::seconds(60),
                             .listing = true,
                             .clock = &clock});
    }
    std::abort();
  }
};

}  // namespace flux::cache::testing
