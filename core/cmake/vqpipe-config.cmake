# find_package(vqpipe): vqpipe::vqpipe to embed the library, vqpipe::plugin and vqpipe_add_plugin(NAME source...) for plugins.
include(${CMAKE_CURRENT_LIST_DIR}/vqpipe-targets.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/vqpipe-plugin.cmake)
