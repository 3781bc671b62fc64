// Bytes on their way: what a peer sent and nobody has read yet, or what is put together for it.
#pragma once
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>
#include <utility>

namespace flux::cache {
inline namespace v1 {
namespace detail::net {

/// Bytes in a row, taken from the front and added behind. Memory is not cleared before it is filled, which would cost
/// large values as much as copying them.
class ReadBuffer {
 public:
  std::string_view data() const noexcept { return {data_.get() + begin_, end_ - begin_}; }
  bool empty() const noexcept { return begin_ == end_; }
  void consume(std::size_t bytes) noexcept {
    begin_ += bytes;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  void clear() noexcept { begin_ = end_ = 0; }

  /// Room for at least so many bytes behind what is there. Views of `data()` end here.
  void reserve(std::size_t bytes) {
    if (size_ - end_ >= bytes) return;
    const std::size_t held = end_ - begin_;
    if (size_ - held >= bytes && begin_ >= held) {
      std::memcpy(data_.get(), data_.get() + begin_, held);
    } else {
      std::size_t size = size_ < kFirst ? kFirst : size_;
      while (size - held < bytes) size *= 2;
      std::unique_ptr<char, Free> larger(static_cast<char*>(std::malloc(size)));
      if (!larger) throw std::bad_alloc();
      if (held > 0) std::memcpy(larger.get(), data_.get() + begin_, held);
      data_ = std::move(larger);
      size_ = size;
    }
    begin_ = 0;
    end_ = held;
  }
  char* room() noexcept { return data_.get() + end_; }
  std::size_t room_size() const noexcept { return size_ - end_; }
  void filled(std::size_t bytes) noexcept { end_ += bytes; }

  /// Gives memory back that one large answer needed. Only while empty.
  void shrink(std::size_t keep) noexcept {
    if (size_ <= keep || !empty()) return;
    data_.reset();
    size_ = begin_ = end_ = 0;
  }

 private:
  struct Free {
    void operator()(char* data) const noexcept { std::free(data); }
  };
  static constexpr std::size_t kFirst = 16 * 1024;

  std::unique_ptr<char, Free> data_;
  std::size_t size_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace detail::net
}  // namespace v1
}  // namespace flux::cache
