// Real memcached servers for tests, started once for a program and gone with it.
#pragma once
#include <flux/cache/stores/memcached.hpp>

#include <memory>
#include <string>
#include <vector>

#include "support/server.hpp"

namespace flux::cache::testing {

inline MemcachedServer address_of(const Server& server) { return {.host = server.host(), .port = server.port()}; }

/// The server that the run was given, or one of this program's own. Empty: none can be had.
inline const std::vector<MemcachedServer>& one_memcached() {
  static const std::vector<MemcachedServer> servers = [] {
    const SharedServer* const shared = shared_memcached();
    return shared == nullptr ? std::vector<MemcachedServer>{}
                             : std::vector{MemcachedServer{shared->host, shared->port}};
  }();
  return servers;
}

/// Three servers of different weights.
inline const std::vector<MemcachedServer>& three_memcached() {
  static std::vector<std::unique_ptr<Server>> own;
  static const std::vector<MemcachedServer> servers = [] {
    std::vector<MemcachedServer> all;
    for (const int weight : {1, 2, 1}) {
      own.push_back(Server::memcached());
      if (own.back() == nullptr) return std::vector<MemcachedServer>{};
      all.push_back({.host = own.back()->host(), .port = own.back()->port(), .weight = weight});
    }
    return all;
  }();
  return servers;
}

/// A server that listens on a unix socket and nowhere else.
inline const std::vector<MemcachedServer>& memcached_socket() {
  static std::unique_ptr<Server> own;
  static const std::vector<MemcachedServer> servers = [] {
    own = Server::memcached({"-s", "@SOCKET@"});
    return own == nullptr ? std::vector<MemcachedServer>{} : std::vector{MemcachedServer{.host = own->socket()}};
  }();
  return servers;
}

}  // namespace flux::cache::testing
