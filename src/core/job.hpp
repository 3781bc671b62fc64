// One led load: what it knows of the entry, its claim in the store, and what becomes of the answer.
//
// How a load is kept true. Before the loader runs, the store is made to show a *ticket*: over a cold key a placeholder
// (an entry that was never fresh, with a random token), over a kept entry that entry's own version. The answer is
// written only where the ticket still stands, by compare-and-swap. A forget, put, pull or flush of the key in between,
// through whatever repository, tier or process, has removed or replaced what carries the ticket; the answer then goes
// to those who waited and to nobody else. Tags are stamped with their epochs as of before the loader, so that a flush
// of a tag in between leaves an entry that no reader accepts.
//
// The same ticket is the claim by which one process of many runs the loader: the placeholder is written only where
// nothing is kept, and a refresh of a kept entry takes a leased record in `Space::locks` first. The lease is renewed
// while the loader runs; a holder that dies is succeeded when it ends.
#pragma once
#include <flux/cache/detail/load_request.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "flights.hpp"
#include "notes.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail {

/// What the store keeps under a key, fresh or not.
struct Snapshot {
  bool readable = true;  ///< false: the store gave no answer
  bool kept = false;
  bool fresh = false;
  bool usable = false;  ///< a value of the wanted type, under the wanted tags
  EntryCopy entry;
  Notes notes;

  /// What a load that stands behind this picture shows as its ticket.
  std::uint64_t ticket() const noexcept {
    if (!kept) return 0;
    return notes.placeholder ? notes.token : entry.view().version;
  }
  bool is_negative() const noexcept { return kept && notes.negative; }
  bool has_stale() const noexcept { return kept && usable; }
};

class Job final : public std::enable_shared_from_this<Job>, private Claimant {
 public:
  Job(std::shared_ptr<Core> core, const LoadRequest& request, std::shared_ptr<Flight> flight, Snapshot snapshot);
  ~Job() { flight_->claimed_by(nullptr); }

  static Snapshot look(Core& core, const Tags* tags, std::string_view key, const Type& as);

  enum class Claim : std::uint8_t {
    won,        ///< ours to load
    elsewhere,  ///< another process is at it
    changed,    ///< the store shows something else by now: look again
  };
  /// Makes the store show our ticket.
  Claim claim();
  /// Runs the loader, stores its answer where the ticket still stands, and lands the flight. Never throws.
  void run(LoaderRef load);
  /// Gives the claim back, and lands the flight with what came of it otherwise.
  void settle(Landing landing);

  const Snapshot& snapshot() const noexcept { return snapshot_; }
  void see(Snapshot snapshot) { snapshot_ = std::move(snapshot); }
  /// The tags of the call and of the loader with their epochs as they were when they were named; borrowed.
  std::vector<TagStamp> stamps() const { return views(stamps_); }
  /// Writes what this load's loader answered for another key, where nothing lives there. That key gets a ticket of its
  /// own now, and is written if ours stands after that: so no flush of the store came in between.
  Result<bool> add(std::string_view other, const ValueView& value, const Expiry& expiry);
  /// The ticket was placed, so that an answer may be stored.
  bool may_store() const noexcept { return claimed_; }
  const std::shared_ptr<Flight>& flight() const noexcept { return flight_; }

 private:
  struct Stamp {
    std::string name;
    std::uint64_t epoch;
  };

  static std::vector<TagStamp> views(const std::vector<Stamp>& stamps);
  void stamp(std::string_view tag);
  Claim claimed(std::uint64_t ticket);
  void renew() noexcept override;
  bool stands() const;
  bool succeeded(const Value& answer, LoadSaid& said, Duration took);
  /// Counts and tells it; false.
  bool not_written(std::unique_ptr<Error> error);
  /// Writes over the ticket; false: it is gone.
  bool write(const ValueView& value, const Expiry& expiry, const Notes& notes);
  void release();
  /// The version of our placeholder; 0: it does not stand.
  Result<std::uint64_t> version_of_placeholder() const;
  /// The version of our record in `Space::locks`; 0: it is not ours.
  std::uint64_t version_of_lock() const;
  void unlock();
  void throttle();

  std::shared_ptr<Core> core_;
  std::shared_ptr<Flight> flight_;
  const std::string& key_;
  const Type& as_;
  std::optional<Ttl> ttl_;
  Options options_;
  std::optional<Tags> tags_;
  std::vector<Stamp> stamps_;
  std::vector<Stamp> placed_;  ///< those that the placeholder carries: `stamps_` grows while somebody renews it
  Snapshot snapshot_;
  std::uint64_t token_ = 0;  ///< of our placeholder; 0: the ticket is the kept entry's version
  bool claimed_ = false;
  std::string lock_owner_;  ///< what our record in `Space::locks` says; empty: there is none
  int refused_ = 0;
};

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
