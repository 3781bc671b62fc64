#include "connection.hpp"

#include <charconv>
#include <cstring>
#include <utility>

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

namespace {

constexpr std::size_t kLongestLine = 64 * 1024;
constexpr std::size_t kLongestGreeting = 64 * 1024;
constexpr std::size_t kKeptBuffer = 256 * 1024;

bool parse(std::string_view text, std::int64_t& number) noexcept {
  const char* const end = text.data() + text.size();
  const auto [rest, fault] = std::from_chars(text.data(), end, number);
  return fault == std::errc() && rest == end;
}

}  // namespace

Error from_server(std::string_view text) {
  const std::string_view word = text.substr(0, text.find(' '));
  Errc code = Errc::unavailable;
  if (word == "NOAUTH" || word == "WRONGPASS" || word == "NOPERM") code = Errc::denied;
  if (word == "WRONGTYPE") code = Errc::corrupt;
  if (word == "MOVED" || word == "ASK" || word == "CROSSSLOT") code = Errc::unsupported;
  // What else the server quotes may be a part of a command, and so of a value.
  constexpr std::size_t kMostQuoted = 200;
  if (text.starts_with("ERR AUTH") || text.starts_with("ERR invalid password") ||
      text.starts_with("ERR Client sent AUTH") || text.find("user executing the script can't") != text.npos)
    code = Errc::denied;
  if (text.starts_with("ERR unknown command") || text.starts_with("ERR Protocol error"))
    text = text.substr(0, text.find('\''));
  return {code, std::string(kServerSays).append(text.substr(0, kMostQuoted))};
}

Error Connection::broken(const char* why) const { return net::fault(endpoint(), Errc::unavailable, "receiving", why); }

Result<void> Connection::send(Commands& commands, const net::Deadline& deadline) {
  awaited_ = static_cast<std::int64_t>(commands.count());
  answered_ = false;
  return stream_.send(commands.parts(), buffer_, deadline);
}

Connection::Connection(std::shared_ptr<const net::Endpoint> from, std::string_view received, std::size_t replies)
    : stream_(net::Stream::closed(std::move(from))), awaited_(static_cast<std::int64_t>(replies)) {
  buffer_.reserve(received.size());
  if (!received.empty()) std::memcpy(buffer_.room(), received.data(), received.size());
  buffer_.filled(received.size());
}

Result<void> Connection::send(std::string_view bytes, std::size_t replies, const net::Deadline& deadline) {
  awaited_ = static_cast<std::int64_t>(replies);
  answered_ = false;
  return stream_.send(bytes, buffer_, deadline);
}

Result<void> Connection::receive(const net::Deadline& deadline) {
  auto more = stream_.receive(buffer_, 0, deadline);
  if (more.ok()) answered_ = true;
  return more;
}

void Connection::settle() noexcept {
  buffer_.clear();
  buffer_.shrink(kKeptBuffer);
  awaited_ = 0;
}

Result<void> Connection::send_more(Commands& commands, const net::Deadline& deadline) {
  buffer_.consume(std::exchange(used_, 0));
  awaited_ += static_cast<std::int64_t>(commands.count());
  return stream_.send(commands.parts(), buffer_, deadline);
}

Result<std::string_view> Connection::line(const net::Deadline& deadline) {
  std::size_t looked = 0;
  for (;;) {
    const std::string_view data = buffer_.data();
    const std::size_t end = data.find('\n', looked);
    if (end != data.npos && end > 0 && data[end - 1] == '\r') return data.substr(0, end - 1);
    if (end != data.npos) {
      looked = end + 1;
      continue;
    }
    if (data.size() > kLongestLine) return broken("the answer is none of a redis server");
    looked = data.size();
    auto more = stream_.receive(buffer_, 0, deadline);
    if (!more.ok()) return Result<std::string_view>(more.take_error());
    answered_ = true;
  }
}

std::size_t Connection::skip(std::string_view line, std::size_t most) noexcept {
  const std::string_view unread = buffer_.data().substr(used_);
  std::size_t count = 0;
  while (count < most && unread.substr(count * line.size()).starts_with(line)) ++count;
  used_ += count * line.size();
  awaited_ -= static_cast<std::int64_t>(count);
  return count;
}

Result<Element> Connection::read(std::size_t largest, const net::Deadline& deadline) {
  buffer_.consume(std::exchange(used_, 0));
  auto head = line(deadline);
  if (!head.ok()) return Result<Element>(head.take_error());
  if (head->empty()) return broken("the answer is none of a redis server");
  const char mark = head->front();
  const std::string_view rest = head->substr(1);
  used_ = head->size() + 2;
  --awaited_;
  Element element;
  switch (mark) {
    case '+': element.kind = Element::Kind::status, element.text = rest; return element;
    case '-': element.kind = Element::Kind::error, element.text = rest; return element;
    case ':':
    case '$':
    case '*': break;
    default: return broken("the answer is none of a redis server");
  }
  if (!parse(rest, element.number)) return broken("the answer is none of a redis server");
  if (mark == ':') {
    element.kind = Element::Kind::integer;
    return element;
  }
  if (element.number == -1) {
    element.kind = Element::Kind::nothing;
    return element;
  }
  if (element.number < 0 || static_cast<std::uint64_t>(element.number) > largest)
    return broken("the answer is larger than what was asked for");
  if (mark == '*') {
    element.kind = Element::Kind::array;
    awaited_ += element.number;
    return element;
  }
  const auto length = static_cast<std::size_t>(element.number);
  const std::size_t whole = used_ + length + 2;
  while (buffer_.data().size() < whole) {
    auto more = stream_.receive(buffer_, whole - buffer_.data().size(), deadline);
    if (!more.ok()) return Result<Element>(more.take_error());
  }
  element.kind = Element::Kind::text;
  element.text = buffer_.data().substr(used_, length);
  if (buffer_.data().substr(used_ + length, 2) != "\r\n") return broken("the answer is none of a redis server");
  used_ = whole;
  return element;
}

Result<bool> Connection::await(const net::Deadline& deadline) {
  buffer_.consume(std::exchange(used_, 0));
  if (!buffer_.empty()) return true;
  buffer_.shrink(kKeptBuffer);
  auto more = stream_.receive(buffer_, 0, deadline);
  if (more.ok()) return true;
  return more.error().code == Errc::timeout ? Result<bool>(false) : Result<bool>(more.take_error());
}

Result<void> Connection::read_raw(detail::FunctionRef<bool(std::string_view)> feed, const net::Deadline& deadline) {
  buffer_.consume(std::exchange(used_, 0));
  for (bool is_whole = false; !is_whole;) {
    if (buffer_.empty()) {
      auto more = stream_.receive(buffer_, 0, deadline);
      if (!more.ok()) return more;
      answered_ = true;
    }
    is_whole = feed(buffer_.data());
    buffer_.consume(buffer_.data().size());
  }
  --awaited_;
  return {};
}

bool Connection::is_clean() noexcept {
  buffer_.consume(std::exchange(used_, 0));
  if (awaited_ != 0 || !buffer_.empty()) return false;
  buffer_.shrink(kKeptBuffer);
  return true;
}

Result<void> Connection::greet(const Greeting& greeting, const net::Deadline& deadline) {
  Commands hello;
  if (!greeting.password.empty()) {
    hello.begin(greeting.username.empty() ? 2 : 3).word("AUTH");
    if (!greeting.username.empty()) hello.word(greeting.username);
    hello.word(greeting.password);
  }
  if (greeting.database != 0) hello.begin(2).word("SELECT").number(greeting.database);
  if (!greeting.client_name.empty()) hello.begin(3).word("CLIENT").word("SETNAME").word(greeting.client_name);
  if (greeting.replica) hello.begin(1).word("READONLY");
  hello.begin(1).word("PING");
  const auto begun = net::Deadline::Clock::now();
  auto sent = send(hello, deadline);
  if (!sent.ok()) return sent;
  std::unique_ptr<Error> refused;
  for (std::size_t left = hello.count(); left > 0; --left) {
    auto reply = read(kLongestGreeting, deadline);
    if (!reply.ok()) return Result<void>(reply.take_error());
    if (left == hello.count()) note_turn(net::Deadline::Clock::now() - begun);
    if (reply->kind != Element::Kind::error || refused) continue;
    // Who refuses a PING is there all the same; whether it refuses more, the call will find out.
    const auto says = [&](std::string_view word) { return reply->text.starts_with(word); };
    if (left == 1 && (says("NOPERM") || says("BUSY") || says("LOADING") || says("MASTERDOWN"))) continue;
    Error error = from_server(reply->text);
    error.message = endpoint().name() + ": " + error.message;
    refused = std::make_unique<Error>(std::move(error));
  }
  if (refused) return Result<void>(std::move(refused));
  if (!is_clean()) return broken("the server said more than it was asked");
  auto timed = time_again(deadline);
  if (!timed.ok()) return timed;
  return greeting.primary ? check_role(deadline) : Result<void>();
}

// A server's first answer waits until it has accepted the connection: whether it is near, the next one tells.
Result<void> Connection::time_again(const net::Deadline& deadline) {
  if (is_near() || quickest_ > kSurelyFar) return {};
  Commands ping;
  ping.begin(1).word("PING");
  const auto begun = net::Deadline::Clock::now();
  auto sent = send(ping, deadline);
  if (!sent.ok()) return sent;
  auto reply = read(kLongestGreeting, deadline);
  if (!reply.ok()) return Result<void>(reply.take_error());
  note_turn(net::Deadline::Clock::now() - begun);
  return is_clean() ? Result<void>() : broken("the server said more than it was asked");
}

Result<void> Connection::check_role(const net::Deadline& deadline) {
  Commands question;
  question.begin(1).word("ROLE");
  auto sent = send(question, deadline);
  if (!sent.ok()) return sent;
  bool is_primary = false;
  for (int at = 0; awaited_ > 0; ++at) {
    auto element = read(kLongestGreeting, deadline);
    if (!element.ok()) return Result<void>(element.take_error());
    if (element->kind == Element::Kind::error) return from_server(element->text);
    if (at == 1) is_primary = element->text == "master";
  }
  if (!is_clean()) return broken("the server said more than it was asked");
  if (!is_primary) return net::fault(endpoint(), Errc::unavailable, "connecting", "it is not the primary");
  return {};
}

Result<std::unique_ptr<net::Pooled>> Connection::dial(const net::Endpoint& endpoint, const net::TlsContext* tls,
                                                      const Greeting& greeting, Duration usual,
                                                      const net::Deadline& deadline) {
  using Made = Result<std::unique_ptr<net::Pooled>>;
  auto stream = net::Stream::connect(endpoint, tls, usual, deadline);
  if (!stream.ok()) return Made(stream.take_error());
  auto connection = std::make_unique<Connection>(std::move(*stream));
  auto greeted = connection->greet(greeting, deadline);
  if (!greeted.ok()) return Made(greeted.take_error());
  return Made(std::unique_ptr<net::Pooled>(std::move(connection)));
}

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
