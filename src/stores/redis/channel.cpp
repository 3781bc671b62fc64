#include "channel.hpp"

#include <algorithm>
#include <charconv>
#include <thread>

#include "core/random.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

struct Channel::Request {
  enum class State : std::uint8_t { waiting, sent, ended };

  std::string bytes;
  std::size_t replies = 0;
  std::condition_variable called;
  State state = State::waiting;
  bool is_abandoned = false;
  Answer answer;
};

/// What is on its way, and how far its replies have been looked over.
struct Channel::Flight {
  explicit Flight(net::Pool::Lease taken) : lease(std::move(taken)) {}
  Connection& connection() const noexcept { return lease.as<Connection>(); }

  net::Pool::Lease lease;
  std::vector<std::shared_ptr<Request>> requests;
  std::vector<std::size_t> ends;  // of the replies to each, in what was received
  std::string mark;               // comes back behind all replies; empty: one call alone, which needs none
  std::size_t at = 0;
  std::size_t left = 0;
  bool is_suspect = false;
};

namespace {

std::string marked_reply(std::string_view mark) {
  return "$" + std::to_string(mark.size()) + "\r\n" + std::string(mark) + "\r\n";
}

Error mixed_up(const Connection& connection) {
  return net::fault(connection.endpoint(), Errc::unavailable, "receiving",
                    "the answers are not those to what was asked");
}

}  // namespace

bool scan_replies(std::string_view data, std::size_t& at, std::size_t& left) noexcept {
  while (left > 0) {
    const std::size_t end = data.find('\n', at);
    if (end == data.npos) return false;
    std::size_t next = end + 1;
    const char mark = data[at];
    if (mark == '$' || mark == '*') {
      std::int64_t number = 0;
      const auto [rest, fault] = std::from_chars(data.data() + at + 1, data.data() + end, number);
      constexpr std::int64_t kMost = std::int64_t{1} << 40;
      if (fault != std::errc() || *rest != '\r' || number > kMost) return left = 0, true;
      if (mark == '$' && number >= 0) next += static_cast<std::size_t>(number) + 2;
      if (next > data.size()) return false;
      if (mark == '*' && number > 0) left += static_cast<std::size_t>(number);
    }
    at = next;
    --left;
  }
  return true;
}

Channel::Channel(net::Pool& pool) : pool_(pool) { enlist(); }

Channel::~Channel() { delist(); }

Channel::Answer Channel::exchange(Commands& commands, const net::Deadline& deadline) {
  const auto mine = std::make_shared<Request>();
  for (const iovec& part : commands.parts()) mine->bytes.append(static_cast<const char*>(part.iov_base), part.iov_len);
  mine->replies = commands.count();
  Lock lock(mutex_);
  waiting_.push_back(mine);
  while (mine->state != Request::State::ended) {
    if (deadline.is_past()) {
      give_up(mine);
      if (const auto next = next_lead()) next->called.notify_one();
    } else if (!leading_) {
      leading_ = true;
      lead(lock, *mine, deadline);
      leading_ = false;
      const std::shared_ptr<Request> next = next_lead();
      if (mine->state != Request::State::ended) {
        if (next) next->called.notify_one();
        continue;
      }
      lock.unlock();
      if (next) next->called.notify_one();
      return std::move(mine->answer);
    } else {
      mine->called.wait_until(lock, deadline.end());
    }
  }
  return std::move(mine->answer);
}

// Until the caller's own call has ended, or its time is up.
void Channel::lead(Lock& lock, Request& mine, const net::Deadline& deadline) {
  while (mine.state != Request::State::ended && !deadline.is_past()) {
    if (flight_ == nullptr && !take_off(lock, mine, deadline)) continue;
    Flight& flight = *flight_;
    Connection& connection = flight.connection();
    while (flight.ends.size() < flight.requests.size()) {
      if (flight.left == 0) flight.left = flight.requests[flight.ends.size()]->replies;
      if (!scan_replies(connection.unread(), flight.at, flight.left)) break;
      flight.ends.push_back(flight.at);
    }
    const std::size_t whole = flight.at + (flight.mark.empty() ? 0 : marked_reply(flight.mark).size());
    if (flight.ends.size() == flight.requests.size() && connection.unread().size() >= whole) {
      land(lock);
      continue;
    }
    if (connection.unread().size() > kMostReceived) {
      crash(mixed_up(connection));
      continue;
    }
    lock.unlock();
    auto more = connection.receive(deadline);
    lock.lock();
    if (!more.ok() && more.error().code != Errc::timeout) crash(more.error());
  }
}

/// Sends what waits. False: nothing is under way.
bool Channel::take_off(Lock& lock, Request& mine, const net::Deadline& deadline) {
  const bool is_thin = waiting_.size() < last_size_;
  lock.unlock();
  // Those who were answered a moment ago are about to ask again: one turn for them makes the flight a fuller one.
  if (is_thin) std::this_thread::yield();
  auto lease = pool_.take(deadline);
  lock.lock();
  if (!lease.ok()) {
    // What one runs out of time for, others may still have time for.
    const bool is_mine_alone = lease.error().code == Errc::timeout;
    std::erase_if(waiting_, [&](const auto& one) { return is_mine_alone && one.get() == &mine; });
    if (is_mine_alone) end(mine, lease.error(), false, false);
    if (is_mine_alone) return false;
    for (const auto& each : waiting_) end(*each, lease.error(), false, false);
    waiting_.clear();
    return false;
  }
  flight_ = std::make_unique<Flight>(std::move(*lease));
  Flight& flight = *flight_;
  std::string bytes;
  std::size_t replies = 0;
  while (!waiting_.empty() && bytes.size() < kMostInFlight) {
    Request& next = *waiting_.front();
    bytes += next.bytes;
    replies += next.replies;
    next.state = Request::State::sent;
    flight.requests.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  last_size_ = flight.requests.size();
  if (flight.requests.size() > 1) {
    Commands mark;
    flight.mark = std::to_string(random_bits());
    mark.begin(2).word("PING").word(flight.mark);
    for (const iovec& part : mark.parts()) bytes.append(static_cast<const char*>(part.iov_base), part.iov_len);
    ++replies;
  }
  lock.unlock();
  auto sent = flight.connection().send(bytes, replies, deadline);
  lock.lock();
  if (sent.ok()) return true;
  crash(sent.error());
  return false;
}

// All replies are there. Nobody gets one before it is certain that none is missing and none is too many: behind them
// stands what was asked for last.
void Channel::land(Lock& lock) {
  Connection& connection = flight_->connection();
  const std::string_view data = connection.unread();
  const std::string mark = flight_->mark.empty() ? std::string() : marked_reply(flight_->mark);
  if (data.substr(flight_->at) != mark) return crash(mixed_up(connection));
  const std::unique_ptr<Flight> flight = std::move(flight_);
  std::size_t from = 0;
  for (std::size_t i = 0; i < flight->requests.size(); ++i) {
    Request& request = *flight->requests[i];
    if (!request.is_abandoned) request.answer.bytes.assign(data.substr(from, flight->ends[i] - from));
    request.answer.was_sent = true;
    request.state = Request::State::ended;
    from = flight->ends[i];
  }
  connection.settle();
  if (!flight->is_suspect) flight->lease.hand_back(net::Deadline::Clock::now());
  // Whoever is called wants the lock: called under it, each would wait twice.
  lock.unlock();
  for (const auto& each : flight->requests) each->called.notify_one();
  lock.lock();
}

// Whether they were carried out nobody knows.
void Channel::crash(const Error& why) {
  const std::unique_ptr<Flight> flight = std::move(flight_);
  const bool may_retry =
      !flight->lease.is_fresh() && flight->connection().is_unanswered() && why.code == Errc::unavailable;
  for (const auto& each : flight->requests) end(*each, why, true, may_retry);
}

void Channel::end(Request& request, const Error& why, bool was_sent, bool may_retry) {
  request.answer.error = std::make_unique<Error>(why);
  request.answer.was_sent = was_sent;
  request.answer.may_retry = may_retry;
  request.state = Request::State::ended;
  request.called.notify_one();
}

void Channel::give_up(const std::shared_ptr<Request>& mine) {
  const bool was_sent = mine->state == Request::State::sent;
  std::erase(waiting_, mine);
  mine->is_abandoned = true;
  end(*mine, {Errc::timeout, "the shared connection gave no answer in time"}, was_sent, false);
  // Nobody is left to hear the rest: what comes later must not meet another question.
  if (flight_ != nullptr && !leading_ &&
      std::all_of(flight_->requests.begin(), flight_->requests.end(),
                  [](const auto& each) { return each->state == Request::State::ended; }))
    flight_.reset();
}

std::shared_ptr<Channel::Request> Channel::next_lead() const {
  if (leading_) return nullptr;
  if (flight_ != nullptr) {
    for (const auto& each : flight_->requests)
      if (each->state != Request::State::ended) return each;
  }
  return waiting_.empty() ? nullptr : waiting_.front();
}

void Channel::suspect() {
  {
    const std::scoped_lock lock(mutex_);
    if (flight_ != nullptr) flight_->is_suspect = true;
  }
  pool_.drop_idle();
}

void Channel::after_fork(bool in_child) noexcept {
  if (in_child) {
    waiting_.clear();
    (void)
        flight_.release();  // some thread of the parent's may be in the middle of it; the pool has let go of its socket
    leading_ = false;
  }
  mutex_.unlock();
}

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
