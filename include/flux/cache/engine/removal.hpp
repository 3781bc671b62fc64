// flux/cache/engine/removal.hpp - why entries leave, and what is left to do once the shard's lock is free.
#pragma once
#include <flux/cache/type.hpp>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace engine {

/// Why an entry left.
enum class Cause : std::uint8_t {
  replaced,   ///< overwritten
  expired,    ///< its time was up
  size,       ///< room was needed
  forgotten,  ///< somebody asked
  flushed,    ///< all were asked to go
};

/// What a listener hears: each removal once.
struct Removal {
  std::string_view key;  ///< valid during the call
  Cause cause;
};

/// Work that waits until the shard's lock is free.
struct Aftermath {
  struct Note {
    std::string key;
    Cause cause;
  };
  std::vector<Object> objects;  ///< dropped with this
  std::vector<void*> blocks;    ///< freed with this
  std::vector<Note> notes;
  std::uint64_t advance = 0;  ///< a stamp that should become safe; 0: none

  Aftermath() = default;
  Aftermath(const Aftermath&) = delete;
  Aftermath& operator=(const Aftermath&) = delete;
  ~Aftermath() {
    for (void* const block : blocks) std::free(block);
  }
};

}  // namespace engine
}  // namespace v1
}  // namespace flux::cache
