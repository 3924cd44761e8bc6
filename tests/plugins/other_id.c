/* A component of the same name from another author. */
#include "minimal.h"
MINIMAL_TABLE(table);
MINIMAL_COMPONENT(component, .v.scheduler = &table);
static const struct vqp_component *const list[] = {&component, NULL};
VQP_PLUGIN(.id = "org.example.other", .version = "2.0", .license = "MIT", .components = list);
