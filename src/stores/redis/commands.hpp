// Commands as bytes, in the server's protocol (RESP: an array of bulk strings), ready to be sent in one burst.
#pragma once
#include <sys/uio.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

/// Bytes that grow at the end and are not filled before they are written.
class CommandBytes {
 public:
  /// Where the next bytes go; there is room for so many. They count once `wrote` says so.
  char* room(std::size_t bytes) {
    if (size_ + bytes > capacity_) grow(bytes);
    return data_.get() + size_;
  }
  void wrote(const char* end) noexcept { size_ = static_cast<std::size_t>(end - data_.get()); }
  void append(std::string_view text) { wrote(put(room(text.size()), text)); }
  char* data() noexcept { return data_.get(); }
  std::size_t size() const noexcept { return size_; }
  std::size_t capacity() const noexcept { return capacity_; }
  void clear() noexcept { size_ = 0; }

  static char* put(char* to, std::string_view text) noexcept {
    if (!text.empty()) std::memcpy(to, text.data(), text.size());
    return to + text.size();
  }

 private:
  void grow(std::size_t bytes) {
    std::size_t larger = capacity_ < kFirst ? kFirst : 2 * capacity_;
    while (larger < size_ + bytes) larger *= 2;
    std::unique_ptr<char[]> other(new char[larger]);
    if (size_ > 0) std::memcpy(other.get(), data_.get(), size_);
    data_ = std::move(other);
    capacity_ = larger;
  }
  static constexpr std::size_t kFirst = 256;

  std::unique_ptr<char[]> data_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

/// What many commands that store an entry have in common, as it is sent.
struct SetWords {
  std::string before_key{};  ///< how many words there are, and the command's name
  std::string before_value{};
  std::string behind_value{};
  std::int64_t life = -1;  ///< milliseconds that these say; 0: none
};

/// Long arguments are not copied: what they refer to must outlive the sending.
class Commands {
 public:
  /// Begins a command of so many words.
  Commands& begin(std::size_t words) {
    ++count_;
    bytes_.wrote(length_line(bytes_.room(kLengthLine), '*', words));
    return *this;
  }
  Commands& word(std::string_view text) { return word(text, {}, {}); }
  /// A word of three pieces.
  Commands& word(std::string_view first, std::string_view second, std::string_view third) {
    const std::size_t length = first.size() + second.size() + third.size();
    if (length >= kLong) return open(length).piece(first).piece(second).piece(third).close();
    char* to = length_line(bytes_.room(kLengthLine + length + 2), '$', length);
    to = CommandBytes::put(CommandBytes::put(CommandBytes::put(to, first), second), third);
    to[0] = '\r', to[1] = '\n';
    bytes_.wrote(to + 2);
    return *this;
  }
  /// A short word of two pieces, or three.
  Commands& key(std::string_view root, std::string_view mark, std::string_view text) {
    if (text.size() >= kLong || !mark.empty()) return word(root, mark, text);
    char* to = length_line(bytes_.room(kLengthLine + root.size() + text.size() + 2), '$', root.size() + text.size());
    to = CommandBytes::put(CommandBytes::put(to, root), text);
    to[0] = '\r', to[1] = '\n';
    bytes_.wrote(to + 2);
    return *this;
  }
  Commands& number(std::int64_t value) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    return word({digits, static_cast<std::size_t>(end - digits)});
  }
  /// A word of several pieces: its whole length first.
  Commands& open(std::size_t length) {
    bytes_.wrote(length_line(bytes_.room(kLengthLine), '$', length));
    return *this;
  }
  Commands& piece(std::string_view text) {
    if (text.size() < kLong) {
      bytes_.append(text);
    } else {
      borrowed_.push_back({bytes_.size(), text});
    }
    return *this;
  }
  Commands& close() {
    bytes_.append("\r\n");
    return *this;
  }

  /// How many bytes of a piece are copied: none of a long one's.
  static std::size_t copied(std::string_view text) noexcept { return text.size() < kLong ? text.size() : 0; }
  /// A SET or PSETEX under a key of two pieces, of a value that begins with `head_bytes` which `write_head` writes to
  /// where it is told, and ends with `text`.
  template <class WriteHead>
  Commands& set(const SetWords& words, std::string_view root, std::string_view key, std::size_t head_bytes,
                WriteHead&& write_head, std::string_view text) {
    ++count_;
    // Room for all of it at once: a batch has thousands of them.
    const std::size_t words_bytes = words.before_key.size() + words.before_value.size() + words.behind_value.size();
    char* to = bytes_.room(words_bytes + 2 * kLengthLine + root.size() + key.size() + head_bytes + copied(text) + 4);
    to = CommandBytes::put(to, words.before_key);
    to = CommandBytes::put(CommandBytes::put(length_line(to, '$', root.size() + key.size()), root), key);
    to[0] = '\r', to[1] = '\n';
    to = CommandBytes::put(to + 2, words.before_value);
    to = write_head(length_line(to, '$', head_bytes + text.size()));
    if (copied(text) != 0) {
      to = CommandBytes::put(to, text);
    } else if (!text.empty()) {
      bytes_.wrote(to);
      borrowed_.push_back({bytes_.size(), text});
    }
    to[0] = '\r', to[1] = '\n';
    bytes_.wrote(CommandBytes::put(to + 2, words.behind_value));
    return *this;
  }
  /// Sends ASKING before all of it: the slot is on its way to whom it is sent to, and not there yet.
  void ask_first(bool asking) noexcept { asking_ = asking; }
  bool asks_first() const noexcept { return asking_; }

  /// Not to go out together with others': there is more to follow, or the wait may be a long one.
  Commands& alone() noexcept {
    is_alone_ = true;
    return *this;
  }
  bool is_alone() const noexcept { return is_alone_ || asking_; }
  bool borrows() const noexcept { return !borrowed_.empty(); }

  /// So many replies there will be, and not one for each.
  void answered_by(std::size_t replies) noexcept { count_ = replies; }
  /// How many replies there will be.
  std::size_t count() const noexcept { return count_ + (asking_ ? 1 : 0); }
  void clear() noexcept {
    bytes_.clear();
    borrowed_.clear();
    count_ = 0;
    asking_ = false;
    is_alone_ = false;
  }
  /// All of it, in order.
  std::span<iovec> parts() {
    parts_.clear();
    if (asking_) parts_.push_back({const_cast<char*>(kAsking.data()), kAsking.size()});
    std::size_t at = 0;
    const auto own = [&](std::size_t end) {
      if (end > at) parts_.push_back({bytes_.data() + at, end - at});
      at = end;
    };
    for (const Borrowed& each : borrowed_) {
      own(each.before);
      parts_.push_back({const_cast<char*>(each.text.data()), each.text.size()});
    }
    own(bytes_.size());
    return parts_;
  }
  /// How many bytes there are, but for those that are borrowed.
  std::size_t size() const noexcept { return bytes_.size(); }
  std::size_t capacity() const noexcept { return bytes_.capacity(); }

 private:
  struct Borrowed {
    std::size_t before;
    std::string_view text;
  };
  static constexpr std::size_t kLong = 8 * 1024;
  static constexpr std::string_view kAsking = "*1\r\n$6\r\nASKING\r\n";

  static constexpr std::size_t kLengthLine = 24;

  static char* length_line(char* to, char mark, std::size_t length) noexcept {
    *to++ = mark;
    if (length < 10) {
      *to++ = static_cast<char>('0' + length);
    } else if (length < 100) {
      *to++ = static_cast<char>('0' + length / 10);
      *to++ = static_cast<char>('0' + length % 10);
    } else if (length < 1000) {
      *to++ = static_cast<char>('0' + length / 100);
      *to++ = static_cast<char>('0' + length / 10 % 10);
      *to++ = static_cast<char>('0' + length % 10);
    } else {
      to = std::to_chars(to, to + 20, length).ptr;
    }
    to[0] = '\r', to[1] = '\n';
    return to + 2;
  }

  CommandBytes bytes_;
  std::vector<Borrowed> borrowed_;
  std::vector<iovec> parts_;
  std::size_t count_ = 0;
  bool asking_ = false;
  bool is_alone_ = false;
};

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
