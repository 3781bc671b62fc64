// flux/cache/engine/removal.hpp - why entries leave, and what is left to do once the shard's lock is free.
#pragma once
#include <flux/cache/type.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace engine {

/// Why an entry left.
enum class Cause : std::uint8_t {
  replaced,   ///< overwritten
  expired,    ///< its time was up, whether a sweep found it or room was needed
  size,       ///< room was needed
  forgotten,  ///< somebody asked
  flushed,    ///< all were asked to go
};

/// What a listener hears: each removal once.
struct Removal {
  std::string_view key;  ///< valid during the call
  Cause cause;
};

/// Work that waits until the shard's lock is free. Most writes leave none, so an empty one is three words to set and to
/// look at; what one write brings back at most stands here, and only more than that is allocated.
class Aftermath {
 public:
  struct Note {
    std::string key;
    Cause cause;
  };
  std::uint64_t advance = 0;  ///< a stamp that should become safe; 0: none

  Aftermath() noexcept {}
  Aftermath(const Aftermath&) = delete;
  Aftermath& operator=(const Aftermath&) = delete;
  ~Aftermath() {
    if (objects_ != 0 || blocks_ != 0) [[unlikely]]
      let_go();
  }

  /// Dropped with this.
  void drop_later(Object&& object) {
    if (objects_ < kFew) {
      new (object_at(objects_++)) Object(std::move(object));
    } else {
      more().objects.push_back(std::move(object));
    }
  }
  /// Freed with this.
  void free_later(void* block) {
    if (blocks_ < kFew) {
      few_blocks_[blocks_++] = block;
    } else {
      more().blocks.push_back(block);
    }
  }
  void tell_later(Note note) { more().notes.push_back(std::move(note)); }
  std::size_t notes() const noexcept { return more_ == nullptr ? 0 : more_->notes.size(); }
  /// The note that came after so many others is none.
  void untell(std::size_t at) { more_->notes.erase(more_->notes.begin() + static_cast<std::ptrdiff_t>(at)); }
  template <class F>
  void for_each_note(F&& f) const {
    if (more_ == nullptr) [[likely]]
      return;
    for (const Note& note : more_->notes) f(note);
  }

 private:
  static constexpr std::uint32_t kFew = 3;
  struct More {
    std::vector<Object> objects;
    std::vector<void*> blocks;
    std::vector<Note> notes;
  };
  More& more() {
    if (more_ == nullptr) more_ = std::make_unique<More>();
    return *more_;
  }
  Object* object_at(std::uint32_t index) noexcept { return reinterpret_cast<Object*>(few_objects_) + index; }
  [[gnu::noinline]] void let_go() noexcept {
    for (std::uint32_t index = 0; index < objects_; ++index) object_at(index)->~Object();
    for (std::uint32_t index = 0; index < blocks_; ++index) std::free(few_blocks_[index]);
    if (more_ == nullptr) return;
    for (void* const block : more_->blocks) std::free(block);
  }

  std::uint32_t objects_ = 0;  ///< of the few
  std::uint32_t blocks_ = 0;   ///< of the few
  std::unique_ptr<More> more_;
  alignas(Object) std::byte few_objects_[kFew * sizeof(Object)];
  void* few_blocks_[kFew];
};

}  // namespace engine
}  // namespace v1
}  // namespace flux::cache
