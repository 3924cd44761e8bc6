/* The forward process of VQ-Diffusion (Gu et al. 2022, section 4.1) and the timesteps that a run visits. */
#ifndef VQP_VQ_DIFFUSION_SCHEDULE_H
#define VQP_VQ_DIFFUSION_SCHEDULE_H
#include <stdint.h>

/* After timestep t a token is kept with probability alpha_cum, masked with gamma_cum, and else any code alike; both run
 * linearly from t = 0 to t = train_steps - 1. t = -1 is the clean picture. */
struct vqp_vqd_process {
    uint32_t n_codes, train_steps;
    double alpha_start, alpha_end, gamma_start, gamma_end;
};

/* How `steps` evaluations are spread over the timesteps; values are the indices of the option's choices. */
enum {
    VQP_VQD_STRIDED = 0, /* evenly, each jump sampled from its exact posterior */
    VQP_VQD_DIFFUSERS,   /* steps-1 .. 0, as diffusers' VQDiffusionScheduler */
    VQP_VQD_SAMPLE_FAST, /* evenly, each jump by a one-step posterior, as microsoft/VQ-Diffusion's sample_fast */
};
/* One evaluation: tokens are at timestep t, the posterior is that of the jump from `from` down to `to` (-1: clean). */
struct vqp_vqd_jump {
    int32_t t, from, to;
};

/* Evaluations of a run; 1 <= steps <= train_steps. */
uint32_t vqp_vqd_count(const struct vqp_vqd_process *p, uint32_t spacing, uint32_t steps);
/* Evaluation i < count. */
struct vqp_vqd_jump vqp_vqd_at(const struct vqp_vqd_process *p, uint32_t spacing, uint32_t steps, uint32_t i);
/* The natural logs of VQP_PAR_* (ops.h) for a jump, computed in double; log 0 is written as log 1e-30. The row is FINAL
 * where the jump ends clean; what the op does not read there is filled too. */
void vqp_vqd_par(const struct vqp_vqd_process *p, int32_t from, int32_t to, float par[12]);

#endif
