/* What the folder's two files share: the settings of one VQGAN. */
#ifndef VQP_VQGAN_H
#define VQP_VQGAN_H
#include <vqpipe/components.h>
#include <vqpipe/host.h>
#include <vqpipe/ops.h>

#define VQP_VQGAN_MAX_LEVELS 8 /* resolutions, each half the one before */

struct vqp_vqgan {
    const struct vqp_program_api *api;
    uint32_t n_levels, layers, groups, n_codes, mid_attention, symmetric;
    int64_t code_width, latent_width, channels[VQP_VQGAN_MAX_LEVELS]; /* finest first */
    uint8_t up_attention[VQP_VQGAN_MAX_LEVELS];                       /* coarsest first, as the decoder goes */
    uint8_t down_attention[VQP_VQGAN_MAX_LEVELS];                     /* finest first */
    uint32_t n_down;                                                  /* 0: the config describes no encoder */
};

vqp_val vqp_vqgan_decode(const struct vqp_vqgan *m, vqp_program *p, vqp_val tokens);
vqp_val vqp_vqgan_encode(const struct vqp_vqgan *m, vqp_program *p, vqp_val rgb);

#endif
