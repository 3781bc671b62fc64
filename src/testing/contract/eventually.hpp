// Waiting for what happens behind, for as long as it takes and no longer.
#pragma once
#include <chrono>
#include <thread>

namespace flux::cache {
inline namespace v1 {
namespace testing {

/// True as soon as `holds()` does; false after 30 s.
template <class Holds>
bool eventually(Holds holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
