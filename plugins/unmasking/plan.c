#include "unmasking.h"
#include <math.h>

void vqp_unmask_row(struct vqp_eval *e, int32_t t, uint32_t before, uint32_t after, int final, float own)
{
    e->t = t;
    e->tf = (float)t;
    for (int i = 0; i < 12; i++)
        e->par[i] = 0;
    e->par[VQP_UNMASK_BEFORE] = (float)before;
    e->par[VQP_UNMASK_AFTER] = (float)after;
    e->par[VQP_UNMASK_FINAL] = final ? 1 : 0;
    e->par[VQP_UNMASK_OWN] = own;
}

vqp_status vqp_unmask_check_gamma(const struct vqp_unmask_gamma *g, const char *path, struct vqp_error *err)
{
    if (g->end > g->start)
        return VQP_OK;
    return vqp_fail(err, VQP_E_FORMAT,
                    "gamma_cum goes from %g to %g, but the share of masked tokens must rise with the timestep; correct "
                    "scheduler_config.json in %s",
                    g->start, g->end, path ? path : "the model folder");
}

int32_t vqp_unmask_t(const struct vqp_unmask_gamma *g, const struct vqp_plan_args *a, uint32_t i, uint32_t masked)
{
    if (!a->train_steps)
        return (int32_t)(a->steps - 1 - i);
    double share = (double)masked / a->n_tokens, last = (double)a->train_steps - 1;
    double t = (share - g->start) / (g->end - g->start) * last;
    return (int32_t)lround(t < 0 ? 0 : t > last ? last : t);
}

vqp_status vqp_unmask_fill_noise(void *self, const struct vqp_eval *e, uint32_t batch, uint32_t n_tokens,
                                 uint32_t n_codes, vqp_u32_source u32, void *rng, float *out, uint64_t n_out,
                                 struct vqp_error *err)
{
    (void)self, (void)e, (void)batch, (void)n_tokens, (void)n_codes, (void)err;
    uint32_t bits[1024];
    for (uint64_t done = 0; done < n_out;) {
        uint64_t n = n_out - done < 1024 ? n_out - done : 1024;
        u32(rng, bits, n);
        for (uint64_t k = 0; k < n; k++)
            out[done + k] = (float)(bits[k] & 0xFFFFFF) * 0x1p-24f;
        done += n;
    }
    return VQP_OK;
}
