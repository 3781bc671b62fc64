// flux/cache/limits.hpp - what bytes may ask for before anything is allocated for them.
#pragma once
#include <cstddef>

namespace flux::cache {
inline namespace v1 {

/// What bytes may ask for before anything is allocated for them.
struct Limits {
  static constexpr std::size_t kDepthCeiling = 512;
  std::size_t depth = 64;                 ///< containers and objects within each other; 1..512, more counts as 512
  std::size_t length = 64 * 1024 * 1024;  ///< bytes of one text, elements of one container
  std::size_t total = 64 * 1024 * 1024;   ///< bytes of one value after decompression
};

}  // namespace v1
}  // namespace flux::cache
