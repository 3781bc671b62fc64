// From parts to composites, as the contract's suites take them.
#pragma once
#include <flux/cache/testing/repository_contract.hpp>

#include "parts.hpp"

namespace flux::cache::testing {

using Compose = StorePtr (*)(std::vector<StorePtr> parts, const Clock& clock);

inline ContractParam of(const Parts& parts, Compose compose, bool is_shared = false) {
  const auto over = [compose](std::vector<StorePtr> stores, const Clock& clock) {
    return stores.empty() ? nullptr : compose(std::move(stores), clock);
  };
  ContractParam param{.make = [=](const Clock& clock) { return over(parts.make(clock), clock); },
                      .needs = "a redis server and memcached"};
  if (is_shared) param.again = [=](const Clock& clock) { return over(parts.again(clock), clock); };
  return param;
}

inline StorePtr replicated(std::vector<StorePtr> parts, const Clock& clock) {
  return make_replicated(std::move(parts), WritePolicy::all, {.clock = &clock});
}
inline StorePtr sharded(std::vector<StorePtr> parts, const Clock& clock) {
  ShardingOptions shards;
  for (std::size_t i = 0; i < parts.size(); ++i) shards.nodes.push_back("shard " + std::to_string(i));
  return make_sharded(std::move(parts), shards, {.clock = &clock});
}
inline StorePtr primary(std::vector<StorePtr> parts, const Clock& clock) {
  return make_primary(std::move(parts), {.clock = &clock});
}
inline StorePtr tiered(std::vector<StorePtr> parts, const Clock& clock) {
  return make_tiered(std::move(parts), {.clock = &clock});
}

}  // namespace flux::cache::testing
