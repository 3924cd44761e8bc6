/* vq-diffusion: the sampler of VQ-Diffusion (Gu et al. 2022): p(x0) is pushed through the posterior of a forward process
 * that keeps, replaces or masks every token by itself. */
#include "schedule.h"
#include <vqpipe/components.h>
#include <vqpipe/host.h>
#include <vqpipe/ops.h>
#include <vqpipe/plugin.h>

#include <stdlib.h>

struct options {
    int64_t num_vec_classes, num_train_timesteps;
    double alpha_cum_start, alpha_cum_end, gamma_cum_start, gamma_cum_end;
    int32_t spacing;
};
static const struct vqp_option option_table[] = {
    VQP_OPT(struct options, num_vec_classes, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG | VQP_OPT_REQUIRED, .min = 2,
            .max = 1 << 24, .help = "codes and the mask, which is the last"),
    VQP_OPT(struct options, num_train_timesteps, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG, .min = 1, .max = 100000,
            .def = "100", .help = "timesteps of the forward process"),
    VQP_OPT(struct options, alpha_cum_start, .type = VQP_OPT_FLOAT, .flags = VQP_OPT_CONFIG, .min = 1e-12, .max = 1,
            .def = "0.99999", .help = "probability that a token is kept up to the first timestep"),
    VQP_OPT(struct options, alpha_cum_end, .type = VQP_OPT_FLOAT, .flags = VQP_OPT_CONFIG, .min = 1e-12, .max = 1,
            .def = "0.000009", .help = "probability that a token is kept up to the last timestep"),
    VQP_OPT(struct options, gamma_cum_start, .type = VQP_OPT_FLOAT, .flags = VQP_OPT_CONFIG, .min = 1e-12, .max = 1,
            .def = "0.000009", .help = "probability that a token is masked by the first timestep"),
    VQP_OPT(struct options, gamma_cum_end, .type = VQP_OPT_FLOAT, .flags = VQP_OPT_CONFIG, .min = 1e-12, .max = 1,
            .def = "0.99999", .help = "probability that a token is masked by the last timestep"),
    VQP_OPT(struct options, spacing, .type = VQP_OPT_CHOICE, .def = "strided",
            .choices = "strided|diffusers|sample-fast",
            .help = "which timesteps fewer steps visit: evenly and exactly, or as one of the two references does"),
    {.name = NULL},
};

struct scheduler {
    const struct vqp_program_api *api;
    struct vqp_vqd_process process;
    uint32_t spacing;
};

/* Every jump from one timestep to a later one needs three probabilities that are not negative: alpha / (1 - gamma), the
 * share of the tokens not masked that are as they were, may start at 1 at most and never rise, and gamma must never fall. */
static int is_process(const struct vqp_vqd_process *p)
{
    const double rounding = 1e-12;
    return p->alpha_start + p->gamma_start <= 1 + rounding && p->gamma_end >= p->gamma_start &&
           p->alpha_end * (1 - p->gamma_start) <= p->alpha_start * (1 - p->gamma_end) + rounding;
}

static vqp_status create(const struct vqp_create_args *args, void **self, struct vqp_error *err)
{
    const struct options *o = args->opts;
    struct vqp_vqd_process process = {.n_codes = (uint32_t)(o->num_vec_classes - 1),
                                      .train_steps = (uint32_t)o->num_train_timesteps,
                                      .alpha_start = o->alpha_cum_start,
                                      .alpha_end = o->alpha_cum_end,
                                      .gamma_start = o->gamma_cum_start,
                                      .gamma_end = o->gamma_cum_end};
    if (!is_process(&process))
        return vqp_fail(err, VQP_E_FORMAT,
                        "alpha_cum %g to %g with gamma_cum %g to %g gives negative probabilities: alpha and gamma must "
                        "not sum to more than 1, and must turn kept tokens into masked ones; correct "
                        "scheduler_config.json in %s",
                        process.alpha_start, process.alpha_end, process.gamma_start, process.gamma_end,
                        args->path ? args->path : "the model folder");
    struct scheduler *m = calloc(1, sizeof *m);
    if (!m)
        return vqp_fail(err, VQP_E_NOMEM, "no memory for the component");
    *m = (struct scheduler){args->host->program, process, (uint32_t)o->spacing};
    *self = m;
    return VQP_OK;
}

static void destroy(void *self)
{
    free(self);
}

static int32_t plan(void *self, const struct vqp_plan_args *a, struct vqp_eval *out, uint32_t cap,
                    struct vqp_error *err)
{
    const struct scheduler *m = self;
    const struct vqp_vqd_process *p = &m->process;
    if (a->n_codes != p->n_codes)
        return vqp_fail(
            err, VQP_E_ARG,
            "the scheduler's num_vec_classes is %u (codes and the mask), but the denoiser predicts %u codes; "
            "take both from one model",
            p->n_codes + 1, a->n_codes);
    if (a->train_steps && a->train_steps != p->train_steps)
        return vqp_fail(
            err, VQP_E_ARG,
            "the scheduler's num_train_timesteps is %u, but the denoiser was trained with %u; take both from "
            "one model",
            p->train_steps, a->train_steps);
    if (a->steps < 1 || a->steps > p->train_steps)
        return vqp_fail(err, VQP_E_ARG, "steps is %u, but the model has %u timesteps; choose 1 to %u", a->steps,
                        p->train_steps, p->train_steps);
    uint32_t n = vqp_vqd_count(p, m->spacing, a->steps);
    for (uint32_t i = 0; i < n && i < cap; i++) {
        struct vqp_vqd_jump jump = vqp_vqd_at(p, m->spacing, a->steps, i);
        out[i].t = jump.t;
        out[i].tf = (float)jump.t;
        vqp_vqd_par(p, jump.from, jump.to, out[i].par);
    }
    return (int32_t)n;
}

static vqp_val record_step(void *self, vqp_program *p, const struct vqp_step *s)
{
    const struct scheduler *m = self;
    return vqp_posterior_sample(m->api, p, s->logp, s->tokens, s->par, s->seed, s->eval, s->noise, 0);
}

static vqp_val log_of_sum(const struct scheduler *m, vqp_program *p, vqp_val a, vqp_val b)
{
    vqp_val sum =
        vqp_binary(m->api, p, VQP_OP_ADD, vqp_unary(m->api, p, VQP_OP_EXP, a), vqp_unary(m->api, p, VQP_OP_EXP, b));
    return vqp_unary(m->api, p, VQP_OP_LOG, sum);
}

/* Draws x_t given x0 = tokens from row t of the cumulative matrix: the token itself with a + b, any other code with b, the
 * mask with c; a mask stays one. Stream 1, so that the noise is not that of the evaluation's own draw. */
static vqp_val record_start(void *self, vqp_program *p, const struct vqp_step *s)
{
    const struct scheduler *m = self;
    const struct vqp_program_api *api = m->api;
    struct vqp_shape tokens = api->describe(p, s->tokens)->shape, column = vqp_shape3(tokens.dim[0], tokens.dim[1], 1),
                     row = vqp_shape3(1, 1, (int64_t)m->process.n_codes + 1), one = vqp_shape1(1);
    int32_t *ids = malloc(sizeof *ids * (m->process.n_codes + 1));
    if (!ids) {
        api->fail(p, VQP_E_NOMEM, "no memory for the list of classes");
        return 0;
    }
    for (uint32_t k = 0; k <= m->process.n_codes; k++)
        ids[k] = (int32_t)k;
    const int32_t mask_id = (int32_t)m->process.n_codes;
    const float never = -70;
    vqp_val classes = api->constant(p, "classes", VQP_I32, &row, ids);
    vqp_val mask = api->constant(p, "mask", VQP_I32, &one, &mask_id);
    vqp_val none = api->constant(p, "never", VQP_F32, &one, &never);
    free(ids);

    vqp_val x0 = api->view(p, s->tokens, &column);
    vqp_val a = vqp_slice(api, p, s->par, 0, VQP_PAR_CUM_T_A, 1), b = vqp_slice(api, p, s->par, 0, VQP_PAR_CUM_T_B, 1),
            c = vqp_slice(api, p, s->par, 0, VQP_PAR_CUM_T_C, 1);
    vqp_val was_masked = vqp_compare(api, p, VQP_CMP_EQ, x0, mask);
    vqp_val other = vqp_where(api, p, was_masked, none, b);
    vqp_val logp = vqp_where(api, p, vqp_compare(api, p, VQP_CMP_EQ, classes, mask), c, other);
    logp = vqp_where(api, p, vqp_compare(api, p, VQP_CMP_EQ, classes, x0),
                     vqp_where(api, p, was_masked, c, log_of_sum(m, p, a, b)), logp);
    return vqp_categorical_sample(api, p, logp, s->seed, s->eval, s->noise, 1, NULL);
}

static const struct vqp_scheduler_vtbl vtbl = {.struct_size = sizeof vtbl,
                                               .flags = VQP_SCHED_TRUNCATES,
                                               .plan = plan,
                                               .record_step = record_step,
                                               .record_start = record_start};
static const struct vqp_component component = {.struct_size = sizeof component,
                                               .iface = VQP_IFACE_SCHEDULER,
                                               .name = "vq-diffusion",
                                               .summary = "posterior sampler of VQ-Diffusion",
                                               .opts_size = sizeof(struct options),
                                               .opts = option_table,
                                               .create = create,
                                               .destroy = destroy,
                                               .v.scheduler = &vtbl};
static const struct vqp_component *const components[] = {&component, NULL};
VQP_PLUGIN(.id = "org.vqpipe.vq-diffusion", .version = "0.1.0", .license = "MIT", .components = components);
