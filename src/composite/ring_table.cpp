#include "ring_table.hpp"

#include <flux/cache/detail/stable_hash.hpp>

#include <algorithm>
#include <bit>

namespace flux::cache {
inline namespace v1 {
namespace composite {

RingTable::RingTable(std::vector<RingNode> nodes) : nodes_(std::move(nodes)) {
  std::size_t total = 0;
  for (const RingNode& node : nodes_) total += node.points;
  points_.reserve(total);
  for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
    std::uint64_t state = detail::stable_hash64(nodes_[i].name);
    for (std::size_t j = 0; j < nodes_[i].points; ++j) {
      const std::uint64_t bits = detail::fingerprint_mix(state += 0x9e3779b97f4a7c15U);
      points_.push_back({static_cast<std::uint32_t>(bits >> 32), i});
    }
  }
  std::sort(points_.begin(), points_.end(),
            [](const Point& a, const Point& b) { return a.place != b.place ? a.place < b.place : a.owner < b.owner; });

  const auto bits = static_cast<unsigned>(std::bit_width(std::max<std::size_t>(total, 2) - 1));
  shift_ = 32 - bits;
  starts_.resize(std::size_t{1} << bits);
  std::size_t at = 0;
  for (std::size_t range = 0; range < starts_.size(); ++range) {
    while (at < total && (points_[at].place >> shift_) < range) ++at;
    starts_[range] = static_cast<std::uint32_t>(at);
  }
}

std::uint32_t RingTable::place_of(std::string_view key) noexcept {
  return static_cast<std::uint32_t>(detail::stable_hash64(key) >> 32);
}

std::uint32_t RingTable::node_of(std::string_view key) const noexcept { return owner(point_at(place_of(key))); }

}  // namespace composite
}  // namespace v1
}  // namespace flux::cache
