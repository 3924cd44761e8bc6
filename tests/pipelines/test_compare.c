/* Two backends op by op: agreement is found, and a wrong op by its name. */
#include "check.h"
#include <unistd.h>
#include <vqpipe/vqpipe.h>

#define MODELS VQP_SOURCE_DIR "/tests/golden/models"

static vqpipe_context *context;
static char descriptor[] = "/tmp/vqpipe-compare-XXXXXX";
static struct vqp_error err;

static vqpipe *open_pipe(const char *steps)
{
    vqpipe *p = NULL;
    CU_ASSERT_EQUAL_FATAL(vqpipe_open(context, descriptor, &p, &err), VQP_OK);
    CU_ASSERT_EQUAL(vqpipe_set(p, "run.steps", steps, &err), VQP_OK);
    return p;
}

static vqp_status compare(vqpipe *p, const char *backend, struct vqpipe_comparison *c)
{
    *c = (struct vqpipe_comparison){.struct_size = sizeof *c};
    err = (struct vqp_error){0};
    vqp_status st = vqpipe_compare(p, backend, NULL, c, &err);
    if (st)
        printf("\n    %s\n", err.msg);
    return st;
}

static void finds_that_a_backend_agrees_with_itself(void)
{
    struct vqpipe_comparison c;
    vqpipe *p = open_pipe("5");
    CU_ASSERT_EQUAL(compare(p, "reference", &c), VQP_OK);
    CU_ASSERT_EQUAL(c.differs, 0);
    CU_ASSERT_EQUAL(c.evals, 3);
    CU_ASSERT_EQUAL(c.evals_total, 5);
    CU_ASSERT_EQUAL(c.near_ties, 0);
    CU_ASSERT_EQUAL(c.worst, 0);
    CU_ASSERT_STRING_EQUAL(c.first_backend, "reference");
    CU_ASSERT(c.ops > 50);
    uint64_t ops = 0;
    for (uint32_t i = 0; i < c.n_kinds; i++) {
        ops += c.kinds[i].ops;
        CU_ASSERT_EQUAL(c.kinds[i].worst, 0);
    }
    CU_ASSERT_EQUAL(ops, c.ops);
    vqpipe_close(p);
}

static void compares_the_first_two_evaluations_and_the_last(void)
{
    struct vqpipe_comparison c;
    static const char *const steps[] = {"1", "2", "3", "9"};
    static const uint32_t compared[] = {1, 2, 3, 3};
    for (int i = 0; i < 4; i++) {
        vqpipe *p = open_pipe(steps[i]);
        CU_ASSERT_EQUAL(compare(p, "reference", &c), VQP_OK);
        CU_ASSERT_EQUAL(c.evals, compared[i]);
        vqpipe_close(p);
    }
}

static void stops_at_the_op_that_is_wrong(void)
{
    struct vqpipe_comparison c;
    vqpipe *p = open_pipe("3");
    CU_ASSERT_EQUAL(compare(p, "wrong-sdpa", &c), VQP_OK);
    CU_ASSERT_EQUAL(c.differs, 1);
    CU_ASSERT_STRING_EQUAL(c.phase, "step"); /* the text encoder's attention is causal: that one is right */
    CU_ASSERT_STRING_EQUAL(c.op, "sdpa");
    CHECK_STR_HAS(c.scope, "denoiser/blocks.0/attn1");
    CHECK_STR_HAS(c.operands, " -> f32[");
    CU_ASSERT_STRING_EQUAL(c.first_backend, "reference");
    CU_ASSERT_STRING_EQUAL(c.second_backend, "wrong-sdpa");
    CU_ASSERT_EQUAL(c.eval, 0);
    CU_ASSERT(c.first != c.second);
    CU_ASSERT(c.n_different > 0 && c.n_different <= c.n_elements);
    CU_ASSERT(c.index[0] == '[');
    vqpipe_close(p);
}

static void calls_another_token_a_difference(void)
{
    struct vqpipe_comparison c;
    vqpipe *p = open_pipe("3");
    CU_ASSERT_EQUAL(compare(p, "wrong-sampler", &c), VQP_OK);
    CU_ASSERT_EQUAL(c.differs, 1);
    CU_ASSERT_STRING_EQUAL(c.op, "posterior_sample");
    CU_ASSERT_STRING_EQUAL(c.index, "[0,7]");
    CU_ASSERT_EQUAL(c.n_different, 1);
    CU_ASSERT_EQUAL(c.allowed, 0);
    vqpipe_close(p);
}

static void compares_again_and_still_draws(void)
{
    struct vqpipe_comparison c;
    vqpipe_result *before = NULL, *after = NULL;
    vqpipe *p = open_pipe("3");
    CU_ASSERT_EQUAL_FATAL(vqpipe_run(p, NULL, &before, &err), VQP_OK);
    CU_ASSERT_EQUAL(compare(p, "wrong-sdpa", &c), VQP_OK);
    CU_ASSERT_EQUAL(compare(p, "reference", &c), VQP_OK);
    CU_ASSERT_EQUAL(c.differs, 0);
    CU_ASSERT_EQUAL_FATAL(vqpipe_run(p, NULL, &after, &err), VQP_OK);
    CU_ASSERT_EQUAL(memcmp(vqpipe_result_ids(before, 0), vqpipe_result_ids(after, 0),
                           vqpipe_result_tokens(before) * sizeof(int32_t)),
                    0);
    vqpipe_result_destroy(before);
    vqpipe_result_destroy(after);
    vqpipe_close(p);
}

static int32_t stop(void *ctx, const struct vqpipe_step_event *ev)
{
    (void)ctx;
    (void)ev;
    return 1;
}

static void can_be_refused_and_cancelled(void)
{
    struct vqpipe_run_params params = {.struct_size = sizeof params, .step = stop};
    struct vqpipe_comparison c = {.struct_size = sizeof c};
    vqpipe *p = open_pipe("3");
    CU_ASSERT_EQUAL(vqpipe_compare(p, "no-such-backend", NULL, &c, &err), VQP_E_PLUGIN);
    CHECK_STR_HAS(err.msg, "no-such-backend");
    CU_ASSERT_EQUAL(vqpipe_compare(p, "reference:3", NULL, &c, &err), VQP_E_ARG);
    CU_ASSERT_EQUAL(vqpipe_compare(p, "reference", &params, &c, &err), VQP_E_CANCELLED);
    CU_ASSERT_EQUAL(c.ops, 0); /* untouched */
    vqpipe_close(p);
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
        {"finds that a backend agrees with itself", finds_that_a_backend_agrees_with_itself},
        {"compares the first two evaluations and the last", compares_the_first_two_evaluations_and_the_last},
        {"stops at the op that is wrong", stops_at_the_op_that_is_wrong},
        {"calls another token a difference", calls_another_token_a_difference},
        {"compares again and still draws", compares_again_and_still_draws},
        {"can be refused and cancelled", can_be_refused_and_cancelled},
    };
    const char *dirs[] = {VQP_BUILD_DIR "/lib/vqpipe", VQP_BUILD_DIR "/tests/plugins/wrong_backend"};
    struct vqpipe_context_params params = {
        .struct_size = sizeof params, .threads = 2, .plugin_dirs = dirs, .n_plugin_dirs = 2, .log = quiet};
    int fd = mkstemp(descriptor);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (!f || vqpipe_context_create(&params, &context, &err))
        return 2;
    fprintf(f, "vqpipe: 1\nname: test\nmodel: " MODELS "/tiny\nbackend: { use: reference }\ncomponents:\n"
               "  tokenizer: { use: clip-bpe, path: " VQP_SOURCE_DIR "/models/postcards/tokenizer }\n"
               "  text_encoder: { use: clip-text, path: text_encoder, "
               "null_path: learned_classifier_free_sampling_embeddings }\n"
               "  denoiser: { use: vq-diffusion-transformer, path: transformer }\n"
               "  scheduler: { use: vq-diffusion, path: scheduler }\n"
               "  vq_decoder: { use: vqgan, path: vqvae }\n"
               "run: { prompt: a lighthouse at night, steps: 3, seed: 1 }\n");
    fclose(f);
    int rc = RUN_CASES("compare", cases);
    vqpipe_context_destroy(context);
    unlink(descriptor);
    return rc;
}
