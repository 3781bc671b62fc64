// Rounds of put, flush and look on one key, while others repeat an operation on it without a pause.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <string>

namespace flux::cache {
inline namespace v1 {
namespace testing {
namespace detail {

/// How many repeat the operation.
inline constexpr std::size_t kRepeaters = 2;

/// A number for each of them. Operations are numbered from 1.
using Numbers = std::array<std::int64_t, kRepeaters>;

/// The operations around one flush, counted.
struct AroundFlush {
  Numbers over_before{};    ///< over when the flush began: it ends what they left
  Numbers begun_by_end{};   ///< begun when it had returned: later ones came after it
  Numbers over_by_look{};   ///< over when somebody began to look
  Numbers begun_by_look{};  ///< begun when that was over

  /// So many operations at the most have left something that may be there.
  std::int64_t most() const;
  /// So many at the least have left something that must be there.
  std::int64_t least() const;
};

/// What one does who flushes, and what the others repeat. All of them at the same time.
struct FlushRounds {
  /// Writes what the flush is to end.
  std::function<void(int round)> put;
  std::function<void(int round)> flush;
  /// True: it found what was put before a flush. Wrong of an operation that began when the flush had returned, and was
  /// over before the next `put`.
  std::function<bool(std::size_t repeater, std::int64_t number)> repeat;
  /// What is there, in words.
  std::function<std::string()> look;
  /// May that be there after the flush?
  std::function<bool(const std::string& seen, const AroundFlush& around)> is_right;

  /// Looks twice after each flush: at once, and when all operations that had begun before it returned are over, and
  /// one more of each repeater. Answers what was wrong first and how often something was; nothing, if nothing was.
  std::string run(int rounds) const;
};

}  // namespace detail
}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
