/* A scheduler whose tables are right and which does nothing useful; each case here exports it with one thing wrong. */
#ifndef MINIMAL_H
#define MINIMAL_H
#include <vqpipe/components.h>
#include <vqpipe/plugin.h>

struct minimal_options {
    int64_t rounds;
    int32_t order;
};
static const struct vqp_option minimal_options[] = {
    VQP_OPT(struct minimal_options, rounds, .type = VQP_OPT_INT, .min = 1, .max = 9, .def = "3", .help = "rounds"),
    VQP_OPT(struct minimal_options, order, .type = VQP_OPT_CHOICE, .def = "falling", .choices = "falling|rising"),
    {0}};

static inline int32_t minimal_plan(void *self, const struct vqp_plan_args *a, struct vqp_eval *out, uint32_t cap,
                                   struct vqp_error *err)
{
    (void)self, (void)a, (void)out, (void)cap, (void)err;
    return 0;
}
static inline vqp_val minimal_record_step(void *self, vqp_program *p, const struct vqp_step *s)
{
    (void)self, (void)p;
    return s->tokens;
}
static inline vqp_status minimal_create(const struct vqp_create_args *args, void **self, struct vqp_error *err)
{
    (void)args, (void)err;
    *self = NULL;
    return VQP_OK;
}
static inline void minimal_destroy(void *self)
{
    (void)self;
}

/* The last arguments add to what stands before them. */
#define MINIMAL_TABLE(variable, ...)                                                                                   \
    static const struct vqp_scheduler_vtbl variable = {                                                                \
        .struct_size = sizeof variable, .plan = minimal_plan, .record_step = minimal_record_step, __VA_ARGS__}
#define MINIMAL_COMPONENT(variable, ...)                                                                               \
    static const struct vqp_component variable = {.struct_size = sizeof variable,                                      \
                                                  .iface = VQP_IFACE_SCHEDULER,                                        \
                                                  .name = "minimal",                                                   \
                                                  .summary = "does nothing useful",                                    \
                                                  .opts_size = sizeof(struct minimal_options),                         \
                                                  .opts = minimal_options,                                             \
                                                  .create = minimal_create,                                            \
                                                  .destroy = minimal_destroy,                                          \
                                                  __VA_ARGS__}
#define MINIMAL_PLUGIN(list) VQP_PLUGIN(.id = "org.vqpipe.test", .version = "1.0", .license = "MIT", .components = list)

#endif
