// flux/cache/engine/order.hpp - who leaves when room is needed: a window, a main clock, and what was seen before.
//
// A new entry joins the window, a plain queue. When room is needed and the window has more than its share, its oldest
// entry must show that it deserves to stay: under `touch` by having been read since it came, under `admission` by
// having been asked for more often than the entry that the main clock would give up. Main is a clock: its hand passes
// the entries in turn, takes one from the recency of those that were read, and gives up the first that was not. The
// ghosts remember who left the window; one of them that comes back goes to main at once. The frequency sketch is fed by
// entries that come and by those that the hand passes over, never by a hit, so a hit writes nothing here.
//
// Which share, which rule, ghosts or not: three knobs, set from outside (shadow.hpp). The same code runs for the
// entries of a shard and for the miniature caches that try other settings; the host says what a member is.
//
// Sources: J. Yang et al., "FIFO queues are all you need for cache eviction" (S3-FIFO), SOSP 2023; G. Einziger et al.,
// "TinyLFU", ACM ToS 2017; F. J. Corbato, "A paging experiment with the Multics system", 1968 (the clock).
//
// `fifo` is the frame with nothing but its window.
#pragma once
#include <flux/cache/engine/deadlines.hpp>
#include <flux/cache/engine/sketch.hpp>

#include <cstdint>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace engine {

/// How entries are chosen for eviction.
enum class Policy : std::uint8_t {
  adaptive,  ///< the frame, with knobs chosen at run time
  lru,       ///< the least recently used leaves; each hit takes the shard's lock
  fifo,      ///< the oldest leaves
};

/// The knobs of the frame.
struct Setting {
  std::uint16_t window_permille = 100;  ///< the window's share of the entries
  bool admission = true;                ///< who leaves the window is judged by the sketch; else by touch
  bool ghosts = false;                  ///< who returns from among the ghosts goes to main at once
};

/// The bit of a position that says: in main.
inline constexpr std::uint32_t kMainBit = 0x80000000;

/// The window: a ring of members, oldest first. Positions are numbers in sequence, so that growing moves nobody.
class WindowQueue {
 public:
  std::uint32_t count() const noexcept { return count_; }
  std::uint64_t bytes() const noexcept { return members_.capacity() * 4 + deadlines.bytes(); }
  std::uint32_t member(std::uint32_t position) const noexcept { return members_[position & mask_]; }
  const void* address(std::uint32_t position) const noexcept { return &members_[position & mask_]; }
  Tick tick(std::uint32_t position) const noexcept { return deadlines.at(position & mask_); }
  void set_tick(std::uint32_t position, Tick tick) { deadlines.set(position & mask_, tick, members_.size()); }

  std::uint32_t push(std::uint32_t member, Tick tick) {
    if (head_ - tail_ >= members_.size()) make_room();
    const std::uint32_t at = head_ & mask_;
    members_[at] = member;
    if (tick != kNoTick || deadlines.active()) deadlines.set(at, tick, members_.size());
    ++count_;
    return head_++ & ~kMainBit;
  }
  void replace(std::uint32_t position, std::uint32_t member) noexcept { members_[position & mask_] = member; }
  void remove(std::uint32_t position) noexcept {
    members_[position & mask_] = 0;
    deadlines.forget(position & mask_);
    --count_;
  }
  /// The oldest; 0 where empty.
  std::uint32_t oldest() noexcept {
    while (tail_ != head_ && members_[tail_ & mask_] == 0) ++tail_;
    return tail_ == head_ ? 0 : members_[tail_ & mask_];
  }
  std::uint32_t oldest_position() const noexcept { return tail_ & ~kMainBit; }
  /// The one that will be oldest `ahead` places later, or 0; for prefetching.
  std::uint32_t peek(std::uint32_t ahead) const noexcept {
    return head_ - tail_ > ahead ? members_[(tail_ + ahead) & mask_] : 0;
  }
  std::uint32_t member_at(std::uint32_t place) const noexcept { return members_[place]; }
  template <class F>
  void for_each(F&& f) const {
    for (const std::uint32_t member : members_)
      if (member != 0) f(member);
  }
  std::uint32_t places() const noexcept { return static_cast<std::uint32_t>(members_.size()); }

  Deadlines deadlines;

 private:
  void make_room() {
    oldest();
    if (head_ - tail_ < members_.size()) return;
    const std::size_t size = members_.empty() ? 16 : members_.size() * 2;
    std::vector<std::uint32_t> members(size, 0);
    const auto mask = static_cast<std::uint32_t>(size - 1);
    Deadlines moved;
    for (std::uint32_t at = tail_; at != head_; ++at) {
      members[at & mask] = members_[at & mask_];
      if (deadlines.active()) moved.set(at & mask, deadlines.at(at & mask_), size);
    }
    members_ = std::move(members);
    deadlines = std::move(moved);
    mask_ = mask;
  }

  std::vector<std::uint32_t> members_;
  std::uint32_t mask_ = 0, head_ = 0, tail_ = 0, count_ = 0;
};

/// Main: members at fixed places and a hand.
class ClockQueue {
 public:
  std::uint32_t count() const noexcept { return count_; }
  std::uint64_t bytes() const noexcept { return members_.capacity() * 4 + deadlines.bytes(); }
  std::uint32_t member(std::uint32_t place) const noexcept { return members_[place]; }
  const void* address(std::uint32_t place) const noexcept { return &members_[place]; }
  Tick tick(std::uint32_t place) const noexcept { return deadlines.at(place); }
  void set_tick(std::uint32_t place, Tick tick) { deadlines.set(place, tick, members_.size()); }

  void reserve(std::uint32_t members) { members_.reserve(members); }
  /// Right behind the hand, where the last victim was, so that it is the last one the hand comes to; else at the end.
  std::uint32_t push(std::uint32_t member, Tick tick) {
    std::uint32_t place;
    if (!holes_.empty()) {
      place = holes_.back();
      holes_.pop_back();
      members_[place] = member;
    } else {
      place = static_cast<std::uint32_t>(members_.size());
      if (members_.size() == members_.capacity()) members_.reserve(members_.size() + members_.size() / 8 + 16);
      members_.push_back(member);
    }
    if (tick != kNoTick || deadlines.active()) deadlines.set(place, tick, members_.capacity());
    ++count_;
    return place;
  }
  void replace(std::uint32_t place, std::uint32_t member) noexcept { members_[place] = member; }
  void remove(std::uint32_t place) {
    members_[place] = 0;
    deadlines.forget(place);
    holes_.push_back(place);
    --count_;
  }
  /// Where the hand stands; call only where there is a member.
  std::uint32_t hand() noexcept {
    for (;;) {
      if (hand_ >= members_.size()) hand_ = 0;
      if (members_[hand_] != 0) return hand_;
      ++hand_;
    }
  }
  void pass() noexcept { ++hand_; }
  std::uint32_t peek(std::uint32_t ahead) const noexcept {
    const std::size_t place = std::size_t{hand_} + ahead;
    return place < members_.size() ? members_[place] : 0;
  }
  template <class F>
  void for_each(F&& f) const {
    for (const std::uint32_t member : members_)
      if (member != 0) f(member);
  }
  std::uint32_t places() const noexcept { return static_cast<std::uint32_t>(members_.size()); }

  Deadlines deadlines;

 private:
  std::vector<std::uint32_t> members_;
  std::vector<std::uint32_t> holes_;
  std::uint32_t hand_ = 0, count_ = 0;
};

/// The frame. `Host` has, for a member: recency(m), set_recency(m, r), hash(m), place(m, position), prefetch(m),
/// approach(hash): draws near what giving up a member touches, and dead(m): gone for readers already, so it leaves
/// first.
class FrameOrder {
 public:
  static constexpr std::uint32_t kSteps = 64;  ///< members looked at for one victim

  void use(const Setting& setting) noexcept { setting_ = setting; }
  const Setting& setting() const noexcept { return setting_; }
  /// `entries`: about how many members there will be; sizes what remembers the absent.
  void resize(std::uint32_t entries, bool remembers) {
    if (!remembers) return;
    sketch_.resize(entries);
    ghosts_.resize(entries / 2);
    sized_for_ = entries;
  }

  /// Draws near what an insertion writes here; also without the lock.
  void prefetch_books() const noexcept {
    for (std::size_t line = 0; line < sizeof *this; line += 64)
      prefetch_write(reinterpret_cast<const char*>(this) + line);
  }
  /// Draws near what an insertion of this hash will touch; under the lock.
  void prefetch(std::uint32_t hash) const noexcept {
    if (sketch_.empty()) return;
    sketch_.prefetch(hash);
    ghosts_.prefetch(hash);
  }

  /// Draws near what `replace` at this position will write; under the lock.
  void prefetch_place(std::uint32_t position) const noexcept {
    prefetch_write((position & kMainBit) != 0 ? main_.address(position & ~kMainBit) : window_.address(position));
  }

  void reserve(std::uint32_t entries) { main_.reserve(entries); }
  std::uint32_t count() const noexcept { return window_.count() + main_.count(); }
  std::uint64_t bytes() const noexcept { return window_.bytes() + main_.bytes() + sketch_.bytes() + ghosts_.bytes(); }

  template <class Host>
  void insert(Host& host, std::uint32_t member, Tick tick, std::uint32_t capacity, bool fifo) {
    const std::uint32_t hash = host.hash(member);
    bool returns = false;
    if (!sketch_.empty()) {
      if (count() > sized_for_ + sized_for_ / 2) resize(count() * 2, true);
      sketch_.add(hash);
      returns = ghosts_.take(hash) && setting_.ghosts;
    }
    if (returns) {
      host.place(member, main_.push(member, tick) | kMainBit);
    } else {
      host.place(member, window_.push(member, tick));
    }
    if (fifo) return;
    // While main has room, nobody has to prove anything; two a call, so that a changed share is reached in time.
    const std::uint32_t target = window_share(capacity);
    for (int moves = 0; moves < 2 && window_.count() > target && main_.count() + target < capacity; ++moves) {
      const std::uint32_t oldest = window_.oldest();
      to_main(host, oldest, window_.oldest_position());
    }
  }
  void remove(std::uint32_t position) {
    if ((position & kMainBit) != 0) {
      main_.remove(position & ~kMainBit);
    } else {
      window_.remove(position);
    }
  }
  void replace(std::uint32_t position, std::uint32_t member, Tick tick) {
    if ((position & kMainBit) != 0) {
      main_.replace(position & ~kMainBit, member);
      if (tick != kNoTick || main_.deadlines.active()) main_.set_tick(position & ~kMainBit, tick);
    } else {
      window_.replace(position, member);
      if (tick != kNoTick || window_.deadlines.active()) window_.set_tick(position, tick);
    }
  }
  void retime(std::uint32_t position, Tick tick) {
    if ((position & kMainBit) != 0) {
      if (tick != kNoTick || main_.deadlines.active()) main_.set_tick(position & ~kMainBit, tick);
    } else {
      if (tick != kNoTick || window_.deadlines.active()) window_.set_tick(position, tick);
    }
  }
  std::uint32_t member(std::uint32_t position) const noexcept {
    return (position & kMainBit) != 0 ? main_.member(position & ~kMainBit) : window_.member(position);
  }

  /// Takes out the member that shall leave to let one more in; 0 where there is none. `capacity`: members at most.
  template <class Host>
  std::uint32_t victim(Host& host, std::uint32_t capacity, bool fifo) {
    const std::uint32_t target = fifo ? capacity : window_share(capacity);
    for (std::uint32_t step = 0;; ++step) {
      const std::uint32_t oldest = window_.oldest();
      if (oldest == 0 || (window_.count() < target && main_.count() > 0)) {
        if (main_.count() == 0) return 0;
        return give_up(main_hand(host));
      }
      host.prefetch(window_.peek(2));
      approach(host, window_.peek(1));
      if (!ghosts_.empty() && window_.peek(1) != 0) ghosts_.prefetch(host.hash(window_.peek(1)));
      const std::uint32_t position = window_.oldest_position();
      if (fifo || host.dead(oldest)) {
        window_.remove(position);
        return oldest;
      }
      const std::uint32_t hash = host.hash(oldest);
      const bool last = step >= kSteps;
      if (!setting_.admission) {
        if (host.recency(oldest) > 0 && !last) {
          to_main(host, oldest, position);
          continue;
        }
        if (!ghosts_.empty()) ghosts_.add(hash);
        window_.remove(position);
        return oldest;
      }
      if (main_.count() == 0) {
        window_.remove(position);
        return oldest;
      }
      const std::uint32_t place = main_hand(host);
      const std::uint32_t rival = main_.member(place);
      if (host.dead(rival)) return give_up(place);
      if (sketch_.frequency(hash) + host.recency(oldest) > sketch_.frequency(host.hash(rival))) {
        const std::uint32_t gone = give_up(place);
        to_main(host, oldest, position);
        return gone;
      }
      main_.pass();
      if (!ghosts_.empty()) ghosts_.add(hash);
      window_.remove(position);
      return oldest;
    }
  }

  /// Calls `expire(member)` for members due at `now`; see Deadlines::sweep. `expire` removes the member.
  template <class Expire>
  bool sweep(Tick now, std::uint32_t& budget, Expire&& expire) {
    const bool window =
        window_.deadlines.sweep(now, budget, [&](std::uint32_t place) { expire(window_.member_at(place)); });
    const bool main = main_.deadlines.sweep(now, budget, [&](std::uint32_t place) { expire(main_.member(place)); });
    return window && main;
  }
  template <class F>
  void for_each(F&& f) const {
    window_.for_each(f);
    main_.for_each(f);
  }
  /// The member at a place of both queues taken as one, 0 where none is; `places()` bounds it.
  std::uint32_t at_place(std::uint32_t place) const noexcept {
    return place < window_.places()                    ? window_.member_at(place)
           : place - window_.places() < main_.places() ? main_.member(place - window_.places())
                                                       : 0;
  }
  std::uint32_t places() const noexcept { return window_.places() + main_.places(); }

 private:
  std::uint32_t window_share(std::uint32_t capacity) const noexcept {
    const auto share = static_cast<std::uint32_t>(std::uint64_t{capacity} * setting_.window_permille / 1000);
    return share == 0 ? 1 : share;
  }
  template <class Host>
  void to_main(Host& host, std::uint32_t member, std::uint32_t position) {
    const Tick tick = window_.tick(position);
    window_.remove(position);
    host.set_recency(member, 0);
    host.place(member, main_.push(member, tick) | kMainBit);
  }
  std::uint32_t give_up(std::uint32_t place) {
    const std::uint32_t member = main_.member(place);
    main_.remove(place);
    main_.pass();  // who takes this place now is the last one the hand comes to
    return member;
  }
  /// Of a member whose header was drawn near before: what judging it and giving it up will touch.
  template <class Host>
  void approach(Host& host, std::uint32_t member) const noexcept {
    if (member == 0) return;
    const std::uint32_t hash = host.hash(member);
    if (!sketch_.empty()) sketch_.prefetch(hash);
    host.approach(hash);
  }
  /// Moves the hand to a member that was not read since it last passed, or for `kSteps`.
  template <class Host>
  std::uint32_t main_hand(Host& host) {
    std::uint32_t place = main_.hand();
    for (std::uint32_t step = 0; step < kSteps; ++step) {
      const std::uint32_t member = main_.member(place);
      host.prefetch(main_.peek(6));
      approach(host, main_.peek(1));
      const std::uint8_t recency = host.recency(member);
      if (recency == 0 || host.dead(member)) break;
      host.set_recency(member, static_cast<std::uint8_t>(recency - 1));
      if (!sketch_.empty()) sketch_.add(host.hash(member));
      main_.pass();
      place = main_.hand();
    }
    return place;
  }

  WindowQueue window_;
  ClockQueue main_;
  Setting setting_;
  FrequencySketch sketch_;
  Ghosts ghosts_;
  std::uint32_t sized_for_ = 0;
};

}  // namespace engine
}  // namespace v1
}  // namespace flux::cache
