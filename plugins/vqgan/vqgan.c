/* vqgan: codes to pictures and back, by the VQGAN of Esser, Rombach, Ommer 2021, from a folder in the layout of diffusers'
 * VQModel. */
#include "vqgan.h"
#include <vqpipe/plugin.h>

#include <stdlib.h>
#include <string.h>

struct options {
    struct vqp_list block_out_channels, up_block_types, down_block_types;
    int64_t layers_per_block, latent_channels, norm_num_groups, num_vq_embeddings, vq_embed_dim, in_channels,
        out_channels;
    int32_t act_fn, norm_type, mid_block_add_attention, range;
};
static const struct vqp_option option_table[] = {
    VQP_OPT(struct options, block_out_channels, .type = VQP_OPT_INTS, .flags = VQP_OPT_CONFIG | VQP_OPT_REQUIRED,
            .min = 1, .max = 65536, .help = "channels at each resolution, finest first; 8 at most"),
    VQP_OPT(struct options, up_block_types, .type = VQP_OPT_STRINGS, .flags = VQP_OPT_CONFIG | VQP_OPT_REQUIRED,
            .help = "UpDecoderBlock2D or AttnUpDecoderBlock2D for each resolution, coarsest first"),
    VQP_OPT(struct options, down_block_types, .type = VQP_OPT_STRINGS, .flags = VQP_OPT_CONFIG,
            .help = "DownEncoderBlock2D or AttnDownEncoderBlock2D for each resolution, finest first; only to encode"),
    VQP_OPT(struct options, layers_per_block, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG, .min = 1, .max = 64,
            .def = "1", .help = "residual blocks at each resolution of the encoder; the decoder has one more"),
    VQP_OPT(struct options, latent_channels, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG | VQP_OPT_REQUIRED, .min = 1,
            .max = 65536, .help = "channels at the decoder's entry"),
    VQP_OPT(struct options, norm_num_groups, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG, .min = 1, .max = 65536,
            .def = "32", .help = "groups of the group norms; must divide every number of channels"),
    VQP_OPT(struct options, num_vq_embeddings, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG | VQP_OPT_REQUIRED,
            .min = 1, .max = 1 << 24, .help = "codes"),
    VQP_OPT(struct options, vq_embed_dim, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG, .min = 0, .max = 65536,
            .help = "width of a code; 0: latent_channels"),
    VQP_OPT(struct options, in_channels, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG, .min = 1, .max = 65536,
            .def = "3", .help = "channels of an encoded picture; only 3 is supported"),
    VQP_OPT(struct options, out_channels, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG, .min = 1, .max = 65536,
            .def = "3", .help = "channels of the picture; only 3 is supported"),
    VQP_OPT(struct options, act_fn, .type = VQP_OPT_CHOICE, .flags = VQP_OPT_CONFIG, .def = "silu",
            .choices = "silu|swish", .help = "activation; both names mean the same"),
    VQP_OPT(struct options, norm_type, .type = VQP_OPT_CHOICE, .flags = VQP_OPT_CONFIG, .def = "group",
            .choices = "group", .help = "norm of the decoder"),
    VQP_OPT(struct options, mid_block_add_attention, .type = VQP_OPT_BOOL, .flags = VQP_OPT_CONFIG, .def = "true",
            .help = "whether the middle has an attention"),
    VQP_OPT(struct options, range, .type = VQP_OPT_CHOICE, .def = "symmetric", .choices = "symmetric|unit",
            .help = "what the decoder's output spans: -1..1 or 0..1"),
    {.name = NULL},
};

/* with_attention[i] tells whether block i has attentions. */
static vqp_status read_types(const char *key, const struct vqp_list *types, const char *plain, const char *attention,
                             uint32_t n_levels, uint8_t *with_attention, const char *path, struct vqp_error *err)
{
    const char *const *name = types->items;
    if (types->n != n_levels)
        return vqp_fail(err, VQP_E_FORMAT,
                        "%s has %u entries and block_out_channels %u; give one for each resolution (config.json in %s)",
                        key, types->n, n_levels, path);
    for (uint32_t i = 0; i < n_levels; i++) {
        with_attention[i] = strcmp(name[i], attention) == 0;
        if (!with_attention[i] && strcmp(name[i], plain) != 0)
            return vqp_fail(err, VQP_E_FORMAT, "%s names '%.80s', and only %s and %s are known (config.json in %s)",
                            key, name[i], plain, attention, path);
    }
    return VQP_OK;
}

static vqp_status read_channels(struct vqp_vqgan *m, const struct vqp_list *channels, const char *path,
                                struct vqp_error *err)
{
    const int64_t *c = channels->items;
    if (channels->n < 1 || channels->n > VQP_VQGAN_MAX_LEVELS)
        return vqp_fail(err, VQP_E_FORMAT, "block_out_channels has %u entries; give 1 to %d (config.json in %s)",
                        channels->n, VQP_VQGAN_MAX_LEVELS, path);
    m->n_levels = channels->n;
    for (uint32_t i = 0; i < channels->n; i++) {
        if (c[i] < 1 || c[i] > 65536 || c[i] % m->groups)
            return vqp_fail(err, VQP_E_FORMAT,
                            "block_out_channels has %lld; each must be 1..65536 and a multiple of norm_num_groups %u "
                            "(config.json in %s)",
                            (long long)c[i], m->groups, path);
        m->channels[i] = c[i];
    }
    return VQP_OK;
}

static vqp_status read_options(struct vqp_vqgan *m, const struct options *o, const char *path, struct vqp_error *err)
{
    *m = (struct vqp_vqgan){.layers = (uint32_t)o->layers_per_block,
                            .groups = (uint32_t)o->norm_num_groups,
                            .n_codes = (uint32_t)o->num_vq_embeddings,
                            .mid_attention = (uint32_t)o->mid_block_add_attention,
                            .symmetric = o->range == 0,
                            .code_width = o->vq_embed_dim ? o->vq_embed_dim : o->latent_channels,
                            .latent_width = o->latent_channels,
                            .n_down = o->down_block_types.n};
    if (o->in_channels != 3 || o->out_channels != 3)
        return vqp_fail(err, VQP_E_FORMAT,
                        "in_channels is %lld and out_channels %lld, and both must be 3 (config.json in %s)",
                        (long long)o->in_channels, (long long)o->out_channels, path);
    vqp_status st = read_channels(m, &o->block_out_channels, path, err);
    if (!st)
        st = read_types("up_block_types", &o->up_block_types, "UpDecoderBlock2D", "AttnUpDecoderBlock2D", m->n_levels,
                        m->up_attention, path, err);
    if (!st && m->n_down)
        st = read_types("down_block_types", &o->down_block_types, "DownEncoderBlock2D", "AttnDownEncoderBlock2D",
                        m->n_levels, m->down_attention, path, err);
    return st;
}

static vqp_status create(const struct vqp_create_args *args, void **self, struct vqp_error *err)
{
    struct vqp_vqgan *m = malloc(sizeof *m);
    if (!m)
        return vqp_fail(err, VQP_E_NOMEM, "no memory for the component");
    vqp_status st = read_options(m, args->opts, args->path ? args->path : "the model folder", err);
    if (st) {
        free(m);
        return st;
    }
    m->api = args->host->program;
    *self = m;
    return VQP_OK;
}

static void destroy(void *self)
{
    free(self);
}

static void info(void *self, struct vqp_vq_decoder_info *out)
{
    const struct vqp_vqgan *m = self;
    out->grid_h = out->grid_w = 0;
    out->n_codes = m->n_codes;
    out->scale = 1u << (m->n_levels - 1);
}

static vqp_val record(void *self, vqp_program *p, vqp_val tokens)
{
    return vqp_vqgan_decode(self, p, tokens);
}

static vqp_val record_encode(void *self, vqp_program *p, vqp_val rgb)
{
    return vqp_vqgan_encode(self, p, rgb);
}

static const struct vqp_vq_decoder_vtbl vtbl = {
    .struct_size = sizeof vtbl, .info = info, .record = record, .record_encode = record_encode};
static const struct vqp_component component = {.struct_size = sizeof component,
                                               .iface = VQP_IFACE_VQ_DECODER,
                                               .name = "vqgan",
                                               .summary = "VQGAN decoder and encoder",
                                               .opts_size = sizeof(struct options),
                                               .opts = option_table,
                                               .create = create,
                                               .destroy = destroy,
                                               .v.vq_decoder = &vtbl};
static const struct vqp_component *const components[] = {&component, NULL};
VQP_PLUGIN(.id = "org.vqpipe.vqgan", .version = "0.1.0", .license = "MIT", .components = components);
