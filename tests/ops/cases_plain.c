#include "ops.h"
#include <math.h>

#define COUNT(a)   (sizeof(a) / sizeof *(a))
#define DOUBLES(n) ops_alloc((size_t)(n), sizeof(double))

/* Shapes of a, b and their common shape. */
static const struct vqp_shape broadcasts[][3] = {
    {{2, 0, {3, 5}}, {2, 0, {3, 5}}, {2, 0, {3, 5}}},
    {{3, 0, {2, 3, 4}}, {1, 0, {4}}, {3, 0, {2, 3, 4}}},
    {{2, 0, {3, 1}}, {3, 0, {2, 1, 5}}, {3, 0, {2, 3, 5}}},
    {{0, 0, {0}}, {2, 0, {2, 7}}, {2, 0, {2, 7}}},
    {{6, 0, {2, 1, 3, 1, 2, 1}}, {6, 0, {1, 2, 1, 3, 1, 4}}, {6, 0, {2, 2, 3, 3, 2, 4}}},
};

static void computes_with_two_numbers(void)
{
    for (uint32_t kind = VQP_OP_ADD; kind <= VQP_OP_MIN; kind++)
        for (size_t s = 0; s < COUNT(broadcasts); s++)
            for (uint32_t dtype = VQP_F32; dtype <= VQP_I32; dtype += VQP_I32 - VQP_F32) {
                ops_seed(2000 + 10 * kind + s);
                if (dtype == VQP_I32 && kind == VQP_OP_DIV)
                    continue;
                struct tensor *a = ops_random(dtype, broadcasts[s][0], -30, 30),
                              *b = ops_random(dtype, broadcasts[s][1], 1, 30);
                struct tensor *out = ops_zeros(dtype, broadcasts[s][2]);
                int64_t at[VQP_MAX_RANK];
                double *want = DOUBLES(out->count);
                for (uint64_t k = 0; k < out->count; k++) {
                    formula_place(&out->shape, k, at);
                    want[k] = formula_binary(kind, formula_broadcast(a, out->shape.rank, at),
                                             formula_broadcast(b, out->shape.rank, at));
                }
                ops_give(vqp_binary(P, kind, ops_val(a), ops_val(b)));
                const void *got = ops_result();
                for (uint64_t k = 0; got && dtype == VQP_I32 && k < out->count; k++)
                    CU_ASSERT_EQUAL(((const int32_t *)got)[k], (int32_t)want[k]);
                if (got && dtype == VQP_F32 && kind == VQP_OP_DIV)
                    ops_close(kind, got, want, out->count);
                else if (got && dtype == VQP_F32)
                    ops_equal_f32(vqp_op_name(kind), got, want, out->count);
                ops_reset();
            }
}

static void computes_with_weights(void)
{
    static const uint32_t dtypes[] = {VQP_F32, VQP_F16, VQP_BF16};
    for (size_t i = 0; i < COUNT(dtypes); i++) {
        ops_seed(2100 + i);
        struct tensor *x = ops_random(VQP_F32, vqp_shape2(4, 6), -2, 2);
        struct tensor *w = ops_as(ops_random(dtypes[i], vqp_shape1(6), -2, 2), VQP_VAL_WEIGHT);
        double sum[24], scaled[6], copy[6];
        for (uint64_t k = 0; k < 24; k++)
            sum[k] = ops_at(x, k) + ops_at(w, k % 6);
        for (uint64_t k = 0; k < 6; k++) {
            scaled[k] = exp(ops_at(w, k));
            copy[k] = ops_at(w, k);
        }
        vqp_val weight = ops_val(w);
        ops_give(vqp_binary(P, VQP_OP_ADD, ops_val(x), weight));
        ops_give(vqp_unary(P, VQP_OP_EXP, weight));
        ops_give(vqp_cast(P, weight, VQP_F32));
        const float *got = ops_result();
        if (got) {
            ops_equal_f32("add", got, sum, 24);
            ops_close(VQP_OP_EXP, ops_read(1), scaled, 6);
            ops_equal_f32("cast", ops_read(2), copy, 6);
        }
        ops_reset();
    }
}

static void max_and_min_keep_nan(void)
{
    for (uint32_t kind = VQP_OP_MAX; kind <= VQP_OP_MIN; kind++) {
        struct tensor *a = ops_zeros(VQP_F32, vqp_shape1(4)), *b = ops_zeros(VQP_F32, vqp_shape1(4));
        a->f[0] = b->f[1] = a->f[2] = b->f[2] = NAN;
        ops_give(vqp_binary(P, kind, ops_val(a), ops_val(b)));
        const float *got = ops_result();
        CU_ASSERT_TRUE(got && isnan(got[0]) && isnan(got[1]) && isnan(got[2]) && got[3] == 0);
        ops_reset();
    }
}

static void computes_with_one_number(void)
{
    for (uint32_t kind = VQP_OP_EXP; kind <= VQP_OP_SIGMOID; kind++) {
        ops_seed(2200 + kind);
        int positive = kind == VQP_OP_LOG || kind == VQP_OP_SQRT || kind == VQP_OP_RSQRT;
        struct tensor *x = ops_random(VQP_F32, vqp_shape3(3, 5, 7), positive ? 0.01 : -9, 9);
        double *want = DOUBLES(x->count);
        for (uint64_t k = 0; k < x->count; k++)
            want[k] = formula_unary(kind, ops_at(x, k));
        ops_give(vqp_unary(P, kind, ops_val(x)));
        const float *got = ops_result();
        if (got)
            ops_close(kind, got, want, x->count);
        ops_reset();
    }
}

static void compares(void)
{
    for (uint32_t cmp = VQP_CMP_EQ; cmp <= VQP_CMP_GE; cmp++)
        for (uint32_t dtype = VQP_F32; dtype <= VQP_I32; dtype += VQP_I32 - VQP_F32) {
            ops_seed(2300 + cmp);
            struct tensor *a = ops_random(dtype, vqp_shape2(5, 6), -2, 2), *b = ops_random(dtype, vqp_shape1(6), -2, 2);
            b->i[0] = a->i[0];
            if (dtype == VQP_F32) {
                a->f[7] = NAN;
            } else { /* not to be told apart in float32 */
                a->i[7] = 16777217;
                b->i[1] = 16777216;
            }
            int32_t want[30];
            for (uint64_t k = 0; k < 30; k++)
                want[k] = formula_compare(cmp, ops_at(a, k), ops_at(b, k % 6));
            ops_give(vqp_compare(P, cmp, ops_val(a), ops_val(b)));
            const int32_t *got = ops_result();
            if (got)
                ops_equal_i32("compare", got, want, 30);
            ops_reset();
        }
}

static void chooses_where(void)
{
    for (uint32_t dtype = VQP_F32; dtype <= VQP_I32; dtype += VQP_I32 - VQP_F32) {
        ops_seed(2400);
        struct tensor *cond = ops_random(VQP_I32, vqp_shape2(4, 1), -1, 2),
                      *a = ops_random(dtype, vqp_shape1(5), -9, 9);
        struct tensor *b = ops_random(dtype, vqp_shape3(3, 1, 5), -9, 9);
        cond->i[0] = 0;
        cond->i[1] = -7;
        ops_give(vqp_where(P, ops_val(cond), ops_val(a), ops_val(b)));
        const int32_t *got = ops_result();
        for (int k = 0; got && k < 60; k++)
            CU_ASSERT_EQUAL(got[k], cond->i[k / 5 % 4] ? a->i[k % 5] : b->i[k / 20 * 5 + k % 5]);
        ops_reset();
    }
}

static void casts(void)
{
    const float floats[] = {0, 1.9f, -1.9f, 3e9f, -3e9f, NAN, INFINITY, -INFINITY, 255.9f, 256, -0.5f, 2147483520.0f};
    const int32_t to_int[] = {0, 1, -1, INT32_MAX, INT32_MIN, 0, INT32_MAX, INT32_MIN, 255, 256, 0, 2147483520};
    const uint8_t to_byte[] = {0, 1, 0, 255, 0, 0, 255, 0, 255, 255, 0, 255};
    const int32_t ints[] = {0, 255, 256, -1, INT32_MAX, INT32_MIN, 16777217, 7};
    const uint8_t int_byte[] = {0, 255, 255, 0, 255, 0, 255, 7};
    struct tensor *f = ops_zeros(VQP_F32, vqp_shape1(COUNT(floats))), *i = ops_zeros(VQP_I32, vqp_shape1(COUNT(ints)));
    struct tensor *u = ops_random(VQP_U8, vqp_shape1(9), 0, 255.9);
    memcpy(f->f, floats, sizeof floats);
    memcpy(i->i, ints, sizeof ints);
    vqp_val fv = ops_val(f), iv = ops_val(i), uv = ops_val(u);
    const uint32_t dtypes[] = {VQP_F32, VQP_I32, VQP_U8};
    const vqp_val from[] = {fv, iv, uv};
    for (size_t k = 0; k < 9; k++)
        ops_give(vqp_cast(P, from[k / 3], dtypes[k % 3]));
    if (!ops_build()) {
        ops_load();
        CU_ASSERT_EQUAL(ops_execute(1), VQP_OK);
        CU_ASSERT_EQUAL(memcmp(ops_read(0), floats, sizeof floats), 0);
        ops_equal_i32("f32 to i32", ops_read(1), to_int, COUNT(to_int));
        CU_ASSERT_EQUAL(memcmp(ops_read(2), to_byte, sizeof to_byte), 0);
        for (size_t k = 0; k < COUNT(ints); k++)
            CU_ASSERT_EQUAL(((const float *)ops_read(3))[k], (float)ints[k]);
        ops_equal_i32("i32 to i32", ops_read(4), ints, COUNT(ints));
        CU_ASSERT_EQUAL(memcmp(ops_read(5), int_byte, sizeof int_byte), 0);
        for (size_t k = 0; k < 9; k++) {
            CU_ASSERT_EQUAL(((const float *)ops_read(6))[k], (float)u->u[k]);
            CU_ASSERT_EQUAL(((const int32_t *)ops_read(7))[k], u->u[k]);
        }
        CU_ASSERT_EQUAL(memcmp(ops_read(8), u->u, 9), 0);
    }
    ops_reset();
}

static void joins_and_slices(void)
{
    for (uint32_t axis = 0; axis < 3; axis++)
        for (uint32_t dtype = VQP_F32; dtype <= VQP_I32; dtype += VQP_I32 - VQP_F32) {
            ops_seed(2500 + axis);
            struct tensor *in[3];
            vqp_val v[3];
            struct vqp_shape joined = vqp_shape3(2, 3, 4);
            joined.dim[axis] = 0;
            for (int64_t k = 0; k < 3; k++) {
                struct vqp_shape s = vqp_shape3(2, 3, 4);
                s.dim[axis] = k + 2;
                joined.dim[axis] += k + 2;
                in[k] = ops_random(dtype, s, -99, 99);
                v[k] = ops_val(in[k]);
            }
            vqp_val all = vqp_concat(P, v, 3, axis);
            ops_give(all);
            ops_give(vqp_slice(P, all, axis, 2, 3)); /* the middle one again */
            ops_give(vqp_concat(P, v, 1, axis));
            const int32_t *got = ops_result();
            for (uint64_t k = 0; got && k < 9 * 24 / (uint64_t)(2 + axis); k++) {
                int64_t at[VQP_MAX_RANK], part = 0;
                formula_place(&joined, k, at);
                for (; at[axis] >= part + 2; part++)
                    at[axis] -= part + 2;
                CU_ASSERT_EQUAL(got[k], in[part]->i[formula_flat(&in[part]->shape, at)]);
            }
            if (got) {
                CU_ASSERT_EQUAL(memcmp(ops_read(1), in[1]->data, in[1]->bytes), 0);
                CU_ASSERT_EQUAL(memcmp(ops_read(2), in[0]->data, in[0]->bytes), 0);
            }
            ops_reset();
        }
}

static void permutes(void)
{
    static const uint8_t perms[][6] = {{0, 1, 2}, {2, 0, 1}, {1, 0, 2}, {2, 1, 0}, {3, 5, 0, 2, 4, 1}};
    for (size_t i = 0; i < COUNT(perms); i++) {
        uint32_t rank = i < 4 ? 3 : 6;
        struct tensor *x = ops_random(
            VQP_I32, rank == 3 ? vqp_shape3(3, 4, 5) : (struct vqp_shape){6, 0, {2, 3, 1, 4, 2, 3}}, -99, 99);
        struct vqp_shape out = {.rank = rank};
        for (uint32_t k = 0; k < rank; k++)
            out.dim[k] = x->shape.dim[perms[i][k]];
        ops_give(vqp_permute(P, ops_val(x), perms[i], rank));
        const int32_t *got = ops_result();
        for (uint64_t k = 0; got && k < x->count; k++) {
            int64_t at[VQP_MAX_RANK], from[VQP_MAX_RANK];
            formula_place(&out, k, at);
            for (uint32_t j = 0; j < rank; j++)
                from[perms[i][j]] = at[j];
            CU_ASSERT_EQUAL(got[k], x->i[formula_flat(&x->shape, from)]);
        }
        ops_reset();
    }
}

/* What an op along an axis gives for one line of n numbers; the number of results. */
static uint64_t along(uint32_t kind, const double *v, uint64_t n, double *out)
{
    double max = -INFINITY, sum = 0, best = 0;
    for (uint64_t j = 0; j < n; j++)
        if (v[j] > max) {
            max = v[j];
            best = (double)j;
        }
    for (uint64_t j = 0; j < n; j++) {
        sum += kind == VQP_OP_SOFTMAX ? exp(v[j] - max) : v[j];
        out[j] = kind == VQP_OP_SOFTMAX ? exp(v[j] - max) : sum;
    }
    for (uint64_t j = 0; kind == VQP_OP_SOFTMAX && j < n; j++)
        out[j] /= sum;
    if (kind == VQP_OP_SOFTMAX || kind == VQP_OP_CUMSUM)
        return n;
    out[0] = kind == VQP_OP_REDUCE_SUM ? sum : kind == VQP_OP_REDUCE_MAX ? max : best;
    return 1;
}

static void works_along_any_axis(void)
{
    static const uint32_t kinds[] = {VQP_OP_REDUCE_SUM, VQP_OP_REDUCE_MAX, VQP_OP_ARG_MAX, VQP_OP_SOFTMAX,
                                     VQP_OP_CUMSUM};
    for (size_t i = 0; i < COUNT(kinds); i++)
        for (uint32_t axis = 0; axis < 4; axis++) {
            ops_seed(2600 + i);
            struct tensor *x = ops_random(VQP_F32, vqp_shape4(2, 30, 5, 7), -2, 3);
            double *want = DOUBLES(x->count), line[30], out[30];
            uint64_t lines = x->count / (uint64_t)x->shape.dim[axis], n = 0, step;
            for (uint64_t l = 0; l < lines; l++) {
                uint64_t first = formula_line(x, axis, l, line, &step);
                n = along(kinds[i], line, (uint64_t)x->shape.dim[axis], out);
                for (uint64_t j = 0; j < n; j++)
                    want[n == 1 ? l : first + j * step] = out[j];
            }
            ops_give(vqp_along(P, kinds[i], ops_val(x), axis));
            const void *got = ops_result();
            for (uint64_t k = 0; got && kinds[i] == VQP_OP_ARG_MAX && k < lines; k++)
                CU_ASSERT_EQUAL(((const int32_t *)got)[k], (int32_t)want[k]);
            if (got && kinds[i] != VQP_OP_ARG_MAX)
                ops_close(kinds[i], got, want, lines * n);
            ops_reset();
        }
}

/* A Vulkan driver on the processor would end the loops early. */
static void long_axes_are_right_or_refused(void)
{
    static const uint32_t kinds[] = {VQP_OP_REDUCE_SUM, VQP_OP_REDUCE_MAX, VQP_OP_ARG_MAX, VQP_OP_SOFTMAX,
                                     VQP_OP_CUMSUM};
    static const int32_t lengths[] = {21844, 30000, 65534, 70000};
    for (size_t i = 0; i < COUNT(kinds) * COUNT(lengths); i++) {
        uint32_t kind = kinds[i / COUNT(lengths)];
        int32_t length = lengths[i % COUNT(lengths)];
        ops_seed(2650 + i);
        struct tensor *x = ops_random(VQP_F32, vqp_shape2(1, length), 0, 1);
        double *line = DOUBLES(length), *want = DOUBLES(length);
        x->f[length - 2] = 3;
        for (int k = 0; k < length; k++)
            line[k] = (double)x->f[k];
        uint64_t n = along(kind, line, (uint64_t)length, want);
        ops_give(vqp_along(P, kind, ops_val(x), 1));
        const char *refusal = ops_refusal();
        const void *got = refusal ? NULL : ops_result();
        if (refusal)
            CHECK_STR_HAS(refusal, "--backend cpu");
        else if (got && kind == VQP_OP_ARG_MAX)
            CU_ASSERT_EQUAL(*(const int32_t *)got, length - 2);
        if (got && kind != VQP_OP_ARG_MAX)
            ops_close(kind, got, want, n);
        ops_reset();
    }
}

static void arg_max_never_gives_nan(void)
{
    const float rows[3][4] = {{NAN, 1, 5, 5}, {2, NAN, -1, NAN}, {-INFINITY, -INFINITY, NAN, -INFINITY}};
    const int32_t want[] = {2, 0, 0};
    struct tensor *x = ops_zeros(VQP_F32, vqp_shape2(3, 4));
    memcpy(x->f, rows, sizeof rows);
    ops_give(vqp_along(P, VQP_OP_ARG_MAX, ops_val(x), 1));
    const int32_t *got = ops_result();
    if (got)
        ops_equal_i32("arg_max", got, want, 3);
    ops_reset();
}

static void sorts(void)
{
    static const uint32_t ks[] = {1, 6, 23};
    for (size_t i = 0; i < COUNT(ks); i++) {
        ops_seed(2700 + i);
        uint32_t n = ks[i];
        struct tensor *x = ops_random(VQP_F32, vqp_shape3(2, 3, 23), -2, 2);
        for (int j = 0; j < 23; j += 4)
            x->f[j] = j == 8 ? NAN : 1.25f;
        vqp_val index;
        ops_give(vqp_sort_k(P, ops_val(x), n, &index));
        ops_give(index);
        const float *got = ops_result();
        const int32_t *where = got ? ops_read(1) : NULL;
        for (uint32_t row = 0; got && row < 6; row++) {
            double v[23];
            int64_t order[23];
            for (uint32_t j = 0; j < 23; j++)
                v[j] = (double)x->f[row * 23 + j];
            formula_order(v, 23, order);
            for (uint32_t j = 0; j < n; j++) {
                CU_ASSERT_EQUAL(where[row * n + j], order[j]);
                CU_ASSERT_EQUAL(memcmp(&got[row * n + j], &x->f[row * 23 + order[j]], 4), 0);
            }
        }
        ops_reset();
    }
}

static void gathers(void)
{
    for (uint32_t axis = 0; axis < 3; axis++) {
        ops_seed(2800 + axis);
        struct tensor *x = ops_random(axis ? VQP_F32 : VQP_I32, vqp_shape3(4, 5, 6), -99, 99);
        struct vqp_shape s = vqp_shape3(3, 5, 4);
        s.dim[axis] = 9;
        struct tensor *index = ops_random(VQP_I32, s, -2, 8);
        ops_give(vqp_gather(P, ops_val(x), ops_val(index), axis));
        const int32_t *got = ops_result();
        for (uint64_t k = 0; got && k < index->count; k++) {
            int64_t at[VQP_MAX_RANK], last = x->shape.dim[axis] - 1, id = index->i[k];
            formula_place(&s, k, at);
            at[axis] = id < 0 ? 0 : id > last ? last : id;
            CU_ASSERT_EQUAL(got[k], x->i[formula_flat(&x->shape, at)]);
        }
        ops_reset();
    }
}

static void scatters(void)
{
    for (uint32_t axis = 0; axis < 3; axis++) {
        ops_seed(2900 + axis);
        struct tensor *base = ops_random(axis ? VQP_F32 : VQP_I32, vqp_shape3(4, 5, 6), -99, 99);
        struct vqp_shape s = vqp_shape3(3, 4, 5);
        s.dim[axis] = 7; /* more than there are places: some are written twice */
        struct tensor *index = ops_random(VQP_I32, s, -1, (double)base->shape.dim[axis] + 1);
        struct tensor *src = ops_random(base->dtype, s, -99, 99);
        int32_t *want = ops_alloc(base->count, sizeof *want);
        memcpy(want, base->i, base->bytes);
        for (uint64_t k = 0; k < index->count; k++) {
            int64_t at[VQP_MAX_RANK];
            formula_place(&s, k, at);
            at[axis] = index->i[k];
            if (at[axis] >= 0 && at[axis] < base->shape.dim[axis])
                want[formula_flat(&base->shape, at)] = src->i[k];
        }
        ops_give(vqp_scatter(P, ops_val(base), ops_val(index), ops_val(src), axis));
        const int32_t *got = ops_result();
        if (got)
            ops_equal_i32("scatter", got, want, base->count);
        ops_reset();
    }
}

static void long_scatters_are_right_or_refused(void)
{
    for (int32_t length = 65526; length <= 65536; length++) {
        struct tensor *base = ops_zeros(VQP_I32, vqp_shape3(1, 1, length)), *index = ops_zeros(VQP_I32, base->shape);
        struct tensor *src = ops_zeros(VQP_I32, base->shape);
        for (int32_t k = 0; k < length; k++) {
            index->i[k] = length - 1 - k;
            src->i[k] = k + 1;
        }
        ops_give(vqp_scatter(P, ops_val(base), ops_val(index), ops_val(src), 2));
        const char *refusal = ops_refusal();
        const int32_t *got = refusal ? NULL : ops_result();
        if (refusal)
            CHECK_STR_HAS(refusal, "--backend cpu");
        int32_t wrong = 0;
        for (int32_t k = 0; got && k < length; k++)
            wrong += got[k] != length - k;
        CU_ASSERT_EQUAL(wrong, 0);
        ops_reset();
    }
}

const struct vqp_case cases_plain[] = {
    {"add, sub, mul, div, max, min broadcast", computes_with_two_numbers},
    {"plain ops read weights of every type", computes_with_weights},
    {"max and min keep NaN", max_and_min_keep_nan},
    {"exp, log, sqrt, rsqrt, sigmoid", computes_with_one_number},
    {"compare, with NaN and large integers", compares},
    {"where chooses and broadcasts", chooses_where},
    {"cast truncates and saturates", casts},
    {"concat joins and slice cuts along any axis", joins_and_slices},
    {"permute", permutes},
    {"reductions, softmax and cumsum along any axis", works_along_any_axis},
    {"an axis of any length is right, or refused with a reason", long_axes_are_right_or_refused},
    {"arg_max takes the lowest, never NaN", arg_max_never_gives_nan},
    {"sort_k: stable, NaN last", sorts},
    {"gather clamps its indices", gathers},
    {"scatter: the last one wins, out of range writes nothing", scatters},
    {"a scatter of any length is right, or refused with a reason", long_scatters_are_right_or_refused},
};
const size_t cases_plain_n = COUNT(cases_plain);
