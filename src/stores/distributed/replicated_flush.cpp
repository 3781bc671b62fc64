// Flushes of all replicas, and what other processes are told of them meanwhile.
#include "core/random.hpp"
#include "replicas.hpp"

namespace flux::cache {
inline namespace v1 {
namespace distributed {

namespace {

/// The flushes under way, of all processes: on the first replica, and gone after a while if one of them died. Upper
/// bits: which ones; lower bits: how many.
Key under_way() { return Key("\x01/flushes", Space::limits); }
constexpr std::chrono::minutes kFlushLease{1};
constexpr int kCountBits = 16;
constexpr int kMostFlushes = 8;       // of one call
constexpr int kMostAttempts = 1'000;  // where others change it at the same moment

std::int64_t begun_now() { return (static_cast<std::int64_t>(detail::random_bits() >> 17) << kCountBits) + 1; }

}  // namespace

// A flush empties one replica after the other. What another process copied meanwhile from one that is not yet empty to
// one that is would outlive it, however often it came round. So nothing is copied while it lasts. Who looks before it
// begins has a ticket that it ends, and who looks when it is over finds nothing to copy.
std::int64_t ReplicatedStore::announce_flush() {
  Store& first = *parts_.front();
  const Entry alone{.value = {.kind = Kind::integer, .number = begun_now()},
                    .expiry = Expiry::at(after(clock().now(), kFlushLease))};
  for (int attempt = 0; attempt < kMostAttempts; ++attempt) {
    auto begun = first.put(under_way(), alone, {When::absent});
    if (!begun.ok()) return kUnsaid;
    if (*begun) return alone.value.number >> kCountBits;
    EntryCopy copy;
    auto there = first.get(under_way(), {}, [&](const Entry& entry) { copy = EntryCopy(entry); });
    if (!there.ok()) return kUnsaid;
    if (!*there) continue;
    Entry stands = copy.view();
    ++stands.value.number;
    auto joined = first.put(under_way(), stands, {When::unchanged, stands.version});
    if (!joined.ok()) return kUnsaid;
    if (*joined) return stands.value.number >> kCountBits;
  }
  return kUnsaid;  // a store that keeps nothing
}

// One that took longer than what it said of itself was kept for, or whose replica lost that, was unguarded for a while.
bool ReplicatedStore::conclude_flush(std::int64_t announced) {
  Store& first = *parts_.front();
  for (int attempt = 0; announced != kUnsaid && attempt < kMostAttempts; ++attempt) {
    EntryCopy copy;
    auto there = first.get(under_way(), {}, [&](const Entry& entry) { copy = EntryCopy(entry); });
    if (!there.ok()) break;
    Entry stands = *there ? copy.view() : Entry{};
    if (!*there || stands.value.number >> kCountBits != announced) return false;
    --stands.value.number;
    const std::int64_t others = stands.value.number & ((1 << kCountBits) - 1);
    auto ended = others == 0 ? first.forget(under_way(), {stands.version})
                             : first.put(under_way(), stands, {When::unchanged, stands.version});
    if (!ended.ok() || *ended) break;
  }
  return true;
}

bool ReplicatedStore::is_flushing() {
  bool flushing = false;
  if (any_shared())
    (void)parts_.front()->get(under_way(), {}, [&](const Entry& entry) { flushing = entry.value.number != 0; });
  return flushing;
}

Result<void> ReplicatedStore::flush(const Scope& scope) {
  const Turn turn(stripes_, Turn::All{});
  flushes_.fetch_add(1, std::memory_order_acq_rel);
  std::unique_ptr<Error> error;
  bool answered = false;
  const auto ask = [&](std::size_t part) {
    auto done = parts_[part]->flush(scope);
    answered = answered || done.ok();
    if (!done.ok() && !error) error = done.take_error();
  };
  const bool by_others = any_shared() && parts_.size() > 1;
  bool was_guarded = false;
  for (int i = 0; i < kMostFlushes && !was_guarded; ++i) {
    error = nullptr;
    answered = false;
    const std::int64_t announced = by_others ? announce_flush() : kUnsaid;
    if (by_others) ask(0);
    for (std::size_t part = parts_.size(); part > 0; --part) ask(part - 1);
    was_guarded = conclude_flush(announced);
  }
  flushes_.fetch_add(1, std::memory_order_acq_rel);
  if (!was_guarded) return Error{Errc::unavailable, "each flush of the replicas took longer than it can be guarded"};
  // A replica that is away is flushed before it answers again.
  return error && !(recovers_ && answered && is_transient(error->code)) ? Result<void>(std::move(error))
                                                                        : Result<void>();
}

}  // namespace distributed
}  // namespace v1
}  // namespace flux::cache
