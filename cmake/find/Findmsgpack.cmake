# msgpack::msgpack, the headers of msgpack-c for C++. Its own package files demand Boost; the headers do not.
find_path(msgpack_INCLUDE_DIR msgpack.hpp)
mark_as_advanced(msgpack_INCLUDE_DIR)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(msgpack REQUIRED_VARS msgpack_INCLUDE_DIR)

if(msgpack_FOUND AND NOT TARGET msgpack::msgpack)
  add_library(msgpack::msgpack INTERFACE IMPORTED)
  set_target_properties(msgpack::msgpack PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${msgpack_INCLUDE_DIR}" INTERFACE_COMPILE_DEFINITIONS MSGPACK_NO_BOOST)
endif()
