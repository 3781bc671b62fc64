# libmemcached::libmemcached and libmemcached::hashkit. The library ships no package files for CMake.
find_path(libmemcached_INCLUDE_DIR libmemcached/memcached.h)
find_library(libmemcached_LIBRARY memcached)
find_library(libmemcached_HASHKIT_LIBRARY hashkit)
mark_as_advanced(libmemcached_INCLUDE_DIR libmemcached_LIBRARY libmemcached_HASHKIT_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(libmemcached
  REQUIRED_VARS libmemcached_LIBRARY libmemcached_HASHKIT_LIBRARY libmemcached_INCLUDE_DIR)

if(libmemcached_FOUND AND NOT TARGET libmemcached::libmemcached)
  add_library(libmemcached::hashkit UNKNOWN IMPORTED)
  set_target_properties(libmemcached::hashkit PROPERTIES
    IMPORTED_LOCATION "${libmemcached_HASHKIT_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${libmemcached_INCLUDE_DIR}")
  add_library(libmemcached::libmemcached UNKNOWN IMPORTED)
  set_target_properties(libmemcached::libmemcached PROPERTIES
    IMPORTED_LOCATION "${libmemcached_LIBRARY}" INTERFACE_LINK_LIBRARIES libmemcached::hashkit)
endif()
