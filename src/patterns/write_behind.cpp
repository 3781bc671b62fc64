#include <flux/cache/patterns/write_behind.hpp>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace flux::cache {
inline namespace v1 {
namespace detail {

using Steady = std::chrono::steady_clock;

struct BehindQueue::State {
  State(const WriteBehindOptions& given, Writer write) : options(given), writer(std::move(write)) {}

  void work();
  /// Waits until a batch is due; false: the end, and nothing is left or no time to write it.
  bool wait_for_batch(std::unique_lock<std::mutex>& lock);
  bool out_of_time() const { return closing && Steady::now() >= give_up; }

  const WriteBehindOptions options;
  const Writer writer;
  mutable std::mutex mutex;
  std::condition_variable changed;  // something to do, or the end
  std::condition_variable moved;    // room in the queue, or something written
  std::deque<Item> queue;
  std::size_t in_hand = 0;  // at the front of the queue, handed to the writer
  std::uint64_t pushed = 0;
  std::uint64_t flush_up_to = 0;  // writes up to this number are wanted at once
  Steady::time_point oldest{};    // when the front of the queue came
  bool closing = false;
  Steady::time_point give_up{};
  WriteBehindFigures figures;
  std::thread thread;
};

bool BehindQueue::State::wait_for_batch(std::unique_lock<std::mutex>& lock) {
  for (;;) {
    const bool wanted = pushed - queue.size() < flush_up_to;
    if (!queue.empty() && (closing || wanted || queue.size() >= options.max_batch_size ||
                           Steady::now() >= oldest + options.flush_interval))
      return !out_of_time();
    if (closing) return false;
    if (queue.empty())
      changed.wait(lock);
    else
      changed.wait_until(lock, oldest + options.flush_interval);
  }
}

void BehindQueue::State::work() {
  Duration pause = options.retry_pause;
  std::vector<Item> batch;
  std::unique_lock lock(mutex);
  while (wait_for_batch(lock)) {
    in_hand = std::min(queue.size(), options.max_batch_size);
    batch.assign(queue.begin(), queue.begin() + static_cast<std::ptrdiff_t>(in_hand));
    lock.unlock();
    bool written = true;
    try {
      writer(batch);
    } catch (...) {
      written = false;
    }
    lock.lock();
    if (!written) {
      ++figures.failed_batches;
      in_hand = 0;
      const auto until = Steady::now() + pause;
      changed.wait_until(lock, closing ? std::min(until, give_up) : until, [&] { return out_of_time(); });
      pause = std::min(pause * 2, options.max_retry_pause);
      continue;
    }
    pause = options.retry_pause;
    queue.erase(queue.begin(), queue.begin() + static_cast<std::ptrdiff_t>(in_hand));
    figures.written += in_hand;
    ++figures.batches;
    in_hand = 0;
    oldest = Steady::now();
    moved.notify_all();
  }
  figures.dropped += queue.size();
  queue.clear();
  moved.notify_all();
}

BehindQueue::BehindQueue(const WriteBehindOptions& options, Writer writer) {
  if (options.max_batch_size == 0 || options.max_pending == 0)
    throw std::invalid_argument("flux::cache: write-behind: max_batch_size and max_pending must be 1 or more");
  state_ = std::make_unique<State>(options, std::move(writer));
  state_->thread = std::thread([state = state_.get()] { state->work(); });
}

BehindQueue::~BehindQueue() {
  {
    const std::scoped_lock guard(state_->mutex);
    state_->closing = true;
    state_->give_up = Steady::now() + state_->options.drain;
  }
  state_->changed.notify_all();
  state_->thread.join();
}

bool BehindQueue::push(std::string_view key, Object value) {
  State& here = *state_;
  std::unique_lock lock(here.mutex);
  while (here.queue.size() >= here.options.max_pending) {
    if (here.options.when_full == WhenFull::fail || here.closing) return false;
    // What the writer has in hand stays: it may be half written.
    if (here.options.when_full == WhenFull::drop_oldest && here.queue.size() > here.in_hand) {
      here.queue.erase(here.queue.begin() + static_cast<std::ptrdiff_t>(here.in_hand));
      ++here.figures.dropped;
      break;
    }
    here.moved.wait(lock);
  }
  if (here.queue.empty()) here.oldest = Steady::now();
  here.queue.push_back({std::string(key), std::move(value)});
  ++here.pushed;
  ++here.figures.accepted;
  if (here.queue.size() == 1 || here.queue.size() == here.options.max_batch_size) here.changed.notify_one();
  return true;
}

void BehindQueue::flush() {
  State& here = *state_;
  std::unique_lock lock(here.mutex);
  const std::uint64_t mine = here.pushed;
  here.flush_up_to = std::max(here.flush_up_to, mine);
  here.changed.notify_one();
  here.moved.wait(lock, [&] { return here.pushed - here.queue.size() >= mine; });
}

std::size_t BehindQueue::pending() const {
  const std::scoped_lock guard(state_->mutex);
  return state_->queue.size();
}

WriteBehindFigures BehindQueue::figures() const {
  const std::scoped_lock guard(state_->mutex);
  return state_->figures;
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
