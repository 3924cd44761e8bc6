#include "clock.h"
#include "commands.h"
#include "comparison.h"
#include "job.h"
#include "output.h"
#include "prediction.h"
#include "preview.h"
#include "progress.h"
#include "say.h"
#include "signals.h"
#include "text.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- drawing ---------------------------------------------------------------------------------------------------- */

struct drawing {
    struct vqp_progress progress;
    struct vqp_prediction prediction;
    struct vqp_preview preview;
    struct vqp_output output;
    int to_stdout, too_many; /* too_many: several pictures for one stdout */
    double load_seconds;
};

static int32_t on_step(void *ctx, const struct vqpipe_step_event *ev)
{
    struct drawing *d = ctx;
    d->too_many = d->to_stdout && ev->images_total > 1;
    if (!d->too_many) {
        vqp_prediction_step(&d->prediction, ev);
        vqp_progress_step(&d->progress, ev);
    }
    return d->too_many;
}

static int refuse_several(void)
{
    return vqp_say_usage("--output -: stdout takes one picture; give one prompt and -n 1, or a file name");
}

static int compare(const struct vqp_args *args, struct vqp_job *job, struct drawing *d)
{
    struct vqpipe_run_params params = {
        .struct_size = sizeof params,
        .step = on_step,
        .step_ctx = d,
        .dump_dir = vqp_args_value(args, OPT_DUMP),
        .feed_dir = vqp_args_value(args, OPT_FEED),
    };
    struct vqpipe_comparison found = {.struct_size = sizeof found};
    struct vqp_error err = {0};
    vqp_signals_running(job->pipe);
    vqp_status status = vqpipe_compare(job->pipe, vqp_args_value(args, OPT_COMPARE), &params, &found, &err);
    vqp_signals_running(NULL);
    vqp_progress_end(&d->progress);
    if (vqp_signals_code())
        return vqp_signals_code();
    return status ? vqp_say_error(status, &err) : vqp_comparison_print(&found, vqp_args_count(args, OPT_JSON) > 0);
}

static int draw(const struct vqp_args *args, struct vqp_job *job, struct drawing *d, vqpipe_result **out)
{
    struct vqpipe_run_params params = {
        .struct_size = sizeof params,
        .step = on_step,
        .step_ctx = d,
        .dump_dir = vqp_args_value(args, OPT_DUMP),
        .feed_dir = vqp_args_value(args, OPT_FEED),
        .preview_steps = d->preview.every,
        .preview = vqp_preview_write,
        .preview_ctx = &d->preview,
    };
    struct vqp_error err = {0};
    vqp_prediction_start(&d->prediction, args, job->pipe, d->preview.every);
    vqp_signals_running(job->pipe);
    vqp_status status = vqpipe_run(job->pipe, &params, out, &err);
    vqp_signals_running(NULL);
    vqp_progress_end(&d->progress);
    if (vqp_signals_code())
        return vqp_signals_code();
    if (d->too_many)
        return refuse_several();
    return status ? vqp_say_error(status, &err) : 0;
}

/* ---- results ---------------------------------------------------------------------------------------------------- */

struct written {
    char **path;
    uint32_t n;
    int collect, failed; /* collect: for --json; else each is printed as it comes */
};

static void on_written(void *ctx, const char *path, uint32_t image)
{
    struct written *w = ctx;
    (void)image;
    if (!w->collect) {
        printf("%s\n", path);
        fflush(stdout);
        return;
    }
    char **grown = realloc(w->path, (w->n + 1) * sizeof *grown), *copy = strdup(path);
    if (grown)
        w->path = grown;
    if (!grown || !copy) {
        w->failed = 1;
        free(copy);
        return;
    }
    w->path[w->n++] = copy;
}

/* Loading was done before the run, so it is added to what the result knows. */
static void json_result(const vqpipe_result *r, const struct written *w, const struct drawing *d)
{
    struct vqpipe_timings t = {.struct_size = sizeof t};
    double load_seconds = d->load_seconds;
    vqpipe_result_timings(r, &t);
    printf("{\"version\":\"%s\",\"outputs\":[", vqpipe_version());
    for (uint32_t i = 0; i < w->n; i++) {
        printf("%s", i ? "," : "");
        vqp_json_string(stdout, w->path[i]);
    }
    printf("],\"seeds\":[");
    for (uint32_t k = 0; k < vqpipe_result_images(r); k++)
        printf("%s%" PRIu64, k ? "," : "", vqpipe_result_seed(r, k));
    printf("],\"prompts\":[");
    for (uint32_t k = 0; k < vqpipe_result_images(r); k++) {
        printf("%s", k ? "," : "");
        vqp_json_string(stdout, vqpipe_result_prompt(r, k));
    }
    printf("],\"width\":%u,\"height\":%u,\"timings\":{\"load\":%.6f,\"prepare\":%.6f,\"steps\":%.6f,\"finish\":%.6f,"
           "\"total\":%.6f,\"steps_per_second\":%.6f},\"peak_memory_bytes\":%" PRIu64,
           vqpipe_result_width(r), vqpipe_result_height(r), load_seconds, t.prepare, t.steps, t.finish,
           load_seconds + t.total, t.steps > 0 ? t.evals / t.steps : 0.0, vqpipe_peak_memory());
    vqp_prediction_json(&d->prediction, stdout);
    vqp_preview_json(&d->preview, &t, stdout);
    printf("}\n");
}

static int save_files(const struct vqp_args *args, const struct drawing *d, const vqpipe_result *r)
{
    const struct vqp_output *o = &d->output;
    struct written w = {.collect = vqp_args_count(args, OPT_JSON) > 0};
    struct vqp_error err = {0};
    vqp_status status = vqpipe_result_save(r, o->pattern, o->metadata, o->scale, on_written, &w, &err);
    int code = status ? vqp_say_error(status, &err) : w.failed ? vqp_say_nomem() : 0;
    if (!code && w.collect)
        json_result(r, &w, d);
    for (uint32_t i = 0; i < w.n; i++)
        free(w.path[i]);
    free(w.path);
    return code;
}

static int save_to_stdout(const struct drawing *d, const vqpipe_result *r)
{
    struct vqp_error err = {0};
    if (vqpipe_result_images(r) != 1)
        return refuse_several();
    vqp_status status = vqpipe_result_write_png(r, 0, d->output.metadata, d->output.scale, stdout, &err);
    return status ? vqp_stdout_failed(err.msg) : vqp_stdout_finish();
}

/* A seed that nobody chose is told, wherever `random` was written. */
static void say_seed(const struct vqp_args *args, vqpipe *pipe, const vqpipe_result *r)
{
    const char *seed = vqpipe_get(pipe, "run.seed");
    if (seed && strstr(seed, "random") && !vqp_args_count(args, OPT_QUIET))
        vqp_say("seed %" PRIu64 "; -s %" PRIu64 " draws the same again", vqpipe_result_seed(r, 0),
                vqpipe_result_seed(r, 0));
}

/* ---- before drawing --------------------------------------------------------------------------------------------- */

static int check_flags(const struct vqp_args *args, int to_stdout)
{
    int json = vqp_args_count(args, OPT_JSON) > 0, dry = vqp_args_count(args, OPT_DRY_RUN) > 0;
    if (json && dry)
        return vqp_say_usage("--json and --dry-run do not go together; leave one out");
    const char *second = vqp_args_value(args, OPT_COMPARE);
    if (second && (dry || vqp_args_count(args, OPT_OUTPUT)))
        return vqp_say_usage("--compare and %s do not go together: no picture is drawn; leave one out",
                             dry ? "--dry-run" : "--output");
    if (second && vqp_args_count(args, OPT_PREVIEW))
        return vqp_say_usage("--compare and --preview do not go together: no picture is drawn; leave one out");
    if (to_stdout && vqp_args_count(args, OPT_PREVIEW))
        return vqp_say_usage("--preview: beside stdout there is no place for it; give --output a file name");
    if (second && (!*second || *second == ':' || second[strlen(second) - 1] == ':'))
        return vqp_say_usage("--compare: '%s' is not NAME or NAME:DEVICE; give reference, vulkan:0 or the like",
                             second);
    if (json && to_stdout)
        return vqp_say_usage("--json and --output - both want stdout; leave one out");
    if (to_stdout && !dry && isatty(STDOUT_FILENO))
        return vqp_say_usage("--output -: stdout is a terminal; redirect it, or give a file name");
    if (to_stdout && !vqp_stdout_given) {
        vqp_say("--output -: stdout is closed; redirect it, or give a file name");
        return vqpipe_exit_code(VQP_E_OUTPUT);
    }
    return 0;
}

/* Where the result goes, checked while there is nothing to lose. */
static int settle_output(struct vqp_job *job, struct drawing *d)
{
    int code = vqp_output_settle(job->pipe, d->to_stdout, &d->output);
    if (!code && d->to_stdout) {
        const char *images = vqpipe_get(job->pipe, "run.images_per_prompt");
        return job->prompts.n > 1 || (images && strcmp(images, "1")) ? refuse_several() : 0;
    }
    d->preview.metadata = d->output.metadata;
    d->preview.scale = d->output.scale;
    return code ? code : vqp_preview_check(&d->preview, d->output.pattern);
}

static int print_plan(vqpipe *pipe)
{
    struct vqp_error err = {0};
    vqp_status status = vqpipe_print_settings(pipe, stdout, &err);
    if (!status)
        status = vqpipe_print_summary(pipe, stdout, &err);
    return status ? vqp_say_error(status, &err) : 0;
}

static int draw_and_save(const struct vqp_args *args, struct vqp_job *job, struct drawing *d)
{
    vqpipe_result *result = NULL;
    int code = settle_output(job, d);
    if (!code)
        code = draw(args, job, d, &result);
    if (!code)
        code = d->to_stdout ? save_to_stdout(d, result) : save_files(args, d, result);
    if (!code) {
        vqp_preview_remove(&d->preview, result);
        say_seed(args, job->pipe, result);
    }
    vqpipe_result_destroy(result);
    vqp_preview_free(&d->preview);
    free(d->output.pattern);
    return code;
}

int vqp_cmd_run(const struct vqp_args *args)
{
    const char *output = vqp_args_value(args, OPT_OUTPUT);
    struct drawing d = {.to_stdout = output && strcmp(output, "-") == 0};
    struct vqp_job job = {0};
    int code = check_flags(args, d.to_stdout);
    if (!code)
        code = vqp_progress_init(args, &d.progress);
    if (!code)
        code = vqp_preview_init(args, &d.preview);
    if (!code) {
        vqp_signals_catch();
        double start = vqp_seconds();
        code = vqp_job_load(args, &job);
        d.load_seconds = vqp_seconds() - start;
    }
    if (!code)
        code = vqp_args_count(args, OPT_DRY_RUN)   ? print_plan(job.pipe)
               : vqp_args_count(args, OPT_COMPARE) ? compare(args, &job, &d)
                                                   : draw_and_save(args, &job, &d);
    vqp_job_close(&job);
    return code;
}
