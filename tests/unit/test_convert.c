#include "check.h"
#include "context.h"
#include "half.h"
#include "inside.h"
#include "scratch.h"
#include "torch_file.h"
#include <math.h>

static vqpipe_context *ctx;
static char last_warning[512];

static void on_log(void *unused, int32_t level, const char *msg)
{
    (void)unused;
    if (level == VQP_LOG_WARN)
        snprintf(last_warning, sizeof last_warning, "%s", msg);
}

static void safetensors(const char *path, const char *header, const void *data, size_t n)
{
    struct bytes b = {.n = 0};
    put_number(&b, strlen(header), 8);
    put(&b, header, strlen(header));
    put(&b, data, n);
    scratch_write(path, b.at, b.n);
}

static const float weights[6] = {1.5f, -2.25f, 1e-6f, 65504, 0.1f, -0.f};

/* A model whose transformer is a PyTorch file, and whose text encoder holds what is no float. */
static void make(const char *name, const float *values)
{
    static const char *const parts[] = {"transformer", "vqvae", "text_encoder", "tokenizer", "scheduler"};
    static struct zip z;
    struct bytes p = {.n = 0};
    char path[128];
    mkdir(scratch(name), 0755);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        snprintf(path, sizeof path, "%s/%s", name, parts[i]);
        mkdir(scratch(path), 0755);
        snprintf(path, sizeof path, "%s/%s/config.json", name, parts[i]);
        scratch_write(path, "{}", 2);
    }
    put(&p, "\x80\x02}(", 4);
    put_text(&p, "turned");
    put_tensor(&p, &(struct tensor_spec){"FloatStorage", "0", 6, 0, 2, {3, 2}, {1, 3}});
    put_text(&p, "plain");
    put_tensor(&p, &(struct tensor_spec){"FloatStorage", "0", 6, 0, 2, {2, 3}, {3, 1}});
    put(&p, "u.", 2);
    z = (struct zip){0};
    zip_add(&z, "m/data.pkl", p.at, p.n);
    zip_add(&z, "m/data/0", values, sizeof weights);
    zip_finish(&z);
    snprintf(path, sizeof path, "%s/transformer/diffusion_pytorch_model.bin", name);
    scratch_write(path, z.b.at, z.b.n);
    snprintf(path, sizeof path, "%s/vqvae/diffusion_pytorch_model.fp16.safetensors", name);
    safetensors(path, "{\"h\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]}}", "\x00\x3C\x00\xC0", 4);
    snprintf(path, sizeof path, "%s/text_encoder/model.safetensors", name);
    safetensors(
        path,
        "{\"b\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[0,2]},\"ids\":{\"dtype\":\"I64\",\"shape\":[1,1],"
        "\"data_offsets\":[2,10]}}",
        "\x80\x3F\x07\0\0\0\0\0\0\0", 10);
    snprintf(path, sizeof path, "%s/tokenizer/merges.txt", name);
    scratch_write(path, "#version\n", 9);
    snprintf(path, sizeof path, "%s/model_index.json", name);
    scratch_write(path, "{\"_class_name\":\"VQDiffusionPipeline\"}", 37);
}

static vqp_status convert(const char *from, const char *to, uint32_t type, struct vqp_error *err)
{
    char source[256], target[256];
    snprintf(source, sizeof source, "%s", scratch(from));
    snprintf(target, sizeof target, "%s", scratch(to));
    struct vqpipe_convert_params params = {.struct_size = sizeof params, .type = type};
    return vqpipe_convert(ctx, source, target, &params, err);
}

static struct vqp_weights *part(const char *path)
{
    struct vqp_weights *w = NULL;
    struct vqp_error err = {0};
    if (vqp_inside_weights(ctx->weights, scratch(path), NULL, &w, &err)) {
        printf("\n    %s\n", err.msg);
        CU_FAIL_FATAL("a converted part does not open");
    }
    return w;
}

static void holds(const struct vqp_weights *w, const char *name, uint32_t dtype, const float *want, size_t n)
{
    float have[8], rounded[8];
    uint16_t half[8];
    const struct vqp_tensor *t = vqp_weights_find(w, name);
    CU_ASSERT_PTR_NOT_NULL_FATAL(t);
    CU_ASSERT_EQUAL(t->dtype, dtype);
    CU_ASSERT_EQUAL_FATAL(t->bytes, n * (dtype == VQP_F32 ? 4 : 2));
    vqp_to_floats(dtype, t->data, have, n);
    vqp_from_floats(dtype, want, dtype == VQP_F32 ? (void *)rounded : half, n);
    if (dtype != VQP_F32)
        vqp_to_floats(dtype, half, rounded, n);
    CU_ASSERT_EQUAL(memcmp(have, rounded, n * sizeof *have), 0);
}

static void every_type(void)
{
    static const uint32_t types[] = {0, VQP_F32, VQP_F16, VQP_BF16};
    float turned[6];
    for (int i = 0; i < 6; i++)
        turned[i] = weights[i % 2 * 3 + i / 2];
    make("model", weights);
    for (size_t i = 0; i < 4; i++) {
        struct vqp_error err = {0};
        char to[32], path[64];
        snprintf(to, sizeof to, "to%zu", i);
        CU_ASSERT_EQUAL(convert("model", to, types[i], &err), VQP_OK);
        if (err.code)
            printf("\n    %s\n", err.msg);
        snprintf(path, sizeof path, "%s/transformer", to);
        struct vqp_weights *w = part(path);
        CHECK_STR_HAS(vqp_weights_file(w), "/transformer/diffusion_pytorch_model.safetensors");
        holds(w, "plain", types[i] ? types[i] : VQP_F32, weights, 6);
        holds(w, "turned", types[i] ? types[i] : VQP_F32, turned, 6);
        CU_ASSERT(vqp_weights_find(w, "turned")->shape.dim[0] == 3 && vqp_weights_count(w) == 2);
        vqp_weights_close(ctx->weights, w);
        snprintf(path, sizeof path, "%s/vqvae", to);
        w = part(path);
        holds(w, "h", types[i] ? types[i] : VQP_F16, (float[]){1, -2}, 2);
        vqp_weights_close(ctx->weights, w);
        snprintf(path, sizeof path, "%s/text_encoder", to);
        w = part(path);
        CHECK_STR_HAS(vqp_weights_file(w), "/text_encoder/model.safetensors");
        holds(w, "b", types[i] ? types[i] : VQP_BF16, (float[]){1}, 1);
        const struct vqp_tensor *ids = vqp_weights_find(w, "ids");
        CU_ASSERT_PTR_NOT_NULL_FATAL(ids);
        CU_ASSERT_STRING_EQUAL(ids->file_dtype, "I64"); /* what is no float stays */
        CU_ASSERT_EQUAL(memcmp(ids->data, "\x07\0\0\0\0\0\0\0", 8), 0);
        vqp_weights_close(ctx->weights, w);
        snprintf(path, sizeof path, "%s/tokenizer/merges.txt", to);
        CU_ASSERT_EQUAL(access(scratch(path), R_OK), 0);
        snprintf(path, sizeof path, "%s/model_index.json", to);
        CU_ASSERT_EQUAL(access(scratch(path), R_OK), 0);
    }
    CU_ASSERT_STRING_EQUAL(last_warning, "");
}

/* Row 23. */
static void beyond_the_range(void)
{
    static const float large[6] = {1, 2, 3, 70000, 5, 6};
    struct vqp_error err = {0};
    make("large", large);
    CU_ASSERT_EQUAL_FATAL(convert("large", "large-f16", VQP_F16, &err), VQP_OK);
    CHECK_STR_HAS(last_warning, "transformer: tensor \"");
    CHECK_STR_HAS(last_warning, "beyond the range of F16; kept as F32");
    struct vqp_weights *w = part("large-f16/transformer");
    holds(w, "plain", VQP_F32, large, 6);
    vqp_weights_close(ctx->weights, w);
    w = part("large-f16/vqvae");
    holds(w, "h", VQP_F16, (float[]){1, -2}, 2);
    vqp_weights_close(ctx->weights, w);
    CU_ASSERT_EQUAL(convert("large", "large-bf16", VQP_BF16, &err), VQP_OK);
    w = part("large-bf16/transformer");
    holds(w, "plain", VQP_BF16, large, 6);
    vqp_weights_close(ctx->weights, w);
}

static unsigned entries(void)
{
    return count_entries(scratch_dir);
}

static int32_t stop(void *unused, const char *name, uint64_t done, uint64_t total)
{
    (void)unused;
    CU_ASSERT_STRING_EQUAL(name, "transformer");
    CU_ASSERT(done > 0 && done < total);
    return 1;
}

/* Whatever goes wrong, nothing is left behind. */
static void whole_or_not_at_all(void)
{
    static const float bad[6] = {1, 2, NAN, 4, 5, 6};
    struct vqp_error err = {0};
    make("sound", weights);
    make("bad", bad);
    unsigned before = entries();
    CU_ASSERT_EQUAL(convert("bad", "out", VQP_F16, &err), VQP_E_FORMAT);
    CHECK_STR_HAS(err.msg, "has NaN at element 2");
    CU_ASSERT_EQUAL(convert("sound", "bad", VQP_F16, &err), VQP_E_OUTPUT);
    CHECK_STR_HAS(err.msg, "is there already");
    CU_ASSERT_EQUAL(convert("sound", "no/such/folder", VQP_F16, &err), VQP_E_OUTPUT);
    CHECK_STR_HAS(err.msg, "cannot be written: No such file");
    CU_ASSERT_EQUAL(convert("nowhere", "out", VQP_F16, &err), VQP_E_ARG);
    CU_ASSERT_EQUAL(convert("sound", "out", VQP_I32, &err), VQP_E_ARG);
    struct vqpipe_convert_params params = {.struct_size = sizeof params, .progress = stop};
    char source[256];
    snprintf(source, sizeof source, "%s", scratch("sound"));
    CU_ASSERT_EQUAL(vqpipe_convert(ctx, source, scratch("out"), &params, &err), VQP_E_CANCELLED);
    CU_ASSERT_EQUAL(entries(), before);
    CU_ASSERT_EQUAL(access(scratch("out"), F_OK), -1);
    params = (struct vqpipe_convert_params){.struct_size = sizeof params, .allow_nonfinite = 1, .type = VQP_F16};
    snprintf(source, sizeof source, "%s", scratch("bad"));
    mkdir(scratch("out"), 0755); /* an empty folder is taken */
    CU_ASSERT_EQUAL(vqpipe_convert(ctx, source, scratch("out"), &params, &err), VQP_OK);
    struct vqp_weights *w = part("out/transformer");
    CU_ASSERT_EQUAL(((const uint16_t *)vqp_weights_find(w, "plain")->data)[2], 0x7E00);
    vqp_weights_close(ctx->weights, w);
    CU_ASSERT_EQUAL(entries(), before + 1);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"writes each type of float, and the rest as it is", every_type},
        {"keeps a tensor beyond float16's range as float32", beyond_the_range},
        {"leaves a whole folder or nothing", whole_or_not_at_all},
    };
    struct vqp_error err;
    struct vqpipe_context_params params = {
        .struct_size = sizeof params, .threads = 1, .log_level = VQP_LOG_WARN, .log = on_log};
    scratch_begin();
    if (vqpipe_context_create(&params, &ctx, &err))
        return 2;
    int failed = RUN_CASES("convert", cases);
    vqpipe_context_destroy(ctx);
    return failed;
}
