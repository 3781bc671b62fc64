// Which stores shared the keys so far: what keeps a store that was absent for a change from serving what it still
// holds.
//
// Each store has a record under the composite's name: the number of the change, a hash of names and weights, and
// whether the store has forgotten what is no longer its own. The first to see another set of stores begins the next
// change:
//   - a store without a record, with an older one, or that never got to forgetting, is flushed;
//   - one that was there all along keeps what is still its own, and forgets the rest behind.
// Where no store has a record there was no change: nothing is touched.
#pragma once
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "composite/composite_store.hpp"
#include "composite/ring_table.hpp"

namespace flux::cache {
inline namespace v1 {
namespace distributed {

class Topology {
 public:
  /// `parts` and `ring` must outlive it; the ring's nodes stand in the order of `order`: node i is part order[i].
  Topology(const std::string& name, std::uint64_t shape, const std::vector<composite::Part>& parts);

  /// May the part be asked? Looks at the records when first asked, and again where a store did not answer then.
  Result<void> ready(std::size_t part) {
    if (states_[part].load(std::memory_order_acquire) == State::ready) [[likely]]
      return {};
    return settle(part);
  }
  /// Parts that still hold what may be another's; `done` once it is forgotten.
  std::vector<std::size_t> unswept() const;
  void swept(std::size_t part);
  /// The record's key in Space::tags, to be left out of listings.
  const std::string& record() const noexcept { return record_; }

 private:
  enum class State : std::uint8_t { unknown, ready };
  struct Record {
    std::uint64_t change = 0;  // 0: there is none
    std::uint64_t shape = 0;
    bool swept = true;
  };

  Result<void> settle(std::size_t part);
  Result<Record> read(std::size_t part) const;
  Result<void> write(std::size_t part, bool swept) const;
  void begin(const std::vector<std::optional<Record>>& found);
  Result<void> join(std::size_t part, const Record& found);

  const std::string record_;
  const std::uint64_t shape_;
  const std::vector<composite::Part>& parts_;
  std::mutex settling_;
  std::vector<std::atomic<State>> states_;
  std::vector<std::atomic<bool>> unswept_;
  std::uint64_t change_ = 0;  // of this set of stores; 0: not looked yet
  std::uint64_t before_ = 0;  // the change whose members stay as they are; 0: none
};

}  // namespace distributed
}  // namespace v1
}  // namespace flux::cache
