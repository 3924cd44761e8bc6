/* The definition of every op in plain C, behind the backend interface. Built to be read and trusted; fast enough to draw a picture with
 * the small model. */
#include "reference.h"
#include <string.h>

struct loop {
    struct vqp_hb_exec *x;
    uint64_t items;
    uint32_t slots;
    void (*fn)(void *ctx, uint64_t item, uint32_t slot);
    void *ctx;
};

static void loop_slot(void *ctx, uint32_t slot)
{
    struct loop *l = ctx;
    uint64_t each = l->items / l->slots, more = l->items % l->slots;
    uint64_t item = slot * each + (slot < more ? slot : more), end = item + each + (slot < more);
    for (; item < end && !vqp_hb_cancelled(l->x); item++)
        l->fn(l->ctx, item, slot);
}

/* Over the host's threads. */
static void loop(struct vqp_hb_exec *x, uint64_t items, void (*fn)(void *ctx, uint64_t item, uint32_t slot), void *ctx)
{
    struct loop l = {x, items, items < VQP_REF_SLOTS ? (uint32_t)items : VQP_REF_SLOTS, fn, ctx};
    if (l.slots == 1)
        loop_slot(&l, 0);
    else if (l.slots)
        x->host->parallel_for(x->host, l.slots, loop_slot, &l);
}

static const struct vqp_hb_class reference_class = {
    .name = "reference",
    .driver = "plain C",
    .loop = loop,
    .kinds =
        {
            VQP_HB_SHARED_KINDS,
            [VQP_OP_LINEAR] = {vqp_ref_linear, NULL, 1, vqp_ref_linear_prepare, vqp_ref_release, 1},
            [VQP_OP_LAYER_NORM] = {vqp_ref_layer_norm},
            [VQP_OP_RMS_NORM] = {vqp_ref_layer_norm},
            [VQP_OP_SDPA] = {vqp_ref_sdpa, vqp_ref_sdpa_scratch},
            [VQP_OP_CONV2D] = {vqp_ref_conv2d, vqp_ref_conv2d_scratch, 1, vqp_ref_conv2d_prepare, vqp_ref_release},
            [VQP_OP_GROUP_NORM] = {vqp_ref_group_norm},
            [VQP_OP_GUIDE_LOG_SOFTMAX] = {vqp_ref_guide_log_softmax},
            [VQP_OP_TRUNCATE] = {vqp_ref_truncate, vqp_ref_truncate_scratch},
            [VQP_OP_POSTERIOR_SAMPLE] = {vqp_ref_posterior_sample, vqp_ref_posterior_sample_scratch},
            [VQP_OP_CATEGORICAL_SAMPLE] = {vqp_ref_categorical_sample},
        },
};

static vqp_status create(const struct vqp_create_args *args, void **self, struct vqp_error *err)
{
    if (args->precision && strcmp(args->precision, "f32") != 0)
        return vqp_fail(err, VQP_E_ARG,
                        "reference: precision %s: this backend has f32 alone; use f32, or another backend",
                        args->precision);
    struct vqp_hb *hb = vqp_hb_create(&reference_class, sizeof *hb, args, err);
    if (!hb)
        return err->code;
    *self = hb;
    return VQP_OK;
}

static vqp_status devices(const struct vqp_host *host, struct vqp_device_info *out, uint32_t cap, uint32_t *n,
                          struct vqp_error *err)
{
    (void)host;
    (void)err;
    *n = 1;
    if (cap)
        vqp_hb_describe(&reference_class, &out[0]);
    return VQP_OK;
}

static const struct vqp_backend_vtbl vtbl = {.struct_size = sizeof vtbl, VQP_HB_VTBL, .devices = devices};
static const struct vqp_component reference = {
    .struct_size = sizeof reference,
    .iface = VQP_IFACE_BACKEND,
    .name = "reference",
    .summary = "every op as defined, in plain C on the host processor",
    .create = create,
    .destroy = vqp_hb_destroy,
    .v.backend = &vtbl,
};
static const struct vqp_component *const components[] = {&reference, NULL};

VQP_PLUGIN(.id = "org.vqpipe.reference", .version = "0.1.0", .license = "MIT", .components = components);
