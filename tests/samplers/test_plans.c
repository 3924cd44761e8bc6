/* What the samplers plan: counts, timesteps, temperatures, orders; and what they refuse. */
#include "../../plugins/halton/order.h"
#include "../../plugins/unmasking/unmasking.h"
#include "samplers.h"
#include <math.h>

enum {
    MOST = 2048
};
static struct vqp_eval evals[MOST];

static uint32_t before(int32_t i)
{
    return (uint32_t)evals[i].par[VQP_UNMASK_BEFORE];
}

static uint32_t after(int32_t i)
{
    return (uint32_t)evals[i].par[VQP_UNMASK_AFTER];
}

static int32_t plan(const char *name, const char *options, uint32_t steps, uint32_t timesteps, uint32_t tokens)
{
    struct sampler s = sampler_create(name, options);
    int32_t n = sampler_plan(&s, steps, timesteps, tokens, 512, evals, MOST);
    sampler_destroy(&s);
    CU_ASSERT_FATAL(n > 0 && n <= MOST);
    return n;
}

/* From all masked to none, one evaluation taking over where the one before left off; the last alone is final. */
static void check_chain(int32_t n, uint32_t tokens)
{
    int good = before(0) == tokens && after(n - 1) == 0;
    for (int32_t i = 0; i < n; i++) {
        good &= evals[i].tf == (float)evals[i].t && (evals[i].par[VQP_UNMASK_FINAL] == 1) == (i + 1 == n);
        good &= i == 0 || (before(i) == after(i - 1) && evals[i].t <= evals[i - 1].t);
    }
    CU_ASSERT_TRUE(good);
}

/* ---- maskgit ---------------------------------------------------------------------------------------------------- */

/* Masked tokens after each step of diffusers 0.42.1's AmusedScheduler on random logits. */
static void keeps_as_many_as_diffusers(void)
{
    static const struct {
        const char *schedule;
        uint32_t tokens, steps, left[12];
    } golden[] = {
        {"cosine", 64, 4, {59, 45, 24, 0}},
        {"cosine", 64, 8, {62, 59, 53, 45, 35, 24, 12, 0}},
        {"cosine", 64, 12, {63, 61, 59, 55, 50, 45, 38, 31, 24, 16, 8, 0}},
        {"cosine", 256, 4, {236, 181, 97, 0}},
        {"cosine", 256, 8, {251, 236, 212, 181, 142, 97, 49, 0}},
        {"cosine", 256, 12, {253, 247, 236, 221, 203, 181, 155, 127, 97, 66, 33, 0}},
        {"cosine", 1024, 4, {946, 724, 391, 0}},
        {"cosine", 1024, 8, {1004, 946, 851, 724, 568, 391, 199, 0}},
        {"cosine", 1024, 12, {1015, 989, 946, 886, 812, 724, 623, 511, 391, 265, 133, 0}},
        {"linear", 64, 4, {48, 32, 16, 0}},
        {"linear", 64, 8, {56, 48, 40, 32, 24, 16, 8, 0}},
        {"linear", 64, 12, {58, 53, 48, 42, 37, 32, 26, 21, 16, 10, 5, 0}},
        {"linear", 256, 4, {192, 128, 64, 0}},
        {"linear", 256, 8, {224, 192, 160, 128, 96, 64, 32, 0}},
        {"linear", 256, 12, {234, 213, 192, 170, 149, 128, 106, 85, 64, 42, 21, 0}},
        {"linear", 1024, 4, {768, 512, 256, 0}},
        {"linear", 1024, 8, {896, 768, 640, 512, 384, 256, 128, 0}},
        {"linear", 1024, 12, {938, 853, 768, 682, 597, 512, 426, 341, 256, 170, 85, 0}},
    };
    for (size_t g = 0; g < sizeof golden / sizeof *golden; g++) {
        char options[64];
        snprintf(options, sizeof options, "masking_schedule: %s", golden[g].schedule);
        int32_t n = plan("maskgit", options, golden[g].steps, 100, golden[g].tokens);
        CU_ASSERT_EQUAL_FATAL(n, (int32_t)golden[g].steps);
        check_chain(n, golden[g].tokens);
        for (int32_t i = 0; i < n; i++)
            CU_ASSERT_EQUAL(after(i), golden[g].left[i]);
    }
}

static void cools_down_as_diffusers(void)
{
    static const float golden[12] = {2.0f,
                                     1.8181817531585693f,
                                     1.6363636255264282f,
                                     1.454545497894287f,
                                     1.2727272510528564f,
                                     1.0909090042114258f,
                                     0.9090909361839294f,
                                     0.7272727489471436f,
                                     0.5454545617103577f,
                                     0.3636363744735718f,
                                     0.1818181872367859f,
                                     0.0f};
    plan("maskgit", NULL, 12, 0, 256);
    for (int i = 0; i < 12; i++)
        CU_ASSERT_EQUAL(evals[i].par[VQP_UNMASK_OWN], golden[i]);
    plan("maskgit", "temperature_start: 3\ntemperature_end: 1", 1, 0, 256);
    CU_ASSERT_EQUAL(evals[0].par[VQP_UNMASK_OWN], 3);
    plan("maskgit", "temperature_start: 3\ntemperature_end: 1", 3, 0, 256);
    CU_ASSERT_EQUAL(evals[1].par[VQP_UNMASK_OWN], 2);
    CU_ASSERT_EQUAL(evals[2].par[VQP_UNMASK_OWN], 1);
}

/* ---- the timestep ----------------------------------------------------------------------------------------------- */

static void tells_the_timestep_of_the_share_masked(void)
{
    static const char *const names[] = {"maskgit", "halton"};
    for (int k = 0; k < 2; k++) {
        int32_t n = plan(names[k], NULL, 20, 100, 1024);
        CU_ASSERT_EQUAL(evals[0].t, 99);
        for (int32_t i = 0; i < n; i++) {
            double best = 2, share = before(i) / 1024.0;
            int32_t nearest = -1;
            for (int32_t t = 0; t < 100; t++) {
                double away = fabs(0.000009 + t / 99.0 * (0.99999 - 0.000009) - share);
                if (away < best) {
                    best = away;
                    nearest = t;
                }
            }
            CU_ASSERT_EQUAL(evals[i].t, nearest);
        }
        n = plan(names[k], NULL, 20, 0, 1024); /* no timesteps */
        for (int32_t i = 0; i < n; i++)
            CU_ASSERT_EQUAL(evals[i].t, 19 - i);
        plan(names[k], "gamma_cum_start: 0.5\ngamma_cum_end: 0.75", 2, 3, 64);
        CU_ASSERT_EQUAL(evals[0].t, 2);
        CU_ASSERT_EQUAL(evals[1].t, k ? 1 : 2); /* 43 of 64 with halton, 45 with maskgit */
        plan(names[k], NULL, 1, 1, 64);
        CU_ASSERT_EQUAL(evals[0].t, 0);
    }
}

/* ---- purity ----------------------------------------------------------------------------------------------------- */

static void draws_as_many_as_the_tables(void)
{
    /* from the highest timestep down; the last number is what the last evaluation finds masked */
    static const struct {
        uint32_t steps, counts[6], left;
    } golden[] = {{100, {11, 11, 10, 10, 11, 10}, 0},
                  {50, {30, 20, 21, 20, 21, 20}, 10},
                  {25, {60, 41, 41, 41, 41, 41}, 21},
                  {10, {139, 102, 102, 102, 102, 102}, 69}};
    for (size_t g = 0; g < sizeof golden / sizeof *golden; g++) {
        int32_t n = plan("vq-diffusion-purity", NULL, golden[g].steps, 100, 1024);
        CU_ASSERT_EQUAL_FATAL(n, (int32_t)golden[g].steps);
        check_chain(n, 1024);
        for (int32_t i = 0; i < 6; i++)
            CU_ASSERT_EQUAL(before(i) - after(i), golden[g].counts[i]);
        CU_ASSERT_EQUAL(before(n - 1), golden[g].left);
        for (int32_t i = 0; i < n; i++)
            CU_ASSERT_EQUAL(evals[i].t, (int32_t)((golden[g].steps - (uint32_t)i) * 100 / golden[g].steps) - 1);
    }
    plan("vq-diffusion-purity", NULL, 100, 100, 1024);
    CU_ASSERT_EQUAL(before(97) - after(97), 11); /* t = 2 */
    CU_ASSERT_EQUAL(before(98) - after(98), 10); /* t = 1 */
}

static void draws_all_with_any_steps_and_tokens(void)
{
    static const uint32_t tokens[] = {1, 3, 16, 256, 1000, 1024};
    for (size_t k = 0; k < sizeof tokens / sizeof *tokens; k++)
        for (uint32_t steps = 1; steps <= 100; steps++)
            for (uint32_t several = 0; several < 2; several++) {
                int32_t n =
                    plan("vq-diffusion-purity", several ? "evaluations_per_step: 3" : NULL, steps, 100, tokens[k]);
                check_chain(n, tokens[k]);
                CU_ASSERT_TRUE(several || n <= (int32_t)steps);
                for (int32_t i = 0; i + 1 < n; i++)
                    CU_ASSERT_TRUE(before(i) > after(i));
            }
}

/* The original at speed 0.5: at most 5 tokens an evaluation, and none for one token alone. */
static void spreads_a_step_over_evaluations(void)
{
    int32_t n = plan("vq-diffusion-purity", "evaluations_per_step: 2", 100, 100, 1024);
    static const uint32_t draws[] = {5, 5, 5, 5, 6, 5, 5, 5, 5, 5, 6}; /* 15, 11, 10, 10, 11 */
    static const int32_t timesteps[] = {99, 99, 99, 98, 98, 97, 97, 96, 96, 95, 95};
    check_chain(n, 1024);
    for (int32_t i = 0; i < 11; i++) {
        CU_ASSERT_EQUAL(before(i) - after(i), draws[i]);
        CU_ASSERT_EQUAL(evals[i].t, timesteps[i]);
    }
    CU_ASSERT_EQUAL(n, 3 + 2 * 97 + 1 + 1); /* t = 1 has 6: one evaluation, not 5 and then 1 */
}

/* ---- halton ----------------------------------------------------------------------------------------------------- */

/* Computed with exact fractions by another program. */
static void visits_in_the_order_of_first_points(void)
{
    static const struct {
        uint32_t size;
        int32_t first[10], last[3];
        int64_t sum; /* of place times cell */
    } golden[] = {
        {16, {133, 74, 193, 39, 172, 99, 232, 30, 144, 85}, {25, 214, 182}, 4166199},
        {32, {522, 277, 771, 142, 664, 391, 913, 92, 577, 331}, {304, 827, 169}, 268206095},
    };
    for (size_t g = 0; g < 2; g++) {
        int32_t place[1024], n = (int32_t)(golden[g].size * golden[g].size);
        int64_t sum = 0;
        vqp_halton_order(golden[g].size, golden[g].size, place);
        for (int32_t i = 0; i < 10; i++)
            CU_ASSERT_EQUAL(place[golden[g].first[i]], i);
        for (int32_t i = 0; i < 3; i++)
            CU_ASSERT_EQUAL(place[golden[g].last[i]], n - 3 + i);
        for (int32_t i = 0; i < n; i++)
            sum += (int64_t)i * place[i];
        CU_ASSERT_EQUAL(sum, golden[g].sum);
    }
}

static void visits_every_cell_once(void)
{
    static const uint32_t sizes[][2] = {{1, 1}, {1, 3}, {3, 1}, {5, 7}, {16, 16}, {32, 32}, {9, 64}, {1, 1000}};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        uint32_t n = sizes[k][0] * sizes[k][1];
        int32_t *place = malloc(n * sizeof *place);
        char *seen = calloc(n, 1);
        CU_ASSERT_FATAL(place && seen);
        vqp_halton_order(sizes[k][0], sizes[k][1], place);
        int good = 1;
        for (uint32_t i = 0; i < n; i++) {
            good &= place[i] >= 0 && place[i] < (int32_t)n && !seen[place[i]];
            if (good)
                seen[place[i]] = 1;
        }
        CU_ASSERT_TRUE(good);
        free(place);
        free(seen);
    }
}

static void leaves_as_many_as_the_arc_cosine(void)
{
    static const struct {
        uint32_t tokens, steps, left[12];
    } golden[] = {{256, 12, {243, 229, 215, 201, 186, 171, 155, 138, 118, 96, 68, 0}},
                  {256, 8, {236, 215, 194, 171, 146, 118, 83, 0}}};
    for (size_t g = 0; g < sizeof golden / sizeof *golden; g++) {
        int32_t n = plan("halton", NULL, golden[g].steps, 100, golden[g].tokens);
        CU_ASSERT_EQUAL_FATAL(n, (int32_t)golden[g].steps);
        check_chain(n, golden[g].tokens);
        for (int32_t i = 0; i < n; i++)
            CU_ASSERT_EQUAL(after(i), golden[g].left[i]);
    }
    for (uint32_t steps = 1; steps <= 100; steps++) {
        int32_t n = plan("halton", NULL, steps, 100, 64); /* more steps than tokens too */
        CU_ASSERT_EQUAL(n, (int32_t)(steps < 64 ? steps : 64));
        check_chain(n, 64);
        for (int32_t i = 0; i < n; i++)
            CU_ASSERT_TRUE(before(i) > after(i));
    }
    plan("halton", NULL, 2, 100, 768); /* a third at half the steps, exactly */
    CU_ASSERT_EQUAL(after(0), 512);
}

/* ---- all -------------------------------------------------------------------------------------------------------- */

static void writes_no_more_than_it_may(void)
{
    static const char *const names[] = {"vq-diffusion-purity", "maskgit", "halton"};
    for (int k = 0; k < 3; k++) {
        struct sampler s = sampler_create(names[k], NULL);
        struct vqp_eval few[4] = {{0}};
        CU_ASSERT_EQUAL(sampler_plan(&s, 10, 100, 256, 512, NULL, 0), 10);
        CU_ASSERT_EQUAL(sampler_plan(&s, 10, 100, 256, 512, few, 3), 10);
        CU_ASSERT_TRUE(few[2].t > 0 && few[3].t == 0 && few[3].par[0] == 0);
        sampler_destroy(&s);
    }
}

static void refuses_what_does_not_fit(void)
{
    static const struct {
        const char *name, *options, *part;
    } bad[] = {
        {"vq-diffusion-purity", "prior_rule: 0", "prior_rule"},
        {"vq-diffusion-purity", "prior_rule: 3", "prior_rule"},
        {"vq-diffusion-purity", "prior_weight: -1", "prior_weight"},
        {"vq-diffusion-purity", "evaluations_per_step: 0", "evaluations_per_step"},
        {"maskgit", "masking_schedule: square", "masking_schedule"},
        {"maskgit", "temperature_end: -0.1", "temperature_end"},
        {"maskgit", "gamma_cum_start: 0.5\ngamma_cum_end: 0.5", "must rise"},
        {"halton", "gamma_cum_start: 0.9\ngamma_cum_end: 0.5", "/models/m/scheduler"},
    };
    struct sampler s;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct vqp_error err = {0};
        CU_ASSERT_NOT_EQUAL(sampler_try(bad[i].name, bad[i].options, &s, &err), VQP_OK);
        CHECK_STR_HAS(err.msg, bad[i].part);
    }
    s = sampler_create("vq-diffusion-purity", NULL);
    struct vqp_error err = {0};
    struct vqp_plan_args args = {
        .struct_size = sizeof args, .steps = 101, .train_steps = 100, .n_tokens = 256, .n_codes = 512};
    CU_ASSERT_EQUAL(s.v->plan(s.self, &args, NULL, 0, &err), VQP_E_ARG);
    CHECK_STR_HAS(err.msg, "choose 1 to 100");
    sampler_destroy(&s);
    s.component->destroy(NULL);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"maskgit keeps as many tokens as diffusers", keeps_as_many_as_diffusers},
        {"maskgit's temperature is that of diffusers", cools_down_as_diffusers},
        {"the timestep is that of the share of masked tokens", tells_the_timestep_of_the_share_masked},
        {"purity draws as many tokens as the original's tables", draws_as_many_as_the_tables},
        {"purity draws every token with any steps and any grid", draws_all_with_any_steps_and_tokens},
        {"purity spreads a step over several evaluations", spreads_a_step_over_evaluations},
        {"halton visits in the order of the first points", visits_in_the_order_of_first_points},
        {"halton visits every cell once", visits_every_cell_once},
        {"halton leaves as many tokens as the arc cosine", leaves_as_many_as_the_arc_cosine},
        {"plan counts all and writes at most cap", writes_no_more_than_it_may},
        {"options and steps that do not fit are refused", refuses_what_does_not_fit},
    };
    return RUN_CASES("samplers, plans", cases);
}
