/* halton: the positions are filled in a fixed, evenly spread order (Besnier, Chen, Hurych, Valle, Cord: "Halton Scheduler for Masked
 * Generative Image Transformer", ICLR 2025). */
#include "../unmasking/unmasking.h"
#include "order.h"

#include <math.h>
#include <stdlib.h>

struct options {
    struct vqp_unmask_gamma gamma;
};
static const struct vqp_option option_table[] = {
    VQP_UNMASK_GAMMA_OPTIONS(struct options),
    {.name = NULL},
};

struct scheduler {
    const struct vqp_program_api *api;
    struct vqp_unmask_gamma gamma;
};

static vqp_status create(const struct vqp_create_args *args, void **self, struct vqp_error *err)
{
    const struct options *o = args->opts;
    if (vqp_unmask_check_gamma(&o->gamma, args->path, err))
        return VQP_E_FORMAT;
    struct scheduler *m = calloc(1, sizeof *m);
    if (!m)
        return vqp_fail(err, VQP_E_NOMEM, "no memory for the component");
    *m = (struct scheduler){args->host->program, o->gamma};
    *self = m;
    return VQP_OK;
}

static void destroy(void *self)
{
    free(self);
}

/* After step i: the share 1 - arccos((i+1)/steps) / (pi/2) of the tokens, and one a step at least. */
static uint32_t visited_after(const struct vqp_plan_args *a, uint32_t i)
{
    double share = 1 - acos((double)(i + 1) / a->steps) / M_PI_2;
    uint32_t n = (uint32_t)floor(a->n_tokens * share + 1e-9); /* a whole number stays one */
    return n > i + 1 ? n : i + 1;
}

static int32_t plan(void *self, const struct vqp_plan_args *a, struct vqp_eval *out, uint32_t cap,
                    struct vqp_error *err)
{
    const struct scheduler *m = self;
    if (a->steps < 1 || a->steps > INT32_MAX)
        return vqp_fail(err, VQP_E_ARG, "steps is %u; choose 1 or more", a->steps);
    uint32_t n = a->steps < a->n_tokens ? a->steps : a->n_tokens, masked = a->n_tokens;
    for (uint32_t i = 0; i < n && i < cap; i++) {
        uint32_t after = i + 1 == n ? 0 : a->n_tokens - visited_after(a, i);
        vqp_unmask_row(&out[i], vqp_unmask_t(&m->gamma, a, i, masked), masked, after, i + 1 == n, 0);
        masked = after;
    }
    return (int32_t)n;
}

/* i32 [1,N]: 1 where a token is still masked when par[which] tokens are. */
static vqp_val covered(const struct vqp_unmask *u, uint32_t which)
{
    uint64_t n = (uint64_t)u->s->grid_h * u->s->grid_w;
    struct vqp_shape row = vqp_shape2(1, (int64_t)n);
    int32_t *place = malloc(n * sizeof *place);
    if (!place) {
        u->api->fail(u->p, VQP_E_NOMEM, "no memory for the order of the grid");
        return 0;
    }
    vqp_halton_order(u->s->grid_h, u->s->grid_w, place);
    for (uint64_t k = 0; k < n; k++)
        place[k] = (int32_t)n - 1 - place[k];
    vqp_val to_come = u->api->constant(u->p, "visits to come", VQP_I32, &row, place);
    free(place);
    return vqp_compare(u->api, u->p, VQP_CMP_LT, to_come, vqp_unmask_count(u, which));
}

static vqp_val record_step(void *self, vqp_program *p, const struct vqp_step *s)
{
    const struct scheduler *m = self;
    const struct vqp_unmask u = {m->api, p, s};
    vqp_val drawn = vqp_unmask_draw(&u, s->logp, NULL);
    vqp_val change =
        vqp_where(m->api, p, covered(&u, VQP_UNMASK_AFTER), vqp_unmask_id(&u, "no", 0), vqp_unmask_masked(&u));
    return vqp_unmask_put(&u, change, drawn);
}

/* As a run from nothing would be at that evaluation: the positions that it visits last are masked. */
static vqp_val record_start(void *self, vqp_program *p, const struct vqp_step *s)
{
    const struct scheduler *m = self;
    const struct vqp_unmask u = {m->api, p, s};
    return vqp_where(m->api, p, covered(&u, VQP_UNMASK_BEFORE), vqp_unmask_id(&u, "mask", (int32_t)s->mask_id),
                     s->tokens);
}

static const struct vqp_scheduler_vtbl vtbl = {.struct_size = sizeof vtbl,
                                               .plan = plan,
                                               .record_step = record_step,
                                               .record_start = record_start,
                                               .fill_noise = vqp_unmask_fill_noise};
static const struct vqp_component component = {.struct_size = sizeof component,
                                               .iface = VQP_IFACE_SCHEDULER,
                                               .name = "halton",
                                               .summary = "fills the grid in the spread order of Halton points",
                                               .opts_size = sizeof(struct options),
                                               .opts = option_table,
                                               .create = create,
                                               .destroy = destroy,
                                               .v.scheduler = &vtbl};
static const struct vqp_component *const components[] = {&component, NULL};
VQP_PLUGIN(.id = "org.vqpipe.halton", .version = "0.1.0", .license = "MIT", .components = components);
