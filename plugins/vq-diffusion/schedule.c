#include "schedule.h"
#include <math.h>
#include <vqpipe/ops.h>

uint32_t vqp_vqd_count(const struct vqp_vqd_process *p, uint32_t spacing, uint32_t steps)
{
    if (spacing != VQP_VQD_SAMPLE_FAST)
        return steps;
    uint32_t stride = p->train_steps / steps, n = (p->train_steps - 1) / stride;
    return n * stride == p->train_steps - 1 ? n + 1
                                            : n + 2; /* timestep 0 is visited whether the stride meets it or not */
}

struct vqp_vqd_jump vqp_vqd_at(const struct vqp_vqd_process *p, uint32_t spacing, uint32_t steps, uint32_t i)
{
    uint64_t all = p->train_steps;
    int32_t t = (int32_t)(steps - 1 - i);
    if (spacing == VQP_VQD_STRIDED) {
        t = (int32_t)((steps - i) * all / steps) - 1;
        int32_t next = (int32_t)((steps - i - 1) * all / steps) - 1;
        return (struct vqp_vqd_jump){t, t, next};
    }
    if (spacing == VQP_VQD_SAMPLE_FAST) {
        int32_t stride = (int32_t)(p->train_steps / steps), skip = stride - 1;
        t = (int32_t)p->train_steps - 1 - (int32_t)i * stride;
        if (t < 0)
            t = 0;
        int32_t from = t > skip ? t - skip : t;
        return (struct vqp_vqd_jump){t, from, from - 1};
    }
    return (struct vqp_vqd_jump){t, t, t - 1};
}

/* The order of the operations is that of the reference: beta is a difference of nearly equal numbers, and its last digits
 * depend on it. */
static double along(const struct vqp_vqd_process *p, double start, double end, int32_t t)
{
    return p->train_steps > 1 ? (double)t / (double)(p->train_steps - 1) * (end - start) + start : start;
}

static double alpha_cum(const struct vqp_vqd_process *p, int32_t t)
{
    return t < 0 ? 1 : along(p, p->alpha_start, p->alpha_end, t);
}

static double gamma_cum(const struct vqp_vqd_process *p, int32_t t)
{
    return t < 0 ? 0 : along(p, p->gamma_start, p->gamma_end, t);
}

static float floored_log(double x)
{
    return (float)log(x > 1e-30 ? x : 1e-30);
}

/* Keep a, be masked c; what is left is shared by the codes. */
static void put(const struct vqp_vqd_process *p, float out[3], double a, double c)
{
    out[0] = floored_log(a);
    out[1] = floored_log((1 - a - c) / p->n_codes);
    out[2] = floored_log(c);
}

void vqp_vqd_par(const struct vqp_vqd_process *p, int32_t from, int32_t to, float par[12])
{
    double a_from = alpha_cum(p, from), c_from = gamma_cum(p, from), a_to = alpha_cum(p, to), c_to = gamma_cum(p, to);
    put(p, par + VQP_PAR_LOG_A, a_from / a_to, 1 - (1 - c_from) / (1 - c_to));
    put(p, par + VQP_PAR_CUM_T_A, a_from, c_from);
    put(p, par + VQP_PAR_CUM_S_A, a_to, c_to);
    par[VQP_PAR_FINAL] = to < 0 ? 1.0F : 0.0F;
    par[10] = par[11] = 0;
}
