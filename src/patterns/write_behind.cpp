#include <unistd.h>
#include <flux/cache/frame.hpp>
#include <flux/cache/patterns/write_behind.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "core/fork_mutex.hpp"
#include "journal.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail {

using Steady = std::chrono::steady_clock;

struct BehindQueue::State {
  State(const WriteBehindOptions& given, Writer write, const Type& of)
      : options(given), writer(std::move(write)), type(of) {}

  void open_journal();
  void sync_behind();

  void work();
  /// Waits until a batch is due; false: the end, and nothing is left or no time to write it.
  bool wait_for_batch(std::unique_lock<std::mutex>& lock);
  bool out_of_time() const { return closing && Steady::now() >= give_up; }
  bool is_of_this_process() const { return process == ::getpid(); }

  /// The queues that there are, for the end of the process: std::exit destroys none that is not global. Never
  /// destroyed.
  struct Living {
    ForkMutex mutex;
    std::vector<State*> all;
  };
  static Living& living();
  static void write_all();
  /// Asked for again once the writer has run: what it made for itself by then goes after the last time that it is
  /// called.
  static void write_all_at_exit() { detail::call_at_exit(write_all); }

  const WriteBehindOptions options;
  const Writer writer;
  const Type& type;
  const ::pid_t process = ::getpid();
  std::unique_ptr<Journal> journal;
  std::condition_variable syncing;
  bool ended = false;
  std::atomic<bool> in_last_use{false};  // by write_all
  std::thread syncer;
  mutable std::mutex mutex;
  std::condition_variable changed;  // something to do, or the end
  std::condition_variable moved;    // room in the queue, or something written
  std::deque<Item> queue;
  std::size_t in_hand = 0;  // at the front of the queue, handed to the writer
  std::uint64_t pushed = 0;
  std::uint64_t sequence = 0;
  std::uint64_t flush_up_to = 0;        // writes up to this number are wanted at once
  Steady::time_point oldest{};          // when the front of the queue came
  bool missed_its_last_chance = false;  // the process ends, and its writer failed or hung for all of `drain`
  bool is_done = false;                 // the thread does nothing any more
  bool closing = false;
  Steady::time_point give_up{};
  WriteBehindFigures figures;
  std::thread thread;
};

/// What an earlier process left is first in the queue.
void BehindQueue::State::open_journal() {
  if (type.save == nullptr)
    throw ConfigError(Error{Errc::bad_config, "journal: values of type " + std::string(type.name) +
                                                  " live in memory only, and cannot be written to a journal"});
  std::vector<Journal::Record> left;
  journal = std::make_unique<Journal>(options.journal, left);
  for (Journal::Record& record : left) {
    auto value = decode_value(record.value, type);
    if (value.ok()) {
      queue.push_back({std::move(record.key), *std::move(value), record.sequence});
      ++figures.replayed;
    } else {
      ++figures.unreadable;
    }
  }
  pushed = queue.size();
  sequence = journal->last_sequence();
}

/// Brings the journal to the disk, beside the puts: they go on while the disk is at it.
void BehindQueue::State::sync_behind() {
  std::unique_lock lock(mutex);
  while (!ended) {
    const auto due = Steady::now() + options.journal_sync;
    syncing.wait_until(lock, due, [&] { return ended; });
    const int file = journal->dirty_copy();
    if (file < 0) continue;
    lock.unlock();
    (void)::fdatasync(file);
    ::close(file);
    lock.lock();
  }
}

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
  bool has_run = false;
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
    if (!std::exchange(has_run, true)) write_all_at_exit();
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
    if (journal) journal->done(queue[in_hand - 1].sequence);
    queue.erase(queue.begin(), queue.begin() + static_cast<std::ptrdiff_t>(in_hand));
    if (journal && queue.empty()) journal->all_done();
    figures.written += in_hand;
    ++figures.batches;
    in_hand = 0;
    oldest = Steady::now();
    moved.notify_all();
  }
  if (!journal) figures.dropped += queue.size();  // what a journal holds is written by the next queue
  queue.clear();
  is_done = true;
  moved.notify_all();
}

BehindQueue::State::Living& BehindQueue::State::living() {
  static Living* const one = new Living;
  return *one;
}

/// What is pending anywhere, each queue for at most its `drain`. A writer that does not return by then is left behind.
void BehindQueue::State::write_all() {
  std::vector<State*> mine;
  {
    const std::scoped_lock guard(living().mutex);
    for (State* const each : living().all) {
      if (!each->is_of_this_process() || each->thread.get_id() == std::this_thread::get_id()) continue;
      each->in_last_use = true;
      mine.push_back(each);
    }
  }
  const auto begun = Steady::now();
  for (const bool waits : {false, true}) {  // all of them at once
    for (State* const each : mine) {
      std::unique_lock lock(each->mutex);
      if (each->missed_its_last_chance) continue;
      const std::uint64_t wanted = each->flush_up_to = each->pushed;
      each->changed.notify_one();
      if (!waits) continue;
      each->missed_its_last_chance = !each->moved.wait_until(
          lock, begun + each->options.drain, [&] { return each->pushed - each->queue.size() >= wanted; });
    }
  }
  for (State* const each : mine) {
    each->in_last_use = false;
    each->in_last_use.notify_all();
  }
}

BehindQueue::BehindQueue(const WriteBehindOptions& options, Writer writer, const Type& type) {
  if (options.max_batch_size == 0 || options.max_pending == 0)
    throw std::invalid_argument("flux::cache: write-behind: max_batch_size and max_pending must be 1 or more");
  state_ = std::make_unique<State>(options, std::move(writer), type);
  if (!options.journal.empty()) {
    state_->open_journal();
    if (options.journal_sync > Duration::zero())
      state_->syncer = std::thread([state = state_.get()] { state->sync_behind(); });
  }
  state_->thread = std::thread([state = state_.get()] { state->work(); });
  State::write_all_at_exit();
  const std::scoped_lock guard(State::living().mutex);
  State::living().all.push_back(state_.get());
}

BehindQueue::~BehindQueue() {
  {
    const std::scoped_lock guard(State::living().mutex);
    std::erase(State::living().all, state_.get());
  }
  if (!state_->is_of_this_process()) {  // in a child of fork there are no threads to end, and the queue is the parent's
    (void)state_.release();
    return;
  }
  state_->in_last_use.wait(true);
  {
    std::unique_lock lock(state_->mutex);
    const bool is_late = state_->missed_its_last_chance;
    state_->closing = true;
    state_->give_up = Steady::now() + (is_late ? Duration(0) : state_->options.drain);
    state_->changed.notify_all();
    constexpr auto kMoment = std::chrono::milliseconds(100);
    if (is_late && !state_->moved.wait_for(lock, kMoment, [&] { return state_->is_done; })) {
      lock.unlock();
      (void)state_.release();  // of a global, at the end of the process: a writer that hangs does not hold it up
      return;
    }
  }
  state_->thread.join();
  if (!state_->syncer.joinable()) return;
  {
    const std::scoped_lock guard(state_->mutex);
    state_->ended = true;
  }
  state_->syncing.notify_all();
  state_->syncer.join();
}

bool BehindQueue::push(std::string_view key, Object value) {
  State& here = *state_;
  std::string encoded;
  if (here.journal) {
    if (!here.is_of_this_process()) return false;  // the journal is the parent's
    auto bytes = encode_value({}, here.type, value.get());
    if (!bytes.ok()) return false;
    encoded = *std::move(bytes);
  }
  std::unique_lock lock(here.mutex);
  while (here.queue.size() >= here.options.max_pending) {
    if (here.options.when_full == WhenFull::fail || here.closing) return false;
    // What the writer has in hand stays: it may be half written.
    if (here.options.when_full == WhenFull::drop_oldest && here.queue.size() > here.in_hand) {
      const auto oldest = here.queue.begin() + static_cast<std::ptrdiff_t>(here.in_hand);
      if (here.journal) here.journal->dropped(oldest->sequence);
      here.queue.erase(oldest);
      ++here.figures.dropped;
      break;
    }
    here.moved.wait(lock);
  }
  if (here.journal && !here.journal->add(here.sequence + 1, key, encoded)) return false;
  if (here.queue.empty()) here.oldest = Steady::now();
  here.queue.push_back({std::string(key), std::move(value), ++here.sequence});
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
