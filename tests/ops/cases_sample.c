#include "ops.h"
#include <math.h>
#include <vqpipe/philox.h>

#define COUNT(a)   (sizeof(a) / sizeof *(a))
#define DOUBLES(n) ops_alloc((size_t)(n), sizeof(double))

enum {
    FINAL = 1,
    NOISE = 2
};
static const double near_tie = 1e-4;

/* Rows of log-probabilities. */
static struct tensor *log_probabilities(int64_t b, int64_t n, int64_t c, double range)
{
    struct tensor *t = ops_random(VQP_F32, vqp_shape3(b, n, c), -range, range);
    for (int64_t row = 0; row < b * n; row++) {
        double sum = 0;
        for (int64_t k = 0; k < c; k++)
            sum += exp((double)t->f[row * c + k]);
        for (int64_t k = 0; k < c; k++)
            t->f[row * c + k] -= (float)log(sum);
    }
    return t;
}

static void truncates(void)
{
    static const struct {
        int64_t rows, classes;
        float rate, floor;
        double range;
    } v[] = {{5, 7, 0.8f, -70, 2}, {9, 88, 0.5f, -70, 4}, {3, 512, 0.86f, -70, 6},    {4, 40, 0, -70, 3},
             {4, 40, 1, -70, 3},   {4, 40, 2, -5, 8},     {6, 33, 0.9f, -INFINITY, 5}};
    for (size_t i = 0; i < COUNT(v); i++) {
        ops_seed(1000 + i);
        int64_t c = v[i].classes;
        struct tensor *logp = log_probabilities(1, v[i].rows, c, v[i].range);
        struct tensor *rate = ops_zeros(VQP_F32, vqp_shape1(1));
        double *before = DOUBLES(c), *want = DOUBLES(c);
        rate->f[0] = v[i].rate;
        for (int64_t k = 1; k < c; k += 5)
            logp->f[k] = logp->f[k - 1]; /* equals */
        ops_give(vqp_truncate(P, ops_val(logp), ops_val(rate), v[i].floor));
        const float *got = ops_result();
        for (int64_t row = 0; got && row < v[i].rows; row++) {
            formula_truncate(logp->f + row * c, c, v[i].rate, v[i].floor, before, want);
            for (int64_t k = 0; k < c; k++) /* where the sum is the rate but for rounding, either answer will do */
                if (before[k] > 0 && fabs(before[k] - (double)v[i].rate) < 1e-6)
                    want[k] = (double)got[row * c + k];
            ops_equal_f32("truncate", got + row * c, want, (uint64_t)c);
        }
        ops_reset();
    }
}

static void truncates_at_the_rate_itself(void)
{
    const float in[] = {-2, 0, -1, 0}, out[] = {-70, 0, -70, -70}; /* exp(0) is 1 everywhere */
    struct tensor *logp = ops_zeros(VQP_F32, vqp_shape2(1, 4)), *rate = ops_random(VQP_F32, vqp_shape1(1), 1, 1);
    memcpy(logp->f, in, sizeof in);
    ops_give(vqp_truncate(P, ops_val(logp), ops_val(rate), -70));
    const float *got = ops_result();
    CU_ASSERT_TRUE(got && memcmp(got, out, sizeof out) == 0);
    ops_reset();
}

/* Equals at the cut, all classes of a row or every third. */
static void truncates_many_equals(void)
{
    enum {
        CLASSES = 3001
    };
    for (int every = 1; every <= 3; every += 2) {
        struct tensor *logp = ops_zeros(VQP_F32, vqp_shape2(2, CLASSES));
        struct tensor *rate = ops_random(VQP_F32, vqp_shape1(1), 0.7, 0.7);
        double *before = DOUBLES(CLASSES), *want = DOUBLES(CLASSES);
        for (int k = 0; k < 2 * CLASSES; k++)
            logp->f[k] = k % CLASSES % every ? -20 : logf((float)every / CLASSES);
        formula_truncate(logp->f, CLASSES, rate->f[0], -70, before, want);
        ops_give(vqp_truncate(P, ops_val(logp), ops_val(rate), -70));
        const float *got = ops_result();
        for (int row = 0; got && row < 2; row++)
            ops_equal_f32("truncate", got + row * CLASSES, want, CLASSES);
        ops_reset();
    }
}

/* The jump s -> t of a chain with C codes that keeps, changes or masks a token, and the two cumulative ones. */
static struct tensor *parameters(int64_t classes, double keep_t, double mask_t, double keep_s, double mask_s, int final)
{
    struct tensor *par = ops_zeros(VQP_F32, vqp_shape1(12));
    double keep = keep_t / keep_s, mask = 1 - (1 - mask_t) / (1 - mask_s), n = (double)classes;
    const double p[] = {keep,   (1 - keep - mask) / n,     mask,  keep_t, (1 - keep_t - mask_t) / n, mask_t,
                        keep_s, (1 - keep_s - mask_s) / n, mask_s};
    for (size_t k = 0; k < COUNT(p); k++)
        par->f[k] = (float)log(p[k] > 1e-30 ? p[k] : 1e-30);
    par->f[VQP_PAR_FINAL] = (float) final;
    return par;
}

static void samples_posteriors(void)
{
    static const struct {
        int64_t batch, n, classes;
        int flags;
        uint32_t stream;
        double keep_t, mask_t, keep_s, mask_s;
    } v[] = {
        {1, 16, 5, 0, 0, 0.5, 0.4, 0.7, 0.2},        {3, 40, 88, 0, 0, 0.1, 0.85, 0.3, 0.6},
        {2, 33, 512, 0, 0, 0.01, 0.98, 0.02, 0.96},  {2, 20, 40, NOISE, 0, 0.3, 0.6, 0.5, 0.3},
        {2, 20, 40, FINAL, 0, 0.9, 0.05, 0.99, 0.0}, {3, 9, 17, FINAL | NOISE, 0, 0.9, 0.05, 0.99, 0.0},
        {2, 24, 31, 0, 7, 0.5, 0.4, 0.9, 0.0},
    };
    for (size_t i = 0; i < COUNT(v); i++) {
        ops_seed(1100 + i);
        int64_t c = v[i].classes, n = v[i].n, b = v[i].batch, columns = b * n;
        struct formula_draw d = {
            .logp = log_probabilities(b, n, c, 6),
            .tokens = ops_random(VQP_I32, vqp_shape2(b, n), 0, (double)c),
            .par = parameters(c, v[i].keep_t, v[i].mask_t, v[i].keep_s, v[i].mask_s, v[i].flags & FINAL),
            .seed = ops_random(VQP_I32, vqp_shape2(b, 2), -2e9, 2e9),
            .eval = ops_random(VQP_I32, vqp_shape1(1), 0, 100),
            .noise = v[i].flags & NOISE ? ops_random(VQP_F32, vqp_shape1(b * n * (c + 1)), 0, 1) : NULL,
            .stream = v[i].stream,
        };
        for (int64_t k = 0; k < columns; k += 2)
            d.tokens->i[k] = (int32_t)c; /* masked */
        double *score = DOUBLES(c + 1);
        ops_give(vqp_posterior_sample(P, ops_val((struct tensor *)d.logp), ops_val((struct tensor *)d.tokens),
                                      ops_val((struct tensor *)d.par), ops_val((struct tensor *)d.seed),
                                      ops_val((struct tensor *)d.eval), ops_val((struct tensor *)d.noise), d.stream));
        const int32_t *got = ops_result();
        for (int64_t k = 0; got && k < columns; k++) {
            int64_t classes = formula_posterior(&d, k / n, k % n, score);
            CU_ASSERT_EQUAL(classes, v[i].flags & FINAL ? c : c + 1);
            CU_ASSERT_TRUE(ops_is_best(score, classes, got[k], near_tie));
        }
        ops_reset();
    }
}

static void samples_categories(void)
{
    for (size_t i = 0; i < 4; i++) {
        ops_seed(1200 + i);
        int64_t c = i < 2 ? 5 : 130, n = 21, b = 1 + (int64_t)i % 3;
        struct tensor *logp = log_probabilities(b, n, c, 4), *eval = ops_random(VQP_I32, vqp_shape1(1), 0, 50);
        struct tensor *seed = ops_random(VQP_I32, vqp_shape2(b, 2), -2e9, 2e9);
        struct tensor *noise = i % 2 ? ops_random(VQP_F32, vqp_shape1(b * n * c), 0, 1) : NULL;
        struct formula_draw d = {.logp = logp, .seed = seed, .eval = eval, .noise = noise, .stream = (uint32_t)i};
        double *score = DOUBLES(c);
        vqp_val of_sample;
        ops_give(vqp_categorical_sample(P, ops_val(logp), ops_val(seed), ops_val(eval), ops_val(noise), d.stream,
                                        &of_sample));
        ops_give(of_sample);
        const int32_t *got = ops_result();
        const float *chosen = got ? ops_read(1) : NULL;
        for (int64_t k = 0; got && k < b * n; k++) {
            CU_ASSERT_TRUE(ops_is_best(score, formula_categorical(&d, k / n, k % n, score), got[k], near_tie));
            CU_ASSERT_TRUE(got[k] >= 0 && got[k] < c && chosen[k] == logp->f[k * c + got[k]]);
        }
        ops_reset();
    }
}

/* The batch index is not counted: an image is the same alone and as the last of three. */
static void draws_do_not_depend_on_the_batch(void)
{
    int32_t alone[12] = {0};
    for (int64_t b = 1; b <= 3; b += 2) {
        ops_seed(1250);
        struct tensor *one = log_probabilities(1, 12, 33, 2), *logp = ops_zeros(VQP_F32, vqp_shape3(b, 12, 33));
        struct tensor *seed = ops_zeros(VQP_I32, vqp_shape2(b, 2)), *eval = ops_zeros(VQP_I32, vqp_shape1(1));
        memcpy(logp->f + (b - 1) * 12 * 33, one->f, one->bytes);
        seed->i[2 * b - 2] = 77;
        seed->i[2 * b - 1] = 5;
        ops_give(vqp_categorical_sample(P, ops_val(logp), ops_val(seed), ops_val(eval), 0, 0, NULL));
        const int32_t *got = ops_result();
        if (got && b == 1)
            memcpy(alone, got, sizeof alone);
        else if (got)
            CU_ASSERT_EQUAL(memcmp(alone, got + 12 * (b - 1), sizeof alone), 0);
        ops_reset();
    }
}

/* Columns of logp: good, with a NaN, with +infinity, all -infinity, -infinity but for class 3. */
static struct tensor *broken(void)
{
    struct tensor *logp = log_probabilities(1, 5, 6, 2);
    logp->f[6 + 4] = NAN;
    logp->f[12] = INFINITY;
    for (int k = 18; k < 30; k++)
        logp->f[k] = k == 27 ? 0 : -INFINITY;
    return logp;
}

static void marks_columns_that_cannot_be_sampled(void)
{
    for (int final = 0; final < 3; final++) { /* 2: categorical_sample */
        ops_seed(1300);
        struct tensor *logp = broken(), *seed = ops_zeros(VQP_I32, vqp_shape2(1, 2)),
                      *eval = ops_zeros(VQP_I32, vqp_shape1(1));
        struct tensor *tokens = ops_random(VQP_I32, vqp_shape2(1, 5), 6, 6),
                      *par = parameters(6, 0.5, 0.4, 0.7, 0.2, final);
        vqp_val of_sample = 0;
        if (final < 2)
            ops_give(vqp_posterior_sample(P, ops_val(logp), ops_val(tokens), ops_val(par), ops_val(seed), ops_val(eval),
                                          0, 0));
        else
            ops_give(vqp_categorical_sample(P, ops_val(logp), ops_val(seed), ops_val(eval), 0, 0, &of_sample));
        if (of_sample)
            ops_give(of_sample);
        const int32_t *got = ops_result();
        if (got) {
            CU_ASSERT_TRUE(got[0] >= 0);
            CU_ASSERT_EQUAL(got[1], -1);
            CU_ASSERT_EQUAL(got[2], -1);
            CU_ASSERT_EQUAL(got[3], -1);
            CU_ASSERT_TRUE(final ? got[4] == 3 : got[4] >= 0);
        }
        if (got && of_sample) {
            const float *chosen = ops_read(1);
            CU_ASSERT_TRUE(chosen[1] == 0 && chosen[2] == 0 && chosen[3] == 0);
        }
        ops_reset();
    }
}

static void lowest_class_wins_a_tie(void)
{
    struct tensor *logp = ops_zeros(VQP_F32, vqp_shape3(1, 3, 40)), *seed = ops_zeros(VQP_I32, vqp_shape2(1, 2));
    struct tensor *eval = ops_zeros(VQP_I32, vqp_shape1(1)), *noise = ops_random(VQP_F32, vqp_shape1(120), 0.5, 0.5);
    for (int k = 0; k < 40; k++)
        logp->f[k] = logp->f[40 + k] = logp->f[80 + k] = -3;
    logp->f[17] = logp->f[30] = -1;
    logp->f[40 + 39] = -1;
    ops_give(vqp_categorical_sample(P, ops_val(logp), ops_val(seed), ops_val(eval), ops_val(noise), 0, NULL));
    const int32_t *got = ops_result();
    CU_ASSERT_TRUE(got && got[0] == 17 && got[1] == 39 && got[2] == 0);
    ops_reset();
}

static void selects_the_highest(void)
{
    static const int32_t ks[] = {0, 1, 7, 20, 19, 99, -5};
    for (size_t i = 0; i < COUNT(ks); i++) {
        ops_seed(1400 + i);
        struct tensor *score = ops_random(VQP_F32, vqp_shape2(3, 20), -2, 2), *k = ops_zeros(VQP_I32, vqp_shape1(1));
        int32_t want[60] = {0};
        k->i[0] = ks[i];
        for (int j = 0; j < 20; j += 3)
            score->f[20 + j] = 1.5f; /* ties go to the lower position */
        for (int b = 0; b < 3; b++) {
            double v[20];
            int64_t order[20];
            for (int j = 0; j < 20; j++)
                v[j] = (double)score->f[b * 20 + j];
            formula_order(v, 20, order);
            for (int j = 0; j < 20 && j < ks[i]; j++)
                want[b * 20 + order[j]] = 1;
        }
        ops_give(vqp_select_top_k(P, ops_val(score), ops_val(k)));
        const int32_t *got = ops_result();
        if (got)
            ops_equal_i32("select_top_k", got, want, 60);
        ops_reset();
    }
}

/* By the numbers that philox.h gives, or by those given; rows by their own seeds. */
static void draws_one_number_a_position(void)
{
    for (size_t i = 0; i < 4; i++) {
        ops_seed(1500 + i);
        int64_t b = 1 + (int64_t)i, n = 17;
        struct tensor *seed = ops_random(VQP_I32, vqp_shape2(b, 2), -2e9, 2e9),
                      *eval = ops_zeros(VQP_I32, vqp_shape1(1));
        struct tensor *like = ops_random(i % 2 ? VQP_F32 : VQP_I32, vqp_shape2(b, n), 0, 9);
        struct tensor *noise = i > 1 ? ops_random(VQP_F32, vqp_shape1(b * n), 0, 1) : NULL;
        double *want = DOUBLES(b * n);
        eval->i[0] = 3 + (int32_t)i;
        for (int64_t k = 0; k < b * n; k++) {
            uint64_t key = (uint64_t)(uint32_t)seed->i[k / n * 2 + 1] << 32 | (uint32_t)seed->i[k / n * 2];
            float u = noise ? noise->f[k] : vqp_uniform(key, (uint32_t)eval->i[0], (uint32_t)i, (uint32_t)(k % n), 0);
            want[k] = -log(-log((double)u + 1e-30) + 1e-30);
        }
        ops_give(vqp_gumbel(P, ops_val(seed), ops_val(eval), ops_val(like), ops_val(noise), (uint32_t)i));
        const float *got = ops_result();
        if (got)
            ops_close(VQP_OP_GUMBEL, got, want, (uint64_t)(b * n));
        ops_reset();
    }
}

const struct vqp_case cases_sample[] = {
    {"truncate keeps the class that crosses the rate", truncates},
    {"truncate drops what follows once the rate is reached", truncates_at_the_rate_itself},
    {"truncate keeps as many of many equals as it takes", truncates_many_equals},
    {"posterior_sample draws from the posterior", samples_posteriors},
    {"categorical_sample draws and tells the probability", samples_categories},
    {"a draw does not depend on the batch", draws_do_not_depend_on_the_batch},
    {"a column with NaN, infinity or nothing gives -1", marks_columns_that_cannot_be_sampled},
    {"the lowest class wins a tie", lowest_class_wins_a_tie},
    {"select_top_k marks the highest", selects_the_highest},
    {"gumbel draws one number a position", draws_one_number_a_position},
};
const size_t cases_sample_n = COUNT(cases_sample);
