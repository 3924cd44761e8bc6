/* Starting from given ids and holding some of them fast, with every scheduler that is built and the one of docs/examples, on every backend that
 * is. */
#include "npy.h"
#include "tiny.h"
#include <math.h>

enum {
    MOST = 64,
};

static char pin_path[64], start_path[64];

static void save(const char *path, struct vqp_shape shape, const int32_t *ids)
{
    CHECK_OK(vqp_npy_save(path, VQP_I32, &shape, ids, &err));
}

static void refused(vqpipe *p, const char *part)
{
    vqpipe_result *r = NULL;
    err = (struct vqp_error){0};
    CU_ASSERT_EQUAL(vqpipe_run(p, NULL, &r, &err), VQP_E_ARG);
    CHECK_STR_HAS(err.msg, part);
    CU_ASSERT_PTR_NULL(strchr(err.msg, '\n'));
    vqpipe_result_destroy(r);
}

/* ---- every scheduler on every backend --------------------------------------------------------------------------- */

static void everywhere(void (*check)(const char *scheduler, const char *backend))
{
    struct names schedulers = all_of(VQP_IFACE_SCHEDULER), backends = all_of(VQP_IFACE_BACKEND);
    CU_ASSERT_TRUE(schedulers.n >= 5);
    for (uint32_t s = 0; s < schedulers.n; s++)
        for (uint32_t b = 0; b < backends.n; b++)
            check(schedulers.name[s], backends.name[b]);
}

/* ---- pins ------------------------------------------------------------------------------------------------------- */

struct watch {
    const int32_t *pin; /* [n,TOKENS] */
    uint32_t n, events, moved, first, last;
};

static int32_t watch_pins(void *ctx, const struct vqpipe_step_event *ev)
{
    struct watch *w = ctx;
    for (uint32_t k = 0; k < ev->n_images; k++)
        for (uint32_t i = 0; w->pin && i < TOKENS; i++) {
            int32_t pinned = w->pin[((ev->first_image + k) % w->n) * TOKENS + i];
            w->moved += pinned >= 0 && pinned != ev->ids[k * TOKENS + i];
        }
    w->first = w->events++ ? w->first : ev->eval;
    w->last = ev->eval;
    return 0;
}

static vqpipe_result *run_watched(vqpipe *p, struct watch *w)
{
    vqpipe_result *r = NULL;
    struct vqpipe_run_params params = {.struct_size = sizeof params, .step = watch_pins, .step_ctx = w};
    CHECK_OK(vqpipe_run(p, &params, &r, &err));
    CU_ASSERT_PTR_NOT_NULL_FATAL(r);
    return r;
}

static void fill_pins(int32_t *pin, uint32_t images)
{
    for (uint32_t i = 0; i < images * TOKENS; i++)
        pin[i] = i % 3 ? -1 : (int32_t)((i * 7) % CODES);
}

static void holds_pins(const char *scheduler, const char *backend)
{
    int32_t pin[3 * TOKENS];
    vqpipe *p = open_with(scheduler, backend);
    fill_pins(pin, 3);
    set(p, "run.images_per_prompt", "3");
    set(p, "run.batch_size", "2"); /* the second batch begins at the third image */
    set(p, "run.pin", pin_path);
    for (uint32_t rows = 1; rows <= 3; rows += 2) {
        save(pin_path, vqp_shape2(rows, TOKENS), pin);
        struct watch w = {.pin = pin, .n = rows};
        vqpipe_result *r = run_watched(p, &w);
        CU_ASSERT_EQUAL(w.moved, 0);
        CU_ASSERT_TRUE(w.events > 0);
        for (uint32_t k = 0; k < 3; k++)
            for (uint32_t i = 0; i < TOKENS; i++) {
                int32_t want = pin[(k % rows) * TOKENS + i], id = vqpipe_result_ids(r, k)[i];
                CU_ASSERT_TRUE(id >= 0 && id < CODES && (want < 0 || want == id));
            }
        vqpipe_result_destroy(r);
    }
    vqpipe_close(p);
}

static void pinned_ids_stay_in_every_step(void)
{
    everywhere(holds_pins);
}

static void free_ids_are_as_without_pins(void)
{
    int32_t pin[TOKENS];
    vqpipe *p = open_with("vq-diffusion", "reference");
    struct watch w = {0};
    vqpipe_result *without = run_watched(p, &w);
    memset(pin, -1, sizeof pin);
    save(pin_path, vqp_shape2(1, TOKENS), pin);
    set(p, "run.pin", pin_path);
    vqpipe_result *with = run_watched(p, &w);
    CU_ASSERT_EQUAL(memcmp(vqpipe_result_ids(with, 0), vqpipe_result_ids(without, 0), sizeof pin), 0);
    vqpipe_result_destroy(without);
    vqpipe_result_destroy(with);
    vqpipe_close(p);
}

static void the_denoiser_sees_pins(void)
{
    int32_t pin[TOKENS];
    uint32_t different = 0;
    vqpipe_result *r[2];
    vqpipe *p = open_with("vq-diffusion", "reference");
    set(p, "run.pin", pin_path);
    for (int k = 0; k < 2; k++) {
        for (uint32_t i = 0; i < TOKENS; i++)
            pin[i] = i % 2 ? -1 : k ? (int32_t)i % CODES : 0;
        save(pin_path, vqp_shape2(1, TOKENS), pin);
        struct watch w = {.pin = pin, .n = 1};
        r[k] = run_watched(p, &w);
    }
    for (uint32_t i = 1; i < TOKENS; i += 2)
        different += vqpipe_result_ids(r[0], 0)[i] != vqpipe_result_ids(r[1], 0)[i];
    CU_ASSERT_TRUE(different > 0);
    vqpipe_result_destroy(r[0]);
    vqpipe_result_destroy(r[1]);
    vqpipe_close(p);
}

static void refuses_bad_pins(void)
{
    int32_t pin[4 * TOKENS];
    vqpipe *p = open_with("vq-diffusion", "reference");
    fill_pins(pin, 4);
    set(p, "run.images_per_prompt", "3");
    set(p, "run.pin", "/nowhere/pin.npy");
    refused(p, "/nowhere/pin.npy");
    set(p, "run.pin", pin_path);
    save(pin_path, vqp_shape2(2, TOKENS), pin);
    refused(p, "holds [2,36] ids, this run pins [1,36] or [3,36]");
    save(pin_path, vqp_shape1(TOKENS), pin);
    refused(p, "holds [36] ids");
    save(pin_path, vqp_shape3(1, 6, 6), pin);
    refused(p, "holds [1,6,6] ids");
    pin[5] = MASK;
    save(pin_path, vqp_shape2(1, TOKENS), pin);
    refused(p, "id 20 at index 5 is outside -1..19");
    pin[5] = -2;
    save(pin_path, vqp_shape2(1, TOKENS), pin);
    refused(p, "id -2 at index 5");
    float halves[TOKENS] = {0.5f};
    struct vqp_shape shape = vqp_shape2(1, TOKENS);
    CHECK_OK(vqp_npy_save(pin_path, VQP_F32, &shape, halves, &err));
    refused(p, pin_path);
    vqpipe_close(p);
}

/* ---- a start in the middle -------------------------------------------------------------------------------------- */

static void starts_in_the_middle(const char *scheduler, const char *backend)
{
    int32_t clean[2 * TOKENS], pin[TOKENS];
    vqpipe_result *r[2] = {NULL, NULL};
    vqpipe *p = open_with(scheduler, backend);
    for (uint32_t i = 0; i < 2 * TOKENS; i++)
        clean[i] = (int32_t)(i % CODES);
    fill_pins(pin, 1);
    save(start_path, vqp_shape2(2, TOKENS), clean);
    save(pin_path, vqp_shape2(1, TOKENS), pin);
    set(p, "run.images_per_prompt", "2");
    set(p, "run.latents", start_path);
    set(p, "run.pin", pin_path);
    set(p, "run.start_step", "2");
    for (int k = 0; k < 2; k++) {
        struct watch w = {.pin = pin, .n = 1};
        struct vqpipe_run_params params = {.struct_size = sizeof params, .step = watch_pins, .step_ctx = &w};
        vqp_status st = vqpipe_run(p, &params, &r[k], &err);
        if (st == VQP_E_ARG && strstr(err.msg, "cannot noise given ids")) {
            printf("SKIPPED: %s has no record_start\n", scheduler);
            vqpipe_close(p);
            return;
        }
        CHECK_OK(st);
        CU_ASSERT_PTR_NOT_NULL_FATAL(r[k]);
        CU_ASSERT_EQUAL(w.first, 2);
        CU_ASSERT_EQUAL(w.moved, 0);
        struct vqpipe_timings t = {.struct_size = sizeof t};
        vqpipe_result_timings(r[k], &t);
        CU_ASSERT_EQUAL(t.evals, w.last - 1);
    }
    CU_ASSERT_EQUAL(memcmp(vqpipe_result_ids(r[0], 0), vqpipe_result_ids(r[1], 0), TOKENS * sizeof(int32_t)), 0);
    vqpipe_result_destroy(r[0]);
    vqpipe_result_destroy(r[1]);
    vqpipe_close(p);
}

static void every_scheduler_starts_in_the_middle(void)
{
    everywhere(starts_in_the_middle);
}

struct shares {
    uint32_t masked, kept, seen;
};

static int32_t count_shares(void *ctx, const struct vqpipe_step_event *ev)
{
    struct shares *s = ctx;
    for (uint32_t i = 0; !s->seen && i < ev->n_images * TOKENS; i++) {
        s->masked += ev->ids[i] == MASK;
        s->kept += ev->ids[i] == (int32_t)(i % CODES);
    }
    s->seen++;
    return 0;
}

/* The forward process masks every token by itself, so that after an evaluation at t the share of masks is that of t - 1, whatever
 * the denoiser thinks; from other start ids, or at another level of noise, it would not be. */
static void noises_to_the_level_of_the_evaluation(void)
{
    static int32_t clean[MOST * TOKENS];
    static const char *const rngs[] = {"philox", "torch-cpu"};
    for (uint32_t i = 0; i < MOST * TOKENS; i++)
        clean[i] = (int32_t)(i % CODES);
    vqpipe *p = open_with("vq-diffusion", "reference");
    CHECK_OK(vqpipe_set_latents(p, clean, MOST * TOKENS, &err));
    set(p, "run.images_per_prompt", "64");
    set(p, "run.batch_size", "64");
    set(p, "run.steps", "12");
    for (int k = 0; k < 2; k++) {
        set(p, "run.rng", rngs[k]);
        for (int first = 3; first <= 9; first += 3) {
            char text[8];
            struct shares s = {0};
            vqpipe_result *r = NULL;
            struct vqpipe_run_params params = {.struct_size = sizeof params, .step = count_shares, .step_ctx = &s};
            snprintf(text, sizeof text, "%d", first);
            set(p, "run.start_step", text);
            CHECK_OK(vqpipe_run(p, &params, &r, &err));
            CU_ASSERT_EQUAL(s.seen, (uint32_t)(TIMESTEPS - first));
            double gamma = (double)(TIMESTEPS - 2 - first) / (TIMESTEPS - 1) * 0.99998, n = MOST * TOKENS;
            double sigma = sqrt(n * gamma * (1 - gamma));
            if (fabs(s.masked - n * gamma) > 5 * sigma)
                printf("\n    %s, start_step %d: %u masks, expected %.0f\n", rngs[k], first, s.masked, n * gamma);
            CU_ASSERT_TRUE(fabs(s.masked - n * gamma) <= 5 * sigma);
            CU_ASSERT_TRUE(s.kept > n * (1 - gamma) / 4); /* 1/20 where they were forgotten */
            vqpipe_result_destroy(r);
        }
    }
    vqpipe_close(p);
}

static void refuses_bad_starts(void)
{
    int32_t ids[TOKENS];
    for (uint32_t i = 0; i < TOKENS; i++)
        ids[i] = (int32_t)(i % CODES);
    vqpipe *p = open_with("vq-diffusion", "reference");
    set(p, "run.start_step", "4");
    refused(p, "run.start_step is 4, but there are 4 evaluations; give 0 to 3");
    set(p, "run.start_step", "3");
    refused(p, "give run.latents");
    ids[7] = MASK;
    CHECK_OK(vqpipe_set_latents(p, ids, TOKENS, &err));
    refused(p, "id 20 at index 7 is outside 0..19; run.start_step needs clean ids");
    set(p, "run.start_step", "-1");
    refused(p, "run.start_step");
    set(p, "run.start_step", "0");
    struct watch w = {0};
    vqpipe_result_destroy(run_watched(p, &w));
    vqpipe_close(p);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"pinned ids stay in every step", pinned_ids_stay_in_every_step},
        {"free ids are as without pins", free_ids_are_as_without_pins},
        {"the denoiser sees pins", the_denoiser_sees_pins},
        {"refuses bad pins", refuses_bad_pins},
        {"every scheduler starts in the middle", every_scheduler_starts_in_the_middle},
        {"noises to the level of the evaluation", noises_to_the_level_of_the_evaluation},
        {"refuses bad starts", refuses_bad_starts},
    };
    const char *dirs[] = {VQP_BUILD_DIR "/lib/vqpipe", VQP_BUILD_DIR "/tests/plugins/random-unmask"};
    if (open_tiny(dirs, 2))
        return 2;
    snprintf(pin_path, sizeof pin_path, "%s/pin.npy", folder);
    snprintf(start_path, sizeof start_path, "%s/start.npy", folder);
    int rc = RUN_CASES("editing", cases);
    remove(pin_path);
    remove(start_path);
    close_tiny();
    return rc;
}
