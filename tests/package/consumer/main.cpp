// Somebody else's program: calls into the library, and catches by type what the library throws.
#include <flux/cache/clock.hpp>
#include <flux/cache/error.hpp>
#include <flux/cache/version.hpp>

#include <cstdio>
#include <string_view>

namespace cache = flux::cache;

#if defined(REDIS_WITHOUT_TLS) || defined(MEMCACHED_WITHOUT_TLS)
#include <flux/cache/config.hpp>

#include <string>

/// Is TLS refused when the configuration is put in force, by the place that asks for it?
bool refuses_tls() {
#ifdef REDIS_WITHOUT_TLS
  const char* const asks = R"({"stores": {"s": {"driver": "redis", "connection": "c"}},
                               "connections": {"c": {"driver": "redis", "url": "rediss://h"}}})";
  const std::string place = "/connections/c";
#else
  const char* const asks = R"({"stores": {"s": {"driver": "memcached", "ca": "/ca.pem"}}})";
  const std::string place = "/stores/s";
#endif
  try {
    cache::validate(cache::Config::from_json(asks));
  } catch (const cache::ConfigError& error) {
    const std::string why = error.what();
    return why.find(place + "/tls") != why.npos && why.find("built without it") != why.npos;
  }
  return false;
}
#else
bool refuses_tls() { return true; }
#endif

int main() {
  static_assert(FLUX_CACHE_VERSION_MAJOR >= 1);
  if (!refuses_tls()) return 4;
  if (cache::to_string(cache::Errc::corrupt) != std::string_view("corrupt")) return 1;
  if (cache::system_clock().now() == cache::kNever) return 2;
  try {
    cache::raise({.code = cache::Errc::bad_config, .message = "as asked"});
  } catch (const cache::ConfigError& error) {
    std::puts(error.what());
    return 0;
  } catch (...) {
    return 3;
  }
}
