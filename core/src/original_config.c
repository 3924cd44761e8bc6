#include "original.h"
#include "original_names.h"
#include <string.h>

enum {
    HEADS = 16,        /* of every released transformer */
    TEXT_HEAD = 64,    /* CLIP's rule */
    NORM_GROUPS = 32,  /* fixed in the original's code */
    ALL_CLASSES = 1001 /* ImageNet's and, in the models made for guidance, one for none */
};

static const struct vqp_tensor *find(const struct vqp_original *o, const char *name)
{
    struct vqp_tensor_list l = {o->tensors, o->n};
    return vqp_tensor_list_find(&l, name);
}

/* A dimension of a tensor, 0 where it is not there. */
static int64_t dim(const struct vqp_original *o, const char *name, uint32_t i)
{
    const struct vqp_tensor *t = find(o, name);
    return t && i < t->shape.rank ? t->shape.dim[i] : 0;
}

/* How many there are of what the pattern's number counts. */
static unsigned count(const struct vqp_original *o, const char *pattern)
{
    unsigned n = 0, number;
    for (uint32_t i = 0; i < o->n; i++)
        if (vqp_original_match(pattern, o->tensors[i].name, &number) && number >= n)
            n = number + 1;
    return n;
}

static void put(json_t *config, const char *key, int64_t value)
{
    if (value > 0)
        json_object_set_new(config, key, json_integer(value));
}

static void put_text(json_t *config, const char *key, const char *value)
{
    json_object_set_new(config, key, json_string(value));
}

static void transformer(const struct vqp_original *o, json_t *c)
{
    static const char first[] = "transformer_blocks.0.";
    int64_t width = dim(o, "latent_image_embedding.emb.weight", 1),
            rows = dim(o, "latent_image_embedding.height_emb.weight", 0),
            columns = dim(o, "latent_image_embedding.width_emb.weight", 0);
    char name[96];
    put(c, "num_vector_embeds", dim(o, "latent_image_embedding.emb.weight", 0));
    put(c, "num_layers", count(o, "transformer_blocks.#.*"));
    snprintf(name, sizeof name, "%snorm1.emb.weight", first);
    put(c, "num_embeds_ada_norm", dim(o, name, 0));
    if (width && width % HEADS == 0) {
        put(c, "num_attention_heads", HEADS);
        put(c, "attention_head_dim", width / HEADS);
    }
    json_object_set_new(c, "attention_bias", json_true());
    put_text(c, "activation_fn", "geglu-approximate");
    snprintf(name, sizeof name, "%sff.conv1.weight", first);
    put_text(c, "mlp_type", find(o, name) ? "conv_mlp" : "fc");
    snprintf(name, sizeof name, "%sattn2.to_k.weight", first);
    if (find(o, name)) {
        put_text(c, "block_type", "selfcross");
        put(c, "cross_attention_dim", dim(o, name, 1));
        put(c, "sample_size", rows);
        return;
    }
    snprintf(name, sizeof name, "%snorm3.emb.weight", first);
    int64_t classes = dim(o, name, 0);
    put_text(c, "block_type", classes ? "selfcondition" : "self");
    put(c, "num_classes", classes == ALL_CLASSES ? classes - 1 : classes);
    /* positions for twice the grid's side, of which the first are used */
    put(c, "sample_size", rows / 2);
    json_object_set_new(c, "spatial_size", json_pack("[I,I]", (json_int_t)rows, (json_int_t)columns));
}

static void text(const struct vqp_original *o, json_t *c)
{
    int64_t width = dim(o, "text_model.embeddings.token_embedding.weight", 1);
    put(c, "vocab_size", dim(o, "text_model.embeddings.token_embedding.weight", 0));
    put(c, "hidden_size", width);
    put(c, "intermediate_size", dim(o, "text_model.encoder.layers.0.mlp.fc1.weight", 0));
    put(c, "max_position_embeddings", dim(o, "text_model.embeddings.position_embedding.weight", 0));
    put(c, "num_attention_heads", width / TEXT_HEAD);
    put(c, "num_hidden_layers", count(o, "text_model.encoder.layers.#.*"));
    put_text(c, "hidden_act", "quick_gelu");
}

static void null(const struct vqp_original *o, json_t *c)
{
    json_object_set_new(c, "learnable", json_true());
    put(c, "length", dim(o, "embeddings", 0));
    put(c, "hidden_size", dim(o, "embeddings", 1));
}

/* The types of one half's blocks, in its own order. */
static json_t *types(const struct vqp_original *o, const char *half, const char *plain, const char *attention)
{
    json_t *list = json_array();
    char name[96];
    snprintf(name, sizeof name, "%s.#.*", half);
    for (unsigned i = 0, n = count(o, name); i < n; i++) {
        snprintf(name, sizeof name, "%s.%u.attentions.0.to_q.weight", half, i);
        json_array_append_new(list, json_string(find(o, name) ? attention : plain));
    }
    return list;
}

static void vqvae(const struct vqp_original *o, json_t *c)
{
    unsigned levels = count(o, "decoder.up_blocks.#.*");
    json_t *channels = json_array();
    char name[96];
    for (unsigned i = levels; i-- > 0;) {
        snprintf(name, sizeof name, "decoder.up_blocks.%u.resnets.0.conv1.weight", i);
        json_array_append_new(channels, json_integer(dim(o, name, 0)));
    }
    unsigned layers = count(o, "decoder.up_blocks.0.resnets.#.*");
    json_object_set_new(c, "block_out_channels", channels);
    json_object_set_new(c, "up_block_types", types(o, "decoder.up_blocks", "UpDecoderBlock2D", "AttnUpDecoderBlock2D"));
    if (find(o, "encoder.conv_in.weight"))
        json_object_set_new(c, "down_block_types",
                            types(o, "encoder.down_blocks", "DownEncoderBlock2D", "AttnDownEncoderBlock2D"));
    put(c, "layers_per_block", layers > 1 ? layers - 1 : 0);
    put(c, "latent_channels", dim(o, "decoder.conv_in.weight", 1));
    put(c, "norm_num_groups", NORM_GROUPS);
    put(c, "num_vq_embeddings", dim(o, "quantize.embedding.weight", 0));
    put(c, "vq_embed_dim", dim(o, "quantize.embedding.weight", 1));
}

static void scheduler(const struct vqp_original *o, json_t *c)
{
    put(c, "num_vec_classes", dim(o, "latent_image_embedding.emb.weight", 0));
    put(c, "num_train_timesteps", dim(o, "transformer_blocks.0.norm1.emb.weight", 0));
}

json_t *vqp_original_config(const struct vqp_original *o, enum vqp_original_part part)
{
    static void (*const fill[VQP_ORIGINAL_N_PARTS])(const struct vqp_original *, json_t *) = {transformer, text, null,
                                                                                              vqvae, scheduler};
    static const char *const class_name[VQP_ORIGINAL_N_PARTS] = {"Transformer2DModel", "CLIPTextModel",
                                                                 "LearnedClassifierFreeSamplingEmbeddings", "VQModel",
                                                                 "VQDiffusionScheduler"};
    json_t *c = json_object();
    if (!c)
        return NULL;
    put_text(c, "_class_name", class_name[part]);
    fill[part](o, c);
    return c;
}
