/* Every op_NAME.c of this folder, and what they share. Core has checked every shape before a program gets here. */
#ifndef VQP_VULKAN_OPS_H
#define VQP_VULKAN_OPS_H
#include "kernels.h"

#define VK_OP(name)                                                                                                    \
    vqp_status vk_op_##name(struct vk_plan *plan, const struct vqp_program_view *p, uint32_t i, struct vqp_error *err)
VK_OP(embedding);
VK_OP(codebook);
VK_OP(nearest_code);
VK_OP(linear);
VK_OP(norm); /* layer_norm, rms_norm, l2_norm */
VK_OP(sdpa);
VK_OP(conv2d);
VK_OP(group_norm);
VK_OP(pixel_shuffle);
VK_OP(rope);
VK_OP(guide_log_softmax);
VK_OP(truncate);
VK_OP(posterior_sample);
VK_OP(categorical_sample);
VK_OP(select_top_k);
VK_OP(to_rgb);
VK_OP(repeat);
VK_OP(take);
VK_OP(store);
VK_OP(advance);
VK_OP(gumbel);
VK_OP(elementwise); /* add to cast */
VK_OP(concat);
VK_OP(slice);
VK_OP(permute);
VK_OP(axis); /* reduce_sum reduce_max arg_max softmax cumsum */
VK_OP(sort_k);
VK_OP(gather);
VK_OP(scatter);

/* op_NAME.c where there are several tiers: VK_F16(NAME) says whether the op could read and write float16 at all, each VK_TIER looks
 * whether it takes the op, and VK_OP offers it to them. */
#define VK_F16(name)  int32_t vk_f16_##name(const struct vqp_program_view *p, uint32_t i)
#define VK_TIER(name) static int32_t name(struct vk_plan *plan, const struct vqp_program_view *p, uint32_t i)
VK_F16(linear);
VK_F16(sdpa);
VK_F16(conv2d);
VK_F16(group_norm);

/* The matrix of a product, in its own order. */
static inline struct vk_operand vk_matrix(struct vk_plan *plan, vqp_val v, uint32_t half)
{
    return half ? vk_weight(plan, v, &(struct vk_form){.dtype = VQP_F16}) : vk_value(plan, v);
}

static inline uint32_t vk_count(const struct vqp_val_info *v)
{
    uint64_t n = 1;
    for (uint32_t k = 0; k < v->shape.rank; k++)
        n *= (uint64_t)v->shape.dim[k];
    return (uint32_t)n; /* backend.c lets nothing longer in */
}
static inline uint32_t vk_dim(const struct vqp_val_info *v, uint32_t k)
{
    return k < v->shape.rank ? (uint32_t)v->shape.dim[k] : 1;
}
static inline uint32_t vk_last(const struct vqp_val_info *v)
{
    return v->shape.rank ? (uint32_t)v->shape.dim[v->shape.rank - 1] : 1;
}
static inline uint32_t vk_rows(const struct vqp_val_info *v)
{
    return vk_count(v) / vk_last(v);
}
/* The tier on matrix units: op_NAME_coopmat.c. */
#define VK_COOPMAT(name) int32_t vk_coopmat_##name(struct vk_plan *plan, const struct vqp_program_view *p, uint32_t i)
VK_COOPMAT(linear);
VK_COOPMAT(conv2d);
VK_COOPMAT(sdpa);

/* Whether `kernel`, a NAME_texel, is for this device and op. */
static inline int32_t vk_texels(struct vk_plan *plan, const struct vqp_program_view *p, uint32_t i,
                                const struct vk_kernel *kernel)
{
    for (int k = 0; k < VQP_OP_MAX_IN; k++) /* a texel of 4 bytes is the least */
        if (p->ops[i].in[k] && p->vals[p->ops[i].in[k]].bytes / 4 + 4 > vk_caps(plan)->texels)
            return 0;
    return vk_caps(plan)->texels && vk_usable(plan, kernel);
}
/* Binds an operand to a texel buffer, or not. */
static inline void vk_bind_as(struct vk_dispatch *d, struct vk_operand o, uint32_t dtype, int texel)
{
    if (texel)
        vk_bind_texels(d, o, dtype);
    else
        vk_bind(d, o);
}
/* in[k] of the op. */
static inline void vk_bind_in(struct vk_plan *plan, struct vk_dispatch *d, const struct vqp_op *op, uint32_t k,
                              int texel)
{
    vk_bind_as(d, vk_value(plan, op->in[k]), vk_value_dtype(plan, op->in[k]), texel);
}

/* Constant 0, GROUP: how many invocations work on a row together, a power of two. One vector of a CPU, or as many as keep the turns of
 * `loops` loops over its n elements below VK_CPU_TURNS; else enough to keep the memory busy. */
static inline void vk_row_group(const struct vk_plan *plan, struct vk_dispatch *d, uint64_t loops, uint64_t n)
{
    const struct vk_caps *caps = vk_caps(plan);
    const uint64_t exchange = 4096; /* more than the loops over the group turn */
    uint32_t group = caps->is_cpu ? 8 : 128, most = caps->is_cpu ? 512 : 128;
    while (loops * (n / group + 2) + exchange > VK_CPU_TURNS && 2 * group <= most && 2 * group <= caps->max_local[0] &&
           2 * group <= caps->max_invocations)
        group *= 2;
    d->turns = loops * (n / group + 2) + exchange;
    vk_constant(d, group);
}

#endif
