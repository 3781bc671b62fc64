// Somebody else's program: calls into the library, and catches by type what the library throws.
#include <flux/cache/clock.hpp>
#include <flux/cache/error.hpp>
#include <flux/cache/version.hpp>

#include <cstdio>
#include <string_view>

namespace cache = flux::cache;

int main() {
  static_assert(FLUX_CACHE_VERSION_MAJOR >= 1);
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
