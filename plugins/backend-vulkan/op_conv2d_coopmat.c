#include "coopmat.h"
#include "ops.h"

VK_COOPMAT(conv2d)
{
    const struct vqp_op *op = &p->ops[i];
    const struct vqp_val_info *x = &p->vals[op->in[0]], *w = &p->vals[op->in[1]], *out = &p->vals[op->out[0]];
    uint32_t stride = op->u.conv.stride ? op->u.conv.stride : 1, factor = op->u.conv.upsample ? op->u.conv.upsample : 1;
    uint32_t ins = vk_dim(x, 3), outs = vk_dim(out, 3);
    uint32_t push[] = {vk_rows(out), vk_dim(x, 1), vk_dim(x, 2), ins,    vk_dim(out, 1),     vk_dim(out, 2),     outs,
                       vk_dim(w, 2), vk_dim(w, 3), stride,       factor, op->u.conv.pad_top, op->u.conv.pad_left};
    if (op->u.conv.groups > 1)
        return 0;
    struct vk_product product = {
        .kernel = &vk_kernel_conv2d_coopmat,
        .rows = push[0],
        .terms = vk_dim(w, 2) * vk_dim(w, 3) * ins,
        .outs = outs,
        .vectors = ins % 8 == 0,
        .act = op->u.conv.act,
        .a = op->in[0],
        .bias = op->in[2],
        .residual = op->in[3],
        .result = op->out[0],
        .weight = op->in[1],
        .form = {.dtype = VQP_F16, .permute = 1, .perm = {0, 2, 3, 1}},
        .push = push,
        .push_bytes = sizeof push,
    };
    return vk_product_emit(plan, &product);
}
