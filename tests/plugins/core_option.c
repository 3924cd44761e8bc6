/* An option that the host would never hand over: `path` is its own key. */
#include "minimal.h"
struct options {
    const char *path;
};
static const struct vqp_option options[] = {VQP_OPT(struct options, path, .type = VQP_OPT_PATH), {0}};
MINIMAL_TABLE(table);
static const struct vqp_component component = {.struct_size = sizeof component,
                                               .iface = VQP_IFACE_SCHEDULER,
                                               .name = "minimal",
                                               .summary = "wants the host's key",
                                               .opts_size = sizeof(struct options),
                                               .opts = options,
                                               .create = minimal_create,
                                               .destroy = minimal_destroy,
                                               .v.scheduler = &table};
static const struct vqp_component *const list[] = {&component, NULL};
MINIMAL_PLUGIN(list);
