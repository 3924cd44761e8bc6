/* maskgit: confidence-based unmasking (Chang, Zhang, Jiang, Liu, Freeman: "MaskGIT", CVPR 2022, section 3.2) as the sampler of aMUSEd
 * (Patil, Berman, Rombach, von Platen 2024) does it. */
#include "../unmasking/unmasking.h"

#include <math.h>
#include <stdlib.h>

enum {
    COSINE,
    LINEAR
};
struct options {
    int32_t masking_schedule;
    double temperature_start, temperature_end;
    struct vqp_unmask_gamma gamma;
};
static const struct vqp_option option_table[] = {
    VQP_OPT(struct options, masking_schedule, .type = VQP_OPT_CHOICE, .flags = VQP_OPT_CONFIG, .def = "cosine",
            .choices = "cosine|linear",
            .help = "share of tokens still masked after the part r of the steps: cos(r pi/2), or 1 - r"),
    VQP_OPT(struct options, temperature_start, .type = VQP_OPT_FLOAT, .min = 0, .max = 1000, .def = "2",
            .help = "noise on the confidence at the first step; 0: always the surest tokens"),
    VQP_OPT(struct options, temperature_end, .type = VQP_OPT_FLOAT, .min = 0, .max = 1000, .def = "0",
            .help = "noise on the confidence at the last step; linear in between"),
    VQP_UNMASK_GAMMA_OPTIONS(struct options),
    {.name = NULL},
};

struct scheduler {
    const struct vqp_program_api *api;
    int linear;
    float temperature_start, temperature_end;
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
    *m = (struct scheduler){args->host->program, o->masking_schedule == LINEAR, (float)o->temperature_start,
                            (float)o->temperature_end, o->gamma};
    *self = m;
    return VQP_OK;
}

static void destroy(void *self)
{
    free(self);
}

/* In float32 as the reference: with 256 tokens, 127 and not 128 are left at two thirds. */
static uint32_t masked_after(const struct scheduler *m, const struct vqp_plan_args *a, uint32_t i)
{
    float ratio = (float)(i + 1) / (float)a->steps, angle = ratio * (float)M_PI / 2.0f;
    float share = m->linear ? 1.0f - ratio : (float)cos((double)angle);
    float left = floorf((float)a->n_tokens * share);
    return i + 1 == a->steps ? 0 : left > 1 ? (uint32_t)left : 1;
}

/* Evenly from start to end; in float32, each half from its own end, as torch.linspace. */
static float temperature(const struct scheduler *m, uint32_t steps, uint32_t i)
{
    if (steps == 1)
        return m->temperature_start;
    float each = (m->temperature_end - m->temperature_start) / (float)(steps - 1);
    return i < steps / 2 ? m->temperature_start + each * (float)i : m->temperature_end - each * (float)(steps - 1 - i);
}

static int32_t plan(void *self, const struct vqp_plan_args *a, struct vqp_eval *out, uint32_t cap,
                    struct vqp_error *err)
{
    const struct scheduler *m = self;
    if (a->steps < 1 || a->steps > INT32_MAX)
        return vqp_fail(err, VQP_E_ARG, "steps is %u; choose 1 or more", a->steps);
    uint32_t masked = a->n_tokens;
    for (uint32_t i = 0; i < a->steps && i < cap; i++) {
        uint32_t after = masked_after(m, a, i), most = masked > 1 ? masked - 1 : 1;
        after = after < most ? after : most;
        vqp_unmask_row(&out[i], vqp_unmask_t(&m->gamma, a, i, masked), masked, after, i + 1 == a->steps,
                       temperature(m, a->steps, i));
        masked = after;
    }
    return (int32_t)a->steps;
}

/* Every masked position gets a code; those of the lowest confidence are masked again. How many depends on the row, as ids may have been
 * given: the planned count, but at least one less than before, and at least one. */
static vqp_val record_step(void *self, vqp_program *p, const struct vqp_step *s)
{
    const struct scheduler *m = self;
    const struct vqp_program_api *api = m->api;
    const struct vqp_unmask u = {api, p, s};
    uint32_t n = (uint32_t)api->describe(p, s->tokens)->shape.dim[1];
    vqp_val one = vqp_unmask_number(&u, "one", 1), masked = vqp_unmask_masked(&u), logp_of_sample;
    vqp_val drawn = vqp_unmask_draw(&u, s->logp, &logp_of_sample);

    const float floor = -46.051702f, sure = 1e30f; /* log 1e-20 */
    vqp_val noise = vqp_binary(api, p, VQP_OP_MUL, vqp_unmask_gumbel(&u), vqp_unmask_par(&u, VQP_UNMASK_OWN));
    vqp_val confidence = vqp_binary(api, p, VQP_OP_MAX, logp_of_sample, vqp_unmask_number(&u, "floor", floor));
    confidence = vqp_binary(api, p, VQP_OP_ADD, confidence, noise);
    confidence = vqp_where(api, p, masked, confidence, vqp_unmask_number(&u, "sure", sure));

    vqp_val before = vqp_along(api, p, VQP_OP_REDUCE_SUM, vqp_cast(api, p, masked, VQP_F32), 1);
    vqp_val after = vqp_binary(api, p, VQP_OP_MIN, vqp_binary(api, p, VQP_OP_SUB, before, one),
                               vqp_unmask_par(&u, VQP_UNMASK_AFTER));
    after = vqp_binary(api, p, VQP_OP_MAX, after, one);
    vqp_val from_top = vqp_binary(api, p, VQP_OP_SUB, vqp_unmask_number(&u, "last", (float)n - 1), after);
    vqp_val cut = vqp_gather(api, p, vqp_sort_k(api, p, confidence, n, NULL), vqp_cast(api, p, from_top, VQP_I32), 1);

    vqp_val keep = vqp_compare(api, p, VQP_CMP_GE, confidence, cut);
    keep = vqp_binary(api, p, VQP_OP_MAX, keep, vqp_unmask_count(&u, VQP_UNMASK_FINAL));
    return vqp_unmask_put(&u, vqp_binary(api, p, VQP_OP_MUL, keep, masked), drawn);
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
                                               .name = "maskgit",
                                               .summary = "confidence-based unmasking of MaskGIT, as aMUSEd's sampler",
                                               .opts_size = sizeof(struct options),
                                               .opts = option_table,
                                               .create = create,
                                               .destroy = destroy,
                                               .v.scheduler = &vtbl};
static const struct vqp_component *const components[] = {&component, NULL};
VQP_PLUGIN(.id = "org.vqpipe.maskgit", .version = "0.1.0", .license = "MIT", .components = components);
