/* random-unmask: a scheduler in plain C, to copy from.
 *
 * The picture begins as a grid of masks. At every evaluation the denoiser says, for each token, how likely each code is; then every
 * masked token is revealed with some probability, by itself, and a token once revealed stays. This is the reverse of the absorbing
 * process of Austin et al. 2021 (D3PM): with m(t) the share of tokens that are masked at timestep t, a token masked at t is still
 * masked at the earlier timestep s with probability
 *
 *     q(x_s = mask | x_t = mask) = m(s) / m(t),      and otherwise it is drawn from p(x0).
 *
 * All the sampling is in draw() below, an ordinary function on arrays. It is called through host_call (vqpipe/program.h): vqpipe
 * copies what it reads out of the backend, CPU or GPU, and what it writes back in.
 *
 * Build: see CMakeLists.txt beside this file.   Run:
 *     vqpipe run pipelines/vqdiffusion.yaml --plugin-path FOLDER_OF_THE_SO --set components.scheduler.use=random-unmask */
#include <math.h>
#include <stdlib.h>
#include <vqpipe/components.h>
#include <vqpipe/host.h>
#include <vqpipe/plugin.h>

/* What the sampler draws must not depend on the batch or the backend: every number is named by the image's seed, the evaluation, a
 * stream and the token's position. Stream 0 is for codes; a second decision about the same token needs a stream of its own. */
enum {
    STREAM_CODE,
    STREAM_REVEAL,
    STREAM_START
};
/* Our parameters in the evaluation table's row, 12 floats that plan() fills and draw() reads. */
enum {
    PAR_STAYS, /* probability that a masked token stays masked */
    PAR_MASKED /* share of masks when the evaluation begins */
};

/* ---- the component's life --------------------------------------------------------------------------------------- */

struct scheduler {
    const struct vqp_host *host;
    int32_t mask; /* the mask's id: one past the codes; known once plan() has run */
};

static vqp_status create(const struct vqp_create_args *args, void **self, struct vqp_error *err)
{
    struct scheduler *m = calloc(1, sizeof *m);
    if (!m)
        return vqp_fail(err, VQP_E_NOMEM, "out of memory");
    m->host = args->host; /* outlives us */
    *self = m;
    return VQP_OK;
}

static void destroy(void *self)
{
    free(self); /* NULL is fine */
}

/* ---- the plan --------------------------------------------------------------------------------------------------- */

/* Share of masks when `t` + 1 of `all` timesteps are still to go; t = -1 is the finished picture. */
static float masked_at(int64_t t, int64_t all)
{
    return (float)(t + 1) / (float)all;
}

/* Which timesteps are visited: a.steps of them, evenly from the last one down. Called twice, first with cap 0 to count. */
static int32_t plan(void *self, const struct vqp_plan_args *a, struct vqp_eval *out, uint32_t cap,
                    struct vqp_error *err)
{
    struct scheduler *m = self;
    int64_t all = a->train_steps ? a->train_steps : a->steps; /* 0: a denoiser that knows no timesteps */
    if (a->steps < 1 || a->steps > all)
        return vqp_fail(err, VQP_E_ARG, "%u steps, but there are %lld timesteps; give 1 to %lld", a->steps,
                        (long long)all, (long long)all);
    m->mask = (int32_t)a->n_codes;
    for (uint32_t i = 0; i < a->steps && i < cap; i++) {
        int64_t t = (a->steps - i) * all / a->steps - 1, next = (a->steps - i - 1) * all / a->steps - 1;
        out[i].t = (int32_t)t;
        out[i].tf = (float)t;
        out[i].par[PAR_STAYS] = masked_at(next, all) / masked_at(t, all); /* 0 at the last: nothing stays masked */
        out[i].par[PAR_MASKED] = masked_at(t, all);
    }
    return (int32_t)a->steps;
}

/* ---- the sampler ------------------------------------------------------------------------------------------------ */

/* Seeds arrive as two int32 words, the low one first. */
static uint64_t seed_of(const int32_t *words)
{
    return (uint32_t)words[0] | (uint64_t)(uint32_t)words[1] << 32;
}

/* The class at which the running sum of probabilities passes u, for u in 0..1. logp need not sum to 1: vqpipe's truncation drops
 * classes without renormalising. -1 where the log-probabilities are of no use; vqpipe reports that to the user. */
static int32_t pick(const float *logp, int64_t n_codes, double u)
{
    double sum = 0, passed = 0;
    for (int64_t k = 0; k < n_codes; k++)
        sum += exp((double)logp[k]);
    if (!(sum > 0 && isfinite(sum)))
        return -1;
    int32_t last = 0; /* the last class that can be drawn, in case rounding keeps us below the sum */
    for (int64_t k = 0; k < n_codes; k++) {
        double p = exp((double)logp[k]);
        passed += p;
        if (passed > u * sum)
            return (int32_t)k;
        last = p > 0 ? (int32_t)k : last;
    }
    return last;
}

/* in: logp f32 [B,N,C], tokens i32 [B,N], par f32 [12], seed i32 [B,2], evaluation i32 [1].   out: tokens i32 [B,N] */
static vqp_status draw(void *self, const struct vqp_tensor_view *in, void *const *out, struct vqp_error *err)
{
    const struct scheduler *m = self;
    const float *logp = in[0].data, *par = in[2].data;
    const int32_t *tokens = in[1].data, *seed = in[3].data, *eval = in[4].data;
    int64_t B = in[0].shape.dim[0], N = in[0].shape.dim[1], C = in[0].shape.dim[2];
    int32_t *next = out[0];
    (void)err; /* nothing can go wrong here; return vqp_fail(err, VQP_E_..., "one sentence") where it can */
    for (int64_t b = 0; b < B; b++) {
        uint64_t s = seed_of(seed + 2 * b);
        if (m->host->cancelled(m->host)) /* ask every some 50 ms */
            return VQP_E_CANCELLED;
        for (int64_t n = 0; n < N; n++) {
            int64_t i = b * N + n;
            uint32_t e = (uint32_t)eval[0], at = (uint32_t)n;
            next[i] = tokens[i];
            if (tokens[i] == m->mask && m->host->uniform(m->host, s, e, STREAM_REVEAL, at, 0) >= par[PAR_STAYS])
                next[i] = pick(logp + i * C, C, (double)m->host->uniform(m->host, s, e, STREAM_CODE, at, 0));
        }
    }
    return VQP_OK;
}

/* run.start_step: the user's picture, masked as far as the first evaluation expects.
 * in: tokens i32 [B,N], par f32 [12], seed i32 [B,2], evaluation i32 [1].   out: tokens i32 [B,N] */
static vqp_status mask_some(void *self, const struct vqp_tensor_view *in, void *const *out, struct vqp_error *err)
{
    const struct scheduler *m = self;
    const float *par = in[1].data;
    const int32_t *tokens = in[0].data, *seed = in[2].data, *eval = in[3].data;
    int64_t B = in[0].shape.dim[0], N = in[0].shape.dim[1];
    int32_t *noised = out[0];
    (void)err;
    for (int64_t b = 0; b < B; b++)
        for (int64_t n = 0; n < N; n++) {
            float u = m->host->uniform(m->host, seed_of(seed + 2 * b), (uint32_t)eval[0], STREAM_START, (uint32_t)n, 0);
            noised[b * N + n] = u < par[PAR_MASKED] ? m->mask : tokens[b * N + n];
        }
    return VQP_OK;
}

/* ---- recording -------------------------------------------------------------------------------------------------- */

/* Runs once, before the first evaluation; what it records runs at each. The output has the shape of the tokens. */
static vqp_val record_step(void *self, vqp_program *p, const struct vqp_step *s)
{
    struct scheduler *m = self;
    const struct vqp_program_api *api = m->host->program;
    struct vqp_host_call call = {.struct_size = sizeof call,
                                 .name = "draw",
                                 .fn = draw,
                                 .self = m,
                                 .n_in = 5,
                                 .in = {s->logp, s->tokens, s->par, s->seed, s->eval},
                                 .n_out = 1,
                                 .out_dtype = {VQP_I32},
                                 .out_shape = {api->describe(p, s->tokens)->shape}};
    return api->host_call(p, &call, NULL);
}

static vqp_val record_start(void *self, vqp_program *p, const struct vqp_step *s)
{
    struct scheduler *m = self;
    const struct vqp_program_api *api = m->host->program;
    struct vqp_host_call call = {.struct_size = sizeof call,
                                 .name = "mask some",
                                 .fn = mask_some,
                                 .self = m,
                                 .n_in = 4,
                                 .in = {s->tokens, s->par, s->seed, s->eval},
                                 .n_out = 1,
                                 .out_dtype = {VQP_I32},
                                 .out_shape = {api->describe(p, s->tokens)->shape}};
    return api->host_call(p, &call, NULL);
}

/* ---- what the plugin exports ------------------------------------------------------------------------------------ */

static const struct vqp_scheduler_vtbl vtbl = {
    .struct_size = sizeof vtbl, .plan = plan, .record_step = record_step, .record_start = record_start};
static const struct vqp_component component = {.struct_size = sizeof component,
                                               .iface = VQP_IFACE_SCHEDULER,
                                               .name = "random-unmask", /* `use: random-unmask` */
                                               .summary = "reveals masked tokens at random, in plain C",
                                               .create = create,
                                               .destroy = destroy,
                                               .v.scheduler = &vtbl};
static const struct vqp_component *const components[] = {&component, NULL};
VQP_PLUGIN(.id = "org.example.random-unmask", .version = "1.0.0", .license = "MIT", .components = components);
