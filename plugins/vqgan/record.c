/* The decoder and the encoder as ops. Pictures are [B,H,W,channels] throughout. */
#include "vqgan.h"
#include <math.h>
#include <vqpipe/tensor.h>

#define NORM_EPS 1e-6f

static vqp_val conv(const struct vqp_vqgan *m, vqp_program *p, vqp_val x, const char *name, int64_t in, int64_t out,
                    int64_t kernel, vqp_val residual, const struct vqp_conv2d_params *params)
{
    vqp_val weight = vqp_tensor_shaped(m->api, p, vqp_name("%s.weight", name).s, vqp_shape4(out, in, kernel, kernel));
    vqp_val bias = vqp_tensor_shaped(m->api, p, vqp_name("%s.bias", name).s, vqp_shape1(out));
    return vqp_conv2d(m->api, p, x, weight, bias, residual, params);
}

static vqp_val conv1(const struct vqp_vqgan *m, vqp_program *p, vqp_val x, const char *name, int64_t in, int64_t out)
{
    return conv(m, p, x, name, in, out, 1, 0, &(struct vqp_conv2d_params){.stride = 1});
}

static vqp_val conv3(const struct vqp_vqgan *m, vqp_program *p, vqp_val x, const char *name, int64_t in, int64_t out,
                     vqp_val residual, uint32_t upsample)
{
    struct vqp_conv2d_params params = {
        .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1, .upsample = upsample};
    return conv(m, p, x, name, in, out, 3, residual, &params);
}

static vqp_val norm(const struct vqp_vqgan *m, vqp_program *p, vqp_val x, const char *name, int64_t channels,
                    uint32_t act)
{
    vqp_val weight = vqp_tensor_shaped(m->api, p, vqp_name("%s.weight", name).s, vqp_shape1(channels));
    vqp_val bias = vqp_tensor_shaped(m->api, p, vqp_name("%s.bias", name).s, vqp_shape1(channels));
    return vqp_group_norm(m->api, p, x, weight, bias, m->groups, NORM_EPS, act);
}

static vqp_val resnet(const struct vqp_vqgan *m, vqp_program *p, vqp_val x, const char *name, int64_t in, int64_t out)
{
    vqp_val h = norm(m, p, x, vqp_name("%s.norm1", name).s, in, VQP_ACT_SILU);
    h = conv3(m, p, h, vqp_name("%s.conv1", name).s, in, out, 0, 1);
    h = norm(m, p, h, vqp_name("%s.norm2", name).s, out, VQP_ACT_SILU);
    if (in != out)
        x = conv1(m, p, x, vqp_name("%s.conv_shortcut", name).s, in, out);
    return conv3(m, p, h, vqp_name("%s.conv2", name).s, out, out, x, 1);
}

/* A linear layer of the attention. Files older than diffusers 0.15 have another name for it, and some keep the original's
 * 1x1 convolution. */
static vqp_val project(const struct vqp_vqgan *m, vqp_program *p, vqp_val x, const char *attention, const char *leaf,
                       const char *old_leaf, int64_t c, vqp_val residual)
{
    const struct vqp_program_api *api = m->api;
    struct vqp_label old = vqp_name("%s.%s.weight", attention, old_leaf);
    struct vqp_label name = vqp_name("%s.%s", attention, api->has_weight(p, old.s) ? old_leaf : leaf);
    struct vqp_label file = vqp_name("%s.weight", name.s);
    struct vqp_shape matrix = vqp_shape2(c, c);
    int is_conv = api->describe(p, api->weight(p, file.s))->shape.rank == 4;
    vqp_val weight = vqp_tensor_shaped(m->api, p, file.s, is_conv ? vqp_shape4(c, c, 1, 1) : matrix);
    if (is_conv)
        weight = api->view(p, weight, &matrix);
    vqp_val bias = vqp_tensor_shaped(m->api, p, vqp_name("%s.bias", name.s).s, vqp_shape1(c));
    return vqp_linear_full(api, p, x, weight, bias, residual, 0, VQP_ACT_NONE);
}

/* One head over all channels. */
static vqp_val attend(const struct vqp_vqgan *m, vqp_program *p, vqp_val x, const char *name, int64_t c)
{
    const struct vqp_program_api *api = m->api;
    struct vqp_shape picture = api->describe(p, x)->shape,
                     rows = vqp_shape3(picture.dim[0], picture.dim[1] * picture.dim[2], c);
    vqp_val h = api->view(p, norm(m, p, x, vqp_name("%s.group_norm", name).s, c, VQP_ACT_NONE), &rows);
    vqp_val q = project(m, p, h, name, "to_q", "query", c, 0);
    vqp_val k = project(m, p, h, name, "to_k", "key", c, 0);
    vqp_val v = project(m, p, h, name, "to_v", "value", c, 0);
    h = vqp_sdpa(api, p, q, k, v, 1, (float)(1.0 / sqrt((double)c)), 0);
    return api->view(p, project(m, p, h, name, "to_out.0", "proj_attn", c, api->view(p, x, &rows)), &picture);
}

/* n residual blocks, each followed by an attention where the level has them. */
static vqp_val level(const struct vqp_vqgan *m, vqp_program *p, vqp_val x, const char *name, uint32_t n, int64_t in,
                     int64_t out, int attention)
{
    for (uint32_t i = 0; i < n; i++) {
        x = resnet(m, p, x, vqp_name("%s.resnets.%u", name, i).s, i ? out : in, out);
        if (attention)
            x = attend(m, p, x, vqp_name("%s.attentions.%u", name, i).s, out);
    }
    return x;
}

static vqp_val middle(const struct vqp_vqgan *m, vqp_program *p, vqp_val x, const char *name, int64_t c)
{
    m->api->scope(p, "mid_block");
    x = resnet(m, p, x, vqp_name("%s.resnets.0", name).s, c, c);
    if (m->mid_attention)
        x = attend(m, p, x, vqp_name("%s.attentions.0", name).s, c);
    x = resnet(m, p, x, vqp_name("%s.resnets.1", name).s, c, c);
    m->api->scope(p, NULL);
    return x;
}

static vqp_val head(const struct vqp_vqgan *m, vqp_program *p, vqp_val x, const char *part, int64_t in, int64_t out)
{
    x = norm(m, p, x, vqp_name("%s.conv_norm_out", part).s, in, VQP_ACT_SILU);
    return conv3(m, p, x, vqp_name("%s.conv_out", part).s, in, out, 0, 1);
}

static vqp_val number(const struct vqp_vqgan *m, vqp_program *p, const char *name, float x)
{
    struct vqp_shape one = vqp_shape1(1);
    return m->api->constant(p, name, VQP_F32, &one, &x);
}

vqp_val vqp_vqgan_decode(const struct vqp_vqgan *m, vqp_program *p, vqp_val tokens)
{
    const struct vqp_program_api *api = m->api;
    int64_t c = m->channels[m->n_levels - 1];
    vqp_val x =
        vqp_codebook(api, p, tokens,
                     vqp_tensor_shaped(m->api, p, "quantize.embedding.weight", vqp_shape2(m->n_codes, m->code_width)));
    x = conv1(m, p, x, "post_quant_conv", m->code_width, m->latent_width);
    x = conv3(m, p, x, "decoder.conv_in", m->latent_width, c, 0, 1);
    x = middle(m, p, x, "decoder.mid_block", c);
    for (uint32_t i = 0; i < m->n_levels; i++) {
        int64_t out = m->channels[m->n_levels - 1 - i];
        struct vqp_label name = vqp_name("decoder.up_blocks.%u", i);
        api->scope(p, vqp_name("up_blocks.%u", i).s);
        x = level(m, p, x, name.s, m->layers + 1, c, out, m->up_attention[i]);
        if (i + 1 < m->n_levels)
            x = conv3(m, p, x, vqp_name("%s.upsamplers.0.conv", name.s).s, out, out, 0, 2);
        api->scope(p, NULL);
        c = out;
    }
    x = head(m, p, x, "decoder", c, 3);
    if (m->symmetric) {
        vqp_val half = number(m, p, "half", 0.5f);
        x = vqp_binary(api, p, VQP_OP_ADD, vqp_binary(api, p, VQP_OP_MUL, x, half), half);
    }
    x = vqp_binary(api, p, VQP_OP_MAX, x, number(m, p, "black", 0));
    return vqp_binary(api, p, VQP_OP_MIN, x, number(m, p, "white", 1));
}

vqp_val vqp_vqgan_encode(const struct vqp_vqgan *m, vqp_program *p, vqp_val rgb)
{
    const struct vqp_program_api *api = m->api;
    if (!m->n_down || !api->has_weight(p, "encoder.conv_in.weight")) {
        api->fail(p, VQP_E_ARG, "this model has a decoder alone, so pictures cannot be encoded; use token ids");
        return 0;
    }
    vqp_val x = rgb;
    if (m->symmetric)
        x = vqp_binary(api, p, VQP_OP_SUB, vqp_binary(api, p, VQP_OP_MUL, x, number(m, p, "two", 2)),
                       number(m, p, "one", 1));
    int64_t c = m->channels[0];
    x = conv3(m, p, x, "encoder.conv_in", 3, c, 0, 1);
    for (uint32_t i = 0; i < m->n_levels; i++) {
        int64_t out = m->channels[i];
        struct vqp_label name = vqp_name("encoder.down_blocks.%u", i);
        api->scope(p, vqp_name("down_blocks.%u", i).s);
        x = level(m, p, x, name.s, m->layers, c, out, m->down_attention[i]);
        if (i + 1 < m->n_levels)
            x = conv(m, p, x, vqp_name("%s.downsamplers.0.conv", name.s).s, out, out, 3, 0,
                     &(struct vqp_conv2d_params){.stride = 2, .pad_bottom = 1, .pad_right = 1});
        api->scope(p, NULL);
        c = out;
    }
    x = middle(m, p, x, "encoder.mid_block", c);
    x = head(m, p, x, "encoder", c, m->latent_width);
    x = conv1(m, p, x, "quant_conv", m->latent_width, m->code_width);
    return vqp_nearest_code(
        api, p, x, vqp_tensor_shaped(m->api, p, "quantize.embedding.weight", vqp_shape2(m->n_codes, m->code_width)));
}
