/* The library as a program uses it: keys, reloading, cancelling, seeds, start ids, callbacks, sharing, names of files. */
#include "check.h"
#include <dirent.h>
#include <unistd.h>
#include <vqpipe/vqpipe.h>

#define OTHER_PLUGINS VQP_BUILD_DIR "/tests/plugins/good"
#define MODELS        VQP_SOURCE_DIR "/tests/golden/models"
enum {
    TOKENS = 36,
    MASK = 20
};

static vqpipe_context *context;
static char folder[] = "/tmp/vqpipe-test-XXXXXX", descriptor[64];

#define CHECK_OK(call)                                                                                                 \
    do {                                                                                                               \
        vqp_status status_ = (call);                                                                                   \
        if (status_)                                                                                                   \
            printf("\n    %s:%d: %s (%d)\n", __FILE__, __LINE__, err.msg, (int)status_);                               \
        CU_ASSERT_EQUAL(status_, VQP_OK);                                                                              \
    } while (0)

/* A refusal: the status, a part of the sentence, and that it is one line. */
#define CHECK_REFUSED(call, status, part)                                                                              \
    do {                                                                                                               \
        err = (struct vqp_error){0};                                                                                   \
        CU_ASSERT_EQUAL((call), (status));                                                                             \
        CHECK_STR_HAS(err.msg, part);                                                                                  \
        CU_ASSERT_PTR_NULL(strchr(err.msg, '\n'));                                                                     \
    } while (0)

static struct vqp_error err;

static void quiet(void *ctx, int32_t level, const char *msg)
{
    (void)ctx;
    (void)level;
    (void)msg;
}

static vqpipe_context *make_context(void)
{
    const char *dirs[] = {VQP_BUILD_DIR "/lib/vqpipe", OTHER_PLUGINS};
    struct vqpipe_context_params p = {
        .struct_size = sizeof p, .threads = 2, .plugin_dirs = dirs, .n_plugin_dirs = 2, .log = quiet};
    vqpipe_context *c = NULL;
    if (vqpipe_context_create(&p, &c, &err))
        printf("%s\n", err.msg);
    return c;
}

static void write_descriptor(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fputs(text, f);
    fclose(f);
}

static vqpipe *open_in(vqpipe_context *c)
{
    vqpipe *p = NULL;
    CHECK_OK(vqpipe_open(c, descriptor, &p, &err));
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    return p;
}

static void set(vqpipe *p, const char *key, const char *value)
{
    CHECK_OK(vqpipe_set(p, key, value, &err));
}

static vqpipe_result *run_with(vqpipe *p, const struct vqpipe_run_params *params)
{
    vqpipe_result *r = NULL;
    CHECK_OK(vqpipe_run(p, params, &r, &err));
    CU_ASSERT_PTR_NOT_NULL_FATAL(r);
    return r;
}

static vqpipe_result *run(vqpipe *p)
{
    return run_with(p, NULL);
}

static int same_ids(const vqpipe_result *a, uint32_t i, const vqpipe_result *b, uint32_t k)
{
    return !memcmp(vqpipe_result_ids(a, i), vqpipe_result_ids(b, k), TOKENS * sizeof(int32_t));
}

static int same_picture(const vqpipe_result *a, const vqpipe_result *b)
{
    size_t n = (size_t)vqpipe_result_width(a) * vqpipe_result_height(a) * 3;
    return vqpipe_result_width(a) == vqpipe_result_width(b) &&
           !memcmp(vqpipe_result_rgb(a, 0), vqpipe_result_rgb(b, 0), n) && same_ids(a, 0, b, 0);
}

static int same_run(vqpipe *p, const vqpipe_result *before)
{
    vqpipe_result *now = run(p);
    int same = same_picture(before, now);
    vqpipe_result_destroy(now);
    return same;
}

static double load_seconds(const vqpipe_result *r)
{
    struct vqpipe_timings t = {.struct_size = sizeof t};
    vqpipe_result_timings(r, &t);
    return t.load;
}

/* ---- keys ------------------------------------------------------------------------------------------------------- */

static void gives_back_what_was_set(void)
{
    vqpipe *p = open_in(context);
    CU_ASSERT_STRING_EQUAL(vqpipe_get(p, "run.steps"), "4");
    set(p, "run.steps", "7");
    CU_ASSERT_STRING_EQUAL(vqpipe_get(p, "run.steps"), "7");
    set(p, "run.steps", "3");
    CU_ASSERT_STRING_EQUAL(vqpipe_get(p, "run.steps"), "3");
    set(p, "run.prompt", "a red boat");
    CU_ASSERT_STRING_EQUAL(vqpipe_get(p, "run.prompt"), "[a red boat]");
    CU_ASSERT_STRING_EQUAL(vqpipe_get(p, "components.scheduler.use"), "vq-diffusion");
    CU_ASSERT_STRING_EQUAL(vqpipe_get(p, "run.truncation_rate"), "1");
    CU_ASSERT_PTR_NULL(vqpipe_get(p, "run.nothing"));
    vqpipe_close(p);
}

static void refuses_a_wrong_key_and_goes_on_when_it_is_put_right(void)
{
    vqpipe *p = open_in(context);
    vqpipe_result *before = run(p), *r = NULL;
    set(p, "run.steps", "many");
    CHECK_REFUSED(vqpipe_run(p, NULL, &r, &err), VQP_E_ARG, "steps");
    CU_ASSERT_PTR_NULL(vqpipe_get(p, "run.steps"));
    set(p, "run.steps", "13");
    CHECK_REFUSED(vqpipe_run(p, NULL, &r, &err), VQP_E_ARG, "12 timesteps");
    set(p, "run.steps", "4");
    CU_ASSERT_TRUE(same_run(p, before));
    CU_ASSERT_PTR_NULL(r);
    vqpipe_result_destroy(before);
    vqpipe_close(p);
}

static void keeps_what_is_loaded_while_run_keys_change(void)
{
    vqpipe *p = open_in(context);
    CHECK_OK(vqpipe_load(p, &err));
    vqpipe_result *first = run(p);
    CU_ASSERT_EQUAL(load_seconds(first), 0);
    /* Were the parts read again, the missing folder would be an error. */
    char moved[96];
    snprintf(moved, sizeof moved, "%s/gone", folder);
    char link[96];
    snprintf(link, sizeof link, "%s/model", folder);
    CU_ASSERT_EQUAL(rename(link, moved), 0);
    set(p, "run.steps", "6");
    set(p, "run.seed", "9");
    vqpipe_result *second = run(p), *r = NULL;
    struct vqpipe_timings t = {.struct_size = sizeof t};
    vqpipe_result_timings(second, &t);
    CU_ASSERT_EQUAL(t.evals, 6);
    CU_ASSERT_EQUAL(vqpipe_result_seed(second, 0), 9);
    CU_ASSERT_FALSE(same_ids(first, 0, second, 0));
    set(p, "run.steps", "4");
    set(p, "run.seed", "1");
    CU_ASSERT_TRUE(same_run(p, first));
    set(p, "components.scheduler.spacing", "strided");
    CHECK_REFUSED(vqpipe_run(p, NULL, &r, &err), VQP_E_IO, "/model/");
    CU_ASSERT_EQUAL(rename(moved, link), 0);
    vqpipe_result *spaced = run(p);
    CU_ASSERT_TRUE(load_seconds(spaced) > 0);
    vqpipe_result_destroy(first);
    vqpipe_result_destroy(second);
    vqpipe_result_destroy(spaced);
    vqpipe_close(p);
}

static void keeps_a_plugins_keys_for_when_it_is_chosen_again(void)
{
    if (access(OTHER_PLUGINS "/good.so", R_OK))
        SKIP("no second scheduler: " OTHER_PLUGINS "/good.so is not built");
    vqpipe *p = open_in(context);
    vqpipe_result *r = NULL, *first = run(p);
    set(p, "components.scheduler.use", "minimal");
    CHECK_REFUSED(vqpipe_run(p, NULL, &r, &err), VQP_E_PLUGIN, "scheduler (minimal) plans 0 evaluations");
    set(p, "components.scheduler.use", "vq-diffusion");
    CU_ASSERT_TRUE(same_run(p, first));
    CU_ASSERT_STRING_EQUAL(vqpipe_get(p, "components.scheduler.spacing"), "diffusers");
    vqpipe_result_destroy(first);
    vqpipe_close(p);
}

static void changes_the_picture_with_a_negative_prompt(void)
{
    vqpipe *p = open_in(context);
    vqpipe_result *learned = run(p);
    set(p, "run.negative_prompt", "fog and rain");
    vqpipe_result *negative = run(p);
    CU_ASSERT_FALSE(same_ids(learned, 0, negative, 0));
    char longest[9000];
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = 0;
    vqpipe_result *r = NULL;
    set(p, "run.negative_prompt", longest);
    CHECK_REFUSED(vqpipe_run(p, NULL, &r, &err), VQP_E_ARG, "negative prompt 1 has 8999 bytes");
    CU_ASSERT_PTR_NULL(r);
    vqpipe_result_destroy(learned);
    vqpipe_result_destroy(negative);
    vqpipe_close(p);
}

/* ---- cancelling ------------------------------------------------------------------------------------------------- */

struct heard {
    uint32_t n, evals[32], last_n_evals, stop_at;
    vqpipe *cancel;
};

static int32_t hear(void *ctx, const struct vqpipe_step_event *ev)
{
    struct heard *h = ctx;
    CU_ASSERT_EQUAL(ev->n_tokens, TOKENS);
    if (h->n < 32)
        h->evals[h->n++] = ev->eval;
    h->last_n_evals = ev->n_evals;
    if (h->cancel)
        vqpipe_cancel(h->cancel);
    return h->stop_at && h->n == h->stop_at;
}

static void cancels_from_the_callback_and_runs_again(void)
{
    vqpipe *p = open_in(context);
    vqpipe_result *whole = run(p), *r = NULL;
    struct heard h = {.stop_at = 2};
    struct vqpipe_run_params params = {.struct_size = sizeof params, .step = hear, .step_ctx = &h};
    CHECK_REFUSED(vqpipe_run(p, &params, &r, &err), VQP_E_CANCELLED, "cancelled");
    CU_ASSERT_EQUAL(h.n, 2);
    CU_ASSERT_PTR_NULL(r);
    CU_ASSERT_EQUAL(vqpipe_exit_code(VQP_E_CANCELLED), 130);
    CU_ASSERT_TRUE(same_run(p, whole));
    h = (struct heard){.cancel = p};
    CHECK_REFUSED(vqpipe_run(p, &params, &r, &err), VQP_E_CANCELLED, "cancelled");
    CU_ASSERT_EQUAL(h.n, 1);
    CU_ASSERT_TRUE(same_run(p, whole));
    vqpipe_result_destroy(whole);
    vqpipe_close(p);
}

static void cancels_the_next_run_alone(void)
{
    vqpipe *p = open_in(context);
    vqpipe_result *r = NULL;
    vqpipe_cancel(p);
    CHECK_REFUSED(vqpipe_run(p, NULL, &r, &err), VQP_E_CANCELLED, "cancelled");
    CU_ASSERT_PTR_NULL(r);
    vqpipe_result_destroy(run(p));
    vqpipe_close(p);
}

static void calls_back_every_n_evaluations_and_after_the_last(void)
{
    vqpipe *p = open_in(context);
    struct heard h = {0};
    struct vqpipe_run_params params = {.struct_size = sizeof params, .callback_steps = 3, .step = hear, .step_ctx = &h};
    set(p, "run.steps", "8");
    vqpipe_result_destroy(run_with(p, &params));
    CU_ASSERT_EQUAL(h.n, 3);
    CU_ASSERT_EQUAL(h.evals[0], 2);
    CU_ASSERT_EQUAL(h.evals[1], 5);
    CU_ASSERT_EQUAL(h.evals[2], 7);
    CU_ASSERT_EQUAL(h.last_n_evals, 8);
    h = (struct heard){0};
    params.callback_steps = 0;
    vqpipe_result_destroy(run_with(p, &params));
    CU_ASSERT_EQUAL(h.n, 8);
    vqpipe_close(p);
}

/* ---- start ids and seeds ---------------------------------------------------------------------------------------- */

static void checks_start_ids(void)
{
    vqpipe *p = open_in(context);
    vqpipe_result *masks = run(p), *r = NULL;
    int32_t ids[TOKENS + 1];
    for (int i = 0; i <= TOKENS; i++)
        ids[i] = MASK;
    CHECK_OK(vqpipe_set_latents(p, ids, TOKENS + 1, &err));
    CHECK_REFUSED(vqpipe_run(p, NULL, &r, &err), VQP_E_ARG, "37 ids");
    CHECK_OK(vqpipe_set_latents(p, ids, TOKENS, &err));
    CU_ASSERT_TRUE(same_run(p, masks));
    ids[5] = MASK + 1;
    CHECK_OK(vqpipe_set_latents(p, ids, TOKENS, &err));
    CHECK_REFUSED(vqpipe_run(p, NULL, &r, &err), VQP_E_ARG, "id 21 at index 5 is outside 0..20");
    ids[5] = -1;
    CHECK_OK(vqpipe_set_latents(p, ids, TOKENS, &err));
    CHECK_REFUSED(vqpipe_run(p, NULL, &r, &err), VQP_E_ARG, "id -1 at index 5");
    CHECK_OK(vqpipe_set_latents(p, NULL, 0, &err));
    CU_ASSERT_TRUE(same_run(p, masks));
    vqpipe_result_destroy(masks);
    vqpipe_close(p);
}

static void gives_every_image_its_own_seed(void)
{
    vqpipe *p = open_in(context);
    vqpipe_result *r = NULL;
    set(p, "run.images_per_prompt", "3");
    vqpipe_result *counted = run(p);
    CU_ASSERT_EQUAL(vqpipe_result_images(counted), 3);
    CU_ASSERT_EQUAL(vqpipe_result_seed(counted, 2), 3);
    CU_ASSERT_PTR_NULL(vqpipe_result_rgb(counted, 3));
    set(p, "run.seed", "[3, 18446744073709551615, 1]");
    vqpipe_result *listed = run(p);
    CU_ASSERT_EQUAL(vqpipe_result_seed(listed, 1), UINT64_MAX);
    CU_ASSERT_TRUE(same_ids(counted, 2, listed, 0));
    CU_ASSERT_TRUE(same_ids(counted, 0, listed, 2));
    CU_ASSERT_FALSE(same_ids(counted, 1, listed, 1));
    set(p, "run.seed", "[1, 2]");
    CHECK_REFUSED(vqpipe_run(p, NULL, &r, &err), VQP_E_ARG, "2 seeds for 3 images");
    set(p, "run.seed", "18446744073709551616");
    CHECK_REFUSED(vqpipe_run(p, NULL, &r, &err), VQP_E_ARG, "run.seed");
    set(p, "run.seed", "random");
    vqpipe_result *a = run(p), *b = run(p);
    CU_ASSERT_NOT_EQUAL(vqpipe_result_seed(a, 0), vqpipe_result_seed(b, 0));
    CU_ASSERT_EQUAL(vqpipe_result_seed(a, 1), vqpipe_result_seed(a, 0) + 1);
    vqpipe_result_destroy(counted);
    vqpipe_result_destroy(listed);
    vqpipe_result_destroy(a);
    vqpipe_result_destroy(b);
    vqpipe_close(p);
}

/* ---- sharing ---------------------------------------------------------------------------------------------------- */

static int times_mapped(const char *part)
{
    FILE *f = fopen("/proc/self/maps", "r");
    char line[1024];
    int n = 0;
    while (f && fgets(line, sizeof line, f))
        n += strstr(line, part) != NULL;
    if (f)
        fclose(f);
    return n;
}

static void shares_model_files_between_pipelines_of_a_context(void)
{
    vqpipe *a = open_in(context), *b = open_in(context);
    vqpipe_result *ra = run(a), *rb = run(b);
    CU_ASSERT_TRUE(same_picture(ra, rb));
    CU_ASSERT_EQUAL(times_mapped("/models/tiny/transformer/"), 1);
    vqpipe_close(a);
    CU_ASSERT_EQUAL(times_mapped("/models/tiny/transformer/"), 1);
    CU_ASSERT_TRUE(same_run(b, ra));
    vqpipe_close(b);
    CU_ASSERT_EQUAL(times_mapped("/models/tiny/transformer/"), 0);
    vqpipe_result_destroy(ra);
    vqpipe_result_destroy(rb);
}

/* ---- refusals --------------------------------------------------------------------------------------------------- */

static void says_what_is_wrong_with_a_pipeline(void)
{
    char path[64];
    vqpipe *p = NULL;
    vqpipe_result *r = NULL;
    snprintf(path, sizeof path, "%s/bad.yaml", folder);
    write_descriptor(path, "vqpipe: 1\nrun: { step: 4 }\n");
    CHECK_REFUSED(vqpipe_open(context, path, &p, &err), VQP_E_ARG, "bad.yaml:2:");
    write_descriptor(path, "vqpipe: [1\n");
    CHECK_REFUSED(vqpipe_open(context, path, &p, &err), VQP_E_ARG, "bad.yaml:");
    CHECK_REFUSED(vqpipe_open(context, "/nowhere/at/all.yaml", &p, &err), VQP_E_ARG, "/nowhere/at/all.yaml");
    CU_ASSERT_PTR_NULL(p);
    p = open_in(context);
    set(p, "model", "/nowhere/model");
    CHECK_REFUSED(vqpipe_run(p, NULL, &r, &err), VQP_E_IO, "/nowhere/model");
    vqpipe_close(p);
    p = open_in(context);
    set(p, "components.scheduler.use", "vq-difusion");
    CHECK_REFUSED(vqpipe_run(p, NULL, &r, &err), VQP_E_PLUGIN, "vq-diffusion");
    vqpipe_close(p);
    CU_ASSERT_PTR_NULL(r);
}

/* ---- files ------------------------------------------------------------------------------------------------------ */

struct names {
    uint32_t n;
    char name[8][64];
};

static void note_name(void *ctx, const char *path, uint32_t image)
{
    struct names *names = ctx;
    CU_ASSERT_EQUAL(image, names->n);
    CU_ASSERT_EQUAL(access(path, R_OK), 0);
    if (names->n < 8)
        snprintf(names->name[names->n++], 64, "%s", strrchr(path, '/') + 1);
}

static void check_names(const vqpipe_result *r, const char *pattern, const char *first, const char *second)
{
    char path[96];
    struct names names = {0};
    snprintf(path, sizeof path, "%s/%s", folder, pattern);
    CHECK_OK(vqpipe_result_save(r, path, 1, 1, note_name, &names, &err));
    CU_ASSERT_EQUAL(names.n, second ? 2 : 1);
    CU_ASSERT_STRING_EQUAL(names.name[0], first);
    if (second)
        CU_ASSERT_STRING_EQUAL(names.name[1], second);
}

static void names_files_by_index_and_seed(void)
{
    vqpipe *p = open_in(context);
    vqpipe_result *one = run(p);
    check_names(one, "one.png", "one.png", NULL);
    set(p, "run.images_per_prompt", "2");
    set(p, "run.seed", "41");
    vqpipe_result *two = run(p);
    check_names(two, "two.png", "two-0.png", "two-1.png");
    check_names(two, "i{index}.png", "i0.png", "i1.png");
    check_names(two, "s{seed}.png", "s41.png", "s42.png");
    check_names(two, "{seed}_{index}.png", "41_0.png", "42_1.png");
    check_names(two, "all.npy", "all.npy", NULL);
    check_names(two, "all.ids.npy", "all.ids.npy", NULL);
    check_names(two, "b{index}-{seed}.npy", "b0-41.npy", NULL);
    set(p, "run.seed", "[5, 5]");
    vqpipe_result *alike = run(p);
    check_names(alike, "s{seed}.png", "s5-0.png", "s5-1.png");
    CHECK_REFUSED(vqpipe_result_save(two, "two.jpg", 1, 1, NULL, NULL, &err), VQP_E_ARG, "two.jpg");
    CHECK_REFUSED(vqpipe_result_save(two, "two.png", 1, 9, NULL, NULL, &err), VQP_E_ARG, "scale is 9");
    CHECK_REFUSED(vqpipe_result_save(two, "/nowhere/two.png", 1, 1, NULL, NULL, &err), VQP_E_OUTPUT, "/nowhere");
    vqpipe_result_destroy(one);
    vqpipe_result_destroy(two);
    vqpipe_result_destroy(alike);
    vqpipe_close(p);
}

static void remove_folder(void)
{
    char path[512];
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        unlink(path);
    }
    if (d)
        closedir(d);
    rmdir(folder);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"gives back what was set", gives_back_what_was_set},
        {"refuses a wrong key and goes on when it is put right", refuses_a_wrong_key_and_goes_on_when_it_is_put_right},
        {"keeps what is loaded while run keys change", keeps_what_is_loaded_while_run_keys_change},
        {"keeps a plugin's keys for when it is chosen again", keeps_a_plugins_keys_for_when_it_is_chosen_again},
        {"changes the picture with a negative prompt", changes_the_picture_with_a_negative_prompt},
        {"cancels from the callback and runs again", cancels_from_the_callback_and_runs_again},
        {"cancels the next run alone", cancels_the_next_run_alone},
        {"calls back every n evaluations and after the last", calls_back_every_n_evaluations_and_after_the_last},
        {"checks start ids", checks_start_ids},
        {"gives every image its own seed", gives_every_image_its_own_seed},
        {"shares model files between pipelines of a context", shares_model_files_between_pipelines_of_a_context},
        {"says what is wrong with a pipeline", says_what_is_wrong_with_a_pipeline},
        {"names files by index and seed", names_files_by_index_and_seed},
    };
    char path[96];
    if (!mkdtemp(folder))
        return 2;
    snprintf(descriptor, sizeof descriptor, "%s/test.yaml", folder);
    snprintf(path, sizeof path, "%s/model", folder);
    FILE *f = fopen(descriptor, "w");
    if (!f || symlink(MODELS "/tiny", path))
        return 2;
    fprintf(f, "vqpipe: 1\nname: test\nmodel: model\nbackend: { use: reference }\ncomponents:\n"
               "  tokenizer: { use: clip-bpe, path: " VQP_SOURCE_DIR
               "/models/postcards/tokenizer, truncation: diffusers }\n"
               "  text_encoder: { use: clip-text, path: text_encoder, "
               "null_path: learned_classifier_free_sampling_embeddings }\n"
               "  denoiser: { use: vq-diffusion-transformer, path: transformer }\n"
               "  scheduler: { use: vq-diffusion, path: scheduler, spacing: diffusers }\n"
               "  vq_decoder: { use: vqgan, path: vqvae }\n"
               "run: { prompt: a lighthouse at night, steps: 4, seed: 1 }\n");
    fclose(f);
    context = make_context();
    int rc = context ? RUN_CASES("vqpipe", cases) : 2;
    vqpipe_context_destroy(context);
    remove_folder();
    return rc;
}
