// flux/cache/detail/output.hpp - a buffer for small pieces in front of a string that is appended to.
#pragma once
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

namespace flux::cache {
inline namespace v1 {
namespace detail {

/// Copies a few bytes without a call: two words that overlap in the middle.
inline void copy_short(char* to, const char* from, std::size_t size) noexcept {
  if (size > 32) {
    std::memcpy(to, from, size);
  } else if (size >= 16) {
    char head[16], tail[16];
    std::memcpy(head, from, 16);
    std::memcpy(tail, from + size - 16, 16);
    std::memcpy(to, head, 16);
    std::memcpy(to + size - 16, tail, 16);
  } else if (size >= 8) {
    char head[8], tail[8];
    std::memcpy(head, from, 8);
    std::memcpy(tail, from + size - 8, 8);
    std::memcpy(to, head, 8);
    std::memcpy(to + size - 8, tail, 8);
  } else if (size >= 4) {
    char head[4], tail[4];
    std::memcpy(head, from, 4);
    std::memcpy(tail, from + size - 4, 4);
    std::memcpy(to, head, 4);
    std::memcpy(to + size - 4, tail, 4);
  } else if (size != 0) {
    to[0] = from[0];
    to[size >> 1] = from[size >> 1];
    to[size - 1] = from[size - 1];
  }
}

/// Small pieces go into a fixed array, which goes to the string when full; large ones go there at once.
class Output {
 public:
  static constexpr std::size_t kRoom = 1024;

  explicit Output(std::string& out) noexcept : out_(out), start_(out.size()) {}
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  /// Room for `size` <= kRoom bytes, to be filled and then kept by `advance`.
  char* room(std::size_t size) {
    if (size > static_cast<std::size_t>(buffer_ + kRoom - at_)) flush();
    return at_;
  }
  void advance(std::size_t size) noexcept { at_ += size; }
  /// Where the next byte goes, after `room`; to be given back by `set`.
  void set(char* at) noexcept { at_ = at; }

  void put(char byte) {
    *room(1) = byte;
    ++at_;
  }
  void append(const void* data, std::size_t size) {
    if (size <= kRoom / 2) {
      copy_short(room(size), static_cast<const char*>(data), size);
      at_ += size;
    } else {
      flush();
      out_.append(static_cast<const char*>(data), size);
    }
  }
  void append(std::string_view text) { append(text.data(), text.size()); }

  void flush() {
    out_.append(buffer_, static_cast<std::size_t>(at_ - buffer_));
    at_ = buffer_;
  }
  /// Everything is as if nothing had been written.
  void undo() noexcept {
    at_ = buffer_;
    out_.resize(start_);
  }
  std::string& string() noexcept { return out_; }

 private:
  std::string& out_;
  std::size_t start_;
  char* at_ = buffer_;
  char buffer_[kRoom];
};

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
