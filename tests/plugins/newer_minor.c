/* Built with headers that have more fields than ours: every struct is longer. */
#include "minimal.h"
static const struct {
    struct vqp_scheduler_vtbl known;
    void (*newer)(void);
} table = {{.struct_size = sizeof table, .plan = minimal_plan, .record_step = minimal_record_step}, NULL};
static const struct {
    struct vqp_component known;
    uint64_t newer;
} component = {{.struct_size = sizeof component,
                .iface = VQP_IFACE_SCHEDULER,
                .name = "from-the-future",
                .summary = "knows more than its host",
                .opts_size = sizeof(struct minimal_options),
                .opts = minimal_options,
                .create = minimal_create,
                .destroy = minimal_destroy,
                .v.scheduler = &table.known},
               7};
static const struct vqp_component *const list[] = {&component.known, NULL};
struct longer {
    struct vqp_plugin known;
    uint64_t newer[2];
};
VQP_EXPORT extern const struct longer vqp_plugin_v1;
const struct longer vqp_plugin_v1 = {{.struct_size = sizeof vqp_plugin_v1,
                                      .abi_minor = VQP_ABI_MINOR + 7,
                                      .id = "org.vqpipe.test.newer",
                                      .version = "9.0",
                                      .license = "MIT",
                                      .components = list},
                                     {1, 2}};
