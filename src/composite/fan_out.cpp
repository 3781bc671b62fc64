#include "fan_out.hpp"

#include <flux/cache/executor.hpp>

#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace composite {

namespace {

/// Shared with tasks that may be begun after the caller has left: those find nothing to claim.
struct Board {
  explicit Board(std::size_t count) : claimed(count) {}

  bool claim(std::size_t i) { return !claimed[i].exchange(true, std::memory_order_acq_rel); }
  void done() {
    const std::scoped_lock guard(mutex);
    ++finished;
    all_done.notify_all();
  }

  std::vector<std::atomic<bool>> claimed;
  std::mutex mutex;
  std::condition_variable all_done;
  std::size_t finished = 0;
  std::exception_ptr failure;
};

void run(Board& board, std::size_t i, detail::FunctionRef<void(std::size_t)> work) {
  try {
    work(i);
  } catch (...) {  // want of memory: handed to the caller
    const std::scoped_lock guard(board.mutex);
    board.failure = std::current_exception();
  }
  board.done();
}

}  // namespace

void fan_out(std::size_t count, detail::FunctionRef<void(std::size_t)> work) {
  const auto board = std::make_shared<Board>(count);
  const auto threads = executor();
  for (std::size_t i = 1; i < count; ++i) {
    const bool taken = threads->submit([board, i, work] {
      if (board->claim(i)) run(*board, i, work);
    });
    if (!taken) break;
  }
  for (std::size_t i = 0; i < count; ++i)
    if (board->claim(i)) run(*board, i, work);
  std::unique_lock lock(board->mutex);
  board->all_done.wait(lock, [&] { return board->finished == count; });
  if (board->failure) std::rethrow_exception(board->failure);
}

}  // namespace composite
}  // namespace v1
}  // namespace flux::cache
