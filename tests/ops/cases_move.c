#include "ops.h"
#include <math.h>

#define COUNT(a)   (sizeof(a) / sizeof *(a))
#define DOUBLES(n) ops_alloc((size_t)(n), sizeof(double))

static void looks_codes_up(void)
{
    static const uint32_t dtypes[] = {VQP_F32, VQP_F16, VQP_BF16};
    for (size_t i = 0; i < COUNT(dtypes); i++) {
        ops_seed(900 + i);
        struct tensor *ids = ops_random(VQP_I32, vqp_shape2(2, 50), -4, 23 + 4);
        struct tensor *table = ops_as(ops_random(dtypes[i], vqp_shape2(23, 7), -2, 2), VQP_VAL_WEIGHT);
        ids->i[0] = 23; /* the mask of a preview */
        ids->i[1] = INT32_MIN;
        ids->i[2] = INT32_MAX;
        double *want = DOUBLES(ids->count * 7);
        for (uint64_t k = 0; k < ids->count * 7; k++)
            want[k] = ids->i[k / 7] < 0 || ids->i[k / 7] >= 23 ? 0 : ops_at(table, (uint64_t)ids->i[k / 7] * 7 + k % 7);
        ops_give(vqp_codebook(P, ops_val(ids), ops_val(table)));
        const float *got = ops_result();
        if (got)
            ops_close(VQP_OP_CODEBOOK, got, want, ids->count * 7);
        ops_reset();
    }
}

static void finds_nearest_codes(void)
{
    static const struct {
        int64_t rows, codes, width;
        uint32_t dtype;
    } v[] = {
        {31, 77, 9, VQP_F32},   {31, 77, 9, VQP_F16},   {31, 77, 9, VQP_BF16},   {40, 1, 3, VQP_F32},
        {5, 319, 256, VQP_F32}, {3, 4096, 64, VQP_F32}, {2, 4096, 256, VQP_F16}, /* many turns of loops */
    };
    for (size_t i = 0; i < COUNT(v); i++) {
        ops_seed(910 + i);
        int64_t codes = v[i].codes;
        struct tensor *x = ops_random(VQP_F32, vqp_shape3(2, v[i].rows, v[i].width), -1, 1);
        struct tensor *table = ops_as(ops_random(v[i].dtype, vqp_shape2(codes, v[i].width), -1, 1), VQP_VAL_WEIGHT);
        double *score = DOUBLES(codes);
        for (int64_t e = 0; e < v[i].width; e++) /* one row near the last code */
            x->f[e] = (float)ops_at(table, (uint64_t)((codes - 1) * v[i].width + e)) + 0.01f;
        ops_give(vqp_nearest_code(P, ops_val(x), ops_val(table)));
        const int32_t *got = ops_result();
        for (int64_t row = 0; got && row < 2 * v[i].rows; row++) {
            formula_code_scores(x, table, row, score);
            CU_ASSERT_TRUE(ops_is_best(score, codes, got[row], 1e-4));
        }
        ops_reset();
    }
}

static void nearest_code_prefers_the_lower_of_equals(void)
{
    struct tensor *x = ops_zeros(VQP_F32, vqp_shape2(1, 2));
    struct tensor *table = ops_as(ops_zeros(VQP_F32, vqp_shape2(5, 2)), VQP_VAL_WEIGHT);
    const float codes[] = {3, 0, 0, 2, 2, 0, 0, -2, 5, 5};
    memcpy(table->f, codes, sizeof codes);
    ops_give(vqp_nearest_code(P, ops_val(x), ops_val(table)));
    const int32_t *got = ops_result();
    CU_ASSERT_TRUE(got && got[0] == 1);
    ops_reset();
    x = ops_zeros(VQP_F32, vqp_shape2(1, 2));
    table = ops_as(ops_zeros(VQP_F32, vqp_shape2(1000, 2)), VQP_VAL_WEIGHT);
    for (size_t c = 0; c < 1000; c++)
        table->f[2 * c] = c == 203 || c == 300 || c == 998 ? 1 : c == 100 ? NAN : 2;
    ops_give(vqp_nearest_code(P, ops_val(x), ops_val(table)));
    got = ops_result();
    CU_ASSERT_TRUE(got && got[0] == 203);
    ops_reset();
}

static void shuffles_pixels(void)
{
    static const int64_t sizes[][5] = {{1, 1, 1, 1, 1}, {2, 3, 4, 5, 2}, {3, 2, 5, 2, 3}};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        const int64_t *s = sizes[i];
        ops_seed(920 + i);
        struct tensor *x = ops_random(VQP_F32, vqp_shape4(s[0], s[1], s[2], s[3] * s[4] * s[4]), -1, 1);
        double *want = DOUBLES(x->count);
        formula_pixel_shuffle(x, s[4], want);
        ops_give(vqp_pixel_shuffle(P, ops_val(x), (uint32_t)s[4]));
        const float *got = ops_result();
        if (got)
            ops_equal_f32("pixel_shuffle", got, want, x->count);
        ops_reset();
    }
}

static void rounds_to_rgb(void)
{
    ops_seed(930);
    struct tensor *x = ops_random(VQP_F32, vqp_shape3(7, 11, 3), -0.3, 1.3);
    const float special[] = {0, -0.0f, 1, 0.5f, NAN, INFINITY, -INFINITY, 1.0f / 255, 254.4f / 255, 1e-30f};
    const uint8_t expected[] = {0, 0, 255, 128, 0, 255, 0, 1, 254, 0};
    memcpy(x->f, special, sizeof special);
    ops_give(vqp_to_rgb(P, ops_val(x)));
    const uint8_t *got = ops_result();
    CU_ASSERT_TRUE(got && memcmp(got, expected, sizeof expected) == 0);
    for (uint64_t k = sizeof expected; got && k < x->count; k++) {
        double v = 255 * fmin(fmax(ops_at(x, k), 0), 1);
        CU_ASSERT_TRUE(fabs(got[k] - v) < 0.5 + 1e-4);
    }
    ops_reset();
}

static void repeats_rows(void)
{
    static const uint32_t dtypes[] = {VQP_F32, VQP_I32};
    for (size_t d = 0; d < COUNT(dtypes); d++)
        for (uint32_t tile = 0; tile < 2; tile++) {
            ops_seed(940);
            struct tensor *x = ops_random(dtypes[d], vqp_shape3(3, 2, 5), -50, 50);
            ops_give(vqp_repeat(P, ops_val(x), 4, tile));
            const int32_t *got = ops_result();
            for (int k = 0; got && k < 12; k++)
                CU_ASSERT_EQUAL(memcmp(got + k * 10, x->i + (tile ? k % 3 : k / 4) * 10, 40), 0);
            ops_reset();
        }
}

static void takes_a_row(void)
{
    static const int32_t indices[][2] = {{0, 0}, {3, 3}, {6, 6}, {7, 6}, {-1, 0}, {INT32_MAX, 6}, {INT32_MIN, 0}};
    for (size_t i = 0; i < COUNT(indices); i++) {
        ops_seed(950);
        struct tensor *table = ops_random(i % 2 ? VQP_I32 : VQP_F32, vqp_shape3(7, 2, 3), -9, 9);
        struct tensor *flat = ops_random(VQP_F32, vqp_shape1(7), -9, 9), *index = ops_zeros(VQP_I32, vqp_shape1(1));
        index->i[0] = indices[i][0];
        vqp_val at = ops_val(index);
        ops_give(vqp_take(P, ops_val(table), at));
        ops_give(vqp_take(P, ops_val(flat), at));
        const int32_t *got = ops_result();
        if (got) {
            CU_ASSERT_EQUAL(memcmp(got, table->i + indices[i][1] * 6, 24), 0);
            CU_ASSERT_EQUAL(memcmp(ops_read(1), flat->f + indices[i][1], 4), 0);
        }
        ops_reset();
    }
}

const struct vqp_case cases_move[] = {
    {"codebook gives zeros for ids out of range", looks_codes_up},
    {"nearest_code finds the nearest", finds_nearest_codes},
    {"nearest_code prefers the lower of equals", nearest_code_prefers_the_lower_of_equals},
    {"pixel_shuffle makes pixels of channels", shuffles_pixels},
    {"to_rgb clamps, rounds, and gives 0 for NaN", rounds_to_rgb},
    {"repeat repeats rows, or the whole", repeats_rows},
    {"take clamps its index", takes_a_row},
};
const size_t cases_move_n = COUNT(cases_move);
