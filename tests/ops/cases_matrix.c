#include "ops.h"
#include <math.h>

#define COUNT(a)   (sizeof(a) / sizeof *(a))
#define DOUBLES(n) ops_alloc((size_t)(n), sizeof(double))

static void embeds_ids_and_positions(void)
{
    static const struct {
        int64_t batch, n, vocabulary, width, positions;
        uint32_t dtype;
    } v[] = {
        {1, 1, 1, 1, 0, VQP_F32},    {2, 7, 30, 5, 9, VQP_F32}, {3, 16, 64, 40, 16, VQP_F16},
        {2, 5, 19, 88, 7, VQP_BF16}, {1, 9, 11, 6, 0, VQP_F16},
    };
    for (size_t i = 0; i < COUNT(v); i++) {
        ops_seed(100 + i);
        struct tensor *ids = ops_random(VQP_I32, vqp_shape2(v[i].batch, v[i].n), -3, (double)v[i].vocabulary + 3);
        struct tensor *table =
            ops_as(ops_random(v[i].dtype, vqp_shape2(v[i].vocabulary, v[i].width), -2, 2), VQP_VAL_WEIGHT);
        struct tensor *pos =
            v[i].positions ? ops_random(v[i].dtype, vqp_shape2(v[i].positions, v[i].width), -1, 1) : NULL;
        uint64_t n = ids->count * (uint64_t)v[i].width;
        double *want = DOUBLES(n);
        formula_embedding(ids, table, pos, want);
        ops_give(vqp_embedding(P, ops_val(ids), ops_val(table), ops_val(pos)));
        const float *got = ops_result();
        if (got)
            ops_close(VQP_OP_EMBEDDING, got, want, n);
        ops_reset();
    }
}

struct linear {
    int64_t rows, ins, outs;
    uint32_t dtype, act, role;
    int bias, residual, gate; /* gate: 1 per channel, 2 per element */
};

static void check_linear(const struct linear *v)
{
    struct vqp_shape out = vqp_shape2(v->rows, v->outs);
    struct tensor *x = ops_random(VQP_F32, vqp_shape2(v->rows, v->ins), -2, 2);
    struct tensor *w = ops_as(ops_random(v->dtype, vqp_shape2(v->outs, v->ins), -0.5, 0.5), v->role);
    uint32_t bias_dtype = v->dtype == VQP_Q8_0 ? VQP_F16 : v->dtype;
    struct tensor *bias = v->bias ? ops_as(ops_random(bias_dtype, vqp_shape1(v->outs), -1, 1), v->role) : NULL;
    struct tensor *residual = v->residual ? ops_random(VQP_F32, out, -2, 2) : NULL;
    struct tensor *gate = v->gate ? ops_random(VQP_F32, v->gate == 1 ? vqp_shape1(v->outs) : out, -1, 2) : NULL;
    uint64_t n = (uint64_t)(v->rows * v->outs);
    double *want = DOUBLES(n);
    formula_linear(x, w, bias, residual, gate, v->act, want);
    ops_give(vqp_linear_full(P, ops_val(x), ops_val(w), ops_val(bias), ops_val(residual), ops_val(gate), v->act));
    const float *got = ops_result();
    if (got)
        ops_close(VQP_OP_LINEAR, got, want, n);
    ops_reset();
}

static void multiplies_by_weights_of_any_size(void)
{
    static const struct linear v[] = {
        {1, 1, 1, VQP_F32, VQP_ACT_NONE, VQP_VAL_WEIGHT, 0, 0, 0},
        {1, 192, 40, VQP_F16, VQP_ACT_NONE, VQP_VAL_WEIGHT, 1, 0, 0},
        {3, 5, 17, VQP_F32, VQP_ACT_NONE, VQP_VAL_WEIGHT, 1, 0, 0},
        {7, 64, 16, VQP_BF16, VQP_ACT_NONE, VQP_VAL_WEIGHT, 0, 0, 0},
        {77, 65, 33, VQP_F16, VQP_ACT_NONE, VQP_VAL_WEIGHT, 1, 0, 0},
        {130, 200, 150, VQP_F32, VQP_ACT_NONE, VQP_VAL_WEIGHT, 1, 0, 0},
        {66, 768, 192, VQP_BF16, VQP_ACT_NONE, VQP_VAL_WEIGHT, 1, 0, 0},
        {9, 31, 20, VQP_F32, VQP_ACT_NONE, VQP_VAL_CONSTANT, 1, 0, 0},
    };
    for (size_t i = 0; i < COUNT(v); i++) {
        ops_seed(200 + i);
        check_linear(&v[i]);
    }
}

static void multiplies_by_q8_0_weights(void)
{
    static const struct linear v[] = {
        {1, 32, 1, VQP_Q8_0, VQP_ACT_NONE, VQP_VAL_WEIGHT, 0, 0, 0},
        {7, 96, 40, VQP_Q8_0, VQP_ACT_NONE, VQP_VAL_WEIGHT, 1, 0, 0},
        {130, 224, 150, VQP_Q8_0, VQP_ACT_SILU, VQP_VAL_WEIGHT, 1, 1, 1},
        {66, 768, 193, VQP_Q8_0, VQP_ACT_GELU_SIGMOID, VQP_VAL_WEIGHT, 1, 0, 2},
        {300, 64, 520, VQP_Q8_0, VQP_ACT_NONE, VQP_VAL_WEIGHT, 1, 1, 0},
    };
    struct tensor *x = ops_random(VQP_F32, vqp_shape2(1, 32), -1, 1),
                  *w = ops_random(VQP_Q8_0, vqp_shape2(1, 32), -1, 1);
    ops_give(vqp_linear(P, ops_val(x), ops_val(w), 0, VQP_ACT_NONE));
    int supported = ops_supported();
    ops_reset();
    if (!supported)
        SKIP("%s has no q8_0", ops_target.name);
    for (size_t i = 0; i < COUNT(v); i++) {
        ops_seed(250 + i);
        check_linear(&v[i]);
    }
}

/* Float16 ends at 65504: what lies beyond must not become infinity there. */
static void multiplies_by_huge_weights(void)
{
    ops_seed(290);
    struct tensor *x = ops_random(VQP_F32, vqp_shape2(5, 12), -2, 2);
    struct tensor *w = ops_as(ops_random(VQP_F32, vqp_shape2(8, 12), -3e5, 3e5), VQP_VAL_WEIGHT);
    struct tensor *picture = ops_random(VQP_F32, vqp_shape4(1, 3, 3, 4), -2, 2);
    struct tensor *kernel = ops_as(ops_random(VQP_BF16, vqp_shape4(4, 4, 1, 1), -3e5, 3e5), VQP_VAL_WEIGHT);
    double want[40], want_picture[36];
    const struct vqp_conv2d_params params = {.stride = 1, .groups = 1, .upsample = 1};
    formula_linear(x, w, NULL, NULL, NULL, VQP_ACT_NONE, want);
    formula_conv2d(picture, kernel, NULL, NULL, &params, 3, 3, want_picture);
    ops_give(vqp_linear(P, ops_val(x), ops_val(w), 0, VQP_ACT_NONE));
    ops_give(vqp_conv2d(P, ops_val(picture), ops_val(kernel), 0, 0, &params));
    const float *got = ops_result();
    if (got) {
        ops_close(VQP_OP_LINEAR, got, want, 40);
        ops_close(VQP_OP_CONV2D, ops_read(1), want_picture, 36);
    }
    ops_reset();
}

static void adds_activation_gate_and_residual(void)
{
    for (uint32_t act = VQP_ACT_NONE; act <= VQP_ACT_SILU; act++)
        for (int gate = 0; gate <= 2; gate++)
            for (int residual = 0; residual <= 1; residual++) {
                ops_seed(300 + act);
                check_linear(
                    &(struct linear){9, 24, residual ? 20 : 21, VQP_F32, act, VQP_VAL_WEIGHT, 1, residual, gate});
            }
}

static void attends_with_any_head_size(void)
{
    static const struct {
        int64_t batch, queries, keys, heads, d;
        int causal;
        double scale, range;
    } v[] = {
        {1, 1, 1, 1, 1, 0, 1, 1},
        {2, 6, 9, 3, 5, 0, 0.4, 2},
        {1, 70, 77, 2, 40, 0, 0.158, 2},
        {3, 13, 13, 2, 88, 1, 0.1, 2},
        {2, 67, 67, 4, 48, 1, 0.15, 2},
        {1, 43, 43, 2, 24, 1, -0.2, 2},
        {1, 9, 1100, 1, 24, 0, -0.2, 2},
        {1, 43, 43, 2, 24, 1, 0, 2},
        {1, 9, 1101, 1, 24, 0, 0, 2},
        {1, 5, 130, 8, 16, 0, 0.25, 1},
        /* many turns of loops, which some drivers end early */
        {1, 2, 1024, 1, 512, 0, 0.04, 2},
        {1, 3, 8500, 1, 128, 0, 0.09, 2},
        {1, 2, 4000, 1, 132, 0, 0.09, 2},
        {1, 2, 9001, 1, 61, 0, 0.12, 2},
        {1, 1, 2003, 1, 155, 0, 0.08, 2},
        {1, 1, 8500, 1, 127, 0, 0.09, 2},
        {1, 1, 20000, 1, 40, 0, 0.158, 2},
    };
    for (size_t i = 0; i < COUNT(v); i++) {
        ops_seed(400 + i);
        int64_t width = v[i].heads * v[i].d;
        struct tensor *q = ops_random(VQP_F32, vqp_shape3(v[i].batch, v[i].queries, width), -v[i].range, v[i].range);
        struct tensor *k = ops_random(VQP_F32, vqp_shape3(v[i].batch, v[i].keys, width), -v[i].range, v[i].range);
        struct tensor *values = ops_random(VQP_F32, vqp_shape3(v[i].batch, v[i].keys, width), -1, 1);
        double *want = DOUBLES(q->count);
        float scale = (float)v[i].scale;
        formula_sdpa(q, k, values, v[i].heads, (double)scale, v[i].causal, want);
        ops_give(
            vqp_sdpa(P, ops_val(q), ops_val(k), ops_val(values), (uint32_t)v[i].heads, scale, (uint32_t)v[i].causal));
        const float *got = ops_result();
        if (got)
            ops_close(VQP_OP_SDPA, got, want, q->count);
        ops_reset();
    }
}

/* Scores of hundreds: exp must not overflow. Float32 cannot know such a score to better than some 1e-5. */
static void attends_to_large_scores(void)
{
    ops_seed(440);
    struct tensor *q = ops_random(VQP_F32, vqp_shape3(1, 20, 64), -4, 4), *k = ops_random(VQP_F32, q->shape, -4, 4);
    struct tensor *v = ops_random(VQP_F32, q->shape, -1, 1);
    double *want = DOUBLES(q->count), allowed = strcmp(ops_target.precision, "f32") ? 1 : 1e-3;
    formula_sdpa(q, k, v, 1, 3, 0, want);
    ops_give(vqp_sdpa(P, ops_val(q), ops_val(k), ops_val(v), 1, 3, 0));
    const float *got = ops_result();
    for (uint64_t i = 0; got && i < q->count; i++)
        CU_ASSERT_TRUE(fabs((double)got[i] - want[i]) <= allowed);
    ops_reset();
}

static void ignores_keys_after_the_query(void)
{
    ops_seed(450);
    struct tensor *q = ops_random(VQP_F32, vqp_shape3(1, 9, 8), -1, 1), *k = ops_random(VQP_F32, q->shape, -1, 1);
    struct tensor *v = ops_random(VQP_F32, q->shape, -1, 1);
    ops_give(vqp_sdpa(P, ops_val(q), ops_val(k), ops_val(v), 2, 1, 1));
    float *got = ops_result(), first[8 * 8];
    if (got) {
        memcpy(first, got, sizeof first);
        for (int j = 0; j < 8; j++)
            CU_ASSERT_DOUBLE_EQUAL(got[j], v->f[j],
                                   strcmp(ops_target.precision, "f32") ? 1e-2 : 1e-6); /* sees key 0 alone */
        k->f[8 * 8] += 9;
        v->f[8 * 8] = 50;
        ops_load();
        CU_ASSERT_EQUAL(ops_execute(1), VQP_OK);
        CU_ASSERT_EQUAL(memcmp(first, ops_read(0), sizeof first), 0);
    }
    ops_reset();
}

struct conv {
    int64_t batch, h, w, ins, outs, kh, kw;
    uint32_t dtype, role;
    int bias, residual;
    struct vqp_conv2d_params c;
};

static void check_conv(const struct conv *v)
{
    const struct vqp_conv2d_params *c = &v->c;
    int64_t stride = c->stride ? c->stride : 1, f = c->upsample ? c->upsample : 1, groups = c->groups ? c->groups : 1;
    int64_t oh = (v->h * f + c->pad_top + c->pad_bottom - v->kh) / stride + 1;
    int64_t ow = (v->w * f + c->pad_left + c->pad_right - v->kw) / stride + 1;
    struct vqp_shape out = vqp_shape4(v->batch, oh, ow, v->outs);
    struct tensor *x = ops_random(VQP_F32, vqp_shape4(v->batch, v->h, v->w, v->ins), -2, 2);
    struct tensor *w =
        ops_as(ops_random(v->dtype, vqp_shape4(v->outs, v->ins / groups, v->kh, v->kw), -0.5, 0.5), v->role);
    struct tensor *bias = v->bias ? ops_as(ops_random(v->dtype, vqp_shape1(v->outs), -1, 1), v->role) : NULL;
    struct tensor *residual = v->residual ? ops_random(VQP_F32, out, -2, 2) : NULL;
    uint64_t n = (uint64_t)(v->batch * oh * ow * v->outs);
    double *want = DOUBLES(n);
    formula_conv2d(x, w, bias, residual, c, oh, ow, want);
    vqp_val y = vqp_conv2d(P, ops_val(x), ops_val(w), ops_val(bias), ops_val(residual), c);
    CU_ASSERT_EQUAL(memcmp(&vqp_program_api_table.describe(ops_program(), y)->shape, &out, sizeof out), 0);
    ops_give(y);
    const float *got = ops_result();
    if (got)
        ops_close(VQP_OP_CONV2D, got, want, n);
    ops_reset();
}

static void convolves_pictures(void)
{
    static const struct conv v[] = {
        {1, 1, 1, 1, 1, 1, 1, VQP_F32, VQP_VAL_WEIGHT, 0, 0, {0}},
        {2,
         5,
         7,
         3,
         8,
         3,
         3,
         VQP_F32,
         VQP_VAL_WEIGHT,
         1,
         0,
         {.pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1}},
        {1,
         9,
         6,
         40,
         17,
         3,
         3,
         VQP_F16,
         VQP_VAL_WEIGHT,
         1,
         1,
         {.pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1}},
        {1, 8, 8, 65, 33, 1, 1, VQP_BF16, VQP_VAL_WEIGHT, 1, 0, {.act = VQP_ACT_SILU}},
        {3,
         4,
         70,
         2,
         3,
         3,
         3,
         VQP_F32,
         VQP_VAL_CONSTANT,
         0,
         1,
         {.pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1}},
        {1,
         3,
         3,
         4,
         5,
         7,
         7,
         VQP_F32,
         VQP_VAL_WEIGHT,
         1,
         0,
         {.pad_top = 3, .pad_left = 3, .pad_bottom = 3, .pad_right = 3}},
    };
    for (size_t i = 0; i < COUNT(v); i++) {
        ops_seed(500 + i);
        check_conv(&v[i]);
    }
}

static void convolves_with_strides_pads_and_groups(void)
{
    static const struct conv v[] = {
        /* as VQGAN's downsampling: padded below and to the right alone */
        {2, 8, 6, 5, 6, 3, 3, VQP_F32, VQP_VAL_WEIGHT, 1, 0, {.stride = 2, .pad_bottom = 1, .pad_right = 1}},
        {1,
         7,
         9,
         3,
         4,
         2,
         5,
         VQP_F32,
         VQP_VAL_WEIGHT,
         1,
         0,
         {.stride = 3, .pad_top = 2, .pad_left = 1, .pad_right = 4}},
        {1, 6, 6, 6, 9, 3, 3, VQP_F16, VQP_VAL_WEIGHT, 1, 0, {.groups = 3, .pad_top = 1, .pad_left = 1}},
        {2,
         5,
         5,
         20,
         20,
         3,
         3,
         VQP_F32,
         VQP_VAL_WEIGHT,
         1,
         1,
         {.groups = 20, .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1}},
        {1, 4, 4, 4, 40, 1, 1, VQP_F32, VQP_VAL_WEIGHT, 0, 0, {.groups = 2, .act = VQP_ACT_GELU_ERF}},
    };
    for (size_t i = 0; i < COUNT(v); i++) {
        ops_seed(520 + i);
        check_conv(&v[i]);
    }
}

static void convolves_upsampled_pictures(void)
{
    static const struct conv v[] = {
        {1,
         4,
         5,
         7,
         6,
         3,
         3,
         VQP_F32,
         VQP_VAL_WEIGHT,
         1,
         0,
         {.upsample = 2, .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1}},
        {2,
         3,
         3,
         2,
         2,
         3,
         3,
         VQP_BF16,
         VQP_VAL_WEIGHT,
         1,
         1,
         {.upsample = 3, .stride = 2, .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1}},
    };
    for (size_t i = 0; i < COUNT(v); i++) {
        ops_seed(540 + i);
        check_conv(&v[i]);
    }
}

static void turns_pairs_by_position(void)
{
    static const int64_t sizes[][4] = {{1, 1, 1, 2}, {2, 9, 3, 10}, {3, 16, 2, 88}};
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (uint32_t interleaved = 0; interleaved < 2; interleaved++) {
            ops_seed(600 + i);
            int64_t n = sizes[i][1], heads = sizes[i][2], d = sizes[i][3];
            struct tensor *x = ops_random(VQP_F32, vqp_shape3(sizes[i][0], n, heads * d), -2, 2);
            struct tensor *c = ops_zeros(VQP_F32, vqp_shape2(n, d / 2)), *s = ops_zeros(VQP_F32, c->shape);
            for (uint64_t k = 0; k < c->count; k++) {
                double angle = ops_uniform(-4, 4);
                c->f[k] = (float)cos(angle);
                s->f[k] = (float)sin(angle);
            }
            double *want = DOUBLES(x->count);
            formula_rope(x, c, s, heads, (int)interleaved, want);
            ops_give(vqp_rope(P, ops_val(x), ops_val(c), ops_val(s), (uint32_t)heads, interleaved));
            const float *got = ops_result();
            if (got)
                ops_close(VQP_OP_ROPE, got, want, x->count);
            ops_reset();
        }
}

const struct vqp_case cases_matrix[] = {
    {"embedding adds positions and clamps ids", embeds_ids_and_positions},
    {"linear takes weights of every size and type", multiplies_by_weights_of_any_size},
    {"linear takes q8_0 weights", multiplies_by_q8_0_weights},
    {"linear and conv2d: weights beyond float16", multiplies_by_huge_weights},
    {"linear adds activation, gate and residual", adds_activation_gate_and_residual},
    {"sdpa takes any head size, batch and length", attends_with_any_head_size},
    {"sdpa takes scores of hundreds", attends_to_large_scores},
    {"causal sdpa ignores keys after the query", ignores_keys_after_the_query},
    {"conv2d convolves pictures of every size", convolves_pictures},
    {"conv2d honours strides, pads and groups", convolves_with_strides_pads_and_groups},
    {"conv2d upsamples first", convolves_upsampled_pictures},
    {"rope turns pairs, halves or interleaved", turns_pairs_by_position},
};
const size_t cases_matrix_n = COUNT(cases_matrix);
