#include "original_names.h"
#include <string.h>

/* ---- tables ----------------------------------------------------------------------------------------------------- */

/* `ema` has the transformer alone, text encoder included, averaged over training; the original runs that. */
static const struct vqp_original_place in_training[] = {
    {"ema.", NULL}, {"model.transformer.", NULL}, {"", NULL}, {NULL, NULL}};
static const struct vqp_original_place text_places[] = {
    {"ema.condition_emb.", NULL}, {"model.transformer.condition_emb.", NULL}, {"", NULL}, {NULL, NULL}};
/* Inside a whole model, the file of the ITHQ model's VQ-VAE, and a file of taming-transformers, FFHQ's with a model around it. */
static const struct vqp_original_place codec_places[] = {{"model.content_codec.dec.", "model.content_codec.enc."},
                                                         {"model.", NULL},
                                                         {"state_dict.first_stage_model.", NULL},
                                                         {"state_dict.", NULL},
                                                         {"", NULL},
                                                         {NULL, NULL}};

static const struct vqp_original_name transformer_names[] = {
    {"transformer.content_emb.*", "latent_image_embedding.*", 0},
    {"transformer.to_logits.0.*", "norm_out.*", 0},
    {"transformer.to_logits.1.*", "out.*", 0},
    {"transformer.blocks.#.ln1.*", "transformer_blocks.#.norm1.*", 0},
    {"transformer.blocks.#.ln1_1.*", "transformer_blocks.#.norm2.*", 0},
    {"transformer.blocks.#.ln2.*", "transformer_blocks.#.norm3.*", 0},
    {"transformer.blocks.#.mlp.0.*", "transformer_blocks.#.ff.net.0.proj.*", 0},
    {"transformer.blocks.#.mlp.2.*", "transformer_blocks.#.ff.net.2.*", 0},
    {"transformer.blocks.#.mlp.conv1.*", "transformer_blocks.#.ff.conv1.*", 0},
    {"transformer.blocks.#.mlp.conv2.*", "transformer_blocks.#.ff.conv2.*", 0},
    {"transformer.blocks.#.attn.query.*", "transformer_blocks.#.attn1.to_q.*", 0},
    {"transformer.blocks.#.attn.key.*", "transformer_blocks.#.attn1.to_k.*", 0},
    {"transformer.blocks.#.attn.value.*", "transformer_blocks.#.attn1.to_v.*", 0},
    {"transformer.blocks.#.attn.proj.*", "transformer_blocks.#.attn1.to_out.0.*", 0},
    {"transformer.blocks.#.attn#.query.*", "transformer_blocks.#.attn#.to_q.*", 0},
    {"transformer.blocks.#.attn#.key.*", "transformer_blocks.#.attn#.to_k.*", 0},
    {"transformer.blocks.#.attn#.value.*", "transformer_blocks.#.attn#.to_v.*", 0},
    {"transformer.blocks.#.attn#.proj.*", "transformer_blocks.#.attn#.to_out.0.*", 0},
    {"transformer.blocks.#.attn#.mask", NULL, 0}, /* a triangle that nothing reads */
    {"condition_emb.*", NULL, 0},
    {"empty_text_embed", NULL, 0},
    {"log_*", NULL, 0}, /* the schedule, and training's counters */
    {"Lt_*", NULL, 0},
    {NULL, NULL, 0},
};
static const struct vqp_original_name text_names[] = {
    {"token_embedding.*", "text_model.embeddings.token_embedding.*", 0},
    {"positional_embedding", "text_model.embeddings.position_embedding.weight", 0},
    {"ln_final.*", "text_model.final_layer_norm.*", 0},
    {"transformer.resblocks.#.ln_1.*", "text_model.encoder.layers.#.layer_norm1.*", 0},
    {"transformer.resblocks.#.ln_2.*", "text_model.encoder.layers.#.layer_norm2.*", 0},
    {"transformer.resblocks.#.attn.in_proj_*", "text_model.encoder.layers.#.self_attn.@_proj.*", 1},
    {"transformer.resblocks.#.attn.out_proj.*", "text_model.encoder.layers.#.self_attn.out_proj.*", 0},
    {"transformer.resblocks.#.mlp.c_fc.*", "text_model.encoder.layers.#.mlp.fc1.*", 0},
    {"transformer.resblocks.#.mlp.c_proj.*", "text_model.encoder.layers.#.mlp.fc2.*", 0},
    {"text_projection", NULL, 0},
    {"logit_scale", NULL, 0}, /* the rest of CLIP */
    {"visual.*", NULL, 0},
    {"input_resolution", NULL, 0},
    {"context_length", NULL, 0},
    {"vocab_size", NULL, 0},
    {NULL, NULL, 0},
};
static const struct vqp_original_name null_names[] = {
    {"empty_text_embed", "embeddings", 0},
    {"*", NULL, 0},
    {NULL, NULL, 0},
};
#define CODEC_ROWS(half, theirs, ours, block, level)                                                                   \
    {half "." theirs ".#.block.#.nin_shortcut.*", half "." ours "." level ".resnets.#.conv_shortcut.*", 0},            \
        {half "." theirs ".#.block.#.*", half "." ours "." level ".resnets.#.*", 0},                                   \
        {half "." theirs ".#." block ".*", half "." ours "." level "." block "rs.0.*", 0},                             \
        {half "." theirs ".#.attn.#.norm.*", half "." ours "." level ".attentions.#.group_norm.*", 0},                 \
        {half "." theirs ".#.attn.#.proj_out.*", half "." ours "." level ".attentions.#.to_out.0.*", 0},               \
        {half "." theirs ".#.attn.#.q.*", half "." ours "." level ".attentions.#.to_q.*", 0},                          \
        {half "." theirs ".#.attn.#.k.*", half "." ours "." level ".attentions.#.to_k.*", 0},                          \
        {half "." theirs ".#.attn.#.v.*", half "." ours "." level ".attentions.#.to_v.*", 0},                          \
        {half ".mid.block_1.*", half ".mid_block.resnets.0.*", 0},                                                     \
        {half ".mid.block_2.*", half ".mid_block.resnets.1.*", 0},                                                     \
        {half ".mid.attn_1.norm.*", half ".mid_block.attentions.0.group_norm.*", 0},                                   \
        {half ".mid.attn_1.proj_out.*", half ".mid_block.attentions.0.to_out.0.*", 0},                                 \
        {half ".mid.attn_1.q.*", half ".mid_block.attentions.0.to_q.*", 0},                                            \
        {half ".mid.attn_1.k.*", half ".mid_block.attentions.0.to_k.*", 0},                                            \
        {half ".mid.attn_1.v.*", half ".mid_block.attentions.0.to_v.*", 0},                                            \
        {half ".norm_out.*", half ".conv_norm_out.*", 0}, {half ".conv_in.*", half ".conv_in.*", 0},                   \
    {                                                                                                                  \
        half ".conv_out.*", half ".conv_out.*", 0                                                                      \
    }
static const struct vqp_original_name codec_names[] = {
    CODEC_ROWS("decoder", "up", "up_blocks", "upsample", "~"),
    CODEC_ROWS("encoder", "down", "down_blocks", "downsample", "#"),
    {"quant_conv.*", "quant_conv.*", 0},
    {"post_quant_conv.*", "post_quant_conv.*", 0},
    {"quantize.embedding", "quantize.embedding.weight", 0},        /* kept by moving averages */
    {"quantize.embedding.weight", "quantize.embedding.weight", 0}, /* learned */
    {"quantize.embed.weight", "quantize.embedding.weight", 0},     /* learned by Gumbel-softmax */
    {"decoder.*", "decoder.*", 0},                                 /* not known: to be told of */
    {"encoder.*", "encoder.*", 0},
    {"*", NULL,
     0}, /* quantizers' projections and averages, losses, discriminators, and what else the model around it has */
    {NULL, NULL, 0},
};

const struct vqp_original_layout vqp_original_layouts[VQP_ORIGINAL_N_PARTS] = {
    [VQP_ORIGINAL_TRANSFORMER] = {"transformer.content_emb.emb.weight", in_training, transformer_names, NULL},
    [VQP_ORIGINAL_TEXT] = {"token_embedding.weight", text_places, text_names, NULL},
    [VQP_ORIGINAL_NULL] = {"empty_text_embed", in_training, null_names, NULL},
    [VQP_ORIGINAL_VQVAE] = {"decoder.conv_in.weight", codec_places, codec_names, "decoder.up.#.*"},
    /* its numbers are the transformer's */
    [VQP_ORIGINAL_SCHEDULER] = {"transformer.content_emb.emb.weight", in_training, transformer_names, NULL},
};

/* ---- patterns --------------------------------------------------------------------------------------------------- */

enum {
    MOST_NUMBERS = 4
};

/* The numbers of `name` into `number`, the rest behind * into *rest; how many numbers, or -1. */
static int match(const char *pattern, const char *name, unsigned number[MOST_NUMBERS], const char **rest)
{
    int n = 0;
    for (; *pattern && *pattern != '*'; pattern++) {
        if (*pattern != '#') {
            if (*name++ != *pattern)
                return -1;
            continue;
        }
        if (*name < '0' || *name > '9' || n == MOST_NUMBERS)
            return -1;
        for (number[n] = 0; *name >= '0' && *name <= '9'; name++)
            if ((number[n] = number[n] * 10 + (unsigned)(*name - '0')) > 1u << 20)
                return -1;
        n++;
    }
    *rest = name;
    return *pattern == '*' || !*name ? n : -1;
}

int vqp_original_match(const char *pattern, const char *name, unsigned *number)
{
    unsigned numbers[MOST_NUMBERS] = {0};
    const char *rest;
    int n = match(pattern, name, numbers, &rest);
    *number = numbers[0];
    return n >= 0;
}

int vqp_original_rename(const struct vqp_original_name *row, const char *name, unsigned levels, unsigned third,
                        char *out, size_t size)
{
    unsigned number[MOST_NUMBERS] = {0};
    const char *rest;
    size_t at = 0;
    int next = 0;
    if (match(row->from, name, number, &rest) < 0)
        return 0;
    *out = 0;
    for (const char *c = row->to; c && *c && at < size; c++) {
        char one[2] = {*c, 0};
        if (*c == '@')
            one[0] = "qkv"[third];
        unsigned n = *c == '#' || *c == '~' ? number[next++] : 0;
        size_t room = size - at;
        at += (size_t)(*c == '#'   ? snprintf(out + at, room, "%u", n)
                       : *c == '~' ? snprintf(out + at, room, "%u", levels > n ? levels - 1 - n : n)
                       : *c == '*' ? snprintf(out + at, room, "%s", rest)
                                   : snprintf(out + at, room, "%s", one));
    }
    return 1;
}
