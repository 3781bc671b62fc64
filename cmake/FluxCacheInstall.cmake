# Installing, the package for find_package, the files for pkg-config, and the packages that CPack makes.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/FluxCache")
get_property(rooms GLOBAL PROPERTY FLUX_CACHE_ROOMS)

# What the package must know of each component: the third-party packages a program links with it. A shared library has
# linked them already, so its programs look for none.
set(components core headers testing)
set(component_packages "")
foreach(room IN LISTS rooms)
  string(REGEX REPLACE ".*:" "" name ${room})
  list(APPEND components ${name})
  get_property(depends GLOBAL PROPERTY "FLUX_CACHE_ROOM_${room}")
  if(depends AND NOT BUILD_SHARED_LIBS)
    set(packages "")
    foreach(target IN LISTS depends)
      flux_cache_package_of(${target} package)
      list(APPEND packages ${package})
    endforeach()
    list(REMOVE_DUPLICATES packages)
    string(APPEND component_packages "set(FluxCache_${name}_packages ${packages})\n")
  endif()
endforeach()
if(TARGET flux_cache_contract)
  list(APPEND components contract)
  string(APPEND component_packages "set(FluxCache_contract_packages GTest)\n")
endif()

get_property(targets GLOBAL PROPERTY FLUX_CACHE_TARGETS)
install(TARGETS flux_cache_headers flux_cache_core flux_cache_testing ${targets}
  EXPORT FluxCacheTargets
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT runtime NAMELINK_COMPONENT development
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT development
  INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(EXPORT FluxCacheTargets NAMESPACE flux:: DESTINATION "${package_dir}" COMPONENT development)
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/flux" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT development)
install(DIRECTORY "${PROJECT_SOURCE_DIR}/cmake/find" DESTINATION "${package_dir}" COMPONENT development)
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT development)

list(JOIN components " " components)
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/FluxCacheConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/FluxCacheConfig.cmake" INSTALL_DESTINATION "${package_dir}" NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/FluxCacheConfigVersion.cmake" COMPATIBILITY SameMajorVersion)
install(FILES "${PROJECT_BINARY_DIR}/FluxCacheConfig.cmake" "${PROJECT_BINARY_DIR}/FluxCacheConfigVersion.cmake"
  DESTINATION "${package_dir}" COMPONENT development)

function(flux_cache_pkg_config pc_name pc_description pc_requires pc_libs)
  file(RELATIVE_PATH pc_prefix "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")  # so that an installed tree may be moved
  configure_file("${PROJECT_SOURCE_DIR}/cmake/flux-cache.pc.in" "${PROJECT_BINARY_DIR}/${pc_name}.pc" @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/${pc_name}.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT development)
endfunction()

# flux-cache.pc names all that was built, flux-cache-core.pc the part that needs threads only, flux-cache-testing.pc what
# tests of caches use, flux-cache-contract.pc the suites that the authors of stores prove them with. One file serves one kind of library: with archives the third parties stand in
# Libs, for there is no other way to link them.
set(pc_cflags "")
if(BUILD_SHARED_LIBS)
  set(pc_cflags "-DFLUX_CACHE_SHARED")
endif()
flux_cache_link_flags(pc_libs)
flux_cache_pkg_config(flux-cache "${PROJECT_DESCRIPTION}" "" "${pc_libs}")
flux_cache_pkg_config(flux-cache-core "${PROJECT_DESCRIPTION}: the part that needs threads only" "" "-lflux_cache -pthread")
flux_cache_pkg_config(flux-cache-testing "${PROJECT_DESCRIPTION}: for tests" "flux-cache" "-lflux_cache_testing")
if(TARGET flux_cache_contract)
  flux_cache_pkg_config(flux-cache-contract "${PROJECT_DESCRIPTION}: for proving stores" "flux-cache-testing, gtest"
    "-lflux_cache_contract")
endif()

if(PROJECT_IS_TOP_LEVEL)
  include(FluxCachePack)
endif()
