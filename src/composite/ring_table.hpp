// The points of a ring, in order, and the way to the first one at or after a place: immutable once made.
//
// The points are spread evenly, as hashes are, so the upper bits of a place tell almost where it stands: a table of
// those bits holds the first point of each range, and a short walk finds the rest.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace composite {

struct RingNode {
  std::string name;
  std::size_t points = 0;
};

class RingTable {
 public:
  RingTable() = default;
  /// `nodes` in the order of their names.
  explicit RingTable(std::vector<RingNode> nodes);

  const std::vector<RingNode>& nodes() const noexcept { return nodes_; }
  /// The index of the first point at or after the place; the ring must not be empty.
  std::size_t point_at(std::uint32_t place) const noexcept {
    std::size_t at = starts_[place >> shift_];
    while (at < points_.size() && points_[at].place < place) ++at;
    return at < points_.size() ? at : 0;
  }
  std::uint32_t owner(std::size_t point) const noexcept { return points_[point].owner; }
  std::size_t points() const noexcept { return points_.size(); }
  static std::uint32_t place_of(std::string_view key) noexcept;
  /// The index of the key's node.
  std::uint32_t node_of(std::string_view key) const noexcept;

 private:
  struct Point {
    std::uint32_t place;
    std::uint32_t owner;
  };

  std::vector<RingNode> nodes_;
  std::vector<Point> points_;
  std::vector<std::uint32_t> starts_;
  unsigned shift_ = 31;
};

}  // namespace composite
}  // namespace v1
}  // namespace flux::cache
