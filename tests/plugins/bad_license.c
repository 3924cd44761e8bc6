#include "minimal.h"
MINIMAL_TABLE(table);
MINIMAL_COMPONENT(component, .v.scheduler = &table);
static const struct vqp_component *const list[] = {&component, NULL};
VQP_PLUGIN(.id = "org.vqpipe.test", .version = "1.0", .license = "M\xC3IT", .components = list);
