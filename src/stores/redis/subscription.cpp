#include "subscription.hpp"

#include <unistd.h>

#include <csignal>
#include <new>

#include "core/random.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

namespace {

constexpr Duration kFirstPause = std::chrono::milliseconds(10);
constexpr Duration kLongestPause = std::chrono::milliseconds(500);
/// A message, its channel or its kind that is longer than this is none of ours.
constexpr std::size_t kLongest = std::size_t{64} * 1024 * 1024;

/// What the server pushes to who has subscribed.
struct Push {
  enum class Kind : std::uint8_t { other, subscribed, message, pong };
  Kind kind = Kind::other;
  std::string_view payload{};  ///< of a message; valid until the next one is read
};

Result<Push> read_push(Connection& connection, const net::Deadline& deadline) {
  Push push;
  auto head = connection.read(kLongest, deadline);
  if (!head.ok()) return Result<Push>(head.take_error());
  if (head->kind == Element::Kind::error) return from_server(head->text);
  if (head->kind != Element::Kind::array || head->number < 1 || head->number > 4) return push;
  for (std::int64_t i = 0; i < head->number; ++i) {
    auto element = connection.read(kLongest, deadline);
    if (!element.ok()) return Result<Push>(element.take_error());
    if (i == 0 && element->text == "message" && head->number == 3) push.kind = Push::Kind::message;
    if (i == 0 && element->text == "subscribe") push.kind = Push::Kind::subscribed;
    if (i == 0 && element->text == "pong") push.kind = Push::Kind::pong;
    if (i + 1 == head->number) push.payload = element->text;
  }
  return push;
}

}  // namespace

Subscription::Subscription(Plan plan, BackplaneListener listener)
    : plan_(std::move(plan)), listener_(std::move(listener)), process_(::getpid()) {
  start();
  enlist();
}

Subscription::~Subscription() {
  delist();
  if (process_.load() != ::getpid()) {
    // The thread is the parent's, and so is the handle: nothing to join here.
    new (&thread_) std::thread();
    return;
  }
  line_->ended = true;
  {
    const std::scoped_lock guard(line_->mutex);
    line_->changed.notify_all();
    if (line_->current != nullptr) line_->current->interrupt();
  }
  if (thread_.get_id() == std::this_thread::get_id())
    thread_.detach();  // from inside a call
  else if (thread_.joinable())
    thread_.join();
}

bool Subscription::is_connected() const noexcept {
  return process_.load() == ::getpid() && line_->connected.load(std::memory_order_acquire);
}

void Subscription::start() {
  line_ = std::make_shared<Line>();
  // Signals are for the program's own threads.
  ::sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    // The listener and the plan are copied: from inside a call the thread may outlive this.
    thread_ = std::thread([line = line_, plan = plan_, listener = listener_] { run(plan, listener, *line); });
  } catch (...) {
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

/// The child is alone, and hears nothing from here on: only its copy of the listener is told, without a lock that the
/// thread may have held.
void Subscription::after_fork(bool in_child) noexcept {
  if (!in_child || !listener_.connection) return;
  try {
    listener_.connection(false);
  } catch (...) {
  }
}

void Subscription::revive() {
  if (process_.load() == ::getpid()) return;
  const std::unique_lock guard(starting_, std::try_to_lock);
  if (!guard || process_.load() == ::getpid()) return;
  // The handle is the parent's, and so is the old line, which its thread's copy keeps from being destroyed here.
  new (&thread_) std::thread();
  try {
    start();
    process_ = ::getpid();
  } catch (...) {  // no thread to be had: the next call tries again
  }
}

void Subscription::tell(const BackplaneListener& listener, Line& line, bool connected) {
  const std::scoped_lock guard(line.calling);
  line.connected.store(connected, std::memory_order_release);
  if (!line.ended && listener.connection) listener.connection(connected);
}

void Subscription::run(const Plan& plan, const BackplaneListener& listener, Line& line) {
  tell(listener, line, false);
  Duration pause = kFirstPause;
  while (!line.ended) {
    auto dialled = plan.dial(net::Deadline::in(plan.timeout));
    if (dialled.ok()) {
      auto& connection = static_cast<Connection&>(**dialled);
      {
        const std::scoped_lock guard(line.mutex);
        line.current = &connection;
      }
      if (!line.ended) listen(plan, listener, line, connection);
      {
        const std::scoped_lock guard(line.mutex);
        line.current = nullptr;
      }
      if (line.connected) {
        tell(listener, line, false);
        pause = kFirstPause;
      }
    }
    const Duration wait(1 + static_cast<Duration::rep>(random_below(static_cast<std::uint64_t>(pause.count()))));
    pause = std::min(2 * pause, kLongestPause);
    std::unique_lock lock(line.mutex);
    line.changed.wait_for(lock, wait, [&] { return line.ended.load(); });
  }
}

/// Until the connection breaks or is silent for too long.
void Subscription::listen(const Plan& plan, const BackplaneListener& listener, Line& line, Connection& connection) {
  Commands commands;
  commands.begin(2).word("SUBSCRIBE").word(plan.channel);
  if (!connection.send(commands, net::Deadline::in(plan.timeout)).ok()) return;
  commands.clear();
  commands.begin(1).word("PING");
  bool is_asked = true;  // an answer is due
  while (!line.ended) {
    auto come = connection.await(net::Deadline::in(is_asked ? plan.timeout : plan.heartbeat));
    if (!come.ok()) return;
    if (!*come) {
      if (is_asked || !connection.send(commands, net::Deadline::in(plan.timeout)).ok()) return;
      is_asked = true;
      continue;
    }
    auto push = read_push(connection, net::Deadline::in(plan.timeout));
    if (!push.ok()) return;
    is_asked = is_asked && !line.connected;
    switch (push->kind) {
      case Push::Kind::subscribed:
        is_asked = false;
        tell(listener, line, true);
        break;
      case Push::Kind::message: {
        const std::scoped_lock guard(line.calling);
        if (!line.ended && listener.heard) listener.heard(push->payload);
        break;
      }
      default: break;
    }
  }
}

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
