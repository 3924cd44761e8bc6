/* How many tokens each step of vq-diffusion-purity draws. */
#ifndef VQP_PURITY_COUNTS_H
#define VQP_PURITY_COUNTS_H
#include <stdint.h>

/* Of `tokens` masked ones, how many are drawn once step i of `steps` is done, i < steps - 1; the last step is for what is left. The
 * tables of microsoft/VQ-Diffusion for 100, 50, 25 and 10 steps, which are of 1024 tokens, are scaled; for any other number of steps each
 * draws tokens/steps, the first half as many again, which the last is spared. `evaluations` of a step: with more than one, that
 * repository spreads 100 steps otherwise. */
uint32_t vqp_purity_drawn(uint32_t tokens, uint32_t steps, uint32_t evaluations, uint32_t i);

#endif
