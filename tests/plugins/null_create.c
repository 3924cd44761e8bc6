#include "minimal.h"
MINIMAL_TABLE(table);
static const struct vqp_component component = {.struct_size = sizeof component,
                                               .iface = VQP_IFACE_SCHEDULER,
                                               .name = "minimal",
                                               .summary = "cannot be made",
                                               .destroy = minimal_destroy,
                                               .v.scheduler = &table};
static const struct vqp_component *const list[] = {&component, NULL};
MINIMAL_PLUGIN(list);
