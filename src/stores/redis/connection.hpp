// One connection to a redis server: bytes out, replies in, one element at a time and without a copy.
#pragma once
#include <flux/cache/detail/function_ref.hpp>
#include <flux/cache/stores/redis.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "commands.hpp"
#include "net/pool.hpp"
#include "net/stream.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

/// One element of a reply. Text is valid until the next one is read.
struct Element {
  enum class Kind : std::uint8_t { text, status, integer, array, nothing, error };
  Kind kind = Kind::nothing;
  std::int64_t number = 0;  ///< the integer, or how many elements the array has
  std::string_view text{};  ///< of text, status and error
};

/// Who to be, once connected.
struct Greeting {
  std::string username{};
  std::string password{};
  std::string client_name{};
  int database = 0;
  bool primary = false;  ///< it must be one: sentinels may be behind the times
  bool replica = false;  ///< of a cluster: it is to answer reads itself
};

class Connection final : public net::Pooled {
 public:
  explicit Connection(net::Stream stream) : stream_(std::move(stream)) {}
  /// Replies that another connection received, to be read as from it.
  Connection(std::shared_ptr<const net::Endpoint> from, std::string_view received, std::size_t replies);

  /// Connects, proves who we are, and hears an answer before anybody relies on it.
  static Result<std::unique_ptr<net::Pooled>> dial(const net::Endpoint& endpoint, const net::TlsContext* tls,
                                                   const Greeting& greeting, Duration usual,
                                                   const net::Deadline& deadline);

  Result<void> send(Commands& commands, const net::Deadline& deadline);
  /// Likewise, behind what was sent before and is not answered yet.
  Result<void> send_more(Commands& commands, const net::Deadline& deadline);
  /// The next element. `largest` bounds the text, and the array: what claims to be more is a broken answer.
  Result<Element> read(std::size_t largest, const net::Deadline& deadline);
  /// Likewise, where it is what nearly all are: a short text that has come whole. Else false, and nothing is read.
  bool read_whole(std::size_t largest, Element& element) noexcept {
    buffer_.consume(std::exchange(used_, 0));
    const std::string_view data = buffer_.data();
    if (data.size() < 8 || data[0] != '$') return false;
    std::size_t length = 0, at = 1;
    for (; at < 8; ++at) {
      const unsigned digit = static_cast<unsigned char>(data[at]) - unsigned{'0'};
      if (digit > 9) break;
      length = 10 * length + digit;
    }
    if (at == 1 || at == 8 || length > largest) return false;
    const std::size_t whole = at + 2 + length + 2;
    if (data.size() < whole || data[at] != '\r' || data[at + 1] != '\n' || data[whole - 2] != '\r' ||
        data[whole - 1] != '\n')
      return false;
    element = {Element::Kind::text, static_cast<std::int64_t>(length), data.substr(at + 2, length)};
    used_ = whole;
    --awaited_;
    return true;
  }
  /// Passes over elements that have come already and are this line, at most so many; how many there were.
  std::size_t skip(std::string_view line, std::size_t most) noexcept;
  /// So many more elements will come than there were commands.
  void expect(std::int64_t more) noexcept { awaited_ += more; }
  bool awaits_more() const noexcept { return awaited_ > 0; }
  /// Sends bytes that ask for so many replies. Those are then looked over in `unread`, filled by `receive`, as a whole;
  /// `settle` says that they have been.
  Result<void> send(std::string_view bytes, std::size_t replies, const net::Deadline& deadline);
  std::string_view unread() const noexcept { return buffer_.data(); }
  Result<void> receive(const net::Deadline& deadline);
  void settle() noexcept;
  /// Waits for something to read: false, and all is as before, where nothing has come by then.
  Result<bool> await(const net::Deadline& deadline);
  /// Ends what another thread waits for here. The connection is good for nothing afterwards.
  void interrupt() noexcept { stream_.interrupt(); }
  /// One whole reply as it came, piece by piece, until `feed` answers true.
  Result<void> read_raw(detail::FunctionRef<bool(std::string_view)> feed, const net::Deadline& deadline);
  /// All that was asked for has been read, and nothing more has come: others may use it.
  bool is_clean() noexcept;
  /// Nothing of an answer has come yet since the last send.
  bool is_unanswered() const noexcept { return !answered_; }
  /// An answer is soon here, by the quickest one of those that were timed.
  bool is_near() const noexcept { return quickest_ <= kNear; }
  void note_turn(net::Deadline::Clock::duration took) noexcept { quickest_ = std::min(quickest_, took); }
  const net::Endpoint& endpoint() const noexcept { return stream_.endpoint(); }

  bool is_quiet() noexcept override { return buffer_.empty() && stream_.is_quiet(); }
  void abandon() noexcept override { stream_.abandon(); }

 private:
  Result<void> greet(const Greeting& greeting, const net::Deadline& deadline);
  Result<void> time_again(const net::Deadline& deadline);
  Result<void> check_role(const net::Deadline& deadline);
  Result<std::string_view> line(const net::Deadline& deadline);
  Error broken(const char* why) const;

  static constexpr net::Deadline::Clock::duration kNear = std::chrono::microseconds(150);
  static constexpr net::Deadline::Clock::duration kSurelyFar = std::chrono::milliseconds(2);

  net::Stream stream_;
  net::ReadBuffer buffer_;
  std::size_t used_ = 0;      // of the buffer, by the element that was read last
  std::int64_t awaited_ = 0;  // elements that are still to come
  bool answered_ = false;
  net::Deadline::Clock::duration quickest_ = net::Deadline::Clock::duration::max();
};

/// What the message of such an error begins with.
constexpr std::string_view kServerSays = "the server answers: ";

/// An error that the server sent, as one of ours. The connection is as good as before.
Error from_server(std::string_view text);

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
