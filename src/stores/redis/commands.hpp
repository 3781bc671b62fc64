// Commands as bytes, in the server's protocol (RESP: an array of bulk strings), ready to be sent in one burst.
#pragma once
#include <sys/uio.h>

#include <charconv>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

/// Long arguments are not copied: what they refer to must outlive the sending.
class Commands {
 public:
  /// Begins a command of so many words.
  Commands& begin(std::size_t words) {
    ++count_;
    length_line('*', words);
    return *this;
  }
  Commands& word(std::string_view text) {
    open(text.size());
    piece(text);
    return close();
  }
  Commands& number(std::int64_t value) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    return word({digits, static_cast<std::size_t>(end - digits)});
  }
  /// A word of several pieces: its whole length first.
  Commands& open(std::size_t length) {
    length_line('$', length);
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

  /// Sends ASKING before all of it: the slot is on its way to whom it is sent to, and not there yet.
  void ask_first(bool asking) noexcept { asking_ = asking; }
  bool asks_first() const noexcept { return asking_; }

  /// How many replies there will be.
  std::size_t count() const noexcept { return count_ + (asking_ ? 1 : 0); }
  void clear() noexcept {
    bytes_.clear();
    borrowed_.clear();
    count_ = 0;
    asking_ = false;
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
  std::size_t own_bytes() const noexcept { return bytes_.capacity(); }

 private:
  struct Borrowed {
    std::size_t before;
    std::string_view text;
  };
  static constexpr std::size_t kLong = 8 * 1024;
  static constexpr std::string_view kAsking = "*1\r\n$6\r\nASKING\r\n";

  void length_line(char mark, std::size_t length) {
    char line[24] = {mark};
    char* const end = std::to_chars(line + 1, line + sizeof line - 2, length).ptr;
    end[0] = '\r', end[1] = '\n';
    bytes_.append(line, static_cast<std::size_t>(end + 2 - line));
  }

  std::string bytes_;
  std::vector<Borrowed> borrowed_;
  std::vector<iovec> parts_;
  std::size_t count_ = 0;
  bool asking_ = false;
};

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
