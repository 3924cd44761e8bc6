/* vq-diffusion-purity: the inference of Improved VQ-Diffusion (Tang, Gu, Bao, Chen, Wen 2022, section 3.2): a fixed number of
 * masked tokens is drawn a step, the surest ones first. */
#include "../unmasking/unmasking.h"
#include "counts.h"

#include <stdlib.h>

enum {
    ANYWHERE = 1, /* values of prior_rule */
    SUREST = 2,
};
struct options {
    int64_t prior_rule, evaluations_per_step;
    double prior_weight;
};
static const struct vqp_option option_table[] = {
    VQP_OPT(
        struct options, prior_rule, .type = VQP_OPT_INT, .min = 1, .max = 2, .def = "2",
        .help =
            "which masked tokens are drawn: 1 any, all alike; 2 by purity, the probability of their likeliest code"),
    VQP_OPT(struct options, prior_weight, .type = VQP_OPT_FLOAT, .min = 0, .max = 100, .def = "0",
            .help = "with prior_rule 2, sharpens p(x0) to the power 1 + weight * purity / highest purity"),
    VQP_OPT(struct options, evaluations_per_step, .type = VQP_OPT_INT, .min = 1, .max = 1024, .def = "1",
            .help = "evaluations that share the tokens of a step; more are slower and closer to one token at a time"),
    {.name = NULL},
};

struct scheduler {
    const struct vqp_program_api *api;
    uint32_t rule, evaluations;
    float weight;
};

static vqp_status create(const struct vqp_create_args *args, void **self, struct vqp_error *err)
{
    const struct options *o = args->opts;
    struct scheduler *m = calloc(1, sizeof *m);
    if (!m)
        return vqp_fail(err, VQP_E_NOMEM, "no memory for the component");
    *m = (struct scheduler){args->host->program, (uint32_t)o->prior_rule, (uint32_t)o->evaluations_per_step,
                            o->prior_rule == SUREST ? (float)o->prior_weight : 0};
    *self = m;
    return VQP_OK;
}

static void destroy(void *self)
{
    free(self);
}

/* Step i's timestep: evenly spread, as `strided` of vq-diffusion. */
static int32_t timestep(const struct vqp_plan_args *a, uint32_t i)
{
    uint64_t all = a->train_steps ? a->train_steps : a->steps;
    return (int32_t)((a->steps - i) * all / a->steps) - 1;
}

static int32_t plan(void *self, const struct vqp_plan_args *a, struct vqp_eval *out, uint32_t cap,
                    struct vqp_error *err)
{
    const struct scheduler *m = self;
    if (a->steps < 1 || (a->train_steps && a->steps > a->train_steps))
        return vqp_fail(err, VQP_E_ARG, "steps is %u, but the model has %u timesteps; choose 1 to %u", a->steps,
                        a->train_steps, a->train_steps);
    uint32_t n = 0, masked = a->n_tokens, most = a->n_tokens;
    if (m->evaluations > 1) {
        most = a->n_tokens / a->steps / m->evaluations;
        most = most ? most : 1;
    }
    for (uint32_t i = 0; i + 1 < a->steps; i++) {
        uint32_t left = a->n_tokens - vqp_purity_drawn(a->n_tokens, a->steps, m->evaluations, i);
        while (masked > left) {
            uint32_t draw = masked - left < most ? masked - left : most;
            if (masked - left - draw == 1)
                draw++; /* one token is not worth an evaluation */
            if (n < cap)
                vqp_unmask_row(&out[n], timestep(a, i), masked, masked - draw, 0, m->weight);
            masked -= draw;
            n++;
        }
    }
    if (n < cap)
        vqp_unmask_row(&out[n], timestep(a, a->steps - 1), masked, 0, 1, 0);
    return (int32_t)(n + 1);
}

/* logp to the power of 1 + weight * purity / the highest purity of the picture, not normalised: a draw does not need it. */
static vqp_val sharpen(const struct vqp_unmask *u, vqp_val logp, vqp_val log_purity)
{
    const struct vqp_program_api *api = u->api;
    struct vqp_shape column = api->describe(u->p, logp)->shape;
    column.dim[2] = 1;
    vqp_val highest = vqp_along(api, u->p, VQP_OP_REDUCE_MAX, log_purity, 1);
    vqp_val share = vqp_unary(api, u->p, VQP_OP_EXP, vqp_binary(api, u->p, VQP_OP_SUB, log_purity, highest));
    vqp_val power = vqp_binary(api, u->p, VQP_OP_MUL, share, vqp_unmask_par(u, VQP_UNMASK_OWN));
    power = vqp_binary(api, u->p, VQP_OP_ADD, power, vqp_unmask_number(u, "one", 1));
    return vqp_binary(api, u->p, VQP_OP_MUL, logp, api->view(u->p, power, &column));
}

static vqp_val record_step(void *self, vqp_program *p, const struct vqp_step *s)
{
    const struct scheduler *m = self;
    const struct vqp_program_api *api = m->api;
    const struct vqp_unmask u = {api, p, s};
    struct vqp_shape grid = api->describe(p, s->tokens)->shape;
    vqp_val masked = vqp_unmask_masked(&u), order = vqp_unmask_gumbel(&u), logp = s->logp;
    if (m->rule == SUREST) {
        vqp_val log_purity = api->view(p, vqp_along(api, p, VQP_OP_REDUCE_MAX, logp, 2), &grid);
        order = vqp_binary(api, p, VQP_OP_ADD, order, log_purity);
        if (m->weight > 0)
            logp = sharpen(&u, logp, log_purity);
    }
    vqp_val drawn = vqp_unmask_draw(&u, logp, NULL);
    order = vqp_where(api, p, masked, order, vqp_unmask_number(&u, "never", -1e30f));
    vqp_val n =
        vqp_binary(api, p, VQP_OP_SUB, vqp_unmask_count(&u, VQP_UNMASK_BEFORE), vqp_unmask_count(&u, VQP_UNMASK_AFTER));
    vqp_val change = vqp_binary(api, p, VQP_OP_MUL, vqp_select_top_k(api, p, order, n), masked);
    change = vqp_binary(api, p, VQP_OP_MAX, change, vqp_unmask_count(&u, VQP_UNMASK_FINAL));
    return vqp_unmask_put(&u, change, drawn);
}

static vqp_val record_start(void *self, vqp_program *p, const struct vqp_step *s)
{
    const struct scheduler *m = self;
    return vqp_unmask_start(&(struct vqp_unmask){m->api, p, s});
}

static const struct vqp_scheduler_vtbl vtbl = {.struct_size = sizeof vtbl,
                                               .plan = plan,
                                               .record_step = record_step,
                                               .record_start = record_start,
                                               .fill_noise = vqp_unmask_fill_noise};
static const struct vqp_component component = {.struct_size = sizeof component,
                                               .iface = VQP_IFACE_SCHEDULER,
                                               .name = "vq-diffusion-purity",
                                               .summary =
                                                   "purity prior and high-quality inference of Improved VQ-Diffusion",
                                               .opts_size = sizeof(struct options),
                                               .opts = option_table,
                                               .create = create,
                                               .destroy = destroy,
                                               .v.scheduler = &vtbl};
static const struct vqp_component *const components[] = {&component, NULL};
VQP_PLUGIN(.id = "org.vqpipe.vq-diffusion-purity", .version = "0.1.0", .license = "MIT", .components = components);
