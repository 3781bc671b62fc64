// Who hears of what a repository does.
#pragma once
#include <flux/cache/detail/core.hpp>

#include <atomic>
#include <memory>
#include <vector>

#include "fork_mutex.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail {

struct Core::Listeners {
  struct One {
    Listener listener;
    Listeners* home;
    std::atomic<int>* count;
  };

  ForkMutex mutex;
  std::vector<std::shared_ptr<One>> all;
};

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
