# cmake --install: the command line, the library, the headers, the plugins (plugins/CMakeLists.txt), the pipelines with their model,
# completion for three shells, and what CMake and pkg-config need.
include(CMakePackageConfigHelpers)
set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/vqpipe)
set(here ${CMAKE_CURRENT_LIST_DIR})

if(TARGET vqpipe_cli)
  install(TARGETS vqpipe_cli)
endif()
set_target_properties(vqpipe_headers PROPERTIES EXPORT_NAME headers)
set_target_properties(vqpipe_plugin PROPERTIES EXPORT_NAME plugin)
install(TARGETS vqpipe vqpipe_headers vqpipe_plugin EXPORT vqpipe)
install(DIRECTORY core/include/vqpipe DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(DIRECTORY pipelines models DESTINATION ${VQP_INSTALL_DATADIR})

install(EXPORT vqpipe NAMESPACE vqpipe:: FILE vqpipe-targets.cmake DESTINATION ${config_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/vqpipe-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/vqpipe-config-version.cmake ${here}/vqpipe-config.cmake ${here}/vqpipe-plugin.cmake
        DESTINATION ${config_dir})
foreach(pc vqpipe vqpipe-plugin)
  configure_file(${here}/${pc}.pc.in ${CMAKE_BINARY_DIR}/pkgconfig/${pc}.pc @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/pkgconfig/${pc}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

# The same from the build tree: -Dvqpipe_DIR=BUILD, PKG_CONFIG_PATH=BUILD.
export(EXPORT vqpipe NAMESPACE vqpipe:: FILE ${CMAKE_BINARY_DIR}/vqpipe-targets.cmake)
configure_file(${here}/vqpipe-config.cmake ${CMAKE_BINARY_DIR}/vqpipe-config.cmake COPYONLY)
configure_file(${here}/vqpipe-plugin.cmake ${CMAKE_BINARY_DIR}/vqpipe-plugin.cmake COPYONLY)
configure_file(${here}/vqpipe-uninstalled.pc.in ${CMAKE_BINARY_DIR}/vqpipe-uninstalled.pc @ONLY)

set(completion ${CMAKE_SOURCE_DIR}/core/cli/completion)
install(FILES ${completion}/vqpipe.bash RENAME vqpipe DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${completion}/vqpipe.zsh RENAME _vqpipe DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES ${completion}/vqpipe.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
