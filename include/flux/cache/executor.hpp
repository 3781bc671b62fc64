// flux/cache/executor.hpp - where work that nobody waits for is done.
#pragma once
#include <flux/cache/clock.hpp>

#include <functional>
#include <memory>

namespace flux::cache {
inline namespace v1 {

/// Runs tasks some time later, in any thread. The library hands it background refreshes, loads that were left behind by
/// a timeout, replication and background listeners. Implement it to run them on a pool of the program's own.
class FLUX_CACHE_TYPE Executor {
 public:
  virtual ~Executor();
  /// Takes the task, or answers false: no room, or shut down; the caller then does without. Never blocks, never throws.
  virtual bool submit(std::function<void()> task) = 0;
};

/// Limits of the library's own pool.
struct ExecutorOptions {
  std::size_t max_threads = 8;               ///< started when needed, ended when idle for 10 s; 1 to 1,024
  std::size_t max_queued = 10'000;           ///< tasks beyond are refused
  Duration drain = std::chrono::seconds(5);  ///< how long the end of the program waits for what is queued
};

/// A bounded pool. Threads start with the first task; a child of fork starts its own.
FLUX_CACHE_API std::shared_ptr<Executor> make_executor(const ExecutorOptions& options = {});
/// The executor in force; the library's own pool unless replaced.
FLUX_CACHE_API std::shared_ptr<Executor> executor();
/// Puts the program's own in its place; null brings the library's back. Tasks already taken stay where they are.
FLUX_CACHE_API void set_executor(std::shared_ptr<Executor> replacement);

}  // namespace v1
}  // namespace flux::cache
