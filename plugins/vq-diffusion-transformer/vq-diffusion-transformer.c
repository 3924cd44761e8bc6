/* vq-diffusion-transformer: the denoisers of VQ-Diffusion (Gu et al. 2022), from a folder in the layout of diffusers'
 * Transformer2DModel with discrete input, and from what core makes of an original checkpoint.
 *
 * Three kinds of blocks (block_type): self-attention, cross-attention to a text and MLP; self-attention and an MLP behind a norm that
 * depends on a class; self-attention and MLP alone. What depends on no step is recorded once a prompt: the norms' scales and shifts for
 * every timestep or for the class, the position table, and the keys and values of the text. */
#include "transformer.h"

#include <stdlib.h>

static vqp_status create(const struct vqp_create_args *args, void **self, struct vqp_error *err)
{
    struct transformer *m = malloc(sizeof *m);
    if (!m)
        return vqp_fail(err, VQP_E_NOMEM, "no memory for the component");
    vqp_status st = vqp_transformer_read(m, args->opts, args->path ? args->path : "the model folder", err);
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

static void info(void *self, struct vqp_denoiser_info *out)
{
    const struct transformer *m = self;
    out->grid_h = out->grid_w = m->side;
    out->n_codes = m->vocab - 1;
    out->n_vocab = m->vocab;
    out->mask_id = m->vocab - 1;
    out->train_steps = m->train_steps;
    out->n_conds = m->block != BLOCK_SELF;
    out->conds[0] =
        m->block == BLOCK_SELFCONDITION
            ? (struct vqp_cond){.name = "class", .dtype = VQP_I32, .shape = vqp_shape1(1)}
            : (struct vqp_cond){.name = "states.l2", .dtype = VQP_F32, .shape = vqp_shape2(-1, m->text_width)};
}

/* Row plus column for each place of the grid [N,width]. */
static vqp_val positions(const struct transformer *m, vqp_program *p)
{
    const struct vqp_program_api *api = m->api;
    struct vqp_shape rows = vqp_shape3(m->rows, 1, m->width), columns = vqp_shape3(1, m->columns, m->width),
                     flat = vqp_shape2(m->rows * m->columns, m->width);
    vqp_val height =
        vqp_tensor_shaped(api, p, "latent_image_embedding.height_emb.weight", vqp_shape2(m->rows, m->width));
    vqp_val width =
        vqp_tensor_shaped(api, p, "latent_image_embedding.width_emb.weight", vqp_shape2(m->columns, m->width));
    vqp_val sum = vqp_binary(api, p, VQP_OP_ADD, api->view(p, height, &rows), api->view(p, width, &columns));
    return api->view(p, sum, &flat);
}

static void record_prepare(void *self, vqp_program *p, uint32_t batch, uint32_t guided)
{
    (void)batch;
    (void)guided;
    const struct transformer *m = self;
    m->api->output(p, "positions", positions(m, p));
    if (m->api->has_weight(p, vqp_name("transformer_blocks.%u.norm1.emb.weight", m->layers).s))
        m->api->fail(p, VQP_E_FORMAT, "the weights have more blocks than config.json's num_layers says");
    for (uint32_t i = 0; i < m->layers; i++)
        vqp_transformer_prepare_block(m, p, i);
}

static vqp_val record_step(void *self, vqp_program *p, const struct vqp_step *s)
{
    const struct transformer *m = self;
    const struct vqp_program_api *api = m->api;
    vqp_val ids = vqp_tensor_shaped(api, p, "latent_image_embedding.emb.weight", vqp_shape2(m->vocab, m->width));
    vqp_val x = vqp_embedding(api, p, s->tokens, ids, api->link(p, "positions"));
    for (uint32_t i = 0; i < m->layers; i++)
        x = vqp_transformer_block(m, p, x, i, s->t);
    api->scope(p, "out");
    x = vqp_transformer_norm(m, p, x, "norm_out");
    x = vqp_transformer_linear(m, p, x, "out", m->width, m->vocab - 1, 1, 0, VQP_ACT_NONE);
    api->scope(p, NULL);
    return x;
}

static const struct vqp_denoiser_vtbl vtbl = {
    .struct_size = sizeof vtbl, .info = info, .record_prepare = record_prepare, .record_step = record_step};
static const struct vqp_component component = {.struct_size = sizeof component,
                                               .iface = VQP_IFACE_DENOISER,
                                               .name = "vq-diffusion-transformer",
                                               .summary = "transformers of VQ-Diffusion",
                                               .opts_size = sizeof(struct transformer_options),
                                               .opts = vqp_transformer_options,
                                               .create = create,
                                               .destroy = destroy,
                                               .v.denoiser = &vtbl};
static const struct vqp_component *const components[] = {&component, NULL};
VQP_PLUGIN(.id = "org.vqpipe.vq-diffusion-transformer", .version = "0.1.0", .license = "MIT", .components = components);
