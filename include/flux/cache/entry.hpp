// flux/cache/entry.hpp - what a store keeps under a key.
#pragma once
#include <flux/cache/clock.hpp>
#include <flux/cache/value.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace flux::cache {
inline namespace v1 {

/// The two deadlines of an entry, absolute, computed once from the call.
struct Expiry {
  Instant fresh_until = kNever;  ///< from here on the entry is gone for everyone but its own load
  Instant keep_until = kNever;   ///< from here on it may be reclaimed; never before `fresh_until`

  static constexpr Expiry at(Instant deadline) noexcept { return {deadline, deadline}; }
  constexpr bool is_fresh(Instant now) const noexcept { return now < fresh_until; }
  constexpr bool is_kept(Instant now) const noexcept { return now < keep_until; }
  friend bool operator==(const Expiry&, const Expiry&) = default;
};

/// A tag on an entry, and the tag's epoch as it was before the value was computed.
struct TagStamp {
  std::string_view name;
  std::uint64_t epoch = 0;  ///< 0 on the way in: to be stamped by the store as it writes
};

/// An entry, borrowed: valid for the call that it is passed to. Stores keep all of it.
struct Entry {
  ValueView value{};
  Expiry expiry{};
  std::span<const TagStamp> tags{};
  std::string_view notes{};   ///< small facts that travel with the value, for the layers above; at most 64 KiB
  std::uint64_t version = 0;  ///< set by the store: another number for each write of a key, never 0
  /// Set by the store on a tagged entry, if it can: a number that changes with each write in `Space::tags`, whoever
  /// made it. What was read of the tags' records under one number holds as long as it is seen. 0: the store does not
  /// tell.
  std::uint64_t tag_clock = 0;
};

/// An entry, owned, for those who keep one longer than a call.
class FLUX_CACHE_API EntryCopy {
 public:
  EntryCopy();
  explicit EntryCopy(const Entry& entry);
  EntryCopy(EntryCopy&&) noexcept;
  EntryCopy& operator=(EntryCopy&&) noexcept;
  ~EntryCopy();

  /// Valid as long as this copy stands where it is.
  Entry view() const noexcept { return {value_.view(), expiry_, {stamps_.data(), stamps_.size()}, notes_, version_}; }

 private:
  Value value_;
  Expiry expiry_;
  std::vector<std::string> names_;  // moves leave the strings where they are, so the stamps stay valid
  std::vector<std::uint64_t> epochs_;
  std::vector<TagStamp> stamps_;
  std::string notes_;
  std::uint64_t version_ = 0;
};

}  // namespace v1
}  // namespace flux::cache
