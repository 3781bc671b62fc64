// flux/cache/version.hpp - the one place of the version number; CMake and the packages read it from here.
#pragma once

#define FLUX_CACHE_VERSION_MAJOR 1
#define FLUX_CACHE_VERSION_MINOR 0
#define FLUX_CACHE_VERSION_PATCH 0
