// examples/16_limits.cpp - so many in so much time, and so many at once.
#include <flux/cache.hpp>

#include <chrono>
#include <iostream>

using flux::Cache;
namespace cache = flux::cache;
using namespace std::chrono_literals;

int main() {
  // [rate]
  auto logins = Cache::rate_limiter("login:127.0.0.1", {.max_attempts = 3, .per = 1min});
  int allowed = 0;
  while (logins.attempt()) ++allowed;
  std::cout << allowed << " attempts, " << logins.remaining() << " left; again in "
            << std::chrono::ceil<std::chrono::seconds>(logins.available_in()).count() << " s\n";
  // [/rate]

  // [bucket]
  // Even instead of in bursts: a token comes back every 100 ms.
  auto api =
      Cache::rate_limiter("api:7", {.max_attempts = 10, .per = 1s, .algorithm = cache::RateAlgorithm::token_bucket});
  const bool bulk = api.attempt(10);
  // [/bucket]

  // [funnel]
  // At most two reports at once, on however many machines. A place comes back by itself after a minute.
  auto reports = Cache::funnel("reports", {.limit = 2, .release_after = 1min});
  const auto one = reports.try_enter();
  const auto two = reports.try_enter();
  const int third = reports.run([] { return 1; }, 0s, [] { return -1; });  // full: the second callable answers
  // [/funnel]
  std::cout << "in the funnel: " << bool(one) + bool(two) << ", the third was told " << third << '\n';
  return allowed == 3 && bulk && one && two && third == -1 ? 0 : 1;
}
