#include "transformer.h"

#include <math.h>

#define OPTION(field, ...) VQP_OPT(struct transformer_options, field, __VA_ARGS__)
const struct vqp_option vqp_transformer_options[] = {
    OPTION(num_attention_heads, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG | VQP_OPT_REQUIRED, .min = 1, .max = 1024,
           .help = "heads"),
    OPTION(attention_head_dim, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG | VQP_OPT_REQUIRED, .min = 1, .max = 4096,
           .help = "width of one head"),
    OPTION(num_layers, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG | VQP_OPT_REQUIRED, .min = 1, .max = 512,
           .help = "blocks"),
    OPTION(cross_attention_dim, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG, .min = 0, .max = 65536,
           .help = "width of the text states; block_type selfcross needs it"),
    OPTION(num_vector_embeds, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG | VQP_OPT_REQUIRED, .min = 2, .max = 1 << 24,
           .help = "codes and the mask, which is the last"),
    OPTION(num_embeds_ada_norm, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG | VQP_OPT_REQUIRED, .min = 1,
           .max = 100000, .help = "timesteps it was trained with"),
    OPTION(sample_size, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG | VQP_OPT_REQUIRED, .min = 1, .max = 1024,
           .help = "tokens along each side of the grid"),
    OPTION(spatial_size, .type = VQP_OPT_INTS, .flags = VQP_OPT_CONFIG, .min = 1, .max = 1024,
           .help = "rows and columns that its positions were made for, where that is not the grid: the grid's tokens "
                   "then take the first of them, row by row"),
    OPTION(block_type, .type = VQP_OPT_CHOICE, .flags = VQP_OPT_CONFIG, .def = "selfcross",
           .choices = "selfcross|selfcondition|self",
           .help = "what its blocks look at: a text, a class, or nothing but the picture"),
    OPTION(num_classes, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG, .min = 0, .max = 1 << 24,
           .help = "classes; block_type selfcondition needs it"),
    OPTION(mlp_type, .type = VQP_OPT_CHOICE, .flags = VQP_OPT_CONFIG, .def = "fc", .choices = "fc|conv_mlp",
           .help = "layers inside the MLPs: linear, or 3 x 3 convolutions"),
    OPTION(attention_bias, .type = VQP_OPT_BOOL, .flags = VQP_OPT_CONFIG, .def = "false",
           .help = "whether queries, keys and values have biases"),
    OPTION(activation_fn, .type = VQP_OPT_CHOICE, .flags = VQP_OPT_CONFIG, .def = "geglu-approximate",
           .choices = "geglu-approximate|gelu", .help = "activation inside the MLPs"),
    OPTION(norm_type, .type = VQP_OPT_CHOICE, .flags = VQP_OPT_CONFIG, .def = "ada_norm", .choices = "ada_norm",
           .help = "norm before the attentions"),
    {.name = NULL},
};
static const uint32_t acts[] = {VQP_ACT_GELU_SIGMOID, VQP_ACT_GELU_ERF}; /* as in activation_fn's choices */

static vqp_status read_positions(struct transformer *m, const struct vqp_list *size, const char *path,
                                 struct vqp_error *err)
{
    const int64_t *s = size->items;
    m->rows = m->columns = m->side;
    if (!size->n)
        return VQP_OK;
    if (size->n != 2)
        return vqp_fail(err, VQP_E_FORMAT, "spatial_size has %u entries; give rows and columns (config.json in %s)",
                        size->n, path);
    m->rows = s[0];
    m->columns = s[1];
    if (m->rows * m->columns < (int64_t)m->side * m->side)
        return vqp_fail(err, VQP_E_FORMAT,
                        "spatial_size [%lld, %lld] has fewer places than the grid of sample_size %u; correct "
                        "config.json in %s",
                        (long long)m->rows, (long long)m->columns, m->side, path);
    return VQP_OK;
}

vqp_status vqp_transformer_read(struct transformer *m, const struct transformer_options *o, const char *path,
                                struct vqp_error *err)
{
    if (o->num_attention_heads * o->attention_head_dim > 65536)
        return vqp_fail(
            err, VQP_E_FORMAT,
            "num_attention_heads %lld times attention_head_dim %lld is more than 65536; correct config.json "
            "in %s",
            (long long)o->num_attention_heads, (long long)o->attention_head_dim, path);
    if (o->block_type == BLOCK_SELFCROSS && !o->cross_attention_dim)
        return vqp_fail(
            err, VQP_E_FORMAT,
            "key 'cross_attention_dim' is missing in the config.json of %s, and block_type selfcross needs it; "
            "put it there",
            path);
    if (o->block_type == BLOCK_SELFCONDITION && !o->num_classes)
        return vqp_fail(err, VQP_E_FORMAT,
                        "key 'num_classes' is missing in the config.json of %s, and block_type selfcondition needs it; "
                        "put it there",
                        path);
    *m = (struct transformer){.heads = (uint32_t)o->num_attention_heads,
                              .layers = (uint32_t)o->num_layers,
                              .vocab = (uint32_t)o->num_vector_embeds,
                              .train_steps = (uint32_t)o->num_embeds_ada_norm,
                              .side = (uint32_t)o->sample_size,
                              .bias = (uint32_t)o->attention_bias,
                              .act = acts[o->activation_fn],
                              .block = (uint32_t)o->block_type,
                              .mlp = (uint32_t)o->mlp_type,
                              .classes = (uint32_t)o->num_classes,
                              .width = o->num_attention_heads * o->attention_head_dim,
                              .text_width = o->cross_attention_dim,
                              .scale = (float)(1.0 / sqrt((double)o->attention_head_dim))};
    return read_positions(m, &o->spatial_size, path, err);
}
