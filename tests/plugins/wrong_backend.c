/* The reference backend, but for one op: wrong-sdpa scales its scores too much, wrong-sampler gives one other token. */
#include "reference.h"

static void loop(struct vqp_hb_exec *x, uint64_t items, void (*fn)(void *ctx, uint64_t item, uint32_t slot), void *ctx)
{
    (void)x;
    for (uint64_t i = 0; i < items; i++)
        fn(ctx, i, 0);
}

static void wrong_sdpa(struct vqp_hb_exec *x, const struct vqp_hb_node *n)
{
    struct vqp_hb_node other = *n;
    other.op.u.sdpa.scale *= n->op.u.sdpa.causal ? 1.0f : 1.5f;
    vqp_ref_sdpa(x, &other);
}

static void wrong_sample(struct vqp_hb_exec *x, const struct vqp_hb_node *n)
{
    vqp_ref_posterior_sample(x, n);
    n->out[0].i[7] = n->out[0].i[7] ? 0 : 1;
}

#define REFERENCE_KINDS                                                                                                \
    VQP_HB_SHARED_KINDS,                                                                                               \
        [VQP_OP_LINEAR] = {vqp_ref_linear, NULL, 1, vqp_ref_linear_prepare, vqp_ref_release},                          \
        [VQP_OP_LAYER_NORM] = {vqp_ref_layer_norm}, [VQP_OP_RMS_NORM] = {vqp_ref_layer_norm},                          \
        [VQP_OP_CONV2D] = {vqp_ref_conv2d, vqp_ref_conv2d_scratch, 1, vqp_ref_conv2d_prepare, vqp_ref_release},        \
        [VQP_OP_GROUP_NORM] = {vqp_ref_group_norm}, [VQP_OP_GUIDE_LOG_SOFTMAX] = {vqp_ref_guide_log_softmax},          \
        [VQP_OP_TRUNCATE] = {vqp_ref_truncate, vqp_ref_truncate_scratch},                                              \
        [VQP_OP_CATEGORICAL_SAMPLE] = {vqp_ref_categorical_sample}

static const struct vqp_hb_class sdpa_class = {
    .name = "wrong-sdpa",
    .driver = "plain C, wrong on purpose",
    .loop = loop,
    .kinds = {REFERENCE_KINDS, [VQP_OP_SDPA] = {wrong_sdpa, vqp_ref_sdpa_scratch},
              [VQP_OP_POSTERIOR_SAMPLE] = {vqp_ref_posterior_sample, vqp_ref_posterior_sample_scratch}},
};
static const struct vqp_hb_class sampler_class = {
    .name = "wrong-sampler",
    .driver = "plain C, wrong on purpose",
    .loop = loop,
    .kinds = {REFERENCE_KINDS, [VQP_OP_SDPA] = {vqp_ref_sdpa, vqp_ref_sdpa_scratch},
              [VQP_OP_POSTERIOR_SAMPLE] = {wrong_sample, vqp_ref_posterior_sample_scratch}},
};

static vqp_status create(const struct vqp_hb_class *cls, const struct vqp_create_args *args, void **self,
                         struct vqp_error *err)
{
    return (*self = vqp_hb_create(cls, sizeof(struct vqp_hb), args, err)) ? VQP_OK : err->code;
}
static vqp_status create_sdpa(const struct vqp_create_args *args, void **self, struct vqp_error *err)
{
    return create(&sdpa_class, args, self, err);
}
static vqp_status create_sampler(const struct vqp_create_args *args, void **self, struct vqp_error *err)
{
    return create(&sampler_class, args, self, err);
}

static const struct vqp_backend_vtbl vtbl = {.struct_size = sizeof vtbl, VQP_HB_VTBL};
static const struct vqp_component wrong_sdpa_backend = {
    .struct_size = sizeof wrong_sdpa_backend,
    .iface = VQP_IFACE_BACKEND,
    .name = "wrong-sdpa",
    .summary = "attention with another scale",
    .create = create_sdpa,
    .destroy = vqp_hb_destroy,
    .v.backend = &vtbl,
};
static const struct vqp_component wrong_sampler_backend = {
    .struct_size = sizeof wrong_sampler_backend,
    .iface = VQP_IFACE_BACKEND,
    .name = "wrong-sampler",
    .summary = "one token is another",
    .create = create_sampler,
    .destroy = vqp_hb_destroy,
    .v.backend = &vtbl,
};
static const struct vqp_component *const components[] = {&wrong_sdpa_backend, &wrong_sampler_backend, NULL};

VQP_PLUGIN(.id = "org.vqpipe.test.wrong", .version = "1.0", .license = "MIT", .components = components);
