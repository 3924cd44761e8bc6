/* Each sampler's step on the small model: the distribution of the recorded program against the paper's. */
#include "samplers.h"
#include <math.h>

struct recorded {
    vqp_program *program;
    vqp_val next;
    struct interpret_input in[5]; /* tokens, par, logp, seed, eval */
};

static struct recorded record(const struct sampler *s)
{
    static const struct vqp_builder_env env = {.ctx = NULL};
    const struct vqp_program_api *api = &vqp_program_api_table;
    struct recorded r = {.program = vqp_program_create("step", &env)};
    struct vqp_shape grid = vqp_shape2(1, TOKENS), codes = vqp_shape3(1, TOKENS, CODES), par = vqp_shape1(12),
                     seed = vqp_shape2(1, 2), one = vqp_shape1(1);
    vqp_program *p = r.program;
    r.in[0].val = api->input(p, "tokens", VQP_I32, &grid);
    r.in[1].val = api->input(p, "par", VQP_F32, &par);
    r.in[2].val = api->input(p, "logp", VQP_F32, &codes);
    r.in[3].val = api->input(p, "seed", VQP_I32, &seed);
    r.in[4].val = api->input(p, "eval", VQP_I32, &one);
    struct vqp_step step = sampler_step(1, r.in[0].val, r.in[1].val, r.in[4].val, r.in[2].val, r.in[3].val);
    vqp_val next = s->v->record_step(s->self, p, &step);
    api->output(p, "next", next);
    struct vqp_error err = {0};
    if (vqp_program_error(p, &err) || vqp_program_seal(p, &err)) {
        printf("\n    %s", err.msg);
        CU_FAIL_FATAL("the program");
    }
    const struct vqp_program_view *view = vqp_program_view(p);
    for (vqp_val v = 1; v < view->n_vals; v++)
        if (view->vals[v].role == VQP_VAL_OUTPUT && view->vals[v].root == v)
            r.next = v;
    CU_ASSERT_FATAL(r.next != 0);
    return r;
}

static double largest_difference(const struct setting *s, const struct recorded *r, const struct vqp_eval *evals,
                                 int32_t n)
{
    float logp[TOKENS * CODES];
    double p[TOKENS][CODES], logs[TOKENS * CODES], zeros[2] = {0, 0}, most = 0;
    struct recorded now = *r;
    model_logp(logp);
    for (int k = 0; k < TOKENS * CODES; k++) {
        logs[k] = (double)logp[k];
        p[k / CODES][k % CODES] = exp(logs[k]);
    }
    for (int32_t i = 0; i < n; i++)
        for (int state = 0; state < STATES; state++) {
            int32_t x[TOKENS];
            double want[STATES] = {0}, got[STATES], par[12], ids[TOKENS], sum = 0;
            state_ids(state, x);
            for (int k = 0; k < 12; k++)
                par[k] = (double)evals[i].par[k];
            for (int k = 0; k < TOKENS; k++)
                ids[k] = x[k];
            now.in[0].data = ids;
            now.in[1].data = par;
            now.in[2].data = logs;
            now.in[3].data = now.in[4].data = zeros;
            s->formula(s, p, x, evals, n, i, want);
            interpret(vqp_program_view(now.program), now.next, now.in, 5, got);
            for (int k = 0; k < STATES; k++) {
                most = fmax(most, fabs(got[k] - want[k]));
                sum += got[k];
            }
            CU_ASSERT_TRUE(fabs(sum - 1) < 1e-6);
        }
    return most;
}

static void steps_as_the_papers_say(void)
{
    for (size_t i = 0; i < n_settings; i++) {
        const struct setting *s = &settings[i];
        struct sampler sampler = sampler_create(s->name, s->options);
        struct vqp_eval evals[EVALS];
        int32_t n = sampler_plan(&sampler, s->steps, TIMESTEPS, TOKENS, CODES, evals, EVALS);
        CU_ASSERT_FATAL(n > 0 && n <= EVALS);
        struct recorded r = record(&sampler);
        double most = largest_difference(s, &r, evals, n);
        printf("\n    %s, %u steps, %d evaluations: largest difference %.1e", s->name, s->steps, n, most);
        CU_ASSERT_TRUE(most < 1e-6);
        vqp_program_destroy(r.program);
        sampler_destroy(&sampler);
    }
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"every step has the paper's distribution, from every state", steps_as_the_papers_say},
    };
    return RUN_CASES("samplers, exactly", cases);
}
