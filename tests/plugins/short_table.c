/* Its function table says that it ends before record_step. */
#include "minimal.h"
static const struct vqp_scheduler_vtbl table = {.struct_size = offsetof(struct vqp_scheduler_vtbl, record_step),
                                                .plan = minimal_plan};
MINIMAL_COMPONENT(component, .v.scheduler = &table);
static const struct vqp_component *const list[] = {&component, NULL};
MINIMAL_PLUGIN(list);
