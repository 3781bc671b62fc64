#include "client.hpp"

#include <thread>

#include "core/random.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

namespace {

constexpr std::size_t kKeptCommands = 64 * 1024;
constexpr Duration kLongestPause = std::chrono::milliseconds(100);

thread_local Commands spare;
thread_local bool spare_taken = false;

}  // namespace

bool is_passing(const Error& error) noexcept {
  for (const char* word : {"LOADING", "BUSY ", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN"})
    if (error.message.find(word) != error.message.npos) return true;
  return false;
}

bool is_missing_script(const Error& error) noexcept { return error.message.find("NOSCRIPT") != error.message.npos; }

bool Pauses::wait(const net::Deadline& deadline) {
  const Duration pause(1 + static_cast<Duration::rep>(random_below(static_cast<std::uint64_t>(next_.count()))));
  next_ = std::min(2 * next_, kLongestPause);
  if (deadline.left() <= pause) return false;
  std::this_thread::sleep_for(pause);
  return true;
}

ThreadCommands::ThreadCommands() : commands_(&spare) {
  if (spare_taken) {
    own_ = std::make_unique<Commands>();
    commands_ = own_.get();
    return;
  }
  spare_taken = true;
  spare.clear();
}

ThreadCommands::~ThreadCommands() {
  if (own_) return;
  spare_taken = false;
  if (spare.capacity() > kKeptCommands) spare = Commands();
}

Result<Element> Replies::next_of_any_kind(std::size_t largest) {
  auto element = connection_.read(largest, deadline_);
  if (element.ok() && element->kind == Element::Kind::error && !refusal_)
    refusal_ = std::make_unique<Error>(from_server(element->text));
  return element;
}

Result<void> Replies::statuses(std::size_t count, std::string_view usual) {
  while (count > 0) {
    count -= connection_.skip(usual, count);
    if (count == 0) break;
    auto element = next();
    if (!element.ok()) return Result<void>(element.take_error());
    --count;
  }
  return {};
}

Result<void> Replies::pass_over() {
  while (connection_.awaits_more()) {
    auto element = next();
    if (!element.ok()) return Result<void>(element.take_error());
  }
  return {};
}

Error Replies::unexpected() const {
  return net::fault(connection_.endpoint(), Errc::unavailable, "receiving", "the answer is not one to what was asked");
}

Result<bool> Replies::array(std::size_t size) {
  auto head = next(size);
  if (!head.ok()) return Result<bool>(head.take_error());
  if (head->kind == Element::Kind::error) return false;
  if (head->kind != Element::Kind::array || static_cast<std::size_t>(head->number) != size) return unexpected();
  return true;
}

Result<std::int64_t> Replies::integer() {
  auto element = next();
  if (!element.ok()) return Result<std::int64_t>(element.take_error());
  if (element->kind == Element::Kind::error) return 0;
  if (element->kind != Element::Kind::integer) return unexpected();
  return element->number;
}

Result<void> Client::eval(Where where, Script script, std::size_t words, Again again,
                          detail::FunctionRef<void(Commands&)> arguments, Reading read) {
  const net::Deadline deadline = net::Deadline::in(timeout_);
  ThreadCommands commands;
  commands->begin(2 + words).word("EVALSHA").word(script_name(script));
  arguments(*commands);
  auto done = call(where, *commands, again, read, deadline);
  if (done.ok() || !is_missing_script(done.error())) return done;
  commands->clear();
  commands->begin(2 + words).word("EVAL").word(script_text(script));
  arguments(*commands);
  return call(where, *commands, again, read, deadline);
}

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
