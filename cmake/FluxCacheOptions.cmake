# How our own targets are compiled. Nothing here reaches who uses the library; CMAKE_CXX_FLAGS stays untouched.

if(PROJECT_IS_TOP_LEVEL)
  # One loader for every preset. The sloppiness is what ccache asks for before it serves precompiled headers.
  find_program(FLUX_CACHE_CCACHE ccache)
  mark_as_advanced(FLUX_CACHE_CCACHE)
  if(FLUX_CACHE_CCACHE AND (NOT CMAKE_CXX_COMPILER_LAUNCHER OR CMAKE_CXX_COMPILER_LAUNCHER MATCHES "(^|/)ccache$"))
    set(CMAKE_CXX_COMPILER_LAUNCHER
        "${CMAKE_COMMAND};-E;env;CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime;${FLUX_CACHE_CCACHE}")
  endif()
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
endif()

# flux_cache_compile(target...): the language, the warnings and the visibility of a target of ours.
function(flux_cache_compile)
  foreach(target IN LISTS ARGN)
    target_compile_features(${target} PRIVATE cxx_std_20)
    set_target_properties(${target} PROPERTIES
      CXX_EXTENSIONS OFF
      CXX_VISIBILITY_PRESET hidden
      VISIBILITY_INLINES_HIDDEN ON)
    get_target_property(type ${target} TYPE)
    if(NOT type STREQUAL "EXECUTABLE")
      set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)  # an archive may end up in a plugin
    endif()
    if(PROJECT_IS_TOP_LEVEL)
      target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic)
      # g++ 12 reports "literal" + std::string in its own headers (GCC bug 105329).
      target_compile_options(${target} PRIVATE
        "$<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>")
    endif()
  endforeach()
endfunction()

# flux_cache_sanitize(interface_target): all that is built here against the target runs under FLUX_CACHE_SANITIZE.
function(flux_cache_sanitize target)
  if(FLUX_CACHE_SANITIZE)
    target_compile_options(${target} INTERFACE
      "$<BUILD_INTERFACE:-fsanitize=${FLUX_CACHE_SANITIZE};-fno-sanitize-recover=all;-fno-omit-frame-pointer>")
    # With a sanitizer g++ takes much for uninitialized that is not, as its manual says; the other presets do look for it.
    target_compile_options(${target} INTERFACE "$<BUILD_INTERFACE:$<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized;-Wno-array-bounds>>")
    target_link_options(${target} INTERFACE "$<BUILD_INTERFACE:-fsanitize=${FLUX_CACHE_SANITIZE}>")
  endif()
endfunction()
