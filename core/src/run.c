#include "run.h"
#include "mt19937.h"
#include "pictures.h"
#include "prompts.h"
#include "record.h"
#include "recorded.h"
#include "result.h"
#include "stages.h"
#include "start.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* A group of steps runs without a look at the clock or the ids; it should take about this long. */
static const double GROUP_SECONDS = 0.25;

struct run {
    struct vqpipe *pipe;
    struct vqp_assembly *a;
    const struct vqpipe_run_params *params;
    const struct vqp_run_hook *hook; /* NULL: none */
    struct vqpipe_result *result;
    struct vqp_stages stages;
    struct vqp_mt19937 torch;
    int32_t *ids, *end; /* token ids of every prompt, and of the negative one last: [P+1,L], [P+1] */
    uint32_t n_prompts;
    int32_t *pin; /* [images,N], -1 where free; NULL: nothing is pinned */
    float *noise;
    int previews; /* somebody wants them, and no hook is in their way */
    double start;
};

/* ---- seeds ------------------------------------------------------------------------------------------------------ */

static vqp_status parse_seed(const char *text, uint64_t *seed, struct vqp_error *err)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno || *end || end == text || text[0] < '0' || text[0] > '9' || (text[0] == '0' && text[1]))
        return vqp_fail(err, VQP_E_ARG,
                        "run.seed: '%.40s' is not a whole number from 0 to 18446744073709551615, nor 'random'", text);
    *seed = v;
    return VQP_OK;
}

static int all_differ(const uint64_t *seeds, uint32_t n)
{
    for (uint32_t k = 1; k < n; k++)
        for (uint32_t i = 0; i < k; i++)
            if (seeds[i] == seeds[k])
                return 0;
    return 1;
}

static vqp_status set_seeds(struct run *r, struct vqp_error *err)
{
    const struct vqp_run_settings *s = &r->a->settings.run;
    const char *const *texts = s->seed.items;
    uint32_t B = r->result->n;
    uint64_t first = 0, step = s->rng == VQP_RNG_PHILOX;
    vqp_status st = VQP_OK;
    if (s->seed.n > 1) {
        if (s->rng == VQP_RNG_TORCH_CPU)
            return vqp_fail(err, VQP_E_ARG, "run.seed: rng torch-cpu draws for the whole run from one seed; give one");
        if (s->seed.n != B)
            return vqp_fail(err, VQP_E_ARG, "run.seed has %u seeds for %u images; give one seed, or one for each image",
                            s->seed.n, B);
        for (uint32_t k = 0; !st && k < B; k++)
            st = parse_seed(texts[k], &r->result->seeds[k], err);
        r->result->seeds_differ = all_differ(r->result->seeds, B);
        return st;
    }
    if (s->seed.n && !strcmp(texts[0], "random")) {
        if (getrandom(&first, sizeof first, 0) != sizeof first)
            return vqp_fail(err, VQP_E_INTERNAL, "no random numbers from the system: %s", strerror(errno));
        first >>= 32; /* short enough to type */
    } else if (s->seed.n) {
        st = parse_seed(texts[0], &first, err);
    }
    for (uint32_t k = 0; k < B; k++)
        r->result->seeds[k] = first + step * k;
    r->result->seeds_differ = step || B == 1;
    return st;
}

/* ---- one batch -------------------------------------------------------------------------------------------------- */

static vqp_status upload_table(struct run *r, struct vqp_session *s, struct vqp_error *err)
{
    uint32_t n = r->a->n_evals;
    const struct vqp_eval *e = r->a->evals;
    float *column = malloc((size_t)n * 12 * sizeof *column), rate = (float)r->a->settings.run.truncation_rate;
    int32_t *t = malloc((size_t)n * sizeof *t);
    vqp_status st = column && t ? VQP_OK : vqp_fail(err, VQP_E_NOMEM, "run: out of memory");
    if (!st) {
        for (uint32_t i = 0; i < n; i++)
            t[i] = e[i].t;
        st = vqp_session_upload(s, "table.t", t, n * sizeof *t, err);
    }
    if (!st) {
        for (uint32_t i = 0; i < n; i++)
            column[i] = e[i].tf;
        st = vqp_session_upload(s, "table.tf", column, n * sizeof *column, err);
    }
    if (!st) {
        for (uint32_t i = 0; i < n; i++)
            column[i] = e[i].guide;
        st = vqp_session_upload(s, "table.guide", column, n * sizeof *column, err);
    }
    if (!st) {
        for (uint32_t i = 0; i < n; i++)
            memcpy(column + (size_t)i * 12, e[i].par, sizeof e[i].par);
        st = vqp_session_upload(s, "table.par", column, (size_t)n * 12 * sizeof *column, err);
    }
    if (!st)
        st = vqp_session_upload(s, "rate", &rate, sizeof rate, err);
    free(column);
    free(t);
    return st;
}

/* ---- text ------------------------------------------------------------------------------------------------------- */

static vqp_status encode_texts(struct run *r, struct vqp_error *err)
{
    const struct vqp_run_settings *s = &r->a->settings.run;
    static const char *const nothing[] = {""};
    const char *const *prompts = s->prompt.n ? s->prompt.items : nothing,
                      *negative = s->negative_prompt ? s->negative_prompt : "";
    uint32_t L = r->a->context_length;
    r->n_prompts = s->prompt.n ? s->prompt.n : 1;
    for (uint32_t k = 0; k < r->result->n; k++) {
        r->result->prompts[k] = vqp_arena_strdup(&r->result->arena, prompts[k / s->images_per_prompt]);
        if (!r->result->prompts[k])
            return vqp_fail(err, VQP_E_NOMEM, "run: out of memory");
    }
    if (!r->a->denoiser.n_conds)
        return VQP_OK;
    r->ids = calloc((size_t)r->n_prompts + 1, L * sizeof *r->ids);
    r->end = calloc((size_t)r->n_prompts + 1, sizeof *r->end);
    if (!r->ids || !r->end)
        return vqp_fail(err, VQP_E_NOMEM, "run: out of memory");
    vqp_status st = vqp_prompts_encode(r->a, "prompt", prompts, r->n_prompts, r->ids, r->end, err);
    if (!st && r->a->encode_negative)
        st = vqp_prompts_encode(r->a, "negative prompt", &negative, 1, r->ids + (size_t)r->n_prompts * L,
                                r->end + r->n_prompts, err);
    return st;
}

static vqp_status upload_text(struct run *r, struct vqp_session *s, uint32_t first, struct vqp_error *err)
{
    uint32_t L = r->a->context_length, B = s->key.batch, rows = B + s->key.encode_negative;
    if (!r->ids)
        return VQP_OK;
    int32_t *ids = malloc((size_t)rows * L * sizeof *ids), *end = malloc(rows * sizeof *end);
    vqp_status st = ids && end ? VQP_OK : vqp_fail(err, VQP_E_NOMEM, "run: out of memory");
    for (uint32_t k = 0; !st && k < rows; k++) {
        uint32_t from = k < B ? (first + k) / (uint32_t)r->a->settings.run.images_per_prompt : r->n_prompts;
        memcpy(ids + (size_t)k * L, r->ids + (size_t)from * L, L * sizeof *ids);
        end[k] = r->end[from];
    }
    if (!st)
        st = vqp_session_upload(s, "ids", ids, (uint64_t)rows * L * sizeof *ids, err);
    if (!st)
        st = vqp_session_upload(s, "end", end, rows * sizeof *end, err);
    free(ids);
    free(end);
    return st;
}

/* ---- steps ------------------------------------------------------------------------------------------------------ */

static vqp_status noise_room(struct run *r, uint64_t floats, struct vqp_error *err)
{
    if (!r->noise && !(r->noise = calloc(floats, sizeof *r->noise)))
        return vqp_fail(err, VQP_E_NOMEM, "run: out of memory");
    return VQP_OK;
}

/* The reference's own draws of one evaluation. */
static vqp_status upload_noise(struct run *r, struct vqp_session *s, const struct vqp_eval *e, struct vqp_error *err)
{
    const struct vqp_instance *sch = vqp_component_of(r->a, VQP_IFACE_SCHEDULER);
    uint64_t B = s->key.batch, N = r->a->n_tokens, C = r->a->denoiser.n_codes, all = B * N * (C + 1);
    uint64_t drawn = e->t ? all : B * N * C;
    struct vqp_error why = {0};
    if (!s->key.noise)
        return VQP_OK;
    vqp_status st = noise_room(r, all, err);
    if (st)
        return st;
    if (VQP_HAS(sch->component->v.scheduler, fill_noise))
        st = sch->component->v.scheduler->fill_noise(sch->self, e, s->key.batch, (uint32_t)N, (uint32_t)C,
                                                     vqp_mt19937_fill, &r->torch, r->noise, all, &why);
    else
        vqp_mt19937_uniform(&r->torch, r->noise, drawn);
    if (st)
        return vqp_fail(err, st, "scheduler (%s): %s", sch->use, why.msg);
    return vqp_session_upload(s, "noise", r->noise, all * sizeof *r->noise, err);
}

/* What the first evaluation begins with: ids, the places that stay, its index, and noise for the ids where they need it. */
static vqp_status upload_start(struct run *r, struct vqp_session *s, uint32_t first, const int32_t *ids,
                               struct vqp_error *err)
{
    uint64_t N = r->a->n_tokens, places = s->key.batch * N, draws = places * (r->a->denoiser.n_codes + 1ull);
    int32_t index = (int32_t)r->a->first_eval;
    vqp_status st = vqp_session_upload(s, "tokens", ids, places * sizeof *ids, err);
    if (!st && r->pin)
        st = vqp_session_upload(s, "pin", r->pin + first * N, places * sizeof *r->pin, err);
    if (!st)
        st = vqp_session_upload(s, "first_eval", &index, sizeof index, err);
    for (uint32_t i = 0; !st && i < VQP_MAX_BACKENDS; i++) {
        char name[32];
        snprintf(name, sizeof name, VQP_COUNTER_NAME, i);
        st = vqp_session_upload(s, name, &index, sizeof index, err);
    }
    if (st || !s->key.start || !s->key.noise)
        return st;
    if ((st = noise_room(r, draws, err)))
        return st;
    vqp_mt19937_uniform(&r->torch, r->noise, draws);
    return vqp_session_upload(s, "noise", r->noise, draws * sizeof *r->noise, err);
}

/* A backend writes -1 where a column of logits has no usable number. */
static vqp_status check_tokens(struct run *r, const struct vqp_session *s, uint32_t first, const int32_t *ids,
                               uint32_t eval, struct vqp_error *err)
{
    uint32_t N = r->a->n_tokens;
    for (uint64_t i = 0; i < (uint64_t)s->key.batch * N; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= r->a->denoiser.n_vocab)
            return vqp_fail(
                err, VQP_E_NUMERIC,
                "step %u (t = %d): no usable log-probability (NaN or infinity) at token %u of image %u; check the "
                "weights, or use precision f32",
                eval, r->a->evals[eval].t, (uint32_t)(i % N), first + (uint32_t)(i / N));
    return VQP_OK;
}

static vqp_status tell(struct run *r, const struct vqp_session *s, uint32_t first, uint32_t eval, const int32_t *ids,
                       double eval_seconds, struct vqp_error *err)
{
    const struct vqpipe_run_params *p = r->params;
    uint32_t every = p->callback_steps ? p->callback_steps : 1, n = r->a->n_evals;
    if (!p->step || ((eval + 1) % every && eval + 1 != n))
        return VQP_OK;
    struct vqpipe_step_event ev = {.struct_size = sizeof ev,
                                   .eval = eval,
                                   .n_evals = n,
                                   .first_eval = r->a->first_eval,
                                   .timestep = r->a->evals[eval].t,
                                   .first_image = first,
                                   .n_images = s->key.batch,
                                   .n_tokens = r->a->n_tokens,
                                   .ids = ids,
                                   .elapsed = vqp_now() - r->start,
                                   .eval_seconds = eval_seconds,
                                   .images_total = r->result->n};
    return p->step(p->step_ctx, &ev) ? vqp_fail(err, VQP_E_CANCELLED, "cancelled by the callback") : VQP_OK;
}

static vqp_status run_phase(struct run *r, struct vqp_session *s, uint32_t phase, uint32_t eval, uint32_t times,
                            struct vqp_error *err)
{
    return r->hook ? r->hook->phase(r->hook->ctx, s, phase, eval, times, err) : vqp_session_run(s, phase, times, err);
}

/* How many evaluations may follow before somebody wants to see them. */
static uint32_t to_next_stop(const struct run *r, uint32_t done)
{
    const struct vqpipe_run_params *p = r->params;
    uint32_t n = r->a->n_evals, left = n - done;
    uint32_t every[] = {!p->step ? n : p->callback_steps ? p->callback_steps : 1, r->previews ? p->preview_steps : n};
    for (size_t i = 0; i < sizeof every / sizeof *every; i++)
        if (every[i] - done % every[i] < left)
            left = every[i] - done % every[i];
    return left;
}

static vqp_status run_steps(struct run *r, struct vqp_session *s, uint32_t first, int32_t *ids, struct vqp_error *err)
{
    uint64_t bytes = (uint64_t)s->key.batch * r->a->n_tokens * sizeof *ids;
    uint32_t n = r->a->n_evals, group = 1;
    int singly =
        s->key.noise || r->stages.dump_dir || r->stages.feed_dir || (s->piece[VQP_STEP] && s->piece[VQP_STEP]->next);
    double wanted = r->hook && r->hook->group_seconds > 0 ? r->hook->group_seconds : GROUP_SECONDS;
    vqp_status st = VQP_OK;
    for (uint32_t done = r->a->first_eval; !st && done < n;) {
        double before = vqp_now();
        uint32_t stop = to_next_stop(r, done);
        group = group < stop ? group : stop;
        uint32_t last = done + group - 1;
        if (!(st = upload_noise(r, s, &r->a->evals[done], err)) && !(st = run_phase(r, s, VQP_STEP, done, group, err)))
            st = vqp_session_download(s, "tokens", ids, bytes, err);
        if (!st)
            st = check_tokens(r, s, first, ids, last, err);
        if (!st)
            st = vqp_stages_step(&r->stages, last, ids, err);
        if (!st)
            st = tell(r, s, first, last, ids, (vqp_now() - before) / group, err);
        double each = (vqp_now() - before) / group;
        if (!st && r->previews && vqp_preview_due(r->params, r->a, last))
            st = vqp_preview_make(r->params, r->result, s, &(struct vqp_moment){first, last, r->start, each}, err);
        if (!st && atomic_load(&r->pipe->host.cancelled))
            st = vqp_fail(err, VQP_E_CANCELLED, "cancelled");
        done += group;
        double fit = wanted / (each + 1e-9);
        group = singly || fit < 2 ? 1 : fit < n ? (uint32_t)fit : n;
    }
    return st;
}

/* Images first .. first+batch-1, into the result. */
static vqp_status run_batch(struct run *r, uint32_t first, uint32_t batch, struct vqp_error *err)
{
    struct vqpipe_result *res = r->result;
    uint32_t dump = r->stages.dump_dir != NULL, N = r->a->n_tokens;
    struct vqp_session_key key = vqp_pipe_key(r->pipe, batch, dump);
    struct vqp_session *s;
    double at = vqp_now();
    vqp_status st = vqp_pipe_session(r->pipe, &key, &s, err);
    if (!st)
        st = vqp_session_compile(s, err);
    if (st)
        return st;
    res->timings.compile += vqp_now() - at;
    r->stages.session = s;
    int32_t *ids = res->ids + (size_t)first * N;
    uint64_t pixels = (uint64_t)s->image_h * s->image_w * 3;
    if (!res->image)
        st = vqp_result_room(res, s->image_w, s->image_h, err);
    if (!st)
        st = vqp_session_reset(s, err);
    if (!st)
        st = upload_table(r, s, err);
    if (!st)
        st = upload_text(r, s, first, err);
    if (!st)
        st = upload_start(r, s, first, ids, err);
    if (!st)
        st = vqp_session_upload(s, "seeds", res->seeds + first, batch * sizeof *res->seeds, err);
    if (!st)
        st = run_phase(r, s, VQP_PREPARE, 0, 1, err);
    if (!st && r->ids)
        st = vqp_stages_text(&r->stages, r->ids, r->n_prompts, err);
    res->timings.prepare += vqp_now() - at;
    at = vqp_now();
    double previews = res->timings.previews;
    if (!st)
        st = run_steps(r, s, first, ids, err);
    res->timings.steps += vqp_now() - at - res->timings.previews + previews;
    at = vqp_now();
    if (!st)
        st = run_phase(r, s, VQP_FINISH, 0, 1, err);
    if (!st)
        st = vqp_pictures_take(res, s, first, err);
    for (uint64_t i = 0; !st && i < batch * pixels; i++)
        if (!(res->image[first * pixels + i] >= 0 && res->image[first * pixels + i] <= 1))
            st = vqp_fail(err, VQP_E_NUMERIC,
                          "vq_decoder: NaN, infinity or a colour outside 0..1 in image %u; check the weights",
                          first + (uint32_t)(i / pixels));
    if (!st)
        st = vqp_stages_image(&r->stages, res->image, err);
    res->timings.finish += vqp_now() - at;
    if (!st && r->previews)
        st = vqp_preview_finish(r->params, res, s, &(struct vqp_moment){first, r->a->n_evals - 1, r->start, 0}, err);
    return st;
}

static vqp_status run_all(struct run *r, struct vqp_error *err)
{
    vqp_status st = vqp_stages_open(&r->stages, err);
    uint32_t n = r->result->n, batch = vqp_pipe_batch(r->pipe, r->stages.dump_dir || r->stages.feed_dir);
    if (!st)
        st = set_seeds(r, err);
    if (!st)
        st = vqp_start_read(r->pipe, r->result->n, r->result->ids, &r->pin, err);
    if (!st)
        st = encode_texts(r, err);
    if (!st)
        vqp_mt19937_seed(&r->torch, (uint32_t)r->result->seeds[0]);
    for (uint32_t first = 0; !st && first < n; first += batch)
        st = run_batch(r, first, batch < n - first ? batch : n - first, err);
    return st;
}

vqp_status vqp_run(struct vqpipe *pipe, const struct vqpipe_run_params *params, const struct vqp_run_hook *hook,
                   vqpipe_result **out, struct vqp_error *err)
{
    struct vqpipe_run_params p = {0};
    if (params)
        memcpy(&p, params, params->struct_size < sizeof p ? params->struct_size : sizeof p);
    struct run r = {
        .pipe = pipe, .params = &p, .hook = hook, .start = vqp_now(), .stages = {p.dump_dir, p.feed_dir, NULL}};
    r.previews = !hook && p.preview && p.preview_steps;
    int fresh = pipe->stale != VQP_CLEAN;
    vqp_status st = vqpipe_load(pipe, err);
    if (!st) {
        r.a = pipe->assembly;
        st = vqp_result_create(r.a, r.a->n_images, r.a->n_tokens, &r.result, err);
    }
    if (!st) {
        vqp_recorded_run(r.result, pipe, &p);
        r.result->timings.load = fresh ? pipe->load_seconds : 0;
        st = run_all(&r, err);
    }
    free(r.ids);
    free(r.end);
    free(r.pin);
    free(r.noise);
    atomic_store(&pipe->host.cancelled, 0);
    if (st) {
        vqpipe_result_destroy(r.result);
        return st;
    }
    r.result->timings.evals = r.a->n_evals - r.a->first_eval;
    r.result->timings.total = vqp_now() - r.start;
    *out = r.result;
    return VQP_OK;
}

vqp_status vqpipe_run(vqpipe *pipe, const struct vqpipe_run_params *params, vqpipe_result **out, struct vqp_error *err)
{
    return vqp_run(pipe, params, NULL, out, err);
}
