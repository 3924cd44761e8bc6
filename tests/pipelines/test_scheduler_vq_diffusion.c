/* The timesteps and parameter rows that the vq-diffusion scheduler plans. */
#include "check.h"
#include <dlfcn.h>
#include <math.h>
#include <vqpipe/components.h>
#include <vqpipe/host.h>
#include <vqpipe/ops.h>
#include <vqpipe/plugin.h>

enum {
    STRIDED,
    DIFFUSERS,
    SAMPLE_FAST
};
struct setting {
    int64_t classes, timesteps;
    int32_t spacing;
    double alpha_start, alpha_end, gamma_start, gamma_end;
};
static const struct setting published = {4097, 100, STRIDED, 0.99999, 0.000009, 0.000009, 0.99999};
static const struct vqp_component *component;

static void *at(void *opts, const char *name)
{
    for (const struct vqp_option *o = component->opts; o->name; o++)
        if (strcmp(o->name, name) == 0)
            return (char *)opts + o->offset;
    CU_FAIL_FATAL("the component has no such option");
    return NULL;
}

static vqp_status create(const struct setting *s, void **self, struct vqp_error *err)
{
    static const struct vqp_host host = {.struct_size = sizeof host, .abi_minor = VQP_ABI_MINOR};
    uint64_t opts[64] = {0};
    CU_ASSERT_FATAL(component->opts_size <= sizeof opts);
    *(int64_t *)at(opts, "num_vec_classes") = s->classes;
    *(int64_t *)at(opts, "num_train_timesteps") = s->timesteps;
    *(double *)at(opts, "alpha_cum_start") = s->alpha_start;
    *(double *)at(opts, "alpha_cum_end") = s->alpha_end;
    *(double *)at(opts, "gamma_cum_start") = s->gamma_start;
    *(double *)at(opts, "gamma_cum_end") = s->gamma_end;
    *(int32_t *)at(opts, "spacing") = s->spacing;
    struct vqp_create_args args = {.struct_size = sizeof args,
                                   .host = &host,
                                   .instance = "scheduler",
                                   .path = "/models/m/scheduler",
                                   .precision = "f32",
                                   .opts = opts};
    return component->create(&args, self, err);
}

/* Plans `steps` steps of a model that fits `s`. Returns the number of evaluations. */
static int32_t plan(struct setting s, int32_t spacing, uint32_t steps, struct vqp_eval *out, uint32_t cap)
{
    struct vqp_error err = {0};
    void *self = NULL;
    s.spacing = spacing;
    CU_ASSERT_EQUAL_FATAL(create(&s, &self, &err), VQP_OK);
    struct vqp_plan_args args = {.struct_size = sizeof args,
                                 .steps = steps,
                                 .train_steps = (uint32_t)s.timesteps,
                                 .n_tokens = 4,
                                 .n_codes = (uint32_t)s.classes - 1,
                                 .guidance = 1};
    int32_t n = component->v.scheduler->plan(self, &args, out, cap, &err);
    component->destroy(self);
    return n;
}

static int close_to(double x, double want, double tolerance)
{
    int ok = fabs(x - want) <= tolerance * fmax(1, fabs(want));
    if (!ok)
        printf("\n    %.9g is not %.9g\n", x, want);
    return ok;
}

static void matches_golden_logs(void)
{
    static const struct {
        int t;
        double log[6];
    } golden[] = {
        {0, {-1.000005e-05, -22.13328, -11.61829, -1.000005e-05, -22.13328, -11.61829}},
        {1, {-0.01015228, -26.7284, -4.59513, -0.01016228, -22.13328, -4.594248}},
        {50, {-0.02020234, -25.36222, -3.912043, -0.7033004, -22.13328, -0.683098}},
        {98, {-0.692702, -18.92537, -0.6936421, -4.594248, -22.13328, -0.01016228}},
        {99, {-7.024038, -17.54002, -0.000989529, -11.61829, -22.13328, -1.000005e-05}},
    };
    struct vqp_eval eval[100];
    CU_ASSERT_EQUAL_FATAL(plan(published, DIFFUSERS, 100, eval, 100), 100);
    for (size_t g = 0; g < sizeof golden / sizeof *golden; g++) {
        const struct vqp_eval *e = &eval[99 - golden[g].t];
        CU_ASSERT_EQUAL(e->t, golden[g].t);
        for (uint32_t i = 0; i < 6; i++)
            CU_ASSERT_TRUE(close_to(e->par[i], golden[g].log[i], 1e-6));
        CU_ASSERT_EQUAL(e->par[VQP_PAR_FINAL], golden[g].t == 0);
    }
    /* cumulative up to s = t - 1 is what timestep s has as its own */
    for (uint32_t i = 0; i < 99; i++)
        CU_ASSERT_EQUAL(memcmp(eval[i].par + VQP_PAR_CUM_S_A, eval[i + 1].par + VQP_PAR_CUM_T_A, 3 * sizeof(float)), 0);
}

static void all_steps_strided_are_the_reference(void)
{
    const int64_t timesteps[] = {1, 2, 12, 100, 1000};
    static struct vqp_eval a[1000], b[1000];
    for (size_t i = 0; i < sizeof timesteps / sizeof *timesteps; i++) {
        struct setting s = published;
        s.timesteps = timesteps[i];
        uint32_t n = (uint32_t)timesteps[i];
        CU_ASSERT_EQUAL(plan(s, STRIDED, n, a, 1000), (int32_t)n);
        CU_ASSERT_EQUAL(plan(s, DIFFUSERS, n, b, 1000), (int32_t)n);
        for (uint32_t k = 0; k < n; k++) {
            CU_ASSERT_EQUAL(a[k].t, (int32_t)(n - 1 - k));
            CU_ASSERT_EQUAL(a[k].t, b[k].t);
            CU_ASSERT_EQUAL(a[k].tf, (float)a[k].t);
            CU_ASSERT_EQUAL(memcmp(a[k].par, b[k].par, sizeof a[k].par), 0);
            for (uint32_t j = 0; j < 12; j++)
                CU_ASSERT_TRUE(isfinite(a[k].par[j]));
        }
    }
}

static void strides_evenly(void)
{
    static const int32_t seven[] = {99, 84, 70, 56, 41, 27, 13};
    struct vqp_eval eval[100];
    CU_ASSERT_EQUAL(plan(published, STRIDED, 7, eval, 100), 7);
    for (uint32_t i = 0; i < 7; i++) {
        CU_ASSERT_EQUAL(eval[i].t, seven[i]);
        CU_ASSERT_EQUAL(eval[i].par[VQP_PAR_FINAL], i == 6);
    }
    CU_ASSERT_EQUAL(plan(published, STRIDED, 1, eval, 100), 1);
    CU_ASSERT_EQUAL(eval[0].t, 99);
    CU_ASSERT_EQUAL(eval[0].par[VQP_PAR_FINAL], 1);
    CU_ASSERT_EQUAL(plan(published, DIFFUSERS, 7, eval, 100), 7);
    CU_ASSERT_EQUAL(eval[0].t, 6);
}

/* ---- the posterior, by the long way ------------------------------------------------------------------------------ */

enum {
    C = 5,
    K = C + 1,
    T = 12
};
typedef double matrix[K][K]; /* [from][to] */

static void multiply(matrix a, matrix b, matrix out)
{
    for (int i = 0; i < K; i++)
        for (int j = 0; j < K; j++) {
            out[i][j] = 0;
            for (int k = 0; k < K; k++)
                out[i][j] += a[i][k] * b[k][j];
        }
}

/* The product of the one-step matrices of the timesteps after s, up to t. */
static void transitions(int s, int t, matrix out)
{
    for (int i = 0; i < K; i++)
        for (int j = 0; j < K; j++)
            out[i][j] = i == j;
    for (int u = s + 1; u <= t; u++) {
        double x = (double)u / (T - 1), y = (double)(u - 1) / (T - 1), span = 0.99999 - 0.000009;
        double a = (0.99999 - x * span) / (u ? 0.99999 - y * span : 1);
        double c = 1 - (1 - (0.000009 + x * span)) / (u ? 1 - (0.000009 + y * span) : 1), b = (1 - a - c) / C;
        matrix one, before;
        for (int i = 0; i < K; i++)
            for (int j = 0; j < K; j++)
                one[i][j] = i == C ? j == C : j == C ? c : i == j ? a + b : b;
        memcpy(before, out, sizeof before);
        multiply(before, one, out);
    }
}

static void by_bayes(const double p0[C], int x, int s, int t, double out[K])
{
    matrix to_s, to_t, jump;
    transitions(-1, s, to_s);
    transitions(-1, t, to_t);
    transitions(s, t, jump);
    for (int k = 0; k < K; k++) {
        out[k] = 0;
        for (int x0 = 0; x0 < C; x0++)
            out[k] += p0[x0] * to_s[x0][k] * jump[k][x] / to_t[x0][x];
    }
}

static double lae(double x, double y)
{
    return fmax(x, y) + log1p(exp(-fabs(x - y)));
}

/* l[k] of POSTERIOR_SAMPLE as ops.h defines it, as probabilities. */
static void by_op(const float *par, const double p0[C], int x, double out[K])
{
    double q[C], sum = 0, zero = log(1e-30);
    for (int k = 0; k < C; k++) {
        double qt =
            x == C ? par[VQP_PAR_CUM_T_C] : lae(par[VQP_PAR_CUM_T_A] + (k == x ? 0 : zero), par[VQP_PAR_CUM_T_B]);
        q[k] = log(p0[k]) - qt;
        sum = k ? lae(sum, q[k]) : q[k];
    }
    for (int k = 0; k < K; k++) {
        double m = k == C ? par[VQP_PAR_CUM_S_C] : lae(q[k] - sum + par[VQP_PAR_CUM_S_A], par[VQP_PAR_CUM_S_B]);
        double st = k == C   ? (x == C ? 0 : zero)
                    : x == C ? par[VQP_PAR_LOG_C]
                             : lae(par[VQP_PAR_LOG_A] + (k == x ? 0 : zero), par[VQP_PAR_LOG_B]);
        out[k] = exp(m + st + sum);
    }
}

static void normalise(double p[K])
{
    double sum = 0;
    for (int k = 0; k < K; k++)
        sum += p[k];
    for (int k = 0; k < K; k++)
        p[k] /= sum;
}

static void jumps_by_the_exact_posterior(void)
{
    const double p0[C] = {0.5, 0.02, 0.3, 0.08, 0.1};
    const struct setting s = {C + 1, T, STRIDED, 0.99999, 0.000009, 0.000009, 0.99999};
    const uint32_t steps[] = {1, 3, 7, T};
    struct vqp_eval eval[T];
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        CU_ASSERT_EQUAL_FATAL(plan(s, STRIDED, steps[i], eval, T), (int32_t)steps[i]);
        CU_ASSERT_EQUAL(eval[0].t, T - 1);
        CU_ASSERT_EQUAL(eval[steps[i] - 1].par[VQP_PAR_FINAL], 1);
        for (uint32_t e = 0; e + 1 < steps[i]; e++)
            for (int x = 0; x < K; x++) {
                double want[K], have[K];
                by_bayes(p0, x, eval[e + 1].t, eval[e].t, want);
                by_op(eval[e].par, p0, x, have);
                normalise(want);
                normalise(have);
                CU_ASSERT_EQUAL(eval[e].par[VQP_PAR_FINAL], 0);
                for (int k = 0; k < K; k++)
                    CU_ASSERT_TRUE(close_to(have[k], want[k], 1e-6));
            }
    }
}

static void sample_fast_visits_the_timesteps_of_the_original(void)
{
    static const struct {
        uint32_t steps;
        int32_t evaluations;
    } lengths[] = {{100, 100}, {51, 100}, {50, 51}, {33, 34}, {25, 26}, {20, 21}, {10, 11}, {1, 2}};
    struct vqp_eval eval[128], reference[100];
    plan(published, DIFFUSERS, 100, reference, 100);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        int32_t n = plan(published, SAMPLE_FAST, lengths[i].steps, eval, 128);
        CU_ASSERT_EQUAL(n, lengths[i].evaluations);
        CU_ASSERT_EQUAL(eval[0].t, 99);
        CU_ASSERT_EQUAL(eval[n - 1].t, 0);
        CU_ASSERT_EQUAL(eval[n - 1].par[VQP_PAR_FINAL], 1);
        CU_ASSERT_EQUAL(eval[n - 2].par[VQP_PAR_FINAL], 0);
    }
    /* skip 3: 99 95 .. 7 3 0; the posterior is that of three timesteps below, but for the last two */
    static const int32_t posterior_of[] = {96, 92, 88};
    CU_ASSERT_EQUAL(plan(published, SAMPLE_FAST, 25, eval, 128), 26);
    for (int32_t i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(eval[i].t, 99 - 4 * i);
        CU_ASSERT_EQUAL(memcmp(eval[i].par, reference[99 - posterior_of[i]].par, sizeof eval[i].par), 0);
    }
    CU_ASSERT_EQUAL(eval[24].t, 3);
    CU_ASSERT_EQUAL(memcmp(eval[24].par, reference[99 - 3].par, sizeof eval[24].par), 0);
}

static void writes_no_more_than_it_may(void)
{
    struct vqp_eval eval[4];
    memset(eval, 0x5a, sizeof eval);
    struct vqp_eval untouched = eval[3];
    CU_ASSERT_EQUAL(plan(published, STRIDED, 50, NULL, 0), 50);
    CU_ASSERT_EQUAL(plan(published, STRIDED, 50, eval, 3), 50);
    CU_ASSERT_EQUAL(eval[2].t, 95);
    CU_ASSERT_EQUAL(memcmp(&eval[3], &untouched, sizeof untouched), 0);
}

static void refuses_what_does_not_fit(void)
{
    void *self = NULL;
    struct vqp_error err = {0};
    struct vqp_plan_args args = {.struct_size = sizeof args, .steps = 10, .train_steps = 100, .n_codes = 4096};
    CU_ASSERT_EQUAL_FATAL(create(&published, &self, &err), VQP_OK);
    const struct vqp_scheduler_vtbl *v = component->v.scheduler;

    const uint32_t steps[] = {0, 101, UINT32_MAX};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        args.steps = steps[i];
        CU_ASSERT_EQUAL(v->plan(self, &args, NULL, 0, &err), VQP_E_ARG);
        CHECK_STR_HAS(err.msg, "choose 1 to 100");
    }
    args.steps = 10;
    args.n_codes = 512;
    CU_ASSERT_EQUAL(v->plan(self, &args, NULL, 0, &err), VQP_E_ARG);
    CHECK_STR_HAS(err.msg, "num_vec_classes is 4097");
    CHECK_STR_HAS(err.msg, "512 codes");
    args.n_codes = 4096;
    args.train_steps = 50;
    CU_ASSERT_EQUAL(v->plan(self, &args, NULL, 0, &err), VQP_E_ARG);
    CHECK_STR_HAS(err.msg, "trained with 50");
    args.train_steps = 0;
    CU_ASSERT_EQUAL(v->plan(self, &args, NULL, 0, &err), 10);
    component->destroy(self);
}

static void refuses_impossible_probabilities(void)
{
    const struct setting bad[] = {
        {5, 10, STRIDED, 0.9, 0.1, 0.2, 0.5},    /* more than 1 at the start */
        {5, 10, STRIDED, 0.5, 0.4, 0.1, 0.8},    /* more than 1 at the end */
        {5, 10, STRIDED, 0.5, 0.1, 0.4, 0.2},    /* masked tokens come back */
        {5, 10, STRIDED, 0.1, 0.09, 0.01, 0.91}, /* replaced tokens come back */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        void *self = &self, *before = self;
        struct vqp_error err = {0};
        CU_ASSERT_EQUAL(create(&bad[i], &self, &err), VQP_E_FORMAT);
        CHECK_STR_HAS(err.msg, "/models/m/scheduler");
        CU_ASSERT_PTR_EQUAL(self, before);
    }
    component->destroy(NULL);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"the published schedule's logs match known values", matches_golden_logs},
        {"strided with all steps is the diffusers schedule, one timestep included",
         all_steps_strided_are_the_reference},
        {"strided visits evenly spaced timesteps", strides_evenly},
        {"a strided jump has the exact Bayes posterior", jumps_by_the_exact_posterior},
        {"sample-fast visits the timesteps of the original", sample_fast_visits_the_timesteps_of_the_original},
        {"plan counts all and writes at most cap", writes_no_more_than_it_may},
        {"steps, codes and timesteps that do not fit are refused", refuses_what_does_not_fit},
        {"schedules with negative probabilities are refused", refuses_impossible_probabilities},
    };
    const struct vqp_plugin *plugin = NULL;
    void *so = dlopen(VQP_BUILD_DIR "/lib/vqpipe/vq-diffusion.so", RTLD_NOW | RTLD_LOCAL);
    if (so)
        plugin = dlsym(so, VQP_PLUGIN_SYMBOL);
    if (!plugin) {
        fprintf(stderr, "%s\n", dlerror());
        return 2;
    }
    component = plugin->components[0];
    return RUN_CASES("vq-diffusion scheduler", cases);
}
