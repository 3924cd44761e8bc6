/* One block: self-attention, what it is conditioned by, MLP; tensors named as diffusers names them, the norm before the MLP norm3 in
 * every kind of block. */
#include "transformer.h"

/* A query, key or value. */
static vqp_val project(const struct transformer *m, vqp_program *p, vqp_val x, const char *name, int64_t in)
{
    return vqp_transformer_linear(m, p, x, name, in, m->width, m->bias, 0, VQP_ACT_NONE);
}

/* ---- prepare ---------------------------------------------------------------------------------------------------- */

/* Scale and shift of one norm for every timestep. */
static void prepare_times(const struct transformer *m, vqp_program *p, uint32_t i, const char *which)
{
    struct vqp_label name = vqp_name("transformer_blocks.%u.%s", i, which);
    m->api->scope(p, which);
    vqp_val emb =
        vqp_tensor_shaped(m->api, p, vqp_name("%s.emb.weight", name.s).s, vqp_shape2(m->train_steps, m->width));
    m->api->output(p, vqp_name("blocks.%u.%s.table", i, which).s, vqp_transformer_modulation(m, p, emb, name.s));
    m->api->scope(p, NULL);
}

/* Scale and shift of the norm before the MLP, one row for each picture's class. Without a class (row num_classes) takes the row
 * that the model learned for that, or the mean of all where it has none, as the original does with an id too large. */
static void prepare_class(const struct transformer *m, vqp_program *p, uint32_t i)
{
    const struct vqp_program_api *api = m->api;
    struct vqp_label name = vqp_name("transformer_blocks.%u.norm3", i);
    api->scope(p, "norm3");
    vqp_val ids = api->link(p, "cond.class"), rows = api->weight(p, vqp_name("%s.emb.weight", name.s).s), emb;
    struct vqp_shape shape = api->describe(p, rows)->shape, want = vqp_shape2(m->classes, m->width);
    if (shape.rank == 2 && shape.dim[0] == m->classes + 1ll)
        want.dim[0]++;
    emb = vqp_embedding(api, p, ids, vqp_tensor_shaped(api, p, vqp_name("%s.emb.weight", name.s).s, want), 0);
    if (want.dim[0] == m->classes) {
        struct vqp_shape one = vqp_shape1(1), each = api->describe(p, ids)->shape;
        float share = 1.0f / (float)m->classes;
        int32_t last = (int32_t)m->classes - 1;
        vqp_val sum = vqp_along(api, p, VQP_OP_REDUCE_SUM, vqp_cast(api, p, rows, VQP_F32), 0);
        vqp_val mean = vqp_binary(api, p, VQP_OP_MUL, sum, api->constant(p, "share", VQP_F32, &one, &share));
        vqp_val none = vqp_compare(api, p, VQP_CMP_GT, ids, api->constant(p, "last", VQP_I32, &one, &last));
        each.dim[each.rank++] = 1;
        emb = vqp_where(api, p, api->view(p, none, &each), mean, emb);
    }
    vqp_val table = vqp_transformer_modulation(m, p, emb, name.s);
    struct vqp_shape flat = vqp_shape2(api->describe(p, table)->shape.dim[0], 2 * m->width);
    api->output(p, vqp_name("blocks.%u.norm3.table", i).s, api->view(p, table, &flat));
    api->scope(p, NULL);
}

static void prepare_text(const struct transformer *m, vqp_program *p, uint32_t i)
{
    struct vqp_label name = vqp_name("transformer_blocks.%u.attn2", i);
    m->api->scope(p, "attn2");
    vqp_val text = m->api->link(p, "cond.states.l2");
    vqp_val k = project(m, p, text, vqp_name("%s.to_k", name.s).s, m->text_width);
    vqp_val v = project(m, p, text, vqp_name("%s.to_v", name.s).s, m->text_width);
    m->api->output(p, vqp_name("blocks.%u.attn2.k", i).s, k);
    m->api->output(p, vqp_name("blocks.%u.attn2.v", i).s, v);
    m->api->scope(p, NULL);
}

void vqp_transformer_prepare_block(const struct transformer *m, vqp_program *p, uint32_t i)
{
    m->api->scope(p, vqp_name("blocks.%u", i).s);
    prepare_times(m, p, i, "norm1");
    if (m->block == BLOCK_SELFCROSS) {
        prepare_times(m, p, i, "norm2");
        prepare_text(m, p, i);
    } else if (m->block == BLOCK_SELFCONDITION) {
        prepare_class(m, p, i);
    }
    m->api->scope(p, NULL);
}

/* ---- step ------------------------------------------------------------------------------------------------------- */

static vqp_val table_of(const struct transformer *m, vqp_program *p, uint32_t i, const char *which)
{
    return m->api->link(p, vqp_name("blocks.%u.%s.table", i, which).s);
}

static vqp_val attend(const struct transformer *m, vqp_program *p, vqp_val q, vqp_val k, vqp_val v, const char *name,
                      vqp_val residual)
{
    vqp_val h = vqp_sdpa(m->api, p, q, k, v, m->heads, m->scale, 0);
    return vqp_transformer_linear(m, p, h, vqp_name("%s.to_out.0", name).s, m->width, m->width, 1, residual,
                                  VQP_ACT_NONE);
}

static vqp_val self_attention(const struct transformer *m, vqp_program *p, vqp_val x, uint32_t i, vqp_val t)
{
    struct vqp_label name = vqp_name("transformer_blocks.%u.attn1", i);
    m->api->scope(p, "attn1");
    vqp_val h = vqp_transformer_ada_norm(m, p, x, table_of(m, p, i, "norm1"), t);
    vqp_val q = project(m, p, h, vqp_name("%s.to_q", name.s).s, m->width);
    vqp_val k = project(m, p, h, vqp_name("%s.to_k", name.s).s, m->width);
    vqp_val v = project(m, p, h, vqp_name("%s.to_v", name.s).s, m->width);
    x = attend(m, p, q, k, v, name.s, x);
    m->api->scope(p, NULL);
    return x;
}

static vqp_val cross_attention(const struct transformer *m, vqp_program *p, vqp_val x, uint32_t i, vqp_val t)
{
    struct vqp_label name = vqp_name("transformer_blocks.%u.attn2", i);
    m->api->scope(p, "attn2");
    vqp_val h = vqp_transformer_ada_norm(m, p, x, table_of(m, p, i, "norm2"), t);
    vqp_val q = project(m, p, h, vqp_name("%s.to_q", name.s).s, m->width);
    vqp_val k = m->api->link(p, vqp_name("blocks.%u.attn2.k", i).s);
    vqp_val v = m->api->link(p, vqp_name("blocks.%u.attn2.v", i).s);
    x = attend(m, p, q, k, v, name.s, x);
    m->api->scope(p, NULL);
    return x;
}

static vqp_val conv3(const struct transformer *m, vqp_program *p, vqp_val x, const char *name, int64_t in, int64_t out,
                     vqp_val residual, uint32_t act)
{
    struct vqp_conv2d_params c = {.pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1, .act = act};
    vqp_val weight = vqp_tensor_shaped(m->api, p, vqp_name("%s.weight", name).s, vqp_shape4(out, in, 3, 3));
    vqp_val bias = vqp_tensor_shaped(m->api, p, vqp_name("%s.bias", name).s, vqp_shape1(out));
    return vqp_conv2d(m->api, p, x, weight, bias, residual, &c);
}

static vqp_val mlp(const struct transformer *m, vqp_program *p, vqp_val x, uint32_t i)
{
    const struct vqp_program_api *api = m->api;
    struct vqp_label name = vqp_name("transformer_blocks.%u.ff", i);
    int64_t inner = 4 * m->width;
    api->scope(p, "ff");
    vqp_val h = m->block == BLOCK_SELFCONDITION
                    ? vqp_transformer_ada_norm(m, p, x, table_of(m, p, i, "norm3"), 0)
                    : vqp_transformer_norm(m, p, x, vqp_name("transformer_blocks.%u.norm3", i).s);
    if (m->mlp == MLP_FC) {
        h = vqp_transformer_linear(m, p, h, vqp_name("%s.net.0.proj", name.s).s, m->width, inner, 1, 0, m->act);
        x = vqp_transformer_linear(m, p, h, vqp_name("%s.net.2", name.s).s, inner, m->width, 1, x, VQP_ACT_NONE);
    } else {
        struct vqp_shape tokens = api->describe(p, x)->shape,
                         grid = vqp_shape4(tokens.dim[0], m->side, m->side, m->width);
        h = conv3(m, p, api->view(p, h, &grid), vqp_name("%s.conv1", name.s).s, m->width, inner, 0, m->act);
        x = conv3(m, p, h, vqp_name("%s.conv2", name.s).s, inner, m->width, api->view(p, x, &grid), VQP_ACT_NONE);
        x = api->view(p, x, &tokens);
    }
    api->scope(p, NULL);
    return x;
}

vqp_val vqp_transformer_block(const struct transformer *m, vqp_program *p, vqp_val x, uint32_t i, vqp_val t)
{
    m->api->scope(p, vqp_name("blocks.%u", i).s);
    x = self_attention(m, p, x, i, t);
    if (m->block == BLOCK_SELFCROSS)
        x = cross_attention(m, p, x, i, t);
    x = mlp(m, p, x, i);
    m->api->scope(p, NULL);
    return x;
}
