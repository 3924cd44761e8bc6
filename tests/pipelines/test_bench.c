/* What vqpipe_measure tells of a run. */
#include "check.h"
#include <vqpipe/vqpipe.h>

static vqpipe_context *context;
static struct vqp_error err;
static const char descriptor[] = VQP_SOURCE_DIR "/tests/golden/golden.yaml";

static void quiet(void *ctx, int32_t level, const char *msg)
{
    (void)ctx;
    (void)level;
    (void)msg;
}

static vqpipe *open_on(const char *backend, const char *steps)
{
    vqpipe *p = NULL;
    vqp_status st = vqpipe_open(context, descriptor, &p, &err);
    if (!st)
        st = vqpipe_set(p, "model", VQP_SOURCE_DIR "/tests/golden/models/tiny", &err);
    if (!st)
        st = vqpipe_set(p, "components.tokenizer.path", VQP_SOURCE_DIR "/models/postcards/tokenizer", &err);
    if (!st)
        st = vqpipe_set(p, "backend.use", backend, &err);
    if (!st)
        st = vqpipe_set(p, "run.steps", steps, &err);
    if (st)
        printf("\n    %s\n", err.msg);
    CU_ASSERT_EQUAL_FATAL(st, VQP_OK);
    return p;
}

static vqpipe_bench *measure(vqpipe *p, vqpipe_result **r)
{
    vqpipe_bench *b = NULL;
    vqp_status st = vqpipe_measure(p, NULL, &b, r, &err);
    if (st)
        printf("\n    %s\n", err.msg);
    CU_ASSERT_EQUAL_FATAL(st, VQP_OK);
    return b;
}

static struct vqpipe_bench_info info_of(const vqpipe_bench *b)
{
    struct vqpipe_bench_info info = {.struct_size = sizeof info};
    vqpipe_bench_describe(b, &info);
    return info;
}

static void times_every_program_and_op(void)
{
    vqpipe *p = open_on("reference", "12");
    vqpipe_result *r;
    vqpipe_bench *b = measure(p, &r);
    struct vqpipe_bench_info info = info_of(b);
    const struct vqpipe_bench_op *op;
    uint32_t n[3] = {0}, linears = 0;
    double sum = 0;
    for (uint32_t i = 0; (op = vqpipe_bench_at(b, i)); i++) {
        CU_ASSERT_TRUE_FATAL(op->phase < 3);
        n[op->phase]++;
        linears += op->phase == 1 && !strcmp(op->kind, "linear");
        sum += op->phase == 1 ? op->seconds : 0;
        CU_ASSERT_TRUE(op->seconds >= 0 && op->bytes > 0);
        CU_ASSERT_TRUE(strcmp(op->kind, "linear") || (op->flops > 0 && strstr(op->shapes, " -> f32[")));
    }
    CU_ASSERT_TRUE(n[0] && n[1] && n[2] && linears);
    CU_ASSERT_EQUAL(info.evals, 12);
    CU_ASSERT_TRUE(info.samples >= 1);
    CU_ASSERT_TRUE(info.load > 0 && info.compile > 0 && info.prepare > 0 && info.finish > 0 && info.first_step > 0);
    CU_ASSERT_TRUE(info.step > 0 && info.step_low <= info.step && info.step <= info.step_high);
    CU_ASSERT_TRUE(sum > 0 && sum < 2 * info.step_high);
    CU_ASSERT_TRUE(info.total >= info.prepare + info.first_step + info.finish);
    CU_ASSERT_TRUE(info.peak_memory > 1 << 20);
    CHECK_STR_HAS(info.backends, "reference f32: ");
    vqpipe_bench_destroy(b);
    vqpipe_result_destroy(r);
    vqpipe_close(p);
}

static void draws_what_an_ordinary_run_draws(void)
{
    vqpipe *p = open_on("reference", "5");
    vqpipe_result *plain = NULL, *measured;
    CU_ASSERT_EQUAL_FATAL(vqpipe_run(p, NULL, &plain, &err), VQP_OK);
    vqpipe_bench *b = measure(p, &measured);
    CU_ASSERT_FALSE(memcmp(vqpipe_result_ids(plain, 0), vqpipe_result_ids(measured, 0),
                           vqpipe_result_tokens(plain) * sizeof(int32_t)));
    vqpipe_bench_destroy(b);
    vqpipe_result_destroy(plain);
    vqpipe_result_destroy(measured);
    vqpipe_close(p);
}

static void has_no_ceiling_where_the_backend_has_none(void)
{
    vqpipe *p = open_on("reference", "1");
    vqpipe_result *r;
    vqpipe_bench *b = measure(p, &r);
    struct vqpipe_bench_info info = info_of(b);
    CU_ASSERT_EQUAL(info.samples, 0);
    CU_ASSERT_EQUAL(info.step, info.first_step);
    CU_ASSERT_EQUAL(info.ceiling, 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(info.no_ceiling);
    CHECK_STR_HAS(info.no_ceiling ? info.no_ceiling : "", "reference");
    vqpipe_bench_destroy(b);
    vqpipe_result_destroy(r);
    vqpipe_close(p);
}

static void has_the_ceiling_of_every_product(void)
{
    vqpipe_result *r;
    if (!vqpipe_find_component(context, "cpu")) {
        printf("SKIPPED: no cpu backend in this build\n");
        return;
    }
    vqpipe *p = open_on("cpu", "6");
    vqpipe_bench *b = measure(p, &r);
    struct vqpipe_bench_info info = info_of(b);
    const struct vqpipe_bench_op *op;
    double sum = 0;
    CU_ASSERT_PTR_NULL(info.no_ceiling);
    CU_ASSERT_TRUE(info.ceiling > 0 && info.ceiling_low <= info.ceiling && info.ceiling <= info.ceiling_high);
    CU_ASSERT_TRUE(info.measuring > 0);
    for (uint32_t i = 0; (op = vqpipe_bench_at(b, i)); i++) {
        int product = !strcmp(op->kind, "linear") || !strcmp(op->kind, "conv2d") || !strcmp(op->kind, "sdpa");
        CU_ASSERT_EQUAL(op->ceiling > 0, product);
        sum += op->phase == 1 ? op->ceiling : 0;
    }
    CU_ASSERT_DOUBLE_EQUAL(sum, info.ceiling, 1e-9);
    vqpipe_bench_destroy(b);
    vqpipe_result_destroy(r);
    vqpipe_close(p);
}

static int32_t stop(void *ctx, const struct vqpipe_step_event *ev)
{
    (void)ctx;
    (void)ev;
    return 1;
}

static void stops_and_leaves_nothing(void)
{
    vqpipe *p = open_on("reference", "4");
    vqpipe_result *r = NULL;
    vqpipe_bench *b = NULL;
    struct vqpipe_run_params params = {.struct_size = sizeof params, .step = stop};
    CU_ASSERT_EQUAL(vqpipe_measure(p, &params, &b, &r, &err), VQP_E_CANCELLED);
    CU_ASSERT_PTR_NULL(b);
    CU_ASSERT_PTR_NULL(r);
    vqpipe_close(p);
}

struct devices {
    uint32_t n, usable;
};

static void count_device(void *user, const struct vqpipe_device *d)
{
    struct devices *seen = user;
    seen->n += !strcmp(d->backend, "reference");
    seen->usable += !strcmp(d->backend, "reference") && d->usable && d->is_host && d->memory_bytes && !d->reason;
}

static void lists_devices(void)
{
    struct devices seen = {0};
    vqpipe_each_device(context, count_device, &seen);
    CU_ASSERT_EQUAL(seen.n, 1);
    CU_ASSERT_EQUAL(seen.usable, 1);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"times every program and op", times_every_program_and_op},
        {"draws what an ordinary run draws", draws_what_an_ordinary_run_draws},
        {"has no ceiling where the backend has none", has_no_ceiling_where_the_backend_has_none},
        {"has the ceiling of every product", has_the_ceiling_of_every_product},
        {"stops and leaves nothing", stops_and_leaves_nothing},
        {"lists devices", lists_devices},
    };
    const char *dirs[] = {VQP_BUILD_DIR "/lib/vqpipe"};
    struct vqpipe_context_params params = {
        .struct_size = sizeof params, .threads = 2, .plugin_dirs = dirs, .n_plugin_dirs = 1, .log = quiet};
    if (vqpipe_context_create(&params, &context, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        return 2;
    }
    int status = RUN_CASES("bench", cases);
    vqpipe_context_destroy(context);
    return status;
}
