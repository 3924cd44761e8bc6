/* What the schedulers that fill a masked grid token by token have in common. A static library, not a plugin.
 *
 * Such a sampler never changes a token once it is drawn: an evaluation is told by how many tokens are masked before it and how many
 * after it. Both counts are planned before the run. */
#ifndef VQP_UNMASKING_H
#define VQP_UNMASKING_H
#include <vqpipe/components.h>
#include <vqpipe/host.h>
#include <vqpipe/ops.h>
#include <vqpipe/plugin.h>

/* ---- planning --------------------------------------------------------------------------------------------------- */

/* vqp_eval.par of these schedulers. */
enum {
    VQP_UNMASK_BEFORE = 0, /* masked tokens before this evaluation */
    VQP_UNMASK_AFTER,      /* and after it */
    VQP_UNMASK_FINAL,      /* 1: the last evaluation */
    VQP_UNMASK_OWN,        /* the sampler's own number */
};
void vqp_unmask_row(struct vqp_eval *e, int32_t t, uint32_t before, uint32_t after, int final, float own);

/* The share of masked tokens that a model with timesteps saw at timestep t, gbar_t: linear from start (t = 0) to end (the last). */
struct vqp_unmask_gamma {
    double start, end;
};
#define VQP_UNMASK_GAMMA_OPTIONS(S)                                                                                    \
    {.name = "gamma_cum_start",                                                                                        \
     .offset = (uint32_t)offsetof(S, gamma.start),                                                                     \
     .type = VQP_OPT_FLOAT,                                                                                            \
     .flags = VQP_OPT_CONFIG,                                                                                          \
     .min = 0,                                                                                                         \
     .max = 1,                                                                                                         \
     .def = "0.000009",                                                                                                \
     .help = "share of masked tokens at the denoiser's first timestep"},                                               \
    {                                                                                                                  \
        .name = "gamma_cum_end", .offset = (uint32_t)offsetof(S, gamma.end), .type = VQP_OPT_FLOAT,                    \
        .flags = VQP_OPT_CONFIG, .min = 0, .max = 1, .def = "0.99999",                                                 \
        .help = "share of masked tokens at the denoiser's last timestep"                                               \
    }
/* Refuses a share that does not rise. */
vqp_status vqp_unmask_check_gamma(const struct vqp_unmask_gamma *g, const char *path, struct vqp_error *err);
/* The timestep whose share is nearest to masked / n_tokens; steps - 1 - i where the denoiser has no timesteps. */
int32_t vqp_unmask_t(const struct vqp_unmask_gamma *g, const struct vqp_plan_args *a, uint32_t i, uint32_t masked);

/* ---- recording -------------------------------------------------------------------------------------------------- */

struct vqp_unmask {
    const struct vqp_program_api *api;
    vqp_program *p;
    const struct vqp_step *s;
};
vqp_val vqp_unmask_par(const struct vqp_unmask *u, uint32_t index);             /* f32 [1], this evaluation's own */
vqp_val vqp_unmask_count(const struct vqp_unmask *u, uint32_t index);           /* the same as i32 */
vqp_val vqp_unmask_number(const struct vqp_unmask *u, const char *name, float); /* f32 [1] */
vqp_val vqp_unmask_id(const struct vqp_unmask *u, const char *name, int32_t);   /* i32 [1] */
/* i32 [B,N]: 1 where the token is masked. */
vqp_val vqp_unmask_masked(const struct vqp_unmask *u);
/* A code for every position, i32 [B,N], from the softmax of logp f32 [B,N,C]; logp_of_sample may be NULL. */
vqp_val vqp_unmask_draw(const struct vqp_unmask *u, vqp_val logp, vqp_val *logp_of_sample);
/* Gumbel noise for picking positions, f32 [B,N]: stream 1. */
vqp_val vqp_unmask_gumbel(const struct vqp_unmask *u);
/* The next tokens: drawn where `change` is not 0, and also where a draw failed (-1), so that no bad number goes unnoticed. */
vqp_val vqp_unmask_put(const struct vqp_unmask *u, vqp_val change, vqp_val drawn);
/* The scheduler's record_start where every position is as likely: masks as many as the evaluation expects. Stream 2. */
vqp_val vqp_unmask_start(const struct vqp_unmask *u);

/* The scheduler's fill_noise: all n_out numbers in order, u = (bits & 0xFFFFFF) * 2^-24. Codes take the first B*N*C of them, positions
 * the B*N after those. */
vqp_status vqp_unmask_fill_noise(void *self, const struct vqp_eval *e, uint32_t batch, uint32_t n_tokens,
                                 uint32_t n_codes, vqp_u32_source u32, void *rng, float *out, uint64_t n_out,
                                 struct vqp_error *err);

#endif
