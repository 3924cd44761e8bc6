#include "commands.h"
#include "job.h"
#include "progress.h"
#include "say.h"
#include "signals.h"
#include <string.h>

static int32_t on_progress(void *ctx, const char *part, uint64_t done, uint64_t total)
{
    char text[120];
    snprintf(text, sizeof text, "%3.0f %%  %s  %.1f of %.1f MB", total ? 100.0 * (double)done / (double)total : 100.0,
             part, (double)done * 1e-6, (double)total * 1e-6);
    vqp_progress_bytes(ctx, done, total, text);
    return vqp_signals_code() != 0;
}

static int read_type(const struct vqp_args *args, uint32_t *out)
{
    static const struct {
        const char *name;
        uint32_t dtype;
    } types[] = {{"f32", VQP_F32}, {"f16", VQP_F16}, {"bf16", VQP_BF16}, {"q8_0", VQP_Q8_0}};
    const char *type = vqp_args_value(args, OPT_TYPE);
    *out = 0;
    for (size_t i = 0; type && i < sizeof types / sizeof *types; i++)
        if (!strcmp(type, types[i].name))
            *out = types[i].dtype;
    if (type && !*out)
        return vqp_say_usage("--type: '%s' is none of f32, f16, bf16, q8_0; give one of these", type);
    return 0;
}

int vqp_cmd_convert(const struct vqp_args *args)
{
    struct vqp_job job = {0};
    struct vqp_progress progress = {0};
    struct vqp_error err = {0};
    struct vqpipe_convert_params params = {.struct_size = sizeof params,
                                           .allow_nonfinite = vqp_args_count(args, OPT_ALLOW_NONFINITE) > 0,
                                           .variant = vqp_args_value(args, OPT_VARIANT),
                                           .progress = on_progress,
                                           .progress_ctx = &progress};
    int code = read_type(args, &params.type);
    if (!code)
        code = vqp_progress_init(args, &progress);
    progress.event = "convert";
    if (!code)
        code = vqp_job_context(args, NULL, &job);
    if (!code) {
        vqp_signals_catch();
        vqp_signals_polled(1);
        vqp_status status = vqpipe_convert(job.ctx, args->operand, args->second, &params, &err);
        vqp_signals_polled(0);
        vqp_progress_end(&progress);
        code = vqp_signals_code() ? vqp_signals_code() : status ? vqp_say_error(status, &err) : 0;
        if (!code)
            printf("%s\n", args->second);
    }
    vqp_job_close(&job);
    return code;
}
