// flux/cache/engine/sanitizers.hpp - which sanitizer watches this build, if any.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define FLUX_CACHE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FLUX_CACHE_ASAN 1
#endif
#endif

#if defined(__SANITIZE_THREAD__)
#define FLUX_CACHE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FLUX_CACHE_TSAN 1
#endif
#endif
