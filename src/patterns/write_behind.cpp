#include <unistd.h>
#include <flux/cache/frame.hpp>
#include <flux/cache/patterns/write_behind.hpp>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <thread>

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

  const WriteBehindOptions options;
  const Writer writer;
  const Type& type;
  const ::pid_t process = ::getpid();
  std::unique_ptr<Journal> journal;
  std::condition_variable syncing;
  bool ended = false;
  std::thread syncer;
  mutable std::mutex mutex;
  std::condition_variable changed;  // something to do, or the end
  std::condition_variable moved;    // room in the queue, or something written
  std::deque<Item> queue;
  std::size_t in_hand = 0;  // at the front of the queue, handed to the writer
  std::uint64_t pushed = 0;
  std::uint64_t sequence = 0;
  std::uint64_t flush_up_to = 0;  // writes up to this number are wanted at once
  Steady::time_point oldest{};    // when the front of the queue came
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
  moved.notify_all();
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
}

BehindQueue::~BehindQueue() {
  if (state_->process != ::getpid()) {  // in a child of fork there are no threads to end, and the queue is the parent's
    (void)state_.release();
    return;
  }
  {
    const std::scoped_lock guard(state_->mutex);
    state_->closing = true;
    state_->give_up = Steady::now() + state_->options.drain;
  }
  state_->changed.notify_all();
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
    if (here.process != ::getpid()) return false;  // the journal is the parent's
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
