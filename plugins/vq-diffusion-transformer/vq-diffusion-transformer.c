/* vq-diffusion-transformer: the denoiser of VQ-Diffusion (Gu et al. 2022) from a folder in the layout of diffusers'
 * Transformer2DModel with discrete input.
 *
 * Self-attention, cross-attention and MLP, the first two behind layer norms whose scale and shift depend on the timestep
 * alone. What depends on no step is recorded once a prompt: those scales and shifts for every timestep, the position
 * table, and the keys and values of the text. */
#include <vqpipe/components.h>
#include <vqpipe/host.h>
#include <vqpipe/ops.h>
#include <vqpipe/plugin.h>
#include <vqpipe/tensor.h>

#include <math.h>
#include <stdlib.h>

#define NORM_EPS 1e-5f

struct options {
    int64_t num_attention_heads, attention_head_dim, num_layers, cross_attention_dim, num_vector_embeds,
        num_embeds_ada_norm, sample_size;
    int32_t attention_bias, activation_fn, norm_type;
};
static const struct vqp_option option_table[] = {
    VQP_OPT(struct options, num_attention_heads, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG | VQP_OPT_REQUIRED,
            .min = 1, .max = 1024, .help = "heads"),
    VQP_OPT(struct options, attention_head_dim, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG | VQP_OPT_REQUIRED,
            .min = 1, .max = 4096, .help = "width of one head"),
    VQP_OPT(struct options, num_layers, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG | VQP_OPT_REQUIRED, .min = 1,
            .max = 512, .help = "blocks"),
    VQP_OPT(struct options, cross_attention_dim, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG | VQP_OPT_REQUIRED,
            .min = 1, .max = 65536, .help = "width of the text states"),
    VQP_OPT(struct options, num_vector_embeds, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG | VQP_OPT_REQUIRED,
            .min = 2, .max = 1 << 24, .help = "codes and the mask, which is the last"),
    VQP_OPT(struct options, num_embeds_ada_norm, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG | VQP_OPT_REQUIRED,
            .min = 1, .max = 100000, .help = "timesteps it was trained with"),
    VQP_OPT(struct options, sample_size, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG | VQP_OPT_REQUIRED, .min = 1,
            .max = 1024, .help = "tokens along each side of the grid"),
    VQP_OPT(struct options, attention_bias, .type = VQP_OPT_BOOL, .flags = VQP_OPT_CONFIG, .def = "false",
            .help = "whether queries, keys and values have biases"),
    VQP_OPT(struct options, activation_fn, .type = VQP_OPT_CHOICE, .flags = VQP_OPT_CONFIG, .def = "geglu-approximate",
            .choices = "geglu-approximate|gelu", .help = "activation inside the MLPs"),
    VQP_OPT(struct options, norm_type, .type = VQP_OPT_CHOICE, .flags = VQP_OPT_CONFIG, .def = "ada_norm",
            .choices = "ada_norm", .help = "norm before the attentions"),
    {.name = NULL},
};
static const uint32_t acts[] = {VQP_ACT_GELU_SIGMOID, VQP_ACT_GELU_ERF}; /* as in activation_fn's choices */

struct denoiser {
    const struct vqp_program_api *api;
    uint32_t heads, layers, vocab, train_steps, side, bias, act;
    int64_t width, text_width;
    float scale;
};

static vqp_status create(const struct vqp_create_args *args, void **self, struct vqp_error *err)
{
    const struct options *o = args->opts;
    if (o->num_attention_heads * o->attention_head_dim > 65536)
        return vqp_fail(
            err, VQP_E_FORMAT,
            "num_attention_heads %lld times attention_head_dim %lld is more than 65536; correct config.json "
            "in %s",
            (long long)o->num_attention_heads, (long long)o->attention_head_dim,
            args->path ? args->path : "the model folder");
    struct denoiser *m = calloc(1, sizeof *m);
    if (!m)
        return vqp_fail(err, VQP_E_NOMEM, "no memory for the component");
    *m = (struct denoiser){.api = args->host->program,
                           .heads = (uint32_t)o->num_attention_heads,
                           .layers = (uint32_t)o->num_layers,
                           .vocab = (uint32_t)o->num_vector_embeds,
                           .train_steps = (uint32_t)o->num_embeds_ada_norm,
                           .side = (uint32_t)o->sample_size,
                           .bias = (uint32_t)o->attention_bias,
                           .act = acts[o->activation_fn],
                           .width = o->num_attention_heads * o->attention_head_dim,
                           .text_width = o->cross_attention_dim,
                           .scale = (float)(1.0 / sqrt((double)o->attention_head_dim))};
    *self = m;
    return VQP_OK;
}

static void destroy(void *self)
{
    free(self);
}

static void info(void *self, struct vqp_denoiser_info *out)
{
    const struct denoiser *m = self;
    out->grid_h = out->grid_w = m->side;
    out->n_codes = m->vocab - 1;
    out->n_vocab = m->vocab;
    out->mask_id = m->vocab - 1;
    out->train_steps = m->train_steps;
    out->n_conds = 1;
    out->conds[0] = (struct vqp_cond){.name = "states.l2", .dtype = VQP_F32, .shape = vqp_shape2(-1, m->text_width)};
}

static vqp_val linear_full(const struct denoiser *m, vqp_program *p, vqp_val x, const char *name, int64_t in,
                           int64_t out, uint32_t with_bias, vqp_val residual, uint32_t act)
{
    vqp_val weight = vqp_tensor_shaped(m->api, p, vqp_name("%s.weight", name).s, vqp_shape2(out, in));
    vqp_val bias = with_bias ? vqp_tensor_shaped(m->api, p, vqp_name("%s.bias", name).s, vqp_shape1(out)) : 0;
    return vqp_linear_full(m->api, p, x, weight, bias, residual, 0, act);
}

/* A query, key or value. */
static vqp_val project(const struct denoiser *m, vqp_program *p, vqp_val x, const char *name, int64_t in)
{
    return linear_full(m, p, x, name, in, m->width, m->bias, 0, VQP_ACT_NONE);
}

static vqp_val norm(const struct denoiser *m, vqp_program *p, vqp_val x, const char *name)
{
    vqp_val weight = vqp_tensor_shaped(m->api, p, vqp_name("%s.weight", name).s, vqp_shape1(m->width));
    vqp_val bias = vqp_tensor_shaped(m->api, p, vqp_name("%s.bias", name).s, vqp_shape1(m->width));
    return vqp_layer_norm(m->api, p, x, weight, bias, 0, 0, NORM_EPS);
}

/* Scale and shift of one norm for every timestep: linear(silu(embedding)). */
static void prepare_table(const struct denoiser *m, vqp_program *p, uint32_t block, const char *which)
{
    struct vqp_label name = vqp_name("transformer_blocks.%u.%s", block, which);
    m->api->scope(p, which);
    vqp_val emb =
        vqp_tensor_shaped(m->api, p, vqp_name("%s.emb.weight", name.s).s, vqp_shape2(m->train_steps, m->width));
    vqp_val silu = vqp_binary(m->api, p, VQP_OP_MUL, emb, vqp_unary(m->api, p, VQP_OP_SIGMOID, emb));
    vqp_val table =
        linear_full(m, p, silu, vqp_name("%s.linear", name.s).s, m->width, 2 * m->width, 1, 0, VQP_ACT_NONE);
    m->api->output(p, vqp_name("blocks.%u.%s.table", block, which).s, table);
    m->api->scope(p, NULL);
}

static void record_prepare(void *self, vqp_program *p, uint32_t batch, uint32_t guided)
{
    (void)batch;
    (void)guided;
    const struct denoiser *m = self;
    const struct vqp_program_api *api = m->api;
    struct vqp_shape rows = vqp_shape3(m->side, 1, m->width), columns = vqp_shape3(1, m->side, m->width);
    vqp_val height =
        vqp_tensor_shaped(m->api, p, "latent_image_embedding.height_emb.weight", vqp_shape2(m->side, m->width));
    vqp_val width =
        vqp_tensor_shaped(m->api, p, "latent_image_embedding.width_emb.weight", vqp_shape2(m->side, m->width));
    height = api->view(p, height, &rows);
    width = api->view(p, width, &columns);
    api->output(p, "positions", vqp_binary(api, p, VQP_OP_ADD, height, width));

    if (api->has_weight(p, vqp_name("transformer_blocks.%u.norm3.weight", m->layers).s))
        api->fail(p, VQP_E_FORMAT, "the weights have more blocks than config.json's num_layers says");
    vqp_val text = api->link(p, "cond.states.l2");
    for (uint32_t i = 0; i < m->layers; i++) {
        struct vqp_label cross = vqp_name("transformer_blocks.%u.attn2", i);
        api->scope(p, vqp_name("blocks.%u", i).s);
        prepare_table(m, p, i, "norm1");
        prepare_table(m, p, i, "norm2");
        api->scope(p, "attn2");
        vqp_val k = project(m, p, text, vqp_name("%s.to_k", cross.s).s, m->text_width);
        vqp_val v = project(m, p, text, vqp_name("%s.to_v", cross.s).s, m->text_width);
        api->output(p, vqp_name("blocks.%u.attn2.k", i).s, k);
        api->output(p, vqp_name("blocks.%u.attn2.v", i).s, v);
        api->scope(p, NULL);
        api->scope(p, NULL);
    }
}

static vqp_val ada_norm(const struct denoiser *m, vqp_program *p, vqp_val x, uint32_t block, const char *which,
                        vqp_val t)
{
    vqp_val table = m->api->link(p, vqp_name("blocks.%u.%s.table", block, which).s);
    return vqp_layer_norm(m->api, p, x, 0, 0, table, t, NORM_EPS);
}

static vqp_val attend(const struct denoiser *m, vqp_program *p, vqp_val q, vqp_val k, vqp_val v, const char *name,
                      vqp_val residual)
{
    vqp_val h = vqp_sdpa(m->api, p, q, k, v, m->heads, m->scale, 0);
    return linear_full(m, p, h, vqp_name("%s.to_out.0", name).s, m->width, m->width, 1, residual, VQP_ACT_NONE);
}

static vqp_val block(const struct denoiser *m, vqp_program *p, vqp_val x, uint32_t i, vqp_val t)
{
    const struct vqp_program_api *api = m->api;
    struct vqp_label self = vqp_name("transformer_blocks.%u.attn1", i),
                     cross = vqp_name("transformer_blocks.%u.attn2", i),
                     mlp = vqp_name("transformer_blocks.%u.ff.net", i);

    api->scope(p, "attn1");
    vqp_val h = ada_norm(m, p, x, i, "norm1", t);
    vqp_val q = project(m, p, h, vqp_name("%s.to_q", self.s).s, m->width);
    vqp_val k = project(m, p, h, vqp_name("%s.to_k", self.s).s, m->width);
    vqp_val v = project(m, p, h, vqp_name("%s.to_v", self.s).s, m->width);
    x = attend(m, p, q, k, v, self.s, x);
    api->scope(p, NULL);

    api->scope(p, "attn2");
    h = ada_norm(m, p, x, i, "norm2", t);
    q = project(m, p, h, vqp_name("%s.to_q", cross.s).s, m->width);
    k = api->link(p, vqp_name("blocks.%u.attn2.k", i).s);
    v = api->link(p, vqp_name("blocks.%u.attn2.v", i).s);
    x = attend(m, p, q, k, v, cross.s, x);
    api->scope(p, NULL);

    api->scope(p, "ff");
    h = norm(m, p, x, vqp_name("transformer_blocks.%u.norm3", i).s);
    h = linear_full(m, p, h, vqp_name("%s.0.proj", mlp.s).s, m->width, 4 * m->width, 1, 0, m->act);
    x = linear_full(m, p, h, vqp_name("%s.2", mlp.s).s, 4 * m->width, m->width, 1, x, VQP_ACT_NONE);
    api->scope(p, NULL);
    return x;
}

static vqp_val record_step(void *self, vqp_program *p, const struct vqp_step *s)
{
    const struct denoiser *m = self;
    const struct vqp_program_api *api = m->api;
    struct vqp_shape flat = vqp_shape2((int64_t)m->side * m->side, m->width);
    vqp_val ids = vqp_tensor_shaped(m->api, p, "latent_image_embedding.emb.weight", vqp_shape2(m->vocab, m->width));
    vqp_val x = vqp_embedding(api, p, s->tokens, ids, api->view(p, api->link(p, "positions"), &flat));
    for (uint32_t i = 0; i < m->layers; i++) {
        api->scope(p, vqp_name("blocks.%u", i).s);
        x = block(m, p, x, i, s->t);
        api->scope(p, NULL);
    }
    api->scope(p, "out");
    x = linear_full(m, p, norm(m, p, x, "norm_out"), "out", m->width, m->vocab - 1, 1, 0, VQP_ACT_NONE);
    api->scope(p, NULL);
    return x;
}

static const struct vqp_denoiser_vtbl vtbl = {
    .struct_size = sizeof vtbl, .info = info, .record_prepare = record_prepare, .record_step = record_step};
static const struct vqp_component component = {.struct_size = sizeof component,
                                               .iface = VQP_IFACE_DENOISER,
                                               .name = "vq-diffusion-transformer",
                                               .summary = "transformer of VQ-Diffusion",
                                               .opts_size = sizeof(struct options),
                                               .opts = option_table,
                                               .create = create,
                                               .destroy = destroy,
                                               .v.denoiser = &vtbl};
static const struct vqp_component *const components[] = {&component, NULL};
VQP_PLUGIN(.id = "org.vqpipe.vq-diffusion-transformer", .version = "0.1.0", .license = "MIT", .components = components);
