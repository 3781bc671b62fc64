// flux/cache/patterns/hot_keys.hpp - which keys are asked for most, in bounded memory.
//
//   flux::cache::HotKeys hot(Cache::store());
//   ...
//   for (const auto& [key, count, error] : hot.top(10)) std::cout << key << ' ' << count << '\n';
#pragma once
#include <flux/cache/repository.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace flux::cache {
inline namespace v1 {

/// A key with how often it was asked for: at most `count` times, and at least `count - error` times.
struct HotKey {
  std::string key;
  std::uint64_t count = 0;
  std::uint64_t error = 0;
};

struct HotKeysOptions {
  std::size_t tracked = 1'000;       ///< keys that are counted at a time; 1 to 1,000,000, else std::invalid_argument
  std::size_t max_key_bytes = 512;   ///< longer keys are not counted
  std::size_t max_bytes = 1u << 20;  ///< of all tracked keys together, about; where they are long, fewer are tracked
};

/// Counts reads by key. Any key with more than reads / `tracked` reads is among the tracked ones, whatever the others
/// do. (Metwally, Agrawal, El Abbadi: "Efficient computation of frequent and top-k elements in data streams", ICDT
/// 2005.) Safe from any thread. While one listens, a read costs a lock and some hundred nanoseconds more; where that is
/// too much, `note` one read of a hundred from a listener of your own. Where the repository hashes keys, it sees the
/// hashes.
class FLUX_CACHE_API HotKeys {
 public:
  explicit HotKeys(const HotKeysOptions& options = {});
  /// Listens to the hits and misses of the repository as long as it lives.
  explicit HotKeys(const Repository& cache, const HotKeysOptions& options = {});
  ~HotKeys();
  HotKeys(HotKeys&&) noexcept;
  HotKeys& operator=(HotKeys&&) noexcept;

  /// One more read of the key.
  void note(std::string_view key);
  /// The keys asked for most, the first most, at most `count`.
  std::vector<HotKey> top(std::size_t count) const;
  /// Begins anew.
  void clear();

 private:
  struct Tracker;
  std::shared_ptr<Tracker> tracker_;
  Listening listening_;
};

}  // namespace v1
}  // namespace flux::cache
