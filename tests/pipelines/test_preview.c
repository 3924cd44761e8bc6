/* The picture so far: it costs time and changes nothing, on every backend, in batches, between host calls. */
#include "npy.h"
#include "tiny.h"

struct seen {
    uint32_t n, finished, images, masked, outside, same_as_before;
    struct {
        uint32_t eval, first, n;
    } at[16];
    uint32_t stop_after;
    uint8_t *rgb; /* of the last event's first image */
    size_t bytes;
};

static int32_t look(void *ctx, const struct vqpipe_preview_event *ev)
{
    struct seen *s = ctx;
    uint32_t w = vqpipe_result_width(ev->so_far), h = vqpipe_result_height(ev->so_far);
    s->images = ev->images_total;
    for (uint32_t k = ev->first_image; k < ev->first_image + ev->n_images; k++) {
        const float *x = vqpipe_result_float(ev->so_far, k);
        for (size_t i = 0; i < (size_t)w * h * 3; i++)
            s->outside += !(x[i] >= 0 && x[i] <= 1);
        for (uint32_t i = 0; i < TOKENS; i++)
            s->masked += vqpipe_result_ids(ev->so_far, k)[i] == MASK;
    }
    s->bytes = (size_t)w * h * 3;
    uint8_t *copy = realloc(s->rgb, s->bytes);
    if (!copy)
        return 1;
    const uint8_t *now = vqpipe_result_rgb(ev->so_far, ev->first_image);
    s->same_as_before += s->rgb && !memcmp(copy, now, s->bytes);
    s->rgb = copy;
    memcpy(copy, now, s->bytes);
    CU_ASSERT_TRUE(ev->finished ? ev->seconds == 0 : ev->seconds > 0);
    CU_ASSERT_TRUE(ev->elapsed > 0);
    CU_ASSERT_EQUAL(ev->finished != 0, ev->eval + 1 == ev->n_evals);
    s->finished += ev->finished != 0;
    if (s->n < 16) {
        s->at[s->n].eval = ev->eval;
        s->at[s->n].first = ev->first_image;
        s->at[s->n].n = ev->n_images;
    }
    s->n++;
    return s->stop_after && s->n == s->stop_after;
}

static struct vqpipe_run_params every(uint32_t steps, struct seen *s)
{
    return (struct vqpipe_run_params){
        .struct_size = sizeof(struct vqpipe_run_params), .preview_steps = steps, .preview = look, .preview_ctx = s};
}

static vqpipe_result *run(vqpipe *p, const struct vqpipe_run_params *params)
{
    vqpipe_result *r = NULL;
    CHECK_OK(vqpipe_run(p, params, &r, &err));
    CU_ASSERT_PTR_NOT_NULL_FATAL(r);
    return r;
}

static int same(const vqpipe_result *a, const vqpipe_result *b)
{
    size_t n = (size_t)vqpipe_result_width(a) * vqpipe_result_height(a) * 3;
    int equal = vqpipe_result_images(a) == vqpipe_result_images(b);
    for (uint32_t k = 0; equal && k < vqpipe_result_images(a); k++)
        equal = !memcmp(vqpipe_result_ids(a, k), vqpipe_result_ids(b, k), TOKENS * sizeof(int32_t)) &&
                !memcmp(vqpipe_result_rgb(a, k), vqpipe_result_rgb(b, k), n) &&
                !memcmp(vqpipe_result_float(a, k), vqpipe_result_float(b, k), n * sizeof(float));
    return equal;
}

/* ---- nothing changes -------------------------------------------------------------------------------------------- */

static void check_unchanged(vqpipe *p, uint32_t batches)
{
    struct seen s = {0};
    struct vqpipe_run_params params = every(3, &s);
    vqpipe_result *without = run(p, NULL), *with = run(p, &params), *after = run(p, NULL);
    CU_ASSERT_TRUE_FATAL(s.n > 0 && s.n <= 16);
    uint32_t last = s.at[s.n - 1].first;
    CU_ASSERT_TRUE(same(without, with));
    CU_ASSERT_TRUE(same(without, after));
    CU_ASSERT_EQUAL(s.n, 3 * batches); /* after 3 and 6 of 8 evaluations, and at the end */
    CU_ASSERT_EQUAL(s.finished, batches);
    CU_ASSERT_EQUAL(s.outside, 0);
    CU_ASSERT_EQUAL(s.same_as_before, 0);
    CU_ASSERT_EQUAL(memcmp(s.rgb, vqpipe_result_rgb(with, last), s.bytes), 0); /* the last one is the picture */
    free(s.rgb);
    vqpipe_result_destroy(without);
    vqpipe_result_destroy(with);
    vqpipe_result_destroy(after);
}

static void leaves_ids_and_pictures_as_they_are(void)
{
    struct names backends = all_of(VQP_IFACE_BACKEND);
    for (uint32_t b = 0; b < backends.n; b++) {
        vqpipe *p = open_with("vq-diffusion", backends.name[b]);
        set(p, "run.images_per_prompt", "3");
        set(p, "run.batch_size", "2"); /* and one alone */
        set(p, "run.steps", "8");
        check_unchanged(p, 2);
        vqpipe_close(p);
    }
}

static void leaves_them_where_one_generator_draws_for_all(void)
{
    vqpipe *p = open_with("vq-diffusion", "reference");
    set(p, "run.images_per_prompt", "2");
    set(p, "run.steps", "8");
    set(p, "run.rng", "torch-cpu");
    check_unchanged(p, 1);
    vqpipe_close(p);
}

/* The decoder on each backend, the rest on the host and between host calls. */
static void leaves_them_between_host_calls_and_backends(void)
{
    struct names backends = all_of(VQP_IFACE_BACKEND);
    for (uint32_t b = 0; b < backends.n; b++) {
        vqpipe *p = open_with("host-calls", "reference");
        set(p, "components.scheduler.way", "host");
        set(p, "components.vq_decoder.backend", backends.name[b]);
        set(p, "run.steps", "8");
        check_unchanged(p, 1);
        vqpipe_close(p);
    }
}

/* ---- what is shown ---------------------------------------------------------------------------------------------- */

static void comes_after_every_n_evaluations_of_each_batch(void)
{
    static const uint32_t want[][3] = {{1, 0, 2}, {3, 0, 2}, {4, 0, 2}, {1, 2, 1}, {3, 2, 1}, {4, 2, 1}};
    vqpipe *p = open_with("vq-diffusion", "reference");
    set(p, "run.images_per_prompt", "3");
    set(p, "run.batch_size", "2");
    set(p, "run.steps", "5");
    struct seen s = {0};
    struct vqpipe_run_params params = every(2, &s);
    vqpipe_result *r = run(p, &params);
    CU_ASSERT_EQUAL(s.n, 6);
    CU_ASSERT_EQUAL(s.images, 3);
    for (int i = 0; i < 6; i++)
        CU_ASSERT_TRUE(s.at[i].eval == want[i][0] && s.at[i].first == want[i][1] && s.at[i].n == want[i][2]);
    struct vqpipe_timings t = {.struct_size = sizeof t};
    vqpipe_result_timings(r, &t);
    CU_ASSERT_EQUAL(t.n_previews, 4);
    CU_ASSERT_TRUE(t.previews > 0 && t.previews < t.total);
    CU_ASSERT_TRUE(t.prepare + t.steps + t.previews + t.finish <= t.total);
    vqpipe_result_destroy(r);
    params.preview_steps = 5; /* no evaluation but the last one: the finished pictures alone */
    s = (struct seen){.rgb = s.rgb};
    r = run(p, &params);
    CU_ASSERT_TRUE(s.n == 2 && s.finished == 2);
    vqpipe_result_destroy(r);
    params.preview_steps = 0;
    s = (struct seen){.rgb = s.rgb};
    vqpipe_result_destroy(run(p, &params));
    CU_ASSERT_EQUAL(s.n, 0);
    free(s.rgb);
    vqpipe_close(p);
}

/* Where every id is pinned, the picture so far is the picture. */
static void shows_the_ids_of_the_moment(void)
{
    int32_t pin[TOKENS];
    char path[64];
    struct vqp_shape shape = vqp_shape2(1, TOKENS);
    struct names backends = all_of(VQP_IFACE_BACKEND);
    for (uint32_t i = 0; i < TOKENS; i++)
        pin[i] = (int32_t)((i * 7) % CODES);
    snprintf(path, sizeof path, "%s/pin.npy", folder);
    CHECK_OK(vqp_npy_save(path, VQP_I32, &shape, pin, &err));
    for (uint32_t b = 0; b < backends.n; b++) {
        vqpipe *p = open_with("vq-diffusion", backends.name[b]);
        struct seen free_ids = {0}, pinned = {0};
        struct vqpipe_run_params params = every(1, &free_ids);
        vqpipe_result_destroy(run(p, &params));
        CU_ASSERT_TRUE(free_ids.masked > TOKENS / 2); /* so masks were decoded */
        CU_ASSERT_EQUAL(free_ids.outside, 0);
        CU_ASSERT_EQUAL(free_ids.same_as_before, 0);
        set(p, "run.pin", path);
        params = every(1, &pinned);
        vqpipe_result *r = run(p, &params);
        CU_ASSERT_EQUAL(pinned.n, 4);
        CU_ASSERT_EQUAL(pinned.same_as_before, 3);
        CU_ASSERT_EQUAL(pinned.masked, 0);
        CU_ASSERT_EQUAL(memcmp(pinned.rgb, vqpipe_result_rgb(r, 0), pinned.bytes), 0);
        vqpipe_result_destroy(r);
        free(free_ids.rgb);
        free(pinned.rgb);
        vqpipe_close(p);
    }
    remove(path);
}

/* ---- stopping, and who takes none ------------------------------------------------------------------------------- */

static void cancels_and_runs_again(void)
{
    vqpipe *p = open_with("vq-diffusion", "reference");
    vqpipe_result *whole = run(p, NULL), *r = NULL;
    struct seen s = {.stop_after = 2};
    struct vqpipe_run_params params = every(1, &s);
    CU_ASSERT_EQUAL(vqpipe_run(p, &params, &r, &err), VQP_E_CANCELLED);
    CHECK_STR_HAS(err.msg, "cancelled by the preview callback");
    CU_ASSERT_EQUAL(s.n, 2);
    CU_ASSERT_PTR_NULL(r);
    s.stop_after = 0;
    r = run(p, &params);
    CU_ASSERT_TRUE(same(r, whole));
    free(s.rgb);
    vqpipe_result_destroy(r);
    vqpipe_result_destroy(whole);
    vqpipe_close(p);
}

static void is_not_made_while_measuring_or_comparing(void)
{
    struct vqpipe_comparison found = {.struct_size = sizeof found};
    struct seen s = {0};
    struct vqpipe_run_params params = every(1, &s);
    vqpipe_bench *bench = NULL;
    vqpipe_result *r = NULL;
    vqpipe *p = open_with("vq-diffusion", "reference");
    CHECK_OK(vqpipe_measure(p, &params, &bench, &r, &err));
    CHECK_OK(vqpipe_compare(p, "reference", &params, &found, &err));
    CU_ASSERT_EQUAL(s.n, 0);
    vqpipe_bench_destroy(bench);
    vqpipe_result_destroy(r);
    vqpipe_close(p);
}

/* A caller that was built before there were previews gives a shorter struct. */
static void is_not_asked_for_by_older_programs(void)
{
    struct seen s = {0};
    struct vqpipe_run_params params = every(1, &s);
    params.struct_size = offsetof(struct vqpipe_run_params, preview_steps);
    vqpipe *p = open_with("vq-diffusion", "reference");
    vqpipe_result_destroy(run(p, &params));
    CU_ASSERT_EQUAL(s.n, 0);
    vqpipe_close(p);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"leaves ids and pictures as they are", leaves_ids_and_pictures_as_they_are},
        {"leaves them where one generator draws for all", leaves_them_where_one_generator_draws_for_all},
        {"leaves them between host calls and backends", leaves_them_between_host_calls_and_backends},
        {"comes after every n evaluations of each batch", comes_after_every_n_evaluations_of_each_batch},
        {"shows the ids of the moment", shows_the_ids_of_the_moment},
        {"cancels and runs again", cancels_and_runs_again},
        {"is not made while measuring or comparing", is_not_made_while_measuring_or_comparing},
        {"is not asked for by older programs", is_not_asked_for_by_older_programs},
    };
    static const char *const dirs[] = {VQP_BUILD_DIR "/lib/vqpipe", VQP_BUILD_DIR "/tests/plugins/host_calls"};
    if (open_tiny(dirs, 2))
        return 2;
    int rc = RUN_CASES("preview", cases);
    close_tiny();
    return rc;
}
