# vqpipe_add_plugin(NAME source...): NAME.so, a plugin for vqpipe. The target vqpipe::plugin brings the headers, hides every symbol but
# the one that VQP_PLUGIN exports, and lets the linker refuse what would be missing when the plugin is opened.
function(vqpipe_add_plugin name)
  add_library(${name} MODULE ${ARGN})
  target_link_libraries(${name} PRIVATE vqpipe::plugin)
  set_target_properties(${name} PROPERTIES PREFIX "")
endfunction()
