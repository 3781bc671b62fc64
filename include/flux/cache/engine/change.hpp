// flux/cache/engine/change.hpp - what a conditional write shall do with the entry it has looked at.
#pragma once
#include <flux/cache/engine/entry.hpp>
#include <flux/cache/engine/removal.hpp>

#include <cstdint>

namespace flux::cache {
inline namespace v1 {
namespace engine {

/// What `update` shall do with the entry that its callback saw.
class Change {
 public:
  /// Leave everything as it is.
  static Change keep() noexcept { return Change(What::keep); }
  /// Write this; the draft must live until `update` returns.
  static Change write(const Draft& draft) noexcept {
    Change change(What::write);
    change.draft_ = &draft;
    return change;
  }
  /// Remove the entry; nothing happens where there is none.
  static Change remove(Cause cause = Cause::forgotten) noexcept {
    Change change(What::remove);
    change.cause_ = cause;
    return change;
  }
  /// Give the entry another life and leave the rest; nothing happens where there is none.
  static Change retime(Instant fresh, Instant keep) noexcept {
    Change change(What::retime);
    change.fresh_ = fresh;
    change.keep_ = keep;
    return change;
  }
  /// Set the integer in place; only where the entry is of `Kind::integer`.
  static Change count(std::int64_t value) noexcept {
    Change change(What::count);
    change.value_ = value;
    return change;
  }

 private:
  friend class Engine;
  enum class What : std::uint8_t { keep, write, remove, retime, count };
  explicit Change(What what) noexcept : what_(what) {}

  What what_;
  Cause cause_ = Cause::forgotten;
  const Draft* draft_ = nullptr;
  Instant fresh_{}, keep_{};
  std::int64_t value_ = 0;
};

/// What became of an `update`.
enum class Outcome : std::uint8_t {
  kept,     ///< nothing changed
  done,     ///< what the callback asked for happened
  refused,  ///< too large, or memory was out; the old entry is gone
};

}  // namespace engine
}  // namespace v1
}  // namespace flux::cache
