/* test_samplers_draws [DRAWS]: each sampler's Philox draws on every backend of the build tree, by chi-squared against the paper's
 * distribution; 10000 draws a step unless told. A draw is an image of its own seed. */
#include "../ops/ops.h"
#include "samplers.h"
#include <glob.h>
#include <math.h>

static int64_t draws = 10000;

/* Upper tail of the chi-squared distribution, Q(k/2, x/2): by its series below the mean, by its continued fraction above (Press et
 * al., Numerical Recipes, 6.2, in our own words). */
static double tail(double chi2, int freedom)
{
    double a = freedom / 2.0, x = chi2 / 2, front = exp(-x + a * log(x) - lgamma(a));
    if (x <= 0)
        return 1;
    if (x < a + 1) {
        double term = 1 / a, sum = term;
        for (int n = 1; n < 1000 && term > sum * 1e-15; n++)
            sum += term *= x / (a + n);
        return 1 - front * sum;
    }
    double f = 0; /* x+1-a - 1(1-a)/(x+3-a - 2(2-a)/(x+5-a - ...)), from the back */
    for (int n = 300; n > 0; n--)
        f = n * (n - a) / (x + 2 * n + 1 - a - f);
    return front / (x + 1 - a - f);
}

/* Outcomes expected fewer than five times are counted together. -1 where something impossible was drawn. */
static double p_value(const int64_t *seen, const double *probability)
{
    double chi2 = 0, rest_seen = 0, rest = 0;
    int cells = 0;
    for (int s = 0; s < STATES; s++) {
        double expected = probability[s] * (double)draws;
        if (seen[s] && expected < 1e-9 * (double)draws)
            return -1;
        if (expected >= 5) {
            chi2 += ((double)seen[s] - expected) * ((double)seen[s] - expected) / expected;
            cells++;
        } else {
            rest += expected;
            rest_seen += (double)seen[s];
        }
    }
    if (rest >= 5) {
        chi2 += (rest_seen - rest) * (rest_seen - rest) / rest;
        cells++;
    }
    return cells > 1 ? tail(chi2, cells - 1) : 1;
}

static void tells_a_tail(void)
{
    static const struct {
        double chi2;
        int freedom;
        double p;
    } known[] = {
        {3.841459, 1, 0.05}, {18.30704, 10, 0.05}, {2.0, 2, 0.36787944}, {149.4493, 100, 0.001}, {0.5, 3, 0.9189}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        CU_ASSERT_TRUE(fabs(tail(known[i].chi2, known[i].freedom) - known[i].p) < 1e-4);
}

/* What the scheduler records for `draws` images of state x at evaluation i. */
static const int32_t *run(const struct sampler *s, const struct vqp_eval *e, int32_t i, const int32_t *x, int start)
{
    struct tensor *tokens = ops_zeros(VQP_I32, vqp_shape2(draws, TOKENS)),
                  *seed = ops_zeros(VQP_I32, vqp_shape2(draws, 2));
    struct tensor *logp = ops_zeros(VQP_F32, vqp_shape3(draws, TOKENS, CODES)),
                  *par = ops_zeros(VQP_F32, vqp_shape1(12));
    struct tensor *eval = ops_zeros(VQP_I32, vqp_shape1(1));
    float one[TOKENS * CODES];
    model_logp(one);
    for (int64_t k = 0; k < draws; k++) {
        memcpy(tokens->i + k * TOKENS, x, TOKENS * sizeof *x);
        memcpy(logp->f + k * TOKENS * CODES, one, sizeof one);
        seed->i[2 * k] = (int32_t)k;
    }
    memcpy(par->f, e->par, sizeof e->par);
    eval->i[0] = i;
    struct vqp_step step =
        sampler_step((uint32_t)draws, ops_val(tokens), ops_val(par), ops_val(eval), ops_val(logp), ops_val(seed));
    if (start)
        step.logp = 0;
    ops_give(start ? s->v->record_start(s->self, ops_program(), &step)
                   : s->v->record_step(s->self, ops_program(), &step));
    return ops_result();
}

static void draws_from_the_papers_distribution(void)
{
    static const int32_t states[][TOKENS] = {{MASK, MASK, MASK}, {1, MASK, MASK}};
    float logp[TOKENS * CODES];
    double p[TOKENS][CODES];
    model_logp(logp);
    for (int k = 0; k < TOKENS * CODES; k++)
        p[k / CODES][k % CODES] = exp((double)logp[k]);
    for (size_t k = 0; k < n_settings; k++) {
        struct sampler s = sampler_create(settings[k].name, settings[k].options);
        struct vqp_eval evals[EVALS];
        int32_t n = sampler_plan(&s, settings[k].steps, TIMESTEPS, TOKENS, CODES, evals, EVALS);
        double least = 1;
        for (int32_t i = 0; i < n && i < 2; i++) {
            double want[STATES] = {0};
            int64_t seen[STATES] = {0};
            const int32_t *x = states[i];
            settings[k].formula(&settings[k], p, x, evals, n, i, want);
            const int32_t *got = run(&s, &evals[i], i, x, 0);
            for (int64_t d = 0; got && d < draws; d++)
                seen[state_of(got + d * TOKENS)]++;
            least = got ? fmin(least, p_value(seen, want)) : -1;
            ops_reset();
        }
        printf("\n    %s, %u steps: p %.3f", settings[k].name, settings[k].steps, least);
        CU_ASSERT_TRUE(least > 1e-3);
        sampler_destroy(&s);
    }
}

/* record_start leaves as many tokens masked as its evaluation expects, whichever they are, and each as often. */
static void starts_with_as_many_masked(void)
{
    static const char *const names[] = {"vq-diffusion-purity", "maskgit", "halton"};
    const int32_t clean[TOKENS] = {3, 0, 2};
    for (int k = 0; k < 3; k++) {
        struct sampler s = sampler_create(names[k], NULL);
        struct vqp_eval evals[EVALS];
        int64_t masked[TOKENS] = {0};
        sampler_plan(&s, 3, TIMESTEPS, TOKENS, CODES, evals, EVALS);
        const int32_t *got = run(&s, &evals[1], 1, clean, 1);
        for (int64_t d = 0; got && d < draws; d++) {
            int n = 0;
            for (int t = 0; t < TOKENS; t++) {
                int is = got[d * TOKENS + t] == MASK;
                if (!is && got[d * TOKENS + t] != clean[t])
                    CU_FAIL_FATAL("a token was changed");
                masked[t] += is;
                n += is;
            }
            if (n != (int)evals[1].par[0])
                CU_FAIL_FATAL("another number of masked tokens");
        }
        for (int t = 0; t < TOKENS; t++) {
            double share = (double)masked[t] / (double)draws, expected = (double)evals[1].par[0] / TOKENS;
            CU_ASSERT_TRUE(k == 2 ? masked[t] == (t == 1 ? 0 : draws) : fabs(share - expected) < 0.03);
        }
        ops_reset();
        sampler_destroy(&s);
    }
}

static int run_backend(const char *plugin)
{
    static const struct vqp_case cases[] = {
        {"the test knows the tail of chi-squared", tells_a_tail},
        {"draws have the paper's distribution", draws_from_the_papers_distribution},
        {"a start has as many masked tokens as its evaluation expects", starts_with_as_many_masked},
    };
    char name[64];
    vqp_status st = ops_target_open(plugin, "f32", NULL, NULL);
    if (st == VQP_E_DEVICE)
        printf("SKIPPED: %s: no device\n", plugin);
    snprintf(name, sizeof name, "samplers on %s, %lld draws", st ? "?" : ops_target.name, (long long)draws);
    int failures = st ? st != VQP_E_DEVICE : RUN_CASES(name, cases);
    ops_target_close();
    return failures;
}

int main(int argc, char **argv)
{
    int status = 0;
    glob_t found;
    if (argc > 1 && (draws = atoll(argv[1])) < 1000) {
        fprintf(stderr, "usage: %s [DRAWS], 1000 or more\n", argv[0]);
        return 2;
    }
    if (glob(VQP_BUILD_DIR "/lib/vqpipe/backend-*.so", 0, NULL, &found)) {
        fprintf(stderr, "no backend in " VQP_BUILD_DIR "/lib/vqpipe\n");
        return 2;
    }
    for (size_t i = 0; i < found.gl_pathc; i++)
        status |= run_backend(found.gl_pathv[i]);
    globfree(&found);
    return status;
}
