/* vqpipe in a program of one's own: open, set keys, follow the steps, cancel, take pictures from memory, share weights.
 *
 *   cc embed.c $(pkg-config --cflags --libs vqpipe) -o embed && ./embed pipelines/vqdiffusion.yaml
 *   in the build tree: PKG_CONFIG_PATH=build pkg-config --cflags --libs vqpipe-uninstalled */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vqpipe/vqpipe.h>

struct progress {
    uint32_t calls, stop_after; /* stop_after 0: never */
};

static int32_t on_step(void *ctx, const struct vqpipe_step_event *ev)
{
    struct progress *p = ctx;
    uint32_t masked = 0;
    int32_t mask = 0;
    for (uint32_t i = 0; i < ev->n_images * ev->n_tokens; i++)
        if (ev->ids[i] > mask)
            mask = ev->ids[i];
    for (uint32_t i = 0; i < ev->n_images * ev->n_tokens; i++)
        masked += ev->ids[i] == mask;
    printf("step %u of %u, t = %d: %u tokens hold the highest id\n", ev->eval + 1, ev->n_evals, ev->timestep, masked);
    return ++p->calls == p->stop_after;
}

static int32_t on_preview(void *ctx, const struct vqpipe_preview_event *ev)
{
    (void)ctx;
    printf("%s after step %u: corner %02x%02x%02x\n", ev->finished ? "picture" : "preview", ev->eval + 1,
           vqpipe_result_rgb(ev->so_far, 0)[0], vqpipe_result_rgb(ev->so_far, 0)[1],
           vqpipe_result_rgb(ev->so_far, 0)[2]);
    return 0;
}

static int fail(const char *what, const struct vqp_error *err)
{
    fprintf(stderr, "%s: %s\n", what, err->msg);
    return 1;
}

/* Draws one picture and cancels the next run from the callback. */
static int draw(vqpipe *pipe, const char *prompt)
{
    struct vqp_error err;
    struct progress progress = {0, 0};
    struct vqpipe_run_params params = {.struct_size = sizeof params,
                                       .callback_steps = 5,
                                       .step = on_step,
                                       .step_ctx = &progress,
                                       .preview_steps = 4,
                                       .preview = on_preview};
    vqpipe_result *r = NULL;
    if (vqpipe_set(pipe, "run.steps", "10", &err) || vqpipe_set_prompts(pipe, &prompt, 1, &err) ||
        vqpipe_run(pipe, &params, &r, &err))
        return fail("run", &err);
    uint32_t w = vqpipe_result_width(r), h = vqpipe_result_height(r);
    const uint8_t *rgb = vqpipe_result_rgb(r, 0);
    unsigned long sum = 0;
    for (size_t i = 0; i < (size_t)w * h * 3; i++)
        sum += rgb[i];
    printf("%s: %ux%u, mean %.1f, %u calls\n", prompt, w, h, (double)sum / ((double)w * h * 3), progress.calls);
    vqpipe_result_destroy(r);

    progress = (struct progress){0, 1};
    r = NULL;
    vqp_status st = vqpipe_run(pipe, &params, &r, &err);
    printf("cancelled after %u calls: %s\n", progress.calls, st == VQP_E_CANCELLED && !r ? "yes" : "no");
    vqpipe_result_destroy(r);
    return st != VQP_E_CANCELLED;
}

int main(int argc, char **argv)
{
    struct vqp_error err;
    vqpipe_context *ctx = NULL;
    vqpipe *day = NULL, *night = NULL;
    int rc = 1;
    if (argc != 2) {
        fprintf(stderr, "usage: %s FILE.yaml\n", argv[0]);
        return 2;
    }
    /* Two pipelines of one context: plugins are loaded once and model files are mapped once. */
    if (vqpipe_context_create(NULL, &ctx, &err) || vqpipe_open(ctx, argv[1], &day, &err) ||
        vqpipe_open(ctx, argv[1], &night, &err))
        rc = fail("open", &err);
    else
        rc = draw(day, "a house with a red roof under a blue sky") ||
             draw(night, "a lighthouse at night, with a full moon");
    vqpipe_close(day);
    vqpipe_close(night);
    vqpipe_context_destroy(ctx);
    return rc;
}
