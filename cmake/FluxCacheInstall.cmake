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
  string(APPEND component_packages "set(FluxCache_testing_packages GTest)\n")
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

file(RELATIVE_PATH pc_prefix "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")  # so that an installed tree may be moved

# flux-cache.pc names all that was built, flux-cache-core.pc the part that needs threads only. One file serves one kind of
# library: with an archive the third parties stand in Libs, for there is no other way to link it.
if(BUILD_SHARED_LIBS)
  set(pc_cflags "-DFLUX_CACHE_SHARED")
endif()
set(pc_name "flux-cache-core")
set(pc_description "${PROJECT_DESCRIPTION}: the part that needs threads only")
set(pc_libs "-lflux_cache -pthread")
configure_file("${PROJECT_SOURCE_DIR}/cmake/flux-cache.pc.in" "${PROJECT_BINARY_DIR}/flux-cache-core.pc" @ONLY)
set(pc_name "flux-cache")
set(pc_description "${PROJECT_DESCRIPTION}")
if(NOT BUILD_SHARED_LIBS)
  flux_cache_link_flags(pc_libs)
endif()
configure_file("${PROJECT_SOURCE_DIR}/cmake/flux-cache.pc.in" "${PROJECT_BINARY_DIR}/flux-cache.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/flux-cache.pc" "${PROJECT_BINARY_DIR}/flux-cache-core.pc"
  DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT development)

if(PROJECT_IS_TOP_LEVEL)
  include(FluxCachePack)
endif()
