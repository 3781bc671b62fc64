# flux_cache_add_test_room(name [SERIAL] [SOURCES file...] [LIBRARIES target...]): one GoogleTest program of all *.cpp of
# the folder that calls it, and one ctest entry per suite, labelled with the room's name. SERIAL: nothing runs beside it.
include_guard(GLOBAL)

function(flux_cache_add_test_room name)
  cmake_parse_arguments(PARSE_ARGV 1 room "SERIAL" "" "SOURCES;LIBRARIES")
  if(NOT room_SOURCES)
    file(GLOB room_SOURCES CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cpp")
  endif()
  set(program test_${name})
  add_executable(${program} ${room_SOURCES})
  flux_cache_compile(${program})
  target_include_directories(${program} PRIVATE "${PROJECT_SOURCE_DIR}/tests" "${PROJECT_SOURCE_DIR}/src")
  target_compile_definitions(${program} PRIVATE "FLUX_CACHE_SOURCE_DIR=\"${PROJECT_SOURCE_DIR}\"")
  target_link_libraries(${program} PRIVATE flux_cache_test_support ${room_LIBRARIES})
  target_precompile_headers(${program} REUSE_FROM flux_cache_test_support)

  set(list "${CMAKE_CURRENT_BINARY_DIR}/${program}.cmake")
  add_custom_command(TARGET ${program} POST_BUILD
    COMMAND ${CMAKE_COMMAND} -D "PROGRAM=$<TARGET_FILE:${program}>" -D PREFIX=${name} -D LABEL=${name}
            -D SERIAL=$<BOOL:${room_SERIAL}> -D SHARD_SIZE=200 -D "OUT=${list}"
            -P "${PROJECT_SOURCE_DIR}/cmake/FluxCacheDiscover.cmake"
    BYPRODUCTS "${list}" VERBATIM)
  # A program that was not built is a test that fails, not one that is missing.
  set(include_file "${CMAKE_CURRENT_BINARY_DIR}/${program}_include.cmake")
  file(WRITE "${include_file}"
    "if(EXISTS [==[${list}]==])\n  include([==[${list}]==])\nelse()\n  add_test([==[${name}.NOT_BUILT]==] ${program}_NOT_BUILT)\n"
    "  set_tests_properties([==[${name}.NOT_BUILT]==] PROPERTIES LABELS ${name})\nendif()\n")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${include_file}")
endfunction()
