/* The backend's table of ops for one instruction set. */
#include "simd.h"
#include <stdlib.h>

#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)

vqp_status ISA(slots_prepare)(struct vqp_hb_prepare *c, struct vqp_hb_node *n)
{
    struct slots *s = n->own = malloc(sizeof *s);
    if (!s)
        return vqp_hb_no_memory(c);
    *s = (struct slots){vqp_cpu_of(c->self)->threads, vqp_cpu_of(c->self)->bf16};
    return VQP_OK;
}

#define SLOTS(name)                                                                                                    \
    {                                                                                                                  \
        ISA(name), JOIN3(vqp_cpu_, name##_scratch, VQP_ISA), 0, ISA(slots_prepare), free                               \
    }

#if VQP_OWN_LINEAR
#define LINEAR                                                                                                         \
    {                                                                                                                  \
        ISA(linear), JOIN3(vqp_cpu_, linear_scratch, VQP_ISA), 1, ISA(linear_prepare), ISA(linear_release), 1          \
    }
#else
static vqp_status prepare_linear(struct vqp_hb_prepare *c, struct vqp_hb_node *n)
{
    if (n->in[1].dtype != VQP_Q8_0)
        return vqp_cpu_linear_prepare(c, n);
    n->run = ISA(linear);
    n->release = ISA(linear_release);
    return ISA(linear_prepare)(c, n);
}

static uint64_t scratch_of_linear(const struct vqp_hb_node *n)
{
    return n->run == ISA(linear) ? JOIN3(vqp_cpu_, linear_scratch, VQP_ISA)(n) : vqp_cpu_own_scratch(n);
}
#define LINEAR                                                                                                         \
    {                                                                                                                  \
        vqp_cpu_linear, scratch_of_linear, 1, prepare_linear, vqp_cpu_own_release, 1                                   \
    }
#endif

const struct vqp_hb_class ISA(class) = {
    .name = "cpu",
    .driver = TEXT(VQP_ISA),
    .loop = vqp_cpu_loop,
    .storage = vqp_cpu_storage,
    .kinds =
        {
            VQP_HB_SHARED_KINDS,
            [VQP_OP_LINEAR] = LINEAR,
            [VQP_OP_CONV2D] = {vqp_cpu_conv2d, vqp_cpu_own_scratch, 1, vqp_cpu_conv2d_prepare, vqp_cpu_own_release},
            [VQP_OP_LAYER_NORM] = {ISA(layer_norm)},
            [VQP_OP_RMS_NORM] = {ISA(layer_norm)},
            [VQP_OP_SDPA] = SLOTS(sdpa),
            [VQP_OP_GROUP_NORM] = SLOTS(group_norm),
            [VQP_OP_GUIDE_LOG_SOFTMAX] = {ISA(guide_log_softmax)},
            [VQP_OP_TRUNCATE] = SLOTS(truncate),
            [VQP_OP_POSTERIOR_SAMPLE] = SLOTS(posterior_sample),
            [VQP_OP_CATEGORICAL_SAMPLE] = {ISA(categorical_sample)},
        },
};
