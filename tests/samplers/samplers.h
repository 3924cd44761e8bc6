/* The schedulers on a model small enough to count every outcome: 3 tokens of 4 codes and a mask.
 *
 *   samplers.c   creates them, plans, records      formula.c   a step's distribution, from the papers
 *   interpret.c  a step's distribution, from the recorded program      test_exact.c, test_draws.c, test_plans.c */
#ifndef VQP_TESTS_SAMPLERS_H
#define VQP_TESTS_SAMPLERS_H
#include "builder.h"
#include "check.h"
#include <vqpipe/components.h>
#include <vqpipe/ops.h>
#include <vqpipe/plugin.h>

enum {
    TOKENS = 3,
    CODES = 4,
    MASK = CODES,
    STATES = 125, /* 5^3 */
    TIMESTEPS = 6,
    EVALS = 16,
};

/* ---- samplers.c ---- */

struct sampler {
    const struct vqp_scheduler_vtbl *v;
    const struct vqp_component *component;
    void *self;
};
/* `options`: YAML of one line, "prior_rule: 1". Ends the program where there is no such plugin. */
struct sampler sampler_create(const char *name, const char *options);
vqp_status sampler_try(const char *name, const char *options, struct sampler *out, struct vqp_error *err);
void sampler_destroy(struct sampler *s);
/* Plans for a model of `timesteps`; returns how many evaluations. */
int32_t sampler_plan(const struct sampler *s, uint32_t steps, uint32_t timesteps, uint32_t tokens, uint32_t codes,
                     struct vqp_eval *out, uint32_t cap);
/* What a step's recording gets, for B images of a grid of grid_h x grid_w. */
struct vqp_step sampler_step(uint32_t batch, vqp_val tokens, vqp_val par, vqp_val eval, vqp_val logp, vqp_val seed);
void state_ids(int state, int32_t x[TOKENS]); /* the first token is the most significant digit */
int state_of(const int32_t x[TOKENS]);
/* Three different distributions, no two codes alike. */
void model_logp(float logp[TOKENS * CODES]);

/* ---- what is tested ---- */

struct setting {
    const char *name, *options;
    uint32_t steps;
    /* The paper's distribution over next states, given p(x0), the state and which of the planned evaluations it is. */
    void (*formula)(const struct setting *s, const double p[TOKENS][CODES], const int32_t x[TOKENS],
                    const struct vqp_eval *evals, int32_t n, int32_t i, double out[STATES]);
    double number; /* the formula's own: prior_weight, temperature_start */
    int rule;
};
extern const struct setting settings[];
extern const size_t n_settings;

/* ---- interpret.c ---- */

struct interpret_input {
    vqp_val val;
    const double *data;
};
/* The exact distribution of `next` (i32 [1,TOKENS]) over all draws of a sealed program, in double: every outcome of every random op is
 * followed, with its probability. */
void interpret(const struct vqp_program_view *p, vqp_val next, const struct interpret_input *in, size_t n_in,
               double out[STATES]);

#endif
