/* The whole pipeline against dumps of the reference pipeline (cases/, made as README.md says), and what a user may rely
 * on: equal seeds give equal pictures, however they are batched. VQP_TEST_BACKEND names the backend; default: reference.
 * VQP_TEST_VERBOSE: what is logged too. */
#include "check.h"
#include "compare_stages.h"
#include "npy.h"
#include <dirent.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vqpipe/host.h>
#include <vqpipe/vqpipe.h>

#define GOLDEN_DIR VQP_SOURCE_DIR "/tests/golden"

static vqpipe_context *context;
static const char *backend;

#define CHECK_OK(call)                                                                                                 \
    do {                                                                                                               \
        vqp_status status_ = (call);                                                                                   \
        if (status_)                                                                                                   \
            printf("\n    %s:%d: %s (%d)\n", __FILE__, __LINE__, err.msg, (int)status_);                               \
        CU_ASSERT_EQUAL(status_, VQP_OK);                                                                              \
    } while (0)

static void set(vqpipe *pipe, const char *key, const char *value)
{
    struct vqp_error err = {0};
    if (pipe)
        CHECK_OK(vqpipe_set(pipe, key, value, &err));
}

/* The pipeline of golden.yaml on a model folder; NULL after a failure, which every function here accepts. */
static vqpipe *open_model(const char *model_dir)
{
    struct vqp_error err = {0};
    vqpipe *pipe = NULL;
    CHECK_OK(vqpipe_open(context, GOLDEN_DIR "/golden.yaml", &pipe, &err));
    set(pipe, "model", model_dir);
    set(pipe, "components.tokenizer.path", VQP_SOURCE_DIR "/models/postcards/tokenizer");
    set(pipe, "backend.use", backend);
    return pipe;
}

static vqpipe_result *run_fed(vqpipe *pipe, const char *dump_dir, const char *feed_dir)
{
    struct vqp_error err = {0};
    struct vqpipe_run_params params = {.struct_size = sizeof params, .dump_dir = dump_dir, .feed_dir = feed_dir};
    vqpipe_result *result = NULL;
    if (pipe)
        CHECK_OK(vqpipe_run(pipe, &params, &result, &err));
    return result;
}

static vqpipe_result *run(vqpipe *pipe, const char *dump_dir)
{
    return run_fed(pipe, dump_dir, NULL);
}

/* ---- against the reference -------------------------------------------------------------------------------------- */

struct golden {
    json_t *json;
    char dir[512], model_dir[512];
    uint32_t steps;
    double truncation;
};

/* Reads case.json of a case folder; 0 where that fails. */
static int golden_open(struct golden *g, const char *dir, const char *models_dir)
{
    char path[600];
    json_error_t why;
    memset(g, 0, sizeof *g);
    snprintf(g->dir, sizeof g->dir, "%s", dir);
    snprintf(path, sizeof path, "%s/case.json", dir);
    g->json = json_load_file(path, 0, &why);
    const char *model = json_string_value(json_object_get(g->json, "model"));
    if (!model) {
        printf("\n    %s: %s\n", path, g->json ? "names no model" : why.text);
        CU_FAIL("case.json");
        json_decref(g->json);
        return 0;
    }
    snprintf(g->model_dir, sizeof g->model_dir, "%s/%s", models_dir, model);
    g->steps = 100;
    g->truncation = 1;
    return 1;
}

/* Gives the pipeline the arguments that the oracle had, then the keys under "set". */
static void golden_apply(struct golden *g, vqpipe *pipe)
{
    static const struct {
        const char *flag, *key;
    } keys[] = {{"--steps", "run.steps"},
                {"--guidance", "run.guidance_scale"},
                {"--truncation", "run.truncation_rate"},
                {"--images-per-prompt", "run.images_per_prompt"},
                {"--seed", "run.seed"},
                {"--latents", "run.latents"}};
    const json_t *args = json_object_get(g->json, "args");
    const char *prompts[8], *key;
    uint32_t n_prompts = 0;
    json_t *value;
    struct vqp_error err = {0};
    for (size_t i = 0; i + 1 < json_array_size(args); i += 2) {
        const char *flag = json_string_value(json_array_get(args, i));
        const char *text = json_string_value(json_array_get(args, i + 1));
        char path[1100];
        if (!strcmp(flag, "--latents")) {
            snprintf(path, sizeof path, "%s/%s", g->dir, text);
            text = path;
        }
        if (!strcmp(flag, "--prompt") && n_prompts < 8)
            prompts[n_prompts++] = text;
        if (!strcmp(flag, "--steps"))
            g->steps = (uint32_t)strtoul(text, NULL, 10);
        if (!strcmp(flag, "--truncation"))
            g->truncation = strtod(text, NULL);
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
            if (!strcmp(flag, keys[k].flag))
                set(pipe, keys[k].key, text);
    }
    if (pipe)
        CHECK_OK(vqpipe_set_prompts(pipe, prompts, n_prompts, &err));
    json_object_foreach(json_object_get(g->json, "set"), key, value) set(pipe, key, json_string_value(value));
}

/* An empty folder for a dump, under the build tree, where it stays to be looked at. */
static void dump_folder(char *path, size_t size, const char *name)
{
    const char *const parts[] = {"golden", backend, name};
    size_t n = (size_t)snprintf(path, size, "%s", VQP_BUILD_DIR);
    for (size_t i = 0; i < 3; i++) {
        n += (size_t)snprintf(path + n, size - n, "/%s", parts[i]);
        mkdir(path, 0755);
    }
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));)
        unlinkat(dirfd(d), e->d_name, 0); /* fails for . and .. */
    if (d)
        closedir(d);
}

/* spacing: NULL, or instead of golden.yaml's. */
static void run_golden(const char *dir, const char *models_dir, const char *name, const char *spacing)
{
    struct golden g;
    struct stage_report report;
    char dump[1024], case_dir[512];
    snprintf(case_dir, sizeof case_dir, "%s/%s", dir, name);
    if (!golden_open(&g, case_dir, models_dir))
        return;
    dump_folder(dump, sizeof dump, name);
    vqpipe *pipe = open_model(g.model_dir);
    golden_apply(&g, pipe);
    if (spacing)
        set(pipe, "components.scheduler.spacing", spacing);
    vqpipe_result *result = run(pipe, dump);
    if (result) {
        compare_stages(case_dir, dump, g.steps, g.truncation, &stages_f32, &report);
        printf("\n    %s on %s: %u ids compared, states %.1e, logp %.1e, image %.1e, %u truncation ties%s", name,
               backend, report.ids, report.states, report.logp, report.image, report.ties,
               report.bad ? " FALLS SHORT" : "");
        CU_ASSERT_EQUAL(report.bad, 0);
        CU_ASSERT_TRUE(report.ids > 0);
    }
    vqpipe_result_destroy(result);
    vqpipe_close(pipe);
    json_decref(g.json);
}

#define COMMITTED(function, name)                                                                                      \
    static void function(void)                                                                                         \
    {                                                                                                                  \
        run_golden(GOLDEN_DIR "/cases", GOLDEN_DIR "/models", name, NULL);                                             \
    }
COMMITTED(tiny_a, "tiny-a")
COMMITTED(tiny_b, "tiny-b")
COMMITTED(short_cut, "short-cut")
COMMITTED(short_plain, "short-plain")
COMMITTED(wide_a, "wide-a")
COMMITTED(wide_b, "wide-b")
COMMITTED(odd_a, "odd-a")
COMMITTED(odd_latents, "odd-latents")

/* The model is 8 MB: tools/parity.sh makes it, the dumps lie in the shared folder. */
#define MADE_MODELS VQP_BUILD_DIR "/parity/models"
#define SHARED(function, name)                                                                                         \
    static void function(void)                                                                                         \
    {                                                                                                                  \
        if (access(MADE_MODELS "/small", F_OK) || access(VQP_SHARED_DIR "/oracle/golden/" name, F_OK))                 \
            SKIP("%s: needs ../shared/oracle and the model that tools/parity.sh makes", name);                         \
        run_golden(VQP_SHARED_DIR "/oracle/golden", MADE_MODELS, name, NULL);                                          \
    }
SHARED(small_a, "small-a")
SHARED(small_b, "small-b")

/* Every committed case in float16, each step from the ids of the run in float32 that came before. */
static void half_precision(void)
{
    static const char *const names[] = {"tiny-a", "tiny-b", "short-cut", "short-plain", "wide-a", "wide-b", "odd-a"};
    if (strcmp(backend, "vulkan"))
        SKIP("%s has no precision f16", backend);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct golden g;
        struct stage_report report;
        char dir[512], f32[1024], f16[1024];
        snprintf(f32, sizeof f32, VQP_BUILD_DIR "/golden/%s/%s", backend, names[i]);
        snprintf(dir, sizeof dir, GOLDEN_DIR "/cases/%s", names[i]);
        if (!golden_open(&g, dir, GOLDEN_DIR "/models"))
            continue;
        snprintf(dir, sizeof dir, "%s-f16", names[i]);
        dump_folder(f16, sizeof f16, dir);
        vqpipe *pipe = open_model(g.model_dir);
        golden_apply(&g, pipe);
        set(pipe, "backend.precision", "f16");
        vqpipe_result *result = run_fed(pipe, f16, f32);
        if (result) {
            compare_stages(f32, f16, g.steps, g.truncation, &stages_f16, &report);
            printf("\n    %s: states %.1e, logp %.1e, image %.1e, %u truncation ties%s", names[i], report.states,
                   report.logp, report.image, report.ties, report.bad ? " FALLS SHORT" : "");
            CU_ASSERT_EQUAL(report.bad, 0);
            CU_ASSERT_TRUE(report.logp > 1e-5); /* it was not float32 */
        }
        vqpipe_result_destroy(result);
        vqpipe_close(pipe);
        json_decref(g.json);
    }
}

static void strided_with_all_steps(void)
{
    run_golden(GOLDEN_DIR "/cases", GOLDEN_DIR "/models", "tiny-a", "strided");
    run_golden(GOLDEN_DIR "/cases", GOLDEN_DIR "/models", "tiny-b", "strided");
}

/* ---- seeds and batches ------------------------------------------------------------------------------------------ */

static vqpipe *open_philox(const char *const *prompts, uint32_t n_prompts, const char *images, const char *seed)
{
    struct vqp_error err = {0};
    vqpipe *pipe = open_model(GOLDEN_DIR "/models/tiny");
    set(pipe, "run.rng", "philox");
    set(pipe, "run.steps", "12");
    set(pipe, "run.truncation_rate", "0.86");
    set(pipe, "run.images_per_prompt", images);
    set(pipe, "run.seed", seed);
    if (pipe)
        CHECK_OK(vqpipe_set_prompts(pipe, prompts, n_prompts, &err));
    return pipe;
}

static const char *const two_prompts[] = {"a lighthouse at night", "three pine trees"};

static int same_ids(const vqpipe_result *a, uint32_t i, const vqpipe_result *b, uint32_t k)
{
    const int32_t *x = vqpipe_result_ids(a, i), *y = vqpipe_result_ids(b, k);
    return x && y && !memcmp(x, y, vqpipe_result_tokens(a) * sizeof *x);
}

static char *png_bytes(const vqpipe_result *r, uint32_t k, size_t *n)
{
    struct vqp_error err = {0};
    char *bytes = NULL;
    FILE *f = open_memstream(&bytes, n);
    CHECK_OK(vqpipe_result_write_png(r, k, 1, 1, f, &err));
    fclose(f);
    return bytes;
}

static void same_seed_same_bytes(void)
{
    vqpipe *pipe = open_philox(two_prompts, 1, "2", "19"), *again = open_philox(two_prompts, 1, "2", "19");
    vqpipe_result *a = run(pipe, NULL), *b = run(pipe, NULL), *c = run(again, NULL);
    CU_ASSERT_PTR_NOT_NULL(a);
    for (uint32_t k = 0; a && b && c && k < 2; k++) {
        size_t n_a = 0, n_b = 0, n_c = 0;
        char *png_a = png_bytes(a, k, &n_a), *png_b = png_bytes(b, k, &n_b), *png_c = png_bytes(c, k, &n_c);
        CU_ASSERT_TRUE(same_ids(a, k, b, k));
        CU_ASSERT_TRUE(n_a > 0 && n_a == n_b && !memcmp(png_a, png_b, n_a));
        CU_ASSERT_TRUE(n_a > 0 && n_a == n_c && !memcmp(png_a, png_c, n_a));
        free(png_a);
        free(png_b);
        free(png_c);
    }
    if (a)
        CU_ASSERT_FALSE(same_ids(a, 0, a, 1));
    vqpipe_result_destroy(a);
    vqpipe_result_destroy(b);
    vqpipe_result_destroy(c);
    vqpipe_close(pipe);
    vqpipe_close(again);
}

static void image_of_batch_alone(void)
{
    vqpipe *pipe = open_philox(two_prompts, 2, "2", "7");
    vqpipe_result *batch = run(pipe, NULL);
    CU_ASSERT_EQUAL(batch ? vqpipe_result_images(batch) : 0, 4);
    for (uint32_t k = 0; batch && k < 4; k++) {
        char seed[8];
        snprintf(seed, sizeof seed, "%u", 7 + k);
        vqpipe *alone = open_philox(two_prompts + k / 2, 1, "1", seed);
        vqpipe_result *one = run(alone, NULL);
        CU_ASSERT_EQUAL(vqpipe_result_seed(batch, k), 7 + k);
        CU_ASSERT_STRING_EQUAL(vqpipe_result_prompt(batch, k), two_prompts[k / 2]);
        CU_ASSERT_TRUE(one && same_ids(batch, k, one, 0));
        vqpipe_result_destroy(one);
        vqpipe_close(alone);
    }
    vqpipe_result_destroy(batch);
    vqpipe_close(pipe);
}

static void batch_size_does_not_matter(void)
{
    vqpipe *pipe = open_philox(two_prompts, 2, "2", "23");
    set(pipe, "run.batch_size", "4");
    vqpipe_result *whole = run(pipe, NULL);
    static const char *const sizes[] = {"1", "3"};
    for (size_t i = 0; whole && i < 2; i++) {
        set(pipe, "run.batch_size", sizes[i]);
        vqpipe_result *split = run(pipe, NULL);
        CU_ASSERT_PTR_NOT_NULL(split);
        for (uint32_t k = 0; split && k < 4; k++)
            CU_ASSERT_TRUE(same_ids(whole, k, split, k));
        vqpipe_result_destroy(split);
    }
    vqpipe_result_destroy(whole);
    vqpipe_close(pipe);
}

static void threads_do_not_matter(void)
{
    vqpipe *pipe[2];
    vqpipe_result *r[2];
    if (strcmp(backend, "cpu"))
        SKIP("%s has no option threads", backend);
    for (int i = 0; i < 2; i++) {
        pipe[i] = open_philox(two_prompts, 2, "2", "29");
        set(pipe[i], "backend.threads", i ? "2" : "1");
        r[i] = run(pipe[i], NULL);
    }
    for (uint32_t k = 0; r[0] && r[1] && k < 4; k++)
        CU_ASSERT_TRUE(same_ids(r[0], k, r[1], k));
    CU_ASSERT_TRUE(r[0] && r[1]);
    for (int i = 0; i < 2; i++) {
        vqpipe_result_destroy(r[i]);
        vqpipe_close(pipe[i]);
    }
}

static void look_for_backend(void *user, const struct vqpipe_device *d)
{
    *(int *)user |= d->usable && !strcmp(d->backend, backend);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"tiny-a: guidance, learned null states", tiny_a},
        {"tiny-b: two prompts, two images each, truncation", tiny_b},
        {"short-cut: a prompt cut at the length, encoded null text, one block, head size 40", short_cut},
        {"short-plain: no guidance, fewer steps than the model has", short_plain},
        {"wide-a: head size 88, attention in the decoder's blocks, f16 weights, truncation", wide_a},
        {"wide-b: truncation without guidance, fewer steps than the model has", wide_b},
        {"odd-a: odd grid, head size 5, three blocks, an empty prompt, a seed above 32 bits", odd_a},
        {"odd-latents: starts from given ids", odd_latents},
        {"small-a: 100 steps, guidance", small_a},
        {"small-b: 30 of 100 steps, truncation", small_b},
        {"float16 gives nearly the same", half_precision},
        {"strided spacing with all steps is the reference's schedule", strided_with_all_steps},
        {"equal seeds give equal ids and PNG bytes", same_seed_same_bytes},
        {"an image of a batch is the image drawn alone", image_of_batch_alone},
        {"run.batch_size changes no id", batch_size_does_not_matter},
        {"the number of threads changes no id", threads_do_not_matter},
    };
    static const char *const plugin_dirs[] = {VQP_BUILD_DIR "/lib/vqpipe"};
    struct vqpipe_context_params params = {.struct_size = sizeof params,
                                           .plugin_dirs = plugin_dirs,
                                           .n_plugin_dirs = 1,
                                           .log_level = getenv("VQP_TEST_VERBOSE") ? VQP_LOG_INFO : VQP_LOG_ERROR};
    struct vqp_error err = {0};
    backend = getenv("VQP_TEST_BACKEND") ? getenv("VQP_TEST_BACKEND") : "reference";
    if (vqpipe_context_create(&params, &context, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    int usable = 0, failed = 0;
    vqpipe_each_device(context, look_for_backend, &usable);
    if (usable)
        failed = RUN_CASES("golden", cases);
    else
        printf("SKIPPED: %s has no usable device\n", backend);
    vqpipe_context_destroy(context);
    return failed;
}
