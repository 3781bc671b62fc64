// Work at a later moment: one thread for the process, started when first needed, that hands due tasks to the executor.
#pragma once
#include <flux/cache/clock.hpp>

#include <functional>

namespace flux::cache {
inline namespace v1 {
namespace detail {

/// Runs the task on the executor after about `delay`. Dropped where the process ends before.
void run_later(Duration delay, std::function<void()> task);

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
