#include "minimal.h"
MINIMAL_TABLE(table);
MINIMAL_COMPONENT(component, .v.scheduler = &table);
static const struct vqp_component *const list[] = {&component, NULL};
VQP_EXPORT extern const struct vqp_plugin vqp_plugin_v1;
const struct vqp_plugin vqp_plugin_v1 = {
    .struct_size = 16, .id = "org.vqpipe.test", .version = "1.0", .license = "MIT", .components = list};
