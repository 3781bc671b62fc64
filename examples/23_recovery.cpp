// examples/23_recovery.cpp - a far store that goes away and comes back.
#include <flux/cache.hpp>
#include <flux/cache/layers/chaos.hpp>
#include <flux/cache/stores/memory.hpp>
#include <flux/cache/stores/tiered.hpp>

#include <thread>

namespace cache = flux::cache;
using namespace std::chrono_literals;

int main() {
  const cache::StorePtr server = cache::make_memory();
  const auto line = cache::make_chaos(server);  // a connection that can be cut
  // [recovery]
  const cache::Repository users(
      cache::make_tiered({cache::make_memory(), line}, {.max_pending = 10'000, .recovery_delay = 10ms}));
  users.put("user_7", "Ada"), users.put("user_8", "Bob");
  line->set({.fail_rate = 1});                              // the server is away
  users.forget("user_7"), users.put("user_8", "Bobby");     // both hold at once, here
  const auto meanwhile = users.get<std::string>("user_8");  // "Bobby"
  line->set({});                                            // and it is back
  // [/recovery]
  const cache::Repository direct(server);
  for (int i = 0; i < 500 && (direct.has("user_7") || direct.get<std::string>("user_8") != "Bobby"); ++i)
    std::this_thread::sleep_for(10ms);
  return meanwhile == "Bobby" && !direct.has("user_7") && direct.get<std::string>("user_8") == "Bobby" ? 0 : 1;
}
