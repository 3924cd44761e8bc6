#include "unmasking.h"

enum {
    CODES = 0, /* streams */
    POSITIONS,
    START,
};

vqp_val vqp_unmask_par(const struct vqp_unmask *u, uint32_t index)
{
    return vqp_slice(u->api, u->p, u->s->par, 0, index, 1);
}

vqp_val vqp_unmask_count(const struct vqp_unmask *u, uint32_t index)
{
    return vqp_cast(u->api, u->p, vqp_unmask_par(u, index), VQP_I32);
}

vqp_val vqp_unmask_number(const struct vqp_unmask *u, const char *name, float value)
{
    struct vqp_shape one = vqp_shape1(1);
    return u->api->constant(u->p, name, VQP_F32, &one, &value);
}

vqp_val vqp_unmask_id(const struct vqp_unmask *u, const char *name, int32_t value)
{
    struct vqp_shape one = vqp_shape1(1);
    return u->api->constant(u->p, name, VQP_I32, &one, &value);
}

static vqp_val mask(const struct vqp_unmask *u)
{
    return vqp_unmask_id(u, "mask", (int32_t)u->s->mask_id);
}

vqp_val vqp_unmask_masked(const struct vqp_unmask *u)
{
    return vqp_compare(u->api, u->p, VQP_CMP_EQ, u->s->tokens, mask(u));
}

/* Elements of logp, B*N*C. */
static uint32_t code_draws(const struct vqp_unmask *u)
{
    const struct vqp_shape *s = &u->api->describe(u->p, u->s->logp)->shape;
    return (uint32_t)(s->dim[0] * s->dim[1] * s->dim[2]);
}

vqp_val vqp_unmask_draw(const struct vqp_unmask *u, vqp_val logp, vqp_val *logp_of_sample)
{
    vqp_val noise = u->s->noise ? vqp_slice(u->api, u->p, u->s->noise, 0, 0, code_draws(u)) : 0;
    return vqp_categorical_sample(u->api, u->p, logp, u->s->seed, u->s->eval, noise, CODES, logp_of_sample);
}

vqp_val vqp_unmask_gumbel(const struct vqp_unmask *u)
{
    const struct vqp_shape *s = &u->api->describe(u->p, u->s->tokens)->shape;
    uint32_t positions = (uint32_t)(s->dim[0] * s->dim[1]);
    vqp_val noise = u->s->noise ? vqp_slice(u->api, u->p, u->s->noise, 0, code_draws(u), positions) : 0;
    return vqp_gumbel(u->api, u->p, u->s->seed, u->s->eval, u->s->tokens, noise, POSITIONS);
}

vqp_val vqp_unmask_put(const struct vqp_unmask *u, vqp_val change, vqp_val drawn)
{
    vqp_val failed = vqp_compare(u->api, u->p, VQP_CMP_LT, drawn, vqp_unmask_id(u, "first code", 0));
    change = vqp_binary(u->api, u->p, VQP_OP_MAX, change, failed);
    return vqp_where(u->api, u->p, change, drawn, u->s->tokens);
}

vqp_val vqp_unmask_start(const struct vqp_unmask *u)
{
    vqp_val order = vqp_gumbel(u->api, u->p, u->s->seed, u->s->eval, u->s->tokens, 0, START);
    vqp_val covered = vqp_select_top_k(u->api, u->p, order, vqp_unmask_count(u, VQP_UNMASK_BEFORE));
    return vqp_where(u->api, u->p, covered, mask(u), u->s->tokens);
}
