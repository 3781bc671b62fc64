// examples/22_backplane.cpp - near tiers that hear of each other's changes.
#include <flux/cache.hpp>
#include <flux/cache/backplane.hpp>
#include <flux/cache/stores/memory.hpp>
#include <flux/cache/stores/tiered.hpp>

namespace cache = flux::cache;

int main() {
  const cache::StorePtr far = cache::make_memory();  // what all of them share
  // [backplane]
  cache::InProcessBackplane backplane;
  const auto node = [&] {
    return cache::Repository(cache::make_tiered({cache::make_memory(), far}, {.backplane = backplane.node()}));
  };
  const cache::Repository shop = node(), office = node();
  shop.put("price_7", 1999);
  const auto before = office.get<int>("price_7");  // now in the office's near tier
  shop.put("price_7", 1799);
  const auto after = office.get<int>("price_7");  // 1799
  // [/backplane]
  return before == 1999 && after == 1799 ? 0 : 1;
}
