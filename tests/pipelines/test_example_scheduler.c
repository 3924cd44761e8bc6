/* Whether the scheduler of docs/examples/scheduler-hostcall draws from the distribution that its comment states. */
#include "check.h"
#include <math.h>
#include <vqpipe/philox.h>

#include "../../docs/examples/scheduler-hostcall/random-unmask.c"

enum {
    CODES = 4,
    TOKENS = 3,
    CLASSES = CODES + 1,
    CELLS = CLASSES * CLASSES * CLASSES,
    DRAWS = 100000,
    TIMESTEPS = 12
};

static float uniform(const struct vqp_host *h, uint64_t seed, uint32_t eval, uint32_t stream, uint32_t position,
                     uint32_t cls)
{
    (void)h;
    return vqp_uniform(seed, eval, stream, position, cls);
}

static int32_t never(const struct vqp_host *h)
{
    (void)h;
    return 0;
}

static const struct vqp_host host = {.struct_size = sizeof host, .cancelled = never, .uniform = uniform};
static const double p0[TOKENS][CODES] = {{0.1, 0.2, 0.3, 0.4}, {0.97, 0.01, 0.01, 0.01}, {0.25, 0.5, 0.25, 0}};
static float logp[TOKENS][CODES];

/* The probability that a chi-squared variable of n degrees is above x (Wilson, Hilferty 1931). */
static double tail(double x, int n)
{
    double v = 2.0 / (9.0 * n);
    return 0.5 * erfc((cbrt(x / n) - (1 - v)) / sqrt(2 * v));
}

static void step(struct scheduler *m, uint64_t seed, int32_t eval, const float *par, const int32_t *tokens,
                 int32_t *next)
{
    int32_t words[2] = {(int32_t)(uint32_t)seed, (int32_t)(uint32_t)(seed >> 32)};
    struct vqp_tensor_view in[5] = {
        {.shape = vqp_shape3(1, TOKENS, CODES), .data = logp},
        {.shape = vqp_shape2(1, TOKENS), .data = tokens},
        {.shape = vqp_shape1(12), .data = par},
        {.shape = vqp_shape2(1, 2), .data = words},
        {.shape = vqp_shape1(1), .data = &eval},
    };
    void *out[1] = {next};
    struct vqp_error err;
    CU_ASSERT_EQUAL(draw(m, in, out, &err), VQP_OK);
}

static struct scheduler *make(struct vqp_eval *evals, uint32_t steps)
{
    void *self = NULL;
    struct vqp_error err;
    struct vqp_create_args args = {.struct_size = sizeof args, .host = &host};
    CU_ASSERT_EQUAL_FATAL(create(&args, &self, &err), VQP_OK);
    struct vqp_plan_args a = {.struct_size = sizeof a,
                              .steps = steps,
                              .train_steps = TIMESTEPS,
                              .n_tokens = TOKENS,
                              .n_codes = CODES,
                              .guidance = 1};
    CU_ASSERT_EQUAL(plan(self, &a, NULL, 0, &err), (int32_t)steps);
    CU_ASSERT_EQUAL(plan(self, &a, evals, steps, &err), (int32_t)steps);
    for (uint32_t n = 0; n < TOKENS; n++)
        for (uint32_t k = 0; k < CODES; k++)
            logp[n][k] = p0[n][k] > 0 ? (float)log(p0[n][k]) : -70;
    return self;
}

/* Counts against the exact probabilities of all 125 outcomes, the joint ones, so that tokens which are not independent show. */
static double p_value(const uint32_t *count, const double prob[TOKENS][CLASSES])
{
    double x = 0, spare = 0, spare_seen = 0;
    int cells = 0;
    for (int i = 0; i < CELLS; i++) {
        double want = DRAWS * prob[0][i / 25] * prob[1][i / 5 % 5] * prob[2][i % 5];
        if (want < 5) { /* too few for the approximation: all of these together */
            spare += want;
            spare_seen += count[i];
            continue;
        }
        x += (count[i] - want) * (count[i] - want) / want;
        cells++;
    }
    if (spare >= 5) {
        x += (spare_seen - spare) * (spare_seen - spare) / spare;
        cells++;
    }
    return spare < 1e-9 && spare_seen > 0 ? 0 : tail(x, cells - 1);
}

static void one_step_has_the_exact_distribution(void)
{
    struct vqp_eval evals[4];
    struct scheduler *m = make(evals, 4);
    for (uint32_t e = 0; e < 4; e++) {
        static uint32_t count[CELLS];
        double prob[TOKENS][CLASSES] = {{0}};
        int32_t tokens[TOKENS] = {CODES, CODES, e % 2 ? 2 : CODES}, next[TOKENS];
        double stays = evals[e].par[PAR_STAYS];
        CU_ASSERT_TRUE(fabs(stays - (3.0 - e) / (4.0 - e)) < 1e-6);
        for (int n = 0; n < TOKENS; n++)
            for (int k = 0; k < CLASSES; k++)
                prob[n][k] = tokens[n] < CODES ? k == tokens[n] : k == CODES ? stays : (1 - stays) * p0[n][k];
        memset(count, 0, sizeof count);
        for (uint64_t seed = 0; seed < DRAWS; seed++) {
            step(m, seed << 20, (int32_t)e, evals[e].par, tokens, next);
            count[(next[0] * CLASSES + next[1]) * CLASSES + next[2]]++;
        }
        double p = p_value(count, prob);
        if (p < 1e-3)
            printf("\n    evaluation %u: p = %g\n", e, p);
        CU_ASSERT_TRUE(p > 1e-3);
    }
    destroy(m);
}

/* A denoiser that always says p(x0): however many steps, the picture is drawn from it. */
static void the_whole_run_draws_from_p_x0(void)
{
    for (uint32_t steps = 1; steps <= TIMESTEPS; steps += 5) {
        static uint32_t count[CELLS];
        double prob[TOKENS][CLASSES] = {{0}};
        struct vqp_eval evals[TIMESTEPS];
        struct scheduler *m = make(evals, steps);
        for (int n = 0; n < TOKENS; n++)
            memcpy(prob[n], p0[n], sizeof p0[n]);
        memset(count, 0, sizeof count);
        for (uint64_t seed = 0; seed < DRAWS; seed++) {
            int32_t ids[TOKENS] = {CODES, CODES, CODES};
            for (uint32_t e = 0; e < steps; e++)
                step(m, seed, (int32_t)e, evals[e].par, ids, ids);
            count[(ids[0] * CLASSES + ids[1]) * CLASSES + ids[2]]++;
        }
        double p = p_value(count, prob);
        if (p < 1e-3)
            printf("\n    %u steps: p = %g\n", steps, p);
        CU_ASSERT_TRUE(p > 1e-3);
        destroy(m);
    }
}

static void useless_logits_give_minus_one(void)
{
    const float nan[2] = {NAN, 0}, none[2] = {-INFINITY, -INFINITY}, infinite[2] = {INFINITY, 0},
                one[2] = {-INFINITY, 0};
    CU_ASSERT_EQUAL(pick(nan, 2, 0.5), -1);
    CU_ASSERT_EQUAL(pick(none, 2, 0.5), -1);
    CU_ASSERT_EQUAL(pick(infinite, 2, 0.5), -1);
    CU_ASSERT_EQUAL(pick(one, 2, 0.999999), 1);
    CU_ASSERT_EQUAL(pick(one, 2, 0), 1);
}

static void masks_given_ids_by_the_share_of_the_evaluation(void)
{
    enum {
        MANY = 20000
    };
    static int32_t ids[MANY], noised[MANY];
    struct vqp_eval evals[4];
    struct scheduler *m = make(evals, 4);
    int32_t seed[2] = {5, 0}, eval = 1;
    uint32_t masked = 0, kept = 0;
    for (int i = 0; i < MANY; i++)
        ids[i] = i % CODES;
    struct vqp_tensor_view in[4] = {{.shape = vqp_shape2(1, MANY), .data = ids},
                                    {.shape = vqp_shape1(12), .data = evals[1].par},
                                    {.shape = vqp_shape2(1, 2), .data = seed},
                                    {.shape = vqp_shape1(1), .data = &eval}};
    void *out[1] = {noised};
    CU_ASSERT_EQUAL(mask_some(m, in, out, NULL), VQP_OK);
    for (int i = 0; i < MANY; i++) {
        masked += noised[i] == CODES;
        kept += noised[i] == ids[i];
    }
    CU_ASSERT_EQUAL(masked + kept, MANY);
    CU_ASSERT_TRUE(fabs(masked - 0.75 * MANY) < 5 * sqrt(MANY * 0.75 * 0.25));
    destroy(m);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"one step has the exact distribution", one_step_has_the_exact_distribution},
        {"the whole run draws from p(x0)", the_whole_run_draws_from_p_x0},
        {"useless logits give -1", useless_logits_give_minus_one},
        {"masks given ids by the share of the evaluation", masks_given_ids_by_the_share_of_the_evaluation},
    };
    return RUN_CASES("example scheduler", cases);
}
