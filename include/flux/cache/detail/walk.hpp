// flux/cache/detail/walk.hpp - what Writer and Reader share.
#pragma once
#include <flux/cache/error.hpp>
#include <flux/cache/limits.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace flux::cache {
inline namespace v1 {

/// What stands next in a document that tells its own structure.
enum class Token : std::uint8_t { null, boolean, integer, natural, number, text, bytes, array, map, nothing };

/// The numbers that travel in bulk: a vector of them is written and read in one go.
enum class NumberKind : std::uint8_t { i8 = 1, u8, i16, u16, i32, u32, i64, u64, f32, f64 };

/// Bytes that one number of the kind takes: 1, 2, 4 or 8.
constexpr std::size_t size_of(NumberKind kind) noexcept {
  constexpr std::uint8_t kSizes[] = {0, 1, 1, 2, 2, 4, 4, 8, 8, 4, 8};
  return kSizes[static_cast<std::size_t>(kind)];
}

/// What a format can do; fixed for each.
struct Abilities {
  bool positional = false;  ///< fields go by order, guarded by the fingerprint; documents do not tell their structure
  bool any_key = false;     ///< maps may have keys of any kind; otherwise they are text, and other maps are pairs
};

/// Containers whose end tells their size; see `Reader::next`.
inline constexpr std::size_t kOpenArray = static_cast<std::size_t>(-1);
inline constexpr std::size_t kOpenMap = static_cast<std::size_t>(-2);

namespace detail {

/// What Writer and Reader share: the first failure, and how deep the walk is.
class Walk {
 public:
  bool failed() const noexcept { return failed_; }
  Errc code() const noexcept { return code_; }
  /// Why it failed, in words; a literal or otherwise everlasting text.
  std::string_view reason() const noexcept { return reason_; }
  const Abilities& abilities() const noexcept { return abilities_; }

  /// Keeps the first failure. `reason` must live for ever.
  [[gnu::cold]] void fail(Errc code, std::string_view reason) noexcept {
    if (failed_) return;
    failed_ = true;
    code_ = code;
    reason_ = reason;
  }

 protected:
  explicit Walk(Abilities abilities, std::size_t depth_limit) noexcept
      : abilities_(abilities),
        room_(static_cast<std::uint32_t>(depth_limit < Limits::kDepthCeiling ? depth_limit : Limits::kDepthCeiling)) {}
  ~Walk() = default;
  Walk(const Walk&) = delete;
  Walk& operator=(const Walk&) = delete;

  bool enter() noexcept {
    if (room_ == 0) fail(Errc::too_large, "nested too deeply");
    if (failed_) return false;
    --room_;
    return true;
  }
  void leave() noexcept { ++room_; }

 private:
  bool failed_ = false;
  Abilities abilities_;
  Errc code_ = Errc::corrupt;
  std::uint32_t room_;
  std::string_view reason_;
};

}  // namespace detail

}  // namespace v1
}  // namespace flux::cache
