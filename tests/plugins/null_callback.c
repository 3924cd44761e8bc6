#include "minimal.h"
static const struct vqp_scheduler_vtbl table = {.struct_size = sizeof table, .plan = minimal_plan};
MINIMAL_COMPONENT(component, .v.scheduler = &table);
static const struct vqp_component *const list[] = {&component, NULL};
MINIMAL_PLUGIN(list);
