#include "minimal.h"
MINIMAL_TABLE(table);
MINIMAL_COMPONENT(one, .v.scheduler = &table);
MINIMAL_COMPONENT(two, .v.scheduler = &table);
static const struct vqp_component *const list[] = {&one, &two, NULL};
MINIMAL_PLUGIN(list);
