// The stores that composites are tried over: whole ones, each with its own border and tags. One line adds another.
#pragma once
#include <gtest/gtest.h>
#include <flux/cache/layers/serialized.hpp>
#include <flux/cache/layers/tagged.hpp>
#include <flux/cache/stores/distributed.hpp>
#include <flux/cache/stores/file.hpp>
#include <flux/cache/stores/memory.hpp>
#include <flux/cache/stores/tiered.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "support/scratch_directory.hpp"
#include "support/server.hpp"

namespace flux::cache::testing {

/// Looks again and again until it is so, or the time is over.
template <class Done>
bool in_time(Done done, Duration limit = std::chrono::seconds(10)) {
  for (const auto end = std::chrono::steady_clock::now() + limit; std::chrono::steady_clock::now() < end;) {
    if (done()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return done();
}

/// A store with its border and its tags, as the manager would make it.
inline StorePtr whole(StorePtr store, const Clock& clock) {
  if (!store->traits().objects) store = make_serialized(std::move(store));
  if (!store->traits().tags) store = make_tagged(std::move(store), {.clock = &clock});
  return store;
}

/// The stores of one composite, by the kinds of its parts. `again` makes them on the same entries; private ones anew.
struct Parts {
  std::string name;                ///< such as "MemoryAndFile"
  std::vector<std::string> kinds;  ///< memory, file, or what `servers` knows
  /// Makes a store on a server under the prefix; null where the server is missing.
  StorePtr (*servers)(const std::string& kind, const std::string& prefix, const Clock& clock) = nullptr;

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
  StorePtr one(const std::string& kind, std::size_t place, const Clock& clock) const {
    if (kind == "memory") return make_memory({.clock = &clock});
    if (kind == "file")
      return make_file({.path = *directories() / ("cache" + std::to_string(place)),
                        .timeout = std::chrono::seconds(60),
                        .clock = &clock});
    if (servers != nullptr) return servers(kind, prefix(), clock);
    std::abort();
  }
};

}  // namespace flux::cache::testing
