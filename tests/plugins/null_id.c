#include "minimal.h"
MINIMAL_TABLE(table);
MINIMAL_COMPONENT(component, .v.scheduler = &table);
static const struct vqp_component *const list[] = {&component, NULL};
VQP_PLUGIN(.version = "1.0", .license = "MIT", .components = list);
