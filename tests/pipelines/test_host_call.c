/* A scheduler that is plain C on host arrays, between programs on every backend. */
#include "npy.h"
#include "tiny.h"
#include <pthread.h>
#include <time.h>

static void set_way(vqpipe *p, const char *way)
{
    set(p, "components.scheduler.way", way);
}

static vqpipe_result *run(vqpipe *p)
{
    vqpipe_result *r = NULL;
    CHECK_OK(vqpipe_run(p, NULL, &r, &err));
    CU_ASSERT_PTR_NOT_NULL_FATAL(r);
    return r;
}

static int same_ids(const vqpipe_result *a, const vqpipe_result *b)
{
    int same = vqpipe_result_images(a) == vqpipe_result_images(b);
    for (uint32_t k = 0; same && k < vqpipe_result_images(a); k++)
        same = !memcmp(vqpipe_result_ids(a, k), vqpipe_result_ids(b, k), TOKENS * sizeof(int32_t));
    return same;
}

static void draws_what_ops_draw(void)
{
    struct names backends = all_of(VQP_IFACE_BACKEND);
    for (uint32_t b = 0; b < backends.n; b++) {
        vqpipe *p = open_with("host-calls", backends.name[b]);
        set(p, "run.images_per_prompt", "3");
        set(p, "run.batch_size", "2");
        vqpipe_result *by_ops = run(p);
        set_way(p, "host");
        vqpipe_result *by_calls = run(p), *again = run(p);
        CU_ASSERT_TRUE(same_ids(by_ops, by_calls));
        CU_ASSERT_TRUE(same_ids(by_calls, again));
        for (uint32_t i = 0; i < TOKENS; i++)
            CU_ASSERT_TRUE(vqpipe_result_ids(by_calls, 2)[i] < CODES);
        vqpipe_result_destroy(by_ops);
        vqpipe_result_destroy(by_calls);
        vqpipe_result_destroy(again);
        vqpipe_close(p);
    }
}

/* Each component on another backend than its neighbours; the denoiser's stays, so that its logits do. */
static void crosses_between_backends(void)
{
    static const char *const keys[] = {"components.scheduler.backend", "components.text_encoder.backend",
                                       "components.vq_decoder.backend"};
    struct names backends = all_of(VQP_IFACE_BACKEND);
    if (backends.n < 2)
        SKIP("crosses between backends: there is one backend");
    for (uint32_t b = 0; b < backends.n; b++) {
        vqpipe *plain = open_with("host-calls", backends.name[b]);
        vqpipe_result *want = run(plain);
        for (int k = 0; k < 2; k++) {
            static const char *const ways[] = {"ops", "host"};
            vqpipe *p = open_with("host-calls", backends.name[b]);
            set_way(p, ways[k]);
            set(p, keys[0], backends.name[(b + 1) % backends.n]);
            set(p, keys[2], backends.name[(b + 1) % backends.n]);
            vqpipe_result *r = run(p);
            CU_ASSERT_TRUE(same_ids(r, want));
            vqpipe_result_destroy(r);
            set(p, keys[1], backends.name[(b + 1) % backends.n]); /* states differ in their last bits: any picture */
            vqpipe_result_destroy(run(p));
            vqpipe_close(p);
        }
        vqpipe_result_destroy(want);
        vqpipe_close(plain);
    }
}

static void starts_in_the_middle_and_keeps_pins(void)
{
    static const char *const ways[] = {"ops", "host"};
    int32_t ids[TOKENS], pin[TOKENS];
    char path[64];
    struct vqp_shape shape = vqp_shape2(1, TOKENS);
    vqpipe_result *r[2];
    vqpipe *p = open_with("host-calls", "reference");
    for (uint32_t i = 0; i < TOKENS; i++) {
        ids[i] = (int32_t)(i % CODES);
        pin[i] = i % 5 ? -1 : (int32_t)((i + 3) % CODES);
    }
    snprintf(path, sizeof path, "%s/pin.npy", folder);
    CHECK_OK(vqp_npy_save(path, VQP_I32, &shape, pin, &err));
    CHECK_OK(vqpipe_set_latents(p, ids, TOKENS, &err));
    set(p, "run.pin", path);
    set(p, "run.start_step", "2");
    for (int k = 0; k < 2; k++) {
        set_way(p, ways[k]);
        r[k] = run(p);
        for (uint32_t i = 0; i < TOKENS; i += 5)
            CU_ASSERT_EQUAL(vqpipe_result_ids(r[k], 0)[i], pin[i]);
    }
    CU_ASSERT_TRUE(same_ids(r[0], r[1]));
    vqpipe_result_destroy(r[0]);
    vqpipe_result_destroy(r[1]);
    vqpipe_close(p);
    remove(path);
}

static void says_what_a_function_says(void)
{
    static const struct {
        const char *way, *says;
        vqp_status status;
    } rows[] = {
        {"fail", "scheduler (host-calls): scheduler/choose, \"pick\": nothing to choose from in row 3", VQP_E_NUMERIC},
        {"silent", "\"pick\": it failed and does not say why", VQP_E_DEVICE},
        {"status", "\"pick\": returned 7, which is no status", VQP_E_PLUGIN},
        {"wide", "step/scheduler/choose: host_call \"pick\" has 1 inputs and 3 outputs, expected at most 8 and 2",
         VQP_E_SHAPE},
        {"nameless", "host_call without a name", VQP_E_SHAPE},
        {"functionless", "host_call \"pick\" has no function", VQP_E_SHAPE},
        {"inputless", "host_call \"pick\": input 0 is missing", VQP_E_SHAPE},
        {"shapeless", "output of host_call \"pick\" is f32[-4]: not a possible tensor", VQP_E_SHAPE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        vqpipe *p = open_with("host-calls", "reference");
        vqpipe_result *r = NULL;
        set_way(p, rows[i].way);
        err = (struct vqp_error){0};
        CU_ASSERT_EQUAL(vqpipe_run(p, NULL, &r, &err), rows[i].status);
        CHECK_STR_HAS(err.msg, rows[i].says);
        set_way(p, "host");
        vqpipe_result_destroy(run(p));
        vqpipe_close(p);
    }
}

static void *cancel_soon(void *pipe)
{
    nanosleep(&(struct timespec){0, 100000000}, NULL);
    vqpipe_cancel(pipe);
    return NULL;
}

static void is_cancelled_within_a_function(void)
{
    vqpipe *p = open_with("host-calls", "reference");
    vqpipe_result *r = NULL;
    pthread_t thread;
    struct timespec from, to;
    set_way(p, "cancel");
    CHECK_OK(vqpipe_load(p, &err));
    clock_gettime(CLOCK_MONOTONIC, &from);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, cancel_soon, p), 0);
    CU_ASSERT_EQUAL(vqpipe_run(p, NULL, &r, &err), VQP_E_CANCELLED);
    pthread_join(thread, NULL);
    clock_gettime(CLOCK_MONOTONIC, &to);
    CU_ASSERT_TRUE(to.tv_sec - from.tv_sec < 10); /* it would take 20 */
    set_way(p, "host");
    vqpipe_result_destroy(run(p));
    vqpipe_close(p);
}

static void shows_its_pieces(void)
{
    char text[1 << 16];
    vqpipe *p = open_with("host-calls", "reference");
    set_way(p, "host");
    FILE *f = tmpfile();
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CHECK_OK(vqpipe_print_programs(p, f, &err));
    rewind(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    const char *at = text;
    static const char *const parts[] = {"# piece of step on reference f32",
                                        "# piece of step on the host: a function of scheduler/choose\npick (",
                                        "f32[36,20]) -> ",
                                        "# piece of step on reference f32",
                                        "look (",
                                        "merge (",
                                        "# piece of step on reference f32",
                                        "bytes cross through host memory each time"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts && at; i++) {
        CHECK_STR_HAS(at, parts[i]);
        at = strstr(at, parts[i]);
        at = at ? at + strlen(parts[i]) : NULL;
    }
    vqpipe_close(p);
}

static void is_measured_predicted_and_compared(void)
{
    struct vqpipe_comparison c = {.struct_size = sizeof c};
    struct vqpipe_prediction guess = {.struct_size = sizeof guess};
    struct vqpipe_bench_info info = {.struct_size = sizeof info};
    vqpipe_bench *bench = NULL;
    vqpipe_result *r = NULL;
    vqpipe *p = open_with("host-calls", "reference");
    set_way(p, "host");
    CHECK_OK(vqpipe_predict(p, &guess, &err));
    CU_ASSERT_TRUE(guess.step > 0);
    CHECK_OK(vqpipe_compare(p, "reference", NULL, &c, &err));
    CU_ASSERT_EQUAL(c.differs, 0);
    CU_ASSERT_EQUAL(c.evals, 3);
    CHECK_OK(vqpipe_measure(p, NULL, &bench, &r, &err));
    vqpipe_bench_describe(bench, &info);
    CU_ASSERT_EQUAL(info.evals, 4);
    CU_ASSERT_TRUE(info.step > 0);
    vqpipe_bench_destroy(bench);
    vqpipe_result_destroy(r);
    vqpipe_close(p);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"draws what ops draw", draws_what_ops_draw},
        {"crosses between backends", crosses_between_backends},
        {"starts in the middle and keeps pins", starts_in_the_middle_and_keeps_pins},
        {"says what a function says", says_what_a_function_says},
        {"is cancelled within a function", is_cancelled_within_a_function},
        {"shows its pieces", shows_its_pieces},
        {"is measured, predicted and compared", is_measured_predicted_and_compared},
    };
    const char *dirs[] = {VQP_BUILD_DIR "/tests/plugins/host_calls", VQP_BUILD_DIR "/lib/vqpipe"};
    int rc = open_tiny(dirs, 2) ? 2 : RUN_CASES("host call", cases);
    close_tiny();
    return rc;
}
