/* What a run is said to take before it begins. */
#include "check.h"
#include <unistd.h>
#include <vqpipe/vqpipe.h>

#define POSTCARDS VQP_SOURCE_DIR "/pipelines/vqdiffusion.yaml"

static vqpipe_context *context;
static struct vqp_error err;

static vqpipe *open_pipe(const char *steps, const char *images)
{
    vqpipe *p = NULL;
    CU_ASSERT_EQUAL_FATAL(vqpipe_open(context, POSTCARDS, &p, &err), VQP_OK);
    CU_ASSERT_EQUAL(vqpipe_set(p, "backend.use", "reference", &err), VQP_OK);
    CU_ASSERT_EQUAL(vqpipe_set(p, "run.steps", steps, &err), VQP_OK);
    CU_ASSERT_EQUAL(vqpipe_set(p, "run.images_per_prompt", images, &err), VQP_OK);
    return p;
}

static struct vqpipe_prediction predict(const char *steps, const char *images)
{
    struct vqpipe_prediction out = {.struct_size = sizeof out};
    vqpipe *p = open_pipe(steps, images);
    vqp_status st = vqpipe_predict(p, &out, &err);
    if (st)
        printf("\n    %s\n", err.msg);
    CU_ASSERT_EQUAL(st, VQP_OK);
    vqpipe_close(p);
    return out;
}

static void adds_up(void)
{
    struct vqpipe_prediction p = predict("50", "10");
    CU_ASSERT_EQUAL(p.evals, 50);
    CU_ASSERT_DOUBLE_EQUAL(p.batches, 2.5, 1e-9); /* of 4 pictures */
    CU_ASSERT(p.prepare > 0 && p.step > 0 && p.finish > 0);
    CU_ASSERT_DOUBLE_EQUAL(p.seconds, p.batches * (p.prepare + 50 * p.step + p.finish), 1e-6);
}

static void counts_the_memory_of_pictures_and_weights(void)
{
    struct vqpipe_prediction one = predict("5", "1"), four = predict("5", "4");
    CU_ASSERT(one.memory_bytes > 20u << 20); /* the model's matrices alone, packed */
    CU_ASSERT(one.memory_bytes < 400u << 20);
    CU_ASSERT(four.memory_bytes > one.memory_bytes);
}

static int32_t note(void *ctx, const struct vqpipe_step_event *ev)
{
    *(double *)ctx += ev->eval_seconds;
    return 0;
}

/* Far wider than what is aimed at: other programs may take the processor while this one measures. */
static void is_of_the_right_size(void)
{
    double took = 0;
    struct vqpipe_run_params params = {.struct_size = sizeof params, .step = note, .step_ctx = &took};
    struct vqpipe_prediction p = predict("2", "1");
    vqpipe_result *r = NULL;
    vqpipe *pipe = open_pipe("2", "1");
    CU_ASSERT_EQUAL_FATAL(vqpipe_run(pipe, &params, &r, &err), VQP_OK);
    struct vqpipe_timings t = {.struct_size = sizeof t};
    vqpipe_result_timings(r, &t);
    CU_ASSERT(took > 0 && took <= t.steps);
    CU_ASSERT(took / (2 * p.step) > 0.1 && took / (2 * p.step) < 10);
    vqpipe_result_destroy(r);
    vqpipe_close(pipe);
}

static void leaves_the_answer_alone_where_loading_fails(void)
{
    struct vqpipe_prediction p = {.struct_size = sizeof p};
    vqpipe *pipe = open_pipe("4", "1");
    CU_ASSERT_EQUAL(vqpipe_set(pipe, "model", "/nowhere", &err), VQP_OK);
    CU_ASSERT_EQUAL(vqpipe_predict(pipe, &p, &err), VQP_E_IO);
    CU_ASSERT_EQUAL(p.evals, 0);
    vqpipe_close(pipe);
}

static void quiet(void *ctx, int32_t level, const char *msg)
{
    (void)ctx;
    (void)level;
    (void)msg;
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"adds up", adds_up},
        {"counts the memory of pictures and weights", counts_the_memory_of_pictures_and_weights},
        {"is of the right size", is_of_the_right_size},
        {"leaves the answer alone where loading fails", leaves_the_answer_alone_where_loading_fails},
    };
    const char *dirs[] = {VQP_BUILD_DIR "/lib/vqpipe"};
    struct vqpipe_context_params params = {
        .struct_size = sizeof params, .threads = 2, .plugin_dirs = dirs, .n_plugin_dirs = 1, .log = quiet};
    if (vqpipe_context_create(&params, &context, &err))
        return 2;
    int rc = RUN_CASES("predict", cases);
    vqpipe_context_destroy(context);
    return rc;
}
