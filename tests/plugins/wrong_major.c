#include "minimal.h"
VQP_EXPORT extern const struct vqp_plugin vqp_plugin_v2;
const struct vqp_plugin vqp_plugin_v2 = {.struct_size = sizeof(struct vqp_plugin)};
