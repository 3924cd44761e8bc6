/* The default lies outside the range. */
#include "minimal.h"
static const struct vqp_option options[] = {
    VQP_OPT(struct minimal_options, rounds, .type = VQP_OPT_INT, .min = 1, .max = 9, .def = "12"), {0}};
MINIMAL_TABLE(table);
static const struct vqp_component component = {.struct_size = sizeof component,
                                               .iface = VQP_IFACE_SCHEDULER,
                                               .name = "minimal",
                                               .summary = "contradicts itself",
                                               .opts_size = sizeof(struct minimal_options),
                                               .opts = options,
                                               .create = minimal_create,
                                               .destroy = minimal_destroy,
                                               .v.scheduler = &table};
static const struct vqp_component *const list[] = {&component, NULL};
MINIMAL_PLUGIN(list);
