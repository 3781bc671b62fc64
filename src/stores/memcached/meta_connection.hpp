// A connection that speaks the meta protocol of memcached 1.6.
#pragma once
#include <string>
#include <vector>

#include "connection.hpp"
#include "meta_reply.hpp"
#include "net/stream.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::memcached {

class MetaConnection final : public Connection {
 public:
  explicit MetaConnection(net::Stream stream) : stream_(std::move(stream)) {}

  /// A value above so many bytes is a fault of the protocol: no memory is taken for it.
  void limit_values(std::size_t longest) noexcept { longest_value_ = longest; }

  bool is_quiet() noexcept override { return in_.data().size() == scanned_ && stream_.is_quiet(); }
  void abandon() noexcept override { stream_.abandon(); }
  Result<void> open(std::size_t commands) override;
  Result<void> add(std::span<const Command> more, const net::Deadline& deadline) override;
  Result<void> close(std::span<const Command> all, const net::Deadline& deadline) override;
  Result<void> receive(std::span<Reply> replies, const net::Deadline& deadline) override;
  Result<void> receive_each(Sink take, const net::Deadline& deadline) override;
  bool has_begun() const noexcept override { return has_begun_ || !in_.empty(); }

  /// Says who we are, as servers with an `--auth-file` want it. Errc::denied where that is wrong.
  Result<void> log_in(const std::string& username, const std::string& password, const net::Deadline& deadline);
  Result<std::map<std::string, std::string>> stats(const net::Deadline& deadline) override {
    return stats({}, deadline);
  }
  /// What `stats` answers about `what`, such as "settings"; empty: in general.
  Result<std::map<std::string, std::string>> stats(std::string_view what, const net::Deadline& deadline);
  Result<void> dump(FunctionRef<void(std::string_view key)> take, Duration patience) override;
  /// Whether the server knows the protocol. Errc::unsupported where it does not.
  Result<void> greet(const net::Deadline& deadline);

 private:
  struct Piece {
    std::size_t before;     // so many bytes of out_ come first
    std::string_view body;  // large, so sent from where it lies
  };

  struct Place {
    std::size_t index, at, size;
  };

  /// Reads that are asked for in one line, from `begin` up to `end`.
  struct Line {
    std::size_t begin, end, bytes;
    bool wants_cas;
  };

  bool is_quiet(const Command& command) const noexcept;
  void write(const Command& command, std::size_t index);
  void gather(const Command& command, std::size_t index);
  void end_line();
  void append(std::string_view text);
  /// What was put together so far. `ends_apart`: its last byte is sent by itself.
  Result<void> send_part(const net::Deadline& deadline, bool ends_apart);
  Result<void> receive_all(const net::Deadline& deadline);
  Result<void> take(const MetaReply& scanned);
  Result<void> take_gathered(const MetaReply& scanned);
  bool pass_silent(std::size_t end);
  void settle(Status status, const MetaReply& scanned);
  Result<void> say(std::string_view what, const net::Deadline& deadline);
  Result<std::string_view> receive_line(const net::Deadline& deadline, std::string_view end = "\r\n");
  Error broken(const std::string& why) const;
  Error refused(std::string_view why) const;
  std::uint32_t opaque_of(std::size_t index) const noexcept;

  net::Stream stream_;
  std::size_t longest_value_ = 64 * 1024 * 1024;
  net::ReadBuffer in_;
  std::size_t scanned_ = 0;  // bytes of in_ that belong to answers already handed out
  net::ReadBuffer out_;      // what was put together and not yet sent
  std::vector<Piece> pieces_;
  std::size_t piece_bytes_ = 0;
  std::vector<Line> lines_;
  bool is_long_ = false;  // more than a few commands
  bool is_line_open_ = false;
  bool ends_quiet_ = false;  // a barrier comes at the end
  std::size_t added_ = 0;
  std::size_t part_ = 0;  // so many bytes are put together before they are sent
  std::span<const Command> sent_{};
  std::uint32_t first_opaque_ = 0;
  // While receiving:
  std::size_t next_ = 0;  // the first command without an answer
  std::size_t line_ = 0;  // the first line without an end
  bool has_unplaced_ = false;
  bool has_begun_ = false;
  std::span<Reply> replies_{};  // where answers go, or
  const Sink* sink_ = nullptr;  // who takes them as they come
  std::vector<Place> places_;
};

}  // namespace detail::memcached
}  // namespace v1
}  // namespace flux::cache
