#include "ops.h"
#include <math.h>

#define COUNT(a)   (sizeof(a) / sizeof *(a))
#define DOUBLES(n) ops_alloc((size_t)(n), sizeof(double))

struct norm {
    int64_t batch, n, width;
    uint32_t dtype;
    int weight, bias;
    int64_t table_rows; /* 0: no table */
    int64_t row;        /* entries of `row`; 0: none */
};

static void check_norm(int rms, const struct norm *v)
{
    struct tensor *x = ops_random(VQP_F32, vqp_shape3(v->batch, v->n, v->width), -3, 5);
    struct tensor *w = v->weight ? ops_as(ops_random(v->dtype, vqp_shape1(v->width), -2, 2), VQP_VAL_WEIGHT) : NULL;
    struct tensor *b = v->bias ? ops_as(ops_random(v->dtype, vqp_shape1(v->width), -1, 1), VQP_VAL_WEIGHT) : NULL;
    struct tensor *table = v->table_rows ? ops_random(VQP_F32, vqp_shape2(v->table_rows, 2 * v->width), -1, 1) : NULL;
    /* rows out of range, too */
    struct tensor *row = v->row ? ops_random(VQP_I32, vqp_shape1(v->row), -2, (double)v->table_rows + 2) : NULL;
    double *want = DOUBLES(x->count);
    formula_norm(rms, x, w, b, table, row, (double)1e-5f, want);
    ops_give((rms ? vqp_rms_norm : vqp_layer_norm)(P, ops_val(x), ops_val(w), ops_val(b), ops_val(table), ops_val(row),
                                                   1e-5f));
    const float *got = ops_result();
    if (got)
        ops_close(rms ? VQP_OP_RMS_NORM : VQP_OP_LAYER_NORM, got, want, x->count);
    ops_reset();
}

static void check_norms(int rms)
{
    static const struct norm v[] = {
        {1, 1, 5, VQP_F32, 0, 0, 0, 0},      {2, 7, 40, VQP_F32, 1, 1, 0, 0},  {3, 5, 88, VQP_F16, 1, 0, 0, 0},
        {2, 9, 192, VQP_BF16, 0, 1, 0, 0},   {3, 4, 33, VQP_F32, 0, 0, 1, 0},  {3, 4, 33, VQP_F32, 1, 1, 3, 0},
        {2, 6, 24, VQP_F32, 0, 0, 10, 1},    {3, 6, 24, VQP_F32, 0, 0, 10, 3}, {1, 3, 1000, VQP_F16, 1, 1, 4, 1},
        {1, 1, 200000, VQP_F32, 1, 1, 0, 0},
    };
    for (size_t i = 0; i < COUNT(v); i++) {
        ops_seed(700 + i);
        check_norm(rms, &v[i]);
    }
}

static void layer_norm(void)
{
    check_norms(0);
}

static void rms_norm(void)
{
    check_norms(1);
}

/* Sums of squares in float32 lose everything here; the mean must go first. */
static void layer_norm_far_from_zero(void)
{
    ops_seed(750);
    struct tensor *x = ops_random(VQP_F32, vqp_shape2(4, 96), 999, 1001);
    double *want = DOUBLES(x->count);
    formula_norm(0, x, NULL, NULL, NULL, NULL, (double)1e-5f, want);
    ops_give(vqp_layer_norm(P, ops_val(x), 0, 0, 0, 0, 1e-5f));
    const float *got = ops_result();
    for (uint64_t i = 0; got && i < x->count; i++)
        CU_ASSERT_DOUBLE_EQUAL(got[i], want[i], 1e-3);
    ops_reset();
}

static void group_norm(void)
{
    static const struct {
        struct vqp_shape shape;
        uint32_t groups, act, dtype;
        int weight, bias;
    } v[] = {
        {{4, 0, {2, 3, 5, 6}}, 3, VQP_ACT_NONE, VQP_F32, 1, 1},
        {{4, 0, {1, 4, 4, 32}}, 32, VQP_ACT_SILU, VQP_F16, 1, 1},
        {{3, 0, {3, 7, 40}}, 8, VQP_ACT_SILU, VQP_BF16, 1, 0},
        {{2, 0, {2, 12}}, 2, VQP_ACT_NONE, VQP_F32, 0, 0},
        {{4, 0, {1, 9, 7, 10}}, 1, VQP_ACT_NONE, VQP_F32, 0, 1},
        {{4, 0, {1, 4, 256, 512}},
         1,
         VQP_ACT_NONE,
         VQP_F32,
         0,
         0}, /* many turns of loops, which some drivers end early */
    };
    for (size_t i = 0; i < COUNT(v); i++) {
        ops_seed(760 + i);
        struct tensor *x = ops_random(VQP_F32, v[i].shape, -3, 4);
        struct vqp_shape channels = vqp_shape1(ops_dim(x, 1));
        struct tensor *w = v[i].weight ? ops_as(ops_random(v[i].dtype, channels, -2, 2), VQP_VAL_WEIGHT) : NULL;
        struct tensor *b = v[i].bias ? ops_as(ops_random(v[i].dtype, channels, -1, 1), VQP_VAL_WEIGHT) : NULL;
        double *want = DOUBLES(x->count);
        formula_group_norm(x, w, b, v[i].groups, (double)1e-6f, v[i].act, want);
        ops_give(vqp_group_norm(P, ops_val(x), ops_val(w), ops_val(b), v[i].groups, 1e-6f, v[i].act));
        const float *got = ops_result();
        if (got)
            ops_close(VQP_OP_GROUP_NORM, got, want, x->count);
        ops_reset();
    }
}

static void l2_norm(void)
{
    static const int64_t widths[] = {1, 5, 128, 777};
    for (size_t i = 0; i < COUNT(widths); i++) {
        ops_seed(780 + i);
        struct tensor *x = ops_random(VQP_F32, vqp_shape3(2, 3, widths[i]), -3, 2);
        double *want = DOUBLES(x->count);
        formula_l2_norm(x, want);
        ops_give(vqp_l2_norm(P, ops_val(x)));
        const float *got = ops_result();
        if (got)
            ops_close(VQP_OP_L2_NORM, got, want, x->count);
        ops_reset();
    }
}

static void guides_and_normalises(void)
{
    static const struct {
        int64_t batch, n, classes;
        double guide, range; /* guide negative: without */
    } v[] = {{1, 1, 1, -1, 1}, {3, 5, 40, -1, 6},  {2, 7, 88, 1, 5},   {2, 9, 513, 5, 8},
             {1, 4, 17, 0, 3}, {3, 2, 5, 7.5, 60}, {1, 2, 90000, 3, 4}};
    for (size_t i = 0; i < COUNT(v); i++) {
        ops_seed(800 + i);
        struct tensor *logits = ops_random(
            VQP_F32, vqp_shape3(v[i].batch * (v[i].guide < 0 ? 1 : 2), v[i].n, v[i].classes), -v[i].range, v[i].range);
        struct tensor *guide = v[i].guide < 0 ? NULL : ops_random(VQP_F32, vqp_shape1(1), v[i].guide, v[i].guide);
        uint64_t n = (uint64_t)(v[i].batch * v[i].n * v[i].classes);
        double *want = DOUBLES(n);
        formula_guide_log_softmax(logits, guide, want);
        ops_give(vqp_guide_log_softmax(P, ops_val(logits), ops_val(guide)));
        const float *got = ops_result();
        if (got)
            ops_close(VQP_OP_GUIDE_LOG_SOFTMAX, got, want, n);
        ops_reset();
    }
}

const struct vqp_case cases_norm[] = {
    {"layer_norm: affine, and by table rows", layer_norm},
    {"rms_norm: affine, and by table rows", rms_norm},
    {"layer_norm of numbers far from zero", layer_norm_far_from_zero},
    {"group_norm over places and neighbouring channels", group_norm},
    {"l2_norm divides by the length", l2_norm},
    {"guide_log_softmax, alone and guided", guides_and_normalises},
};
const size_t cases_norm_n = COUNT(cases_norm);
