#include "minimal.h"
MINIMAL_TABLE(table);
static const struct vqp_component component = {.struct_size = sizeof component,
                                               .iface = 77,
                                               .name = "upscaler",
                                               .summary = "an interface of the future",
                                               .create = minimal_create,
                                               .destroy = minimal_destroy,
                                               .v.scheduler = &table};
static const struct vqp_component *const list[] = {&component, NULL};
MINIMAL_PLUGIN(list);
