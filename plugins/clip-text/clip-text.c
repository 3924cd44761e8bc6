/* clip-text: the text tower of CLIP (Radford et al. 2021) from a folder in the layout of transformers' CLIPTextModel.
 *
 * Pre-norm blocks under a causal mask; padding is not masked. Positions after the end token are computed like any other,
 * because VQ-Diffusion attends to all of them. */
#include <vqpipe/components.h>
#include <vqpipe/host.h>
#include <vqpipe/ops.h>
#include <vqpipe/plugin.h>
#include <vqpipe/tensor.h>

#include <math.h>
#include <stdlib.h>

struct options {
    int64_t vocab_size, hidden_size, intermediate_size, max_position_embeddings, num_attention_heads, num_hidden_layers;
    double layer_norm_eps;
    int32_t hidden_act, learnable;
    const char *null_path;
    int64_t null_length, null_width;
};
static const struct vqp_option option_table[] = {
    VQP_OPT(struct options, vocab_size, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG | VQP_OPT_REQUIRED, .min = 1,
            .max = 1 << 24, .help = "ids in the vocabulary"),
    VQP_OPT(struct options, hidden_size, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG | VQP_OPT_REQUIRED, .min = 1,
            .max = 65536, .help = "width of the states"),
    VQP_OPT(struct options, intermediate_size, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG | VQP_OPT_REQUIRED,
            .min = 1, .max = 1 << 20, .help = "width inside the MLPs"),
    VQP_OPT(struct options, max_position_embeddings, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG | VQP_OPT_REQUIRED,
            .min = 1, .max = 65536, .help = "ids a text is filled up to or cut to"),
    VQP_OPT(struct options, num_attention_heads, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG | VQP_OPT_REQUIRED,
            .min = 1, .max = 1024, .help = "heads; must divide hidden_size"),
    VQP_OPT(struct options, num_hidden_layers, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG | VQP_OPT_REQUIRED,
            .min = 1, .max = 512, .help = "blocks"),
    VQP_OPT(struct options, layer_norm_eps, .type = VQP_OPT_FLOAT, .flags = VQP_OPT_CONFIG, .min = 1e-12, .max = 0.1,
            .def = "1e-5", .help = "added to the variance in the layer norms"),
    VQP_OPT(struct options, hidden_act, .type = VQP_OPT_CHOICE, .flags = VQP_OPT_CONFIG, .def = "quick_gelu",
            .choices = "quick_gelu|gelu", .help = "activation inside the MLPs"),
    VQP_OPT(struct options, null_path, .type = VQP_OPT_PATH,
            .help = "folder of learned unconditional states, one tensor \"embeddings\""),
    VQP_OPT(struct options, learnable, .type = VQP_OPT_BOOL, .flags = VQP_OPT_CONFIG, .def = "false",
            .config = "null_path:learnable", .help = "whether null_path holds learned states"),
    VQP_OPT(struct options, null_length, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG, .min = 0, .max = 65536,
            .config = "null_path:length", .help = "positions of the learned states"),
    VQP_OPT(struct options, null_width, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG, .min = 0, .max = 65536,
            .config = "null_path:hidden_size", .help = "width of the learned states"),
    {.name = NULL},
};
static const uint32_t acts[] = {VQP_ACT_GELU_SIGMOID, VQP_ACT_GELU_ERF}; /* as in hidden_act's choices */

struct clip_text {
    const struct vqp_program_api *api;
    uint32_t vocab, length, layers, heads, act, has_null;
    int64_t width, inner;
    float eps;
};

static vqp_status create(const struct vqp_create_args *args, void **self, struct vqp_error *err)
{
    const struct options *o = args->opts;
    const char *path = args->path ? args->path : "the model folder";
    if (o->hidden_size % o->num_attention_heads)
        return vqp_fail(err, VQP_E_FORMAT,
                        "hidden_size %lld is not a multiple of num_attention_heads %lld; correct config.json in %s",
                        (long long)o->hidden_size, (long long)o->num_attention_heads, path);
    int has_null = o->null_path && o->learnable;
    if (has_null && (o->null_length != o->max_position_embeddings || o->null_width != o->hidden_size))
        return vqp_fail(err, VQP_E_FORMAT,
                        "the learned states in %s are [%lld,%lld] by their config.json, but this encoder gives "
                        "[%lld,%lld]; use the folder that belongs to the model",
                        o->null_path, (long long)o->null_length, (long long)o->null_width,
                        (long long)o->max_position_embeddings, (long long)o->hidden_size);
    struct clip_text *m = calloc(1, sizeof *m);
    if (!m)
        return vqp_fail(err, VQP_E_NOMEM, "no memory for the component");
    *m = (struct clip_text){.api = args->host->program,
                            .vocab = (uint32_t)o->vocab_size,
                            .length = (uint32_t)o->max_position_embeddings,
                            .layers = (uint32_t)o->num_hidden_layers,
                            .heads = (uint32_t)o->num_attention_heads,
                            .act = acts[o->hidden_act],
                            .has_null = (uint32_t)has_null,
                            .width = o->hidden_size,
                            .inner = o->intermediate_size,
                            .eps = (float)o->layer_norm_eps};
    *self = m;
    return VQP_OK;
}

static void destroy(void *self)
{
    free(self);
}

static void info(void *self, struct vqp_text_encoder_info *out)
{
    static const char *const names[] = {"states.l2", "states.final", "states.penultimate"};
    const struct clip_text *m = self;
    out->context_length = m->length;
    out->vocab_size = m->vocab;
    out->has_null = m->has_null;
    out->n_conds = sizeof names / sizeof *names;
    for (uint32_t i = 0; i < out->n_conds; i++)
        out->conds[i] =
            (struct vqp_cond){.name = names[i], .dtype = VQP_F32, .shape = vqp_shape2((int64_t)m->length, m->width)};
}

static vqp_val linear(const struct clip_text *m, vqp_program *p, vqp_val x, const char *name, int64_t in, int64_t out,
                      vqp_val residual, uint32_t act)
{
    vqp_val weight = vqp_tensor_shaped(m->api, p, vqp_name("%s.weight", name).s, vqp_shape2(out, in));
    vqp_val bias = vqp_tensor_shaped(m->api, p, vqp_name("%s.bias", name).s, vqp_shape1(out));
    return vqp_linear_full(m->api, p, x, weight, bias, residual, 0, act);
}

static vqp_val norm(const struct clip_text *m, vqp_program *p, vqp_val x, const char *name)
{
    vqp_val weight = vqp_tensor_shaped(m->api, p, vqp_name("%s.weight", name).s, vqp_shape1(m->width));
    vqp_val bias = vqp_tensor_shaped(m->api, p, vqp_name("%s.bias", name).s, vqp_shape1(m->width));
    return vqp_layer_norm(m->api, p, x, weight, bias, 0, 0, m->eps);
}

static vqp_val block(const struct clip_text *m, vqp_program *p, vqp_val x, const char *name)
{
    int64_t w = m->width, head = w / m->heads;
    float scale = (float)(1.0 / sqrt((double)head));
    vqp_val h = norm(m, p, x, vqp_name("%s.layer_norm1", name).s);
    vqp_val q = linear(m, p, h, vqp_name("%s.self_attn.q_proj", name).s, w, w, 0, VQP_ACT_NONE);
    vqp_val k = linear(m, p, h, vqp_name("%s.self_attn.k_proj", name).s, w, w, 0, VQP_ACT_NONE);
    vqp_val v = linear(m, p, h, vqp_name("%s.self_attn.v_proj", name).s, w, w, 0, VQP_ACT_NONE);
    h = vqp_sdpa(m->api, p, q, k, v, m->heads, scale, 1);
    x = linear(m, p, h, vqp_name("%s.self_attn.out_proj", name).s, w, w, x, VQP_ACT_NONE);
    h = norm(m, p, x, vqp_name("%s.layer_norm2", name).s);
    h = linear(m, p, h, vqp_name("%s.mlp.fc1", name).s, w, m->inner, 0, m->act);
    return linear(m, p, h, vqp_name("%s.mlp.fc2", name).s, m->inner, w, x, VQP_ACT_NONE);
}

static void record(void *self, vqp_program *p, const struct vqp_text_inputs *in)
{
    const struct clip_text *m = self;
    const struct vqp_program_api *api = m->api;
    /* Newer versions of transformers drop the prefix. */
    int bare = !api->has_weight(p, "text_model.embeddings.token_embedding.weight") &&
               api->has_weight(p, "embeddings.token_embedding.weight");
    const char *prefix = bare ? "" : "text_model.";
    if (api->has_weight(p, vqp_name("%sencoder.layers.%u.layer_norm1.weight", prefix, m->layers).s))
        api->fail(p, VQP_E_FORMAT, "the weights have more blocks than config.json's num_hidden_layers says");

    vqp_val ids = vqp_tensor_shaped(m->api, p, vqp_name("%sembeddings.token_embedding.weight", prefix).s,
                                    vqp_shape2(m->vocab, m->width));
    vqp_val pos = vqp_tensor_shaped(m->api, p, vqp_name("%sembeddings.position_embedding.weight", prefix).s,
                                    vqp_shape2(m->length, m->width));
    vqp_val x = vqp_embedding(api, p, in->ids, ids, pos), before_last = x;
    for (uint32_t i = 0; i < m->layers; i++) {
        before_last = x;
        api->scope(p, vqp_name("layers.%u", i).s);
        x = block(m, p, x, vqp_name("%sencoder.layers.%u", prefix, i).s);
        api->scope(p, NULL);
    }
    x = norm(m, p, x, vqp_name("%sfinal_layer_norm", prefix).s);
    api->output(p, "cond.states.penultimate", before_last);
    api->output(p, "cond.states.final", x);
    api->output(p, "cond.states.l2", vqp_l2_norm(api, p, x));
}

/* The learned states stand for normalised ones and are used as they are, without a norm. */
static void record_null(void *self, vqp_program *p)
{
    const struct clip_text *m = self;
    vqp_val states = vqp_tensor_shaped(m->api, p, "null_path:embeddings", vqp_shape2(m->length, m->width));
    struct vqp_shape row = vqp_shape3(1, m->length, m->width);
    m->api->output(p, "cond.states.l2", vqp_cast(m->api, p, m->api->view(p, states, &row), VQP_F32));
}

static const struct vqp_text_encoder_vtbl vtbl = {
    .struct_size = sizeof vtbl, .info = info, .record = record, .record_null = record_null};
static const struct vqp_component component = {.struct_size = sizeof component,
                                               .iface = VQP_IFACE_TEXT_ENCODER,
                                               .name = "clip-text",
                                               .summary = "text tower of CLIP",
                                               .opts_size = sizeof(struct options),
                                               .opts = option_table,
                                               .create = create,
                                               .destroy = destroy,
                                               .v.text_encoder = &vtbl};
static const struct vqp_component *const components[] = {&component, NULL};
VQP_PLUGIN(.id = "org.vqpipe.clip-text", .version = "0.1.0", .license = "MIT", .components = components);
