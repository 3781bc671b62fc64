// flux/cache/detail/asked_keys.hpp - the distinct keys of a batch, copied once and found by their text.
#pragma once
#include <flux/cache/detail/export.hpp>
#include <flux/cache/key.hpp>
#include <flux/cache/type.hpp>

#include <cstddef>
#include <span>
#include <string_view>

namespace flux::cache {
inline namespace v1 {
namespace detail {

/// The distinct keys of a call in its order, hashed, in a piece of memory of their own: three allocations, however many
/// they are. Copies share it. Never changes, so any thread may look.
class FLUX_CACHE_API AskedKeys {
 public:
  AskedKeys() = default;
  explicit AskedKeys(std::span<const std::string_view> keys);

  std::span<const Key> keys() const noexcept { return {keys_, size_}; }
  std::size_t size() const noexcept { return size_; }

  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  /// The place of a key, kNone where it was not asked for. Takes as long for a thousand keys as for ten.
  std::size_t find(std::string_view key) const noexcept;
  /// Likewise, but throws std::out_of_range.
  std::size_t at(std::string_view key) const;

 private:
  Object room_;
  const Key* keys_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
