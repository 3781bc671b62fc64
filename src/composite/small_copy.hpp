// An entry for those who keep one longer than the call it came in: what is small and plain stays off the heap.
#pragma once
#include <flux/cache/entry.hpp>

#include <cstring>
#include <optional>

namespace flux::cache {
inline namespace v1 {
namespace composite {

class SmallCopy {
 public:
  SmallCopy() noexcept {}  // the room stays as it is: clearing it would cost more than most copies
  SmallCopy(const SmallCopy&) = delete;
  SmallCopy& operator=(const SmallCopy&) = delete;

  void take(const Entry& entry) {
    const std::string_view text = entry.value.text;
    if (!entry.tags.empty() || !entry.notes.empty() || entry.value.object != nullptr || text.size() > sizeof room_) {
      large_.emplace(entry);
      view_ = large_->view();
      return;
    }
    view_ = entry;
    if (text.empty()) return;
    std::memcpy(room_, text.data(), text.size());
    view_->value.text = {room_, text.size()};
  }
  /// Valid as long as this copy stands; null: nothing was taken.
  const Entry* view() const noexcept { return view_ ? &*view_ : nullptr; }

 private:
  std::optional<Entry> view_;
  std::optional<EntryCopy> large_;
  char room_[512];
};

}  // namespace composite
}  // namespace v1
}  // namespace flux::cache
