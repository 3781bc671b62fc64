// flux/cache/detail/export.hpp - what a shared library shows to the outside.
#pragma once

#if defined(FLUX_CACHE_SHARED)
#define FLUX_CACHE_API __attribute__((visibility("default")))
#else
#define FLUX_CACHE_API
#endif

/// Types that cross a shared library's border by exception or by identity are always visible.
#define FLUX_CACHE_TYPE __attribute__((visibility("default")))
