#include "meta_connection.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

namespace flux::cache {
inline namespace v1 {
namespace detail::memcached {

namespace {

/// From here on a value is sent from where it lies instead of being copied first.
constexpr std::size_t kLargeBody = 8 * 1024;
/// Above so many commands a burst is long: its writes are answered only where they fail.
constexpr std::size_t kFewCommands = 4;
/// Keys that are asked for in one line, and their bytes: what a server puts together before it sends. Above 2 KiB it
/// moves a line that it has read in part.
constexpr std::size_t kLineKeys = 64;
constexpr std::size_t kLineBytes = 1900;
/// Numbers of commands stay short on the wire; none is used again within so many.
constexpr std::uint32_t kOpaques = 1'000'000;
constexpr std::size_t kKeptBuffer = 256 * 1024;
/// How much is put together before it is sent: at first little, so that the server is soon at work, then twice as much
/// each time, so that it has always something at hand, until it is well worth a system call.
constexpr std::size_t kFirstBytes = 8 * 1024;
constexpr std::size_t kPartBytes = 32 * 1024;
/// What a server takes at one read under TLS, with room to spare.
constexpr std::size_t kOneRead = 8 * 1024;

/// Writes a command where there is room for it.
class Writer {
 public:
  explicit Writer(char* at) noexcept : at_(at) {}
  Writer& text(std::string_view text) noexcept {
    if (!text.empty()) std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
    return *this;
  }
  template <class Number>
  Writer& number(Number number) noexcept {
    at_ = std::to_chars(at_, at_ + kLongestNumber, number).ptr;
    return *this;
  }
  char* end() const noexcept { return at_; }

 private:
  static constexpr std::size_t kLongestNumber = 20;

  char* at_;
};

/// What stands in a command beside its key and its item: letters, a size, a lifetime, a number for swaps, one of ours.
constexpr std::size_t kLongestFlags = 128;

Status status_of(MetaCode code, Verb verb) noexcept {
  switch (code) {
    case MetaCode::value: return Status::found;
    case MetaCode::done: return verb == Verb::remove ? Status::removed : Status::stored;
    case MetaCode::not_stored: return Status::not_stored;
    case MetaCode::exists: return Status::changed;
    default: return Status::missing;
  }
}

/// Undoes the escapes of an URL, in which a dump writes keys.
bool unescape(std::string_view from, std::string& to) {
  to.clear();
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (from[i] != '%') {
      to += from[i];
      continue;
    }
    unsigned byte = 0;
    if (from.size() - i < 3) return false;
    const auto [end, fault] = std::from_chars(from.data() + i + 1, from.data() + i + 3, byte, 16);
    if (fault != std::errc{} || end != from.data() + i + 3) return false;
    to += static_cast<char>(byte);
    i += 2;
  }
  return true;
}

/// What a command may be answered with.
bool fits(MetaCode code, Verb verb) noexcept {
  switch (code) {
    case MetaCode::value:
    case MetaCode::miss: return verb == Verb::get;
    case MetaCode::done:
    case MetaCode::not_found:
    case MetaCode::exists: return verb != Verb::get;
    case MetaCode::not_stored: return verb != Verb::get && verb != Verb::remove;
    default: return false;
  }
}

}  // namespace

Error MetaConnection::broken(const std::string& why) const {
  return net::fault(stream_.endpoint(), Errc::unavailable, "reading an answer", why);
}

Error MetaConnection::refused(std::string_view why) const {
  const bool is_login = why.find("unauthenticated") != why.npos || why.find("authentication") != why.npos;
  return net::fault(stream_.endpoint(), is_login ? Errc::denied : Errc::unavailable, "asking",
                    "the server answered: " + std::string(why.substr(0, 200)));
}

std::uint32_t MetaConnection::opaque_of(std::size_t index) const noexcept {
  return static_cast<std::uint32_t>((first_opaque_ + index) % kOpaques);
}

/// Of a long burst a write over whatever is there says nothing where it is done: no news is its usual answer.
bool MetaConnection::is_quiet(const Command& command) const noexcept { return is_long_ && command.verb == Verb::set; }

void MetaConnection::end_line() {
  if (std::exchange(is_line_open_, false)) append("\r\n");
}

void MetaConnection::append(std::string_view text) {
  out_.reserve(text.size());
  std::memcpy(out_.room(), text.data(), text.size());
  out_.filled(text.size());
}

// A server does as much for twenty commands as for one before it answers and looks around, whereas the keys of a line
// are one command to it.
void MetaConnection::gather(const Command& command, std::size_t index) {
  const std::size_t bytes = command.key.size() + 1;
  if (is_line_open_) {
    const Line& line = lines_.back();
    if (line.end - line.begin == kLineKeys || line.bytes + bytes > kLineBytes || line.wants_cas != command.wants_cas)
      end_line();
  }
  if (!is_line_open_) {
    append(command.wants_cas ? "gets" : "get");
    lines_.push_back({index, index, 0, command.wants_cas});
    is_line_open_ = true;
  }
  out_.reserve(bytes);
  Writer(out_.room()).text(" ").text(command.key);
  out_.filled(bytes);
  lines_.back().end = index + 1;
  lines_.back().bytes += bytes;
}

void MetaConnection::write(const Command& command, std::size_t index) {
  if (command.verb == Verb::get && !command.is_apart) return gather(command, index);
  end_line();
  const bool is_store = command.verb != Verb::get && command.verb != Verb::remove;
  const bool is_large = command.body.size() >= kLargeBody;
  out_.reserve(kLongestFlags + command.key.size() + command.head.size() + (is_large ? 0 : command.body.size()));
  Writer to(out_.room());
  to.text(is_store ? "ms " : command.verb == Verb::get ? "mg " : "md ").text(command.key);
  if (is_store) {
    to.text(" ").number(command.head.size() + command.body.size());
    if (command.expires != 0) to.text(" T").number(command.expires);
    if (command.verb == Verb::add) to.text(" ME");
  } else if (command.verb == Verb::get) {
    to.text(command.wants_cas ? " v c" : " v");
  }
  if (command.cas != 0) to.text(" C").number(command.cas);
  // What a quiet write is answered with, if at all, bears no number.
  if (is_quiet(command)) {
    to.text(" q\r\n");
  } else {
    to.text(" O").number(opaque_of(index)).text("\r\n");
  }
  if (is_store) {
    to.text(command.head);
    if (!is_large) to.text(command.body).text("\r\n");
  }
  out_.filled(static_cast<std::size_t>(to.end() - out_.room()));
  if (!is_store || !is_large) return;
  pieces_.push_back({out_.data().size(), command.body});
  piece_bytes_ += command.body.size();
  append("\r\n");
}

Result<void> MetaConnection::open(std::size_t commands) {
  if (in_.data().size() != scanned_) return broken("more was sent than was asked for");
  in_.consume(scanned_);
  scanned_ = 0;
  in_.shrink(kKeptBuffer);
  out_.clear();
  out_.shrink(kKeptBuffer);
  pieces_.clear();
  piece_bytes_ = 0;
  lines_.clear();
  is_long_ = commands > kFewCommands;
  is_line_open_ = false;
  added_ = 0;
  part_ = kFirstBytes;
  sent_ = {};
  has_begun_ = false;
  return {};
}

Result<void> MetaConnection::add(std::span<const Command> more, const net::Deadline& deadline) {
  for (const Command& command : more) {
    write(command, added_++);
    if (out_.data().size() + piece_bytes_ < part_ || stream_.is_sealed()) continue;
    auto sent = send_part(deadline, false);
    if (!sent.ok()) return sent;
    part_ = std::min(2 * part_, kPartBytes);
  }
  return {};
}

Result<void> MetaConnection::close(std::span<const Command> all, const net::Deadline& deadline) {
  sent_ = all;
  end_line();
  ends_quiet_ = !all.empty() && is_quiet(all.back());
  if (ends_quiet_) append("mn\r\n");
  // Under TLS a server forgets about the end of a record that it did not take at one read, until more comes (memcached
  // 1.6.18 does). So the last byte of a longer burst comes in a record of its own, which nobody takes in part.
  return send_part(deadline, stream_.is_sealed() && (!pieces_.empty() || out_.data().size() > kOneRead));
}

Result<void> MetaConnection::send_part(const net::Deadline& deadline, bool ends_apart) {
  const std::string_view out = out_.data();
  if (pieces_.empty() && !ends_apart) {
    auto sent = stream_.send(out, in_, deadline);
    out_.clear();
    return sent;
  }
  std::vector<iovec> parts;
  parts.reserve(2 * pieces_.size() + 2);
  const auto add = [&](std::string_view part) { parts.push_back({const_cast<char*>(part.data()), part.size()}); };
  std::size_t at = 0;
  for (const Piece& piece : pieces_) {
    add(out.substr(at, piece.before - at));
    add(piece.body);
    at = piece.before;
  }
  const std::size_t end = out.size() - (ends_apart ? 1 : 0);
  add(out.substr(at, end - at));
  if (ends_apart) add(out.substr(end));
  auto sent = stream_.send(parts, in_, deadline);
  out_.clear();
  pieces_.clear();
  piece_bytes_ = 0;
  return sent;
}

// Commands from `next_` up to `end` were answered by silence, unless an error came in between: then any of them may
// have been the one. False: one of them is never silent.
bool MetaConnection::pass_silent(std::size_t end) {
  for (; next_ < end; ++next_) {
    if (!is_quiet(sent_[next_])) return false;
    const Reply reply{has_unplaced_ ? Status::doubtful : Status::stored, 0, {}};
    if (sink_ == nullptr) {
      replies_[next_] = reply;
    } else if (has_unplaced_) {
      (*sink_)(next_, reply);
    }
  }
  has_unplaced_ = false;
  return true;
}

void MetaConnection::settle(Status status, const MetaReply& scanned) {
  if (sink_ != nullptr) {
    if (status != Status::missing) (*sink_)(next_, {status, scanned.cas, scanned.value});
  } else {
    replies_[next_] = {status, scanned.cas, {}};
    // The buffer may still grow and move, so the place is noted, and looked up at the end.
    if (scanned.value.data() != nullptr)
      places_.push_back(
          {next_, static_cast<std::size_t>(scanned.value.data() - in_.data().data()), scanned.value.size()});
  }
  ++next_;
}

// Values come in the order of the keys, and what does not come is not there.
Result<void> MetaConnection::take_gathered(const MetaReply& scanned) {
  const Line& line = lines_[line_];
  if (next_ < line.begin && !pass_silent(line.begin)) return broken("an answer is missing");
  std::size_t index = next_;
  if (scanned.code == MetaCode::end) {
    index = line.end;
    ++line_;
  } else {
    if (!scanned.is_likely)
      while (index < line.end && sent_[index].key != scanned.key) ++index;
    if (index >= line.end) return broken("an answer to something else");
  }
  for (; next_ < index; ++next_)
    if (sink_ == nullptr) replies_[next_] = {};
  if (scanned.code == MetaCode::value) settle(Status::found, scanned);
  return {};
}

Result<void> MetaConnection::take(const MetaReply& scanned) {
  if (scanned.code == MetaCode::end || !scanned.key.empty()) return take_gathered(scanned);
  if (scanned.code == MetaCode::client_error) return refused(scanned.value);
  if (scanned.code == MetaCode::barrier) {
    if (!ends_quiet_ || !pass_silent(sent_.size())) return broken("an answer is missing");
    ends_quiet_ = false;
    return {};
  }
  if (next_ == sent_.size()) return broken("more was sent than was asked for");
  const bool is_in_line = line_ < lines_.size() && next_ >= lines_[line_].begin;
  if (scanned.code == MetaCode::server_error) {
    if (is_in_line) return refused(scanned.value);  // of all of the line
    // It names no command. A quiet one is known to be meant only where it stands alone between two that answer.
    if (is_quiet(sent_[next_]) && next_ + 1 < sent_.size() && is_quiet(sent_[next_ + 1])) {
      has_unplaced_ = true;
      return {};
    }
    const bool is_large = scanned.value.find("too large") != std::string_view::npos;
    settle(is_large ? Status::too_large : Status::refused, scanned);
    return {};
  }
  std::size_t index = next_;
  if (scanned.has_opaque) index = (scanned.opaque + kOpaques - opaque_of(0)) % kOpaques;
  if (is_in_line || index < next_ || index >= sent_.size() || !fits(scanned.code, sent_[index].verb))
    return broken("an answer to something else");
  if (is_quiet(sent_[index])) {
    if (scanned.has_opaque) return broken("an answer to something else");
    has_unplaced_ = true;  // one of some, however it is called
    return {};
  }
  if (!pass_silent(index)) return broken("an answer is missing");
  settle(status_of(scanned.code, sent_[index].verb), scanned);
  return {};
}

Result<void> MetaConnection::receive(std::span<Reply> replies, const net::Deadline& deadline) {
  replies_ = replies;
  sink_ = nullptr;
  auto done = receive_all(deadline);
  if (!done.ok()) return done;
  for (const Place& place : places_) replies[place.index].value = in_.data().substr(place.at, place.size);
  return done;
}

Result<void> MetaConnection::receive_each(Sink take, const net::Deadline& deadline) {
  replies_ = {};
  sink_ = &take;
  auto done = receive_all(deadline);
  sink_ = nullptr;
  return done;
}

Result<void> MetaConnection::receive_all(const net::Deadline& deadline) {
  next_ = 0;
  line_ = 0;
  has_unplaced_ = false;
  places_.clear();
  while (next_ < sent_.size() || line_ < lines_.size() || ends_quiet_) {
    MetaReply scanned;
    std::size_t used = 0;
    const std::string_view unread = in_.data().substr(scanned_);
    const Scan scan = line_ == lines_.size()
                          ? scan_reply(unread, longest_value_, scanned, used)
                          : scan_gathered(unread, next_ < sent_.size() ? sent_[next_].key : std::string_view(),
                                          longest_value_, scanned, used);
    if (scan == Scan::broken) return broken("it is none of memcached's, or too large");
    if (scan == Scan::more) {
      auto more = stream_.receive(in_, used - unread.size(), deadline);
      if (!more.ok()) return more;
      continue;
    }
    scanned_ += used;
    has_begun_ = true;
    auto taken = take(scanned);
    if (!taken.ok()) return taken;
    if (sink_ == nullptr) continue;
    in_.consume(scanned_);
    scanned_ = 0;
  }
  if (in_.data().size() != scanned_) return broken("more was sent than was asked for");
  first_opaque_ = opaque_of(sent_.size());
  sent_ = {};
  return {};
}

Result<std::string_view> MetaConnection::receive_line(const net::Deadline& deadline, std::string_view mark) {
  constexpr std::size_t kLongestLine = 8 * 1024;
  for (;;) {
    const std::string_view unread = in_.data().substr(scanned_);
    const std::size_t end = unread.find(mark);
    if (end != unread.npos) {
      scanned_ += end + mark.size();
      return unread.substr(0, end);
    }
    if (unread.size() > kLongestLine) return broken("it is none of memcached's");
    auto more = stream_.receive(in_, 1, deadline);
    if (!more.ok()) return Result<std::string_view>(more.take_error());
  }
}

Result<void> MetaConnection::say(std::string_view what, const net::Deadline& deadline) {
  if (in_.data().size() != scanned_) return broken("more was sent than was asked for");
  in_.consume(scanned_);
  scanned_ = 0;
  return stream_.send(what, in_, deadline);
}

Result<void> MetaConnection::log_in(const std::string& username, const std::string& password,
                                    const net::Deadline& deadline) {
  const std::string both = username + " " + password;
  auto sent = say("set auth 0 0 " + std::to_string(both.size()) + "\r\n" + both + "\r\n", deadline);
  if (!sent.ok()) return sent;
  auto line = receive_line(deadline);
  if (!line.ok()) return Result<void>(line.take_error());
  if (*line == "STORED") return {};
  // The words of the answer are kept out: a server may repeat what it was told.
  return net::fault(stream_.endpoint(), Errc::denied, "logging in", "the server knows no such user and password");
}

Result<void> MetaConnection::greet(const net::Deadline& deadline) {
  auto sent = say("mn\r\n", deadline);
  if (!sent.ok()) return sent;
  auto line = receive_line(deadline);
  if (!line.ok()) return Result<void>(line.take_error());
  if (*line == "MN") return {};
  if (line->starts_with("CLIENT_ERROR")) return refused(*line);
  if (*line == "ERROR")
    return net::fault(stream_.endpoint(), Errc::unsupported, "greeting",
                      "the server does not know the meta protocol, which memcached has from 1.6 on; the protocol "
                      "\"binary\" may do");
  return broken("it is none of memcached's");
}

Result<void> MetaConnection::dump(FunctionRef<void(std::string_view key)> take, Duration patience) {
  // Through the hash table, which holds still, rather than the queues, between which items move; servers before 1.6.10
  // know the queues alone.
  bool is_first = true;
  auto sent = say("lru_crawler metadump hash\r\n", net::Deadline::in(patience));
  if (!sent.ok()) return sent;
  std::string key;
  for (net::Deadline deadline = net::Deadline::in(patience);;) {
    in_.consume(scanned_);
    scanned_ = 0;
    if (in_.empty()) deadline = net::Deadline::in(patience);
    auto line = receive_line(deadline, "\n");
    if (!line.ok()) return Result<void>(line.take_error());
    if (line->ends_with('\r')) line->remove_suffix(1);
    if (*line == "END") return {};
    if (line->starts_with("BUSY"))
      return net::fault(stream_.endpoint(), Errc::rejected, "listing", "the server's crawler is at work");
    if (line->starts_with("CLIENT_ERROR") && std::exchange(is_first, false)) {
      sent = say("lru_crawler metadump all\r\n", net::Deadline::in(patience));
      if (!sent.ok()) return sent;
      continue;
    }
    if (line->starts_with("ERROR") || line->starts_with("CLIENT_ERROR"))
      return net::fault(stream_.endpoint(), Errc::unsupported, "listing", "the server's crawler is switched off");
    if (!line->starts_with("key=") || !unescape(line->substr(4, line->find(' ') - 4), key))
      return broken("it is none of memcached's");
    take(key);
  }
}

Result<std::map<std::string, std::string>> MetaConnection::stats(std::string_view what, const net::Deadline& deadline) {
  using Answer = Result<std::map<std::string, std::string>>;
  std::string request("stats");
  if (!what.empty()) request.append(" ").append(what);
  auto sent = say(request.append("\r\n"), deadline);
  if (!sent.ok()) return Answer(sent.take_error());
  std::map<std::string, std::string> all;
  for (;;) {
    auto line = receive_line(deadline);
    if (!line.ok()) return Answer(line.take_error());
    if (*line == "END" || *line == "RESET") return all;
    if (!line->starts_with("STAT ")) return refused(*line);
    const std::string_view rest = line->substr(5);
    const std::size_t space = rest.find(' ');
    if (space == rest.npos || all.size() > 10'000) return broken("it is none of memcached's");
    all.emplace(rest.substr(0, space), rest.substr(space + 1));
  }
}

}  // namespace detail::memcached
}  // namespace v1
}  // namespace flux::cache
