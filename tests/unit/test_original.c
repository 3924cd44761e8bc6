#include "check.h"
#include "original.h"
#include "original_names.h"
#include <stdlib.h>
#include <string.h>

static struct vqp_arena arena;
static struct vqp_error err;

/* A list of float32 tensors from names, sorted, and shapes; dims of 0 end a shape. */
struct row {
    const char *name;
    int64_t dim[4];
};
#define LIST(rows) list_of(rows, sizeof(rows) / sizeof *(rows))
static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct vqp_tensor *)a)->name, ((const struct vqp_tensor *)b)->name);
}
static struct vqp_tensor_list list_of(const struct row *rows, size_t n)
{
    struct vqp_tensor *t = vqp_arena_alloc(&arena, n, sizeof *t);
    for (size_t i = 0; i < n; i++) {
        t[i] = (struct vqp_tensor){.name = rows[i].name, .dtype = VQP_F32, .file_dtype = "F32", .bytes = 4};
        for (uint32_t d = 0; d < 4 && rows[i].dim[d]; d++) {
            t[i].shape.dim[t[i].shape.rank++] = rows[i].dim[d];
            t[i].bytes *= (uint64_t)rows[i].dim[d];
        }
    }
    qsort(t, n, sizeof *t, by_name);
    return (struct vqp_tensor_list){t, (uint32_t)n};
}

static const struct row with_classes[] = {
    {"ema.transformer.content_emb.emb.weight", {975, 512}},
    {"ema.transformer.content_emb.height_emb.weight", {32, 512}},
    {"ema.transformer.content_emb.width_emb.weight", {32, 512}},
    {"ema.transformer.blocks.0.ln1.emb.weight", {100, 512}},
    {"ema.transformer.blocks.0.ln2.emb.weight", {1001, 512}},
    {"ema.transformer.blocks.0.attn.query.weight", {512, 512}},
    {"ema.transformer.blocks.0.mlp.conv1.weight", {2048, 512, 3, 3}},
    {"ema.transformer.blocks.23.attn.proj.bias", {512}},
    {"ema.transformer.to_logits.1.weight", {974, 512}},
    {"ema.log_at", {100}},
    {"model.transformer.transformer.content_emb.emb.weight", {975, 512}},
    {"model.content_codec.dec.decoder.conv_in.weight", {512, 256, 3, 3}},
    {"model.content_codec.dec.decoder.up.0.block.0.conv1.weight", {128, 128, 3, 3}},
    {"model.content_codec.dec.decoder.up.4.block.0.conv1.weight", {512, 512, 3, 3}},
    {"model.content_codec.dec.decoder.up.4.block.2.conv1.weight", {512, 512, 3, 3}},
    {"model.content_codec.dec.decoder.up.4.attn.1.proj_out.weight", {512, 512, 1, 1}},
    {"model.content_codec.dec.decoder.up.4.upsample.conv.bias", {512}},
    {"model.content_codec.dec.quantize.embedding.weight", {16384, 256}},
    {"model.content_codec.enc.quantize.embedding.weight", {16384, 256}},
    {"model.content_codec.enc.encoder.down.1.block.0.nin_shortcut.weight", {128, 128, 1, 1}},
};

static struct vqp_original part_of(const struct vqp_tensor_list *l, enum vqp_original_part part)
{
    struct vqp_original o = {0};
    vqp_status s = vqp_original_list(l, part, &arena, &o, &err);
    CU_ASSERT_EQUAL_FATAL(s, VQP_OK);
    return o;
}

static const struct vqp_tensor *find(const struct vqp_original *o, const char *name)
{
    struct vqp_tensor_list l = {o->tensors, o->n};
    const struct vqp_tensor *t = vqp_tensor_list_find(&l, name);
    if (!t)
        printf("\n    no '%s'", name);
    CU_ASSERT_PTR_NOT_NULL(t);
    return t;
}

static void renames(void)
{
    struct vqp_tensor_list l = LIST(with_classes);
    struct vqp_original o = part_of(&l, VQP_ORIGINAL_TRANSFORMER);
    CU_ASSERT_EQUAL(o.n, 9);
    find(&o, "latent_image_embedding.height_emb.weight");
    find(&o, "transformer_blocks.0.norm3.emb.weight");
    find(&o, "transformer_blocks.0.attn1.to_q.weight");
    find(&o, "transformer_blocks.0.ff.conv1.weight");
    find(&o, "transformer_blocks.23.attn1.to_out.0.bias");
    find(&o, "out.weight");
    /* the averaged weights, not the last ones */
    const struct vqp_tensor *t = find(&o, "latent_image_embedding.emb.weight");
    if (t)
        CU_ASSERT_STRING_EQUAL(o.sources[t - o.tensors].from->name, "ema.transformer.content_emb.emb.weight");
}

static void counts_levels_from_the_other_end(void)
{
    struct vqp_tensor_list l = LIST(with_classes);
    struct vqp_original o = part_of(&l, VQP_ORIGINAL_VQVAE);
    CU_ASSERT_EQUAL(o.n, 8); /* the codebook, which both halves have, once */
    find(&o, "decoder.up_blocks.4.resnets.0.conv1.weight");
    find(&o, "decoder.up_blocks.0.resnets.2.conv1.weight");
    find(&o, "decoder.up_blocks.0.attentions.1.to_out.0.weight");
    find(&o, "decoder.up_blocks.0.upsamplers.0.conv.bias");
    find(&o, "encoder.down_blocks.1.resnets.0.conv_shortcut.weight");
    CU_ASSERT_EQUAL(vqp_original_codebook(&o), 16384);
    CU_ASSERT_EQUAL(vqp_original_codes(&l), 974);
}

static void splits_queries_keys_and_values(void)
{
    static const struct row rows[] = {
        {"ema.condition_emb.token_embedding.weight", {49408, 512}},
        {"ema.condition_emb.positional_embedding", {77, 512}},
        {"ema.condition_emb.transformer.resblocks.11.attn.in_proj_weight", {1536, 512}},
        {"ema.condition_emb.transformer.resblocks.0.mlp.c_fc.weight", {2048, 512}},
        {"ema.condition_emb.text_projection", {512, 512}},
    };
    struct vqp_tensor_list l = LIST(rows);
    struct vqp_original o = part_of(&l, VQP_ORIGINAL_TEXT);
    CU_ASSERT_EQUAL(o.n, 6);
    float stacked[6] = {0};
    struct vqp_tensor from = *l.tensors;
    from.data = stacked;
    static const char *const names[] = {"q", "k", "v"};
    for (uint32_t i = 0; i < 3; i++) {
        char name[96];
        snprintf(name, sizeof name, "text_model.encoder.layers.11.self_attn.%s_proj.weight", names[i]);
        const struct vqp_tensor *t = find(&o, name);
        if (!t)
            continue;
        CU_ASSERT_EQUAL(t->shape.dim[0], 512);
        o.sources[t - o.tensors].from = &from;
        CU_ASSERT_EQUAL(vqp_original_make(&o, &o.tensors[t - o.tensors], &arena, &err), VQP_OK);
        CU_ASSERT_PTR_EQUAL(t->data, (const char *)stacked + i * t->bytes);
    }
    static const struct row odd[] = {{"token_embedding.weight", {8, 4}},
                                     {"transformer.resblocks.0.attn.in_proj_bias", {13}}};
    struct vqp_tensor_list bad = LIST(odd);
    CU_ASSERT_EQUAL(vqp_original_list(&bad, VQP_ORIGINAL_TEXT, &arena, &o, &err), VQP_E_FORMAT);
    CHECK_STR_HAS(err.msg, "in_proj_bias");
}

static int64_t number(const json_t *c, const char *key)
{
    return json_integer_value(json_object_get(c, key));
}

static void derives_configs(void)
{
    struct vqp_tensor_list l = LIST(with_classes);
    struct vqp_original o = part_of(&l, VQP_ORIGINAL_TRANSFORMER);
    json_t *c = vqp_original_config(&o, VQP_ORIGINAL_TRANSFORMER);
    CU_ASSERT_EQUAL(number(c, "num_vector_embeds"), 975);
    CU_ASSERT_EQUAL(number(c, "num_layers"), 24);
    CU_ASSERT_EQUAL(number(c, "num_attention_heads"), 16);
    CU_ASSERT_EQUAL(number(c, "attention_head_dim"), 32);
    CU_ASSERT_EQUAL(number(c, "sample_size"), 16);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(c, "spatial_size")), 2);
    CU_ASSERT_EQUAL(number(c, "num_classes"), 1000);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(c, "block_type")), "selfcondition");
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(c, "mlp_type")), "conv_mlp");
    json_decref(c);
    c = vqp_original_config(&o, VQP_ORIGINAL_SCHEDULER);
    CU_ASSERT_EQUAL(number(c, "num_vec_classes"), 975);
    CU_ASSERT_EQUAL(number(c, "num_train_timesteps"), 100);
    json_decref(c);
    o = part_of(&l, VQP_ORIGINAL_VQVAE);
    c = vqp_original_config(&o, VQP_ORIGINAL_VQVAE);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(c, "block_out_channels")), 5);
    CU_ASSERT_EQUAL(json_integer_value(json_array_get(json_object_get(c, "block_out_channels"), 0)), 128);
    CU_ASSERT_EQUAL(number(c, "layers_per_block"), 2);
    CU_ASSERT_EQUAL(number(c, "vq_embed_dim"), 256);
    json_decref(c);
}

static void recognises(void)
{
    static const struct row folder[] = {{"transformer_blocks.0.attn1.to_q.weight", {4, 4}}, {"out.weight", {3, 4}}},
                            taming[] = {{"state_dict.decoder.conv_in.weight", {4, 4, 3, 3}}, {"epoch", {1}}};
    struct vqp_tensor_list a = LIST(folder), b = LIST(taming), c = LIST(with_classes);
    for (unsigned part = 0; part < VQP_ORIGINAL_N_PARTS; part++) {
        CU_ASSERT_FALSE(vqp_original_has(&a, part));
        CU_ASSERT_EQUAL(vqp_original_has(&b, part), part == VQP_ORIGINAL_VQVAE);
        CU_ASSERT_EQUAL(vqp_original_has(&c, part), part != VQP_ORIGINAL_TEXT && part != VQP_ORIGINAL_NULL);
    }
    struct vqp_original o;
    CU_ASSERT_EQUAL(vqp_original_list(&c, VQP_ORIGINAL_TEXT, &arena, &o, &err), VQP_E_FORMAT);
    CHECK_STR_HAS(err.msg, "text_encoder");
}

static void keeps_what_it_does_not_know(void)
{
    static const struct row rows[] = {{"transformer.content_emb.emb.weight", {5, 4}},
                                      {"transformer.blocks.0.ln1.instancenorm.weight", {4}},
                                      {"transformer.blocks.0.novel.weight", {4}},
                                      {"transformer.blocks.0.attn2.mask", {1, 1, 9, 9}},
                                      {"Lt_count", {9}}};
    struct vqp_tensor_list l = LIST(rows);
    struct vqp_original o = part_of(&l, VQP_ORIGINAL_TRANSFORMER);
    CU_ASSERT_EQUAL(o.n, 3);
    find(&o, "transformer.blocks.0.novel.weight");
}

static void inverts_maps(void)
{
    static const int64_t good[] = {1, 0, 1, 2, 0}, high[] = {0, 3, 1, 2, 0}, below[] = {0, -1, 1, 2, 0},
                         hole[] = {0, 1, 1, 1, 0};
    int32_t row[3];
    CU_ASSERT_EQUAL(vqp_original_invert(good, 5, row, 3, &err), VQP_OK);
    CU_ASSERT_TRUE(row[0] == 1 && row[1] == 0 && row[2] == 3);
    CU_ASSERT_EQUAL(vqp_original_invert(high, 5, row, 3, &err), VQP_E_FORMAT);
    CHECK_STR_HAS(err.msg, "code 1 to 3");
    CU_ASSERT_EQUAL(vqp_original_invert(below, 5, row, 3, &err), VQP_E_FORMAT);
    CU_ASSERT_EQUAL(vqp_original_invert(hole, 5, row, 3, &err), VQP_E_FORMAT);
    CHECK_STR_HAS(err.msg, "no code to 2");
}

static void makes_bytes(void)
{
    static const float book[] = {0, 1, 10, 11, 20, 21, 30, 31};
    static const double wide[] = {0.5, -2};
    static const int32_t row[] = {3, 1};
    static const struct row rows[] = {{"decoder.conv_in.weight", {1, 1, 1, 1}}, {"quantize.embed.weight", {4, 2}}};
    struct vqp_tensor_list l = LIST(rows);
    ((struct vqp_tensor *)vqp_tensor_list_find(&l, "quantize.embed.weight"))->data = book;
    struct vqp_original o = part_of(&l, VQP_ORIGINAL_VQVAE);
    vqp_original_use_codes(&o, row, 2);
    struct vqp_tensor *t = &o.tensors[find(&o, "quantize.embedding.weight") - o.tensors];
    CU_ASSERT_EQUAL(vqp_original_codebook(&o), 2);
    CU_ASSERT_EQUAL(t->bytes, 16);
    CU_ASSERT_EQUAL(vqp_original_make(&o, t, &arena, &err), VQP_OK);
    static const float used[] = {30, 31, 10, 11};
    CU_ASSERT_EQUAL(memcmp(t->data, used, sizeof used), 0);

    struct vqp_tensor null = {.name = "ema.empty_text_embed", .file_dtype = "F64", .data = wide, .bytes = 16};
    null.shape = vqp_shape2(1, 2);
    struct vqp_tensor_list nulls = {&null, 1};
    o = part_of(&nulls, VQP_ORIGINAL_NULL);
    CU_ASSERT_EQUAL_FATAL(o.n, 1);
    CU_ASSERT_STRING_EQUAL(o.tensors[0].name, "embeddings");
    CU_ASSERT_EQUAL(o.tensors[0].dtype, VQP_F32);
    CU_ASSERT_EQUAL(vqp_original_make(&o, o.tensors, &arena, &err), VQP_OK);
    CU_ASSERT_TRUE(((const float *)o.tensors[0].data)[0] == 0.5f && ((const float *)o.tensors[0].data)[1] == -2);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"translates the names of a transformer, averaged weights first", renames},
        {"counts a decoder's levels from the other end", counts_levels_from_the_other_end},
        {"splits queries, keys and values that are one tensor", splits_queries_keys_and_values},
        {"derives configs from shapes", derives_configs},
        {"tells checkpoints by their names", recognises},
        {"keeps what it does not know under its own name", keeps_what_it_does_not_know},
        {"inverts maps of codes, the first code first", inverts_maps},
        {"picks a codebook's rows and narrows float64", makes_bytes},
    };
    int failed = RUN_CASES("original", cases);
    vqp_arena_free(&arena);
    return failed;
}
