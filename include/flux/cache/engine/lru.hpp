// flux/cache/engine/lru.hpp - the textbook order for those who ask for it: the least recently used leaves.
#pragma once
#include <flux/cache/engine/deadlines.hpp>

#include <cstdint>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace engine {

/// The textbook order, newest use first; positions are stable, links lie beside them.
class LruOrder {
 public:
  std::uint32_t count() const noexcept { return count_; }
  std::uint64_t bytes() const noexcept { return nodes_.capacity() * sizeof(Node) + deadlines_.bytes(); }

  template <class Host>
  void insert(Host& host, std::uint32_t member, Tick tick) {
    if (nodes_.empty()) nodes_.push_back({0, 0, 0});  // the ring's anchor
    std::uint32_t at;
    if (free_ != 0) {
      at = free_;
      free_ = nodes_[at].next;
    } else {
      at = static_cast<std::uint32_t>(nodes_.size());
      nodes_.push_back({});
    }
    nodes_[at].member = member;
    link_first(at);
    if (tick != kNoTick || deadlines_.active()) deadlines_.set(at, tick, nodes_.capacity());
    ++count_;
    host.place(member, at);
  }
  void remove(std::uint32_t at) noexcept {
    unlink(at);
    nodes_[at].member = 0;
    nodes_[at].next = free_;
    free_ = at;
    deadlines_.forget(at);
    --count_;
  }
  void replace(std::uint32_t at, std::uint32_t member, Tick tick) {
    nodes_[at].member = member;
    used(at);
    retime(at, tick);
  }
  void retime(std::uint32_t at, Tick tick) {
    if (tick != kNoTick || deadlines_.active()) deadlines_.set(at, tick, nodes_.capacity());
  }
  void used(std::uint32_t at) noexcept {
    unlink(at);
    link_first(at);
  }
  std::uint32_t member(std::uint32_t at) const noexcept { return nodes_[at].member; }
  std::uint32_t victim() noexcept {
    if (count_ == 0) return 0;
    const std::uint32_t at = nodes_[0].previous;
    const std::uint32_t member = nodes_[at].member;
    remove(at);
    return member;
  }
  template <class Expire>
  bool sweep(Tick now, std::uint32_t& budget, Expire&& expire) {
    return deadlines_.sweep(now, budget, [&](std::uint32_t at) { expire(nodes_[at].member); });
  }
  template <class F>
  void for_each(F&& f) const {
    for (const Node& node : nodes_)
      if (node.member != 0) f(node.member);
  }
  std::uint32_t at_place(std::uint32_t place) const noexcept {
    return place < nodes_.size() ? nodes_[place].member : 0;
  }
  std::uint32_t places() const noexcept { return static_cast<std::uint32_t>(nodes_.size()); }

 private:
  struct Node {
    std::uint32_t previous = 0, next = 0, member = 0;
  };
  void unlink(std::uint32_t at) noexcept {
    nodes_[nodes_[at].previous].next = nodes_[at].next;
    nodes_[nodes_[at].next].previous = nodes_[at].previous;
  }
  void link_first(std::uint32_t at) noexcept {
    nodes_[at].previous = 0;
    nodes_[at].next = nodes_[0].next;
    nodes_[nodes_[0].next].previous = at;
    nodes_[0].next = at;
  }

  std::vector<Node> nodes_;
  Deadlines deadlines_;
  std::uint32_t free_ = 0, count_ = 0;
};

}  // namespace engine
}  // namespace v1
}  // namespace flux::cache
