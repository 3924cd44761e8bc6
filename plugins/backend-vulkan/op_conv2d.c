#include "ops.h"

VK_OP(conv2d)
{
    (void)err;
    static const struct vk_form channels_last = {.dtype = VQP_F32, .permute = 1, .perm = {0, 2, 3, 1}};
    const struct vqp_op *op = &p->ops[i];
    const struct vqp_val_info *x = &p->vals[op->in[0]], *w = &p->vals[op->in[1]], *out = &p->vals[op->out[0]];
    uint32_t groups = op->u.conv.groups ? op->u.conv.groups : 1, stride = op->u.conv.stride ? op->u.conv.stride : 1;
    uint32_t factor = op->u.conv.upsample ? op->u.conv.upsample : 1, outs = vk_dim(out, 3), pixels = vk_rows(out);
    uint32_t push[] = {
        pixels, vk_dim(x, 1), vk_dim(x, 2), vk_dim(x, 3), vk_dim(out, 1), vk_dim(out, 2),     outs,
        groups, vk_dim(w, 2), vk_dim(w, 3), stride,       factor,         op->u.conv.pad_top, op->u.conv.pad_left};
    struct vk_dispatch d = {.kernel = &vk_kernel_conv2d, .work = (uint64_t)pixels * vk_count(w)};
    vk_constant(&d, vk_dim(w, 1) % 4 == 0);
    vk_constant(&d, op->in[2] != 0);
    vk_constant(&d, op->u.conv.act);
    vk_constant(&d, op->in[3] != 0);
    vk_constant(&d, groups > 1);
    vk_bind(&d, vk_value(plan, op->in[0]));
    vk_bind(&d, vk_weight(plan, op->in[1], &channels_last));
    vk_bind(&d, vk_value(plan, op->in[2]));
    vk_bind(&d, vk_value(plan, op->in[3]));
    vk_bind_result(&d, vk_value(plan, op->out[0]));
    vk_push(&d, push, sizeof push);
    d.groups[0] = (outs + 31) / 32;
    d.groups[1] = (pixels + 63) / 64;
    return vk_emit(plan, &d);
}
