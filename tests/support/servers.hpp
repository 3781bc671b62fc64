// tests/support/servers.hpp - the real servers that a test run was given.
//
// `tests/run` starts them on free loopback ports. A test that needs one opens with FLUX_NEEDS_REDIS() or
// FLUX_NEEDS_MEMCACHED() and is skipped, aloud, where there is none.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

namespace flux::cache {
inline namespace v1 {
namespace testing {

struct Address {
  std::string host;
  std::uint16_t port = 0;
};

/// The address in the environment variable `name`, written host:port; empty if it is not set. Throws if it is
/// malformed.
std::optional<Address> address_from(const char* name);

inline std::optional<Address> redis_server() { return address_from("FLUX_TEST_REDIS"); }
inline std::optional<Address> memcached_server() { return address_from("FLUX_TEST_MEMCACHED"); }

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache

#define FLUX_NEEDS_REDIS() \
  if (!flux::cache::testing::redis_server()) GTEST_SKIP() << "no redis: FLUX_TEST_REDIS is not set"
#define FLUX_NEEDS_MEMCACHED() \
  if (!flux::cache::testing::memcached_server()) GTEST_SKIP() << "no memcached: FLUX_TEST_MEMCACHED is not set"
