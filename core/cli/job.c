#include "job.h"
#include "say.h"
#include "text.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <vqpipe/host.h>

int vqp_job_context(const struct vqp_args *args, const char *first_dir, struct vqp_job *out)
{
    const char **dirs = calloc(args->n + 1, sizeof *dirs);
    if (!dirs)
        return vqp_say_nomem();
    uint32_t n = 0;
    if (first_dir)
        dirs[n++] = first_dir;
    for (size_t i = 0; i < args->n; i++)
        if (args->item[i].id == OPT_PLUGIN_PATH)
            dirs[n++] = args->item[i].value;
    uint32_t verbose = vqp_args_count(args, OPT_VERBOSE);
    struct vqpipe_context_params params = {
        .struct_size = sizeof params,
        .plugin_dirs = dirs,
        .n_plugin_dirs = n,
        .log_level = vqp_args_count(args, OPT_QUIET) ? VQP_LOG_ERROR
                     : verbose > 1                   ? VQP_LOG_DEBUG
                     : verbose                       ? VQP_LOG_INFO
                                                     : VQP_LOG_WARN,
        .log = vqp_say_log,
        .probe = vqp_args_count(args, OPT_PROBE),
    };
    struct vqp_error err = {0};
    vqp_status st = vqpipe_context_create(&params, &out->ctx, &err);
    free(dirs);
    return st ? vqp_say_error(st, &err) : 0;
}

/* ---- settings --------------------------------------------------------------------------------------------------- */

static int set(vqpipe *pipe, const char *key, const char *yaml)
{
    struct vqp_error err = {0};
    vqp_status st = vqpipe_set(pipe, key, yaml, &err);
    return st ? vqp_say_error(st, &err) : 0;
}

/* Text that stands for itself, whatever YAML would make of it. */
static int set_text(vqpipe *pipe, enum vqp_opt_id id, const char *key, const char *text)
{
    size_t n = strlen(text), good = vqp_utf8_good(text, n);
    if (good != n)
        return vqp_say_usage("%s: byte 0x%02x at offset %zu is not UTF-8; give UTF-8 text", vqp_args_flag(id),
                             (unsigned)(unsigned char)text[good], good);
    char *yaml = vqp_yaml_quoted(text);
    if (!yaml)
        return vqp_say_nomem();
    int code = set(pipe, key, yaml);
    free(yaml);
    return code;
}

/* A number or word. YAML would trim, cut comments off and read brackets: nothing but the characters of a number or word may
 * reach it. Type and range are checked by the library, in one place for flags, --set and descriptors. */
static int check_word(enum vqp_opt_id id, const char *text)
{
    const char *s = text;
    while (isalnum((unsigned char)*s) || (*s && strchr("+-._", *s)))
        s++;
    if (!*text || *s)
        return vqp_say_usage("%s: '%s' is not a number; give digits only, without spaces", vqp_args_flag(id), text);
    return 0;
}

static int set_word(vqpipe *pipe, enum vqp_opt_id id, const char *key, const char *text)
{
    int code = check_word(id, text);
    return code ? code : set(pipe, key, text);
}

/* SEED, random, or SEED,SEED,...: the last as a YAML list. */
static int set_seed(vqpipe *pipe, const char *text)
{
    if (!strchr(text, ','))
        return set_word(pipe, OPT_SEED, "run.seed", text);
    char *copy = strdup(text), *yaml = malloc(strlen(text) + 3);
    int code = copy && yaml ? 0 : vqp_say_nomem();
    for (char *rest = copy, *part; !code && (part = strsep(&rest, ","));)
        code = check_word(OPT_SEED, part);
    if (!code) {
        sprintf(yaml, "[%s]", text);
        code = set(pipe, "run.seed", yaml);
    }
    free(copy);
    free(yaml);
    return code;
}

static int set_backend(vqpipe *pipe, const char *text)
{
    const char *colon = strchr(text, ':');
    char *name = colon ? strndup(text, (size_t)(colon - text)) : strdup(text);
    if (!name)
        return vqp_say_nomem();
    int code = 0;
    if (!*name || (colon && !colon[1]))
        code = vqp_say_usage("--backend: '%s' is not NAME or NAME:DEVICE; give cpu, vulkan:0 or the like", text);
    if (!code)
        code = set_text(pipe, OPT_BACKEND, "backend.use", name);
    if (!code && colon)
        code = set_text(pipe, OPT_BACKEND, "backend.device", colon + 1);
    free(name);
    return code;
}

static int set_pair(vqpipe *pipe, const char *pair)
{
    const char *equals = strchr(pair, '=');
    if (!equals || equals == pair)
        return vqp_say_usage("--set: '%s' is not KEY=VALUE; write --set run.steps=50 or the like", pair);
    char *key = strndup(pair, (size_t)(equals - pair));
    int code = key ? set(pipe, key, equals + 1) : vqp_say_nomem();
    free(key);
    return code;
}

static int set_flag(vqpipe *pipe, const struct vqp_arg *arg)
{
    switch (arg->id) {
    case OPT_NEGATIVE: return set_text(pipe, arg->id, "run.negative_prompt", arg->value);
    case OPT_OUTPUT: return strcmp(arg->value, "-") ? set_text(pipe, arg->id, "output.path", arg->value) : 0;
    case OPT_IMAGES: return set_word(pipe, arg->id, "run.images_per_prompt", arg->value);
    case OPT_SEED: return set_seed(pipe, arg->value);
    case OPT_STEPS: return set_word(pipe, arg->id, "run.steps", arg->value);
    case OPT_GUIDANCE: return set_word(pipe, arg->id, "run.guidance_scale", arg->value);
    case OPT_TRUNCATION: return set_word(pipe, arg->id, "run.truncation_rate", arg->value);
    case OPT_BACKEND: return set_backend(pipe, arg->value);
    case OPT_MODEL: return set_text(pipe, arg->id, "model", arg->value);
    case OPT_VARIANT: return set_text(pipe, arg->id, "variant", arg->value);
    case OPT_LATENTS: return set_text(pipe, arg->id, "run.latents", arg->value);
    case OPT_STRICT: return set(pipe, "run.strict", "true");
    case OPT_ALLOW_NONFINITE: return set(pipe, "run.allow_nonfinite", "true");
    case OPT_NO_METADATA: return set(pipe, "output.metadata", "false");
    case OPT_SCALE: return set_word(pipe, arg->id, "output.scale", arg->value);
    default: return 0;
    }
}

/* A flag of its own wins over --set, wherever either stands. */
static int set_all(const struct vqp_args *args, vqpipe *pipe)
{
    int code = 0;
    for (size_t i = 0; !code && i < args->n; i++)
        if (args->item[i].id == OPT_SET)
            code = set_pair(pipe, args->item[i].value);
    for (size_t i = 0; !code && i < args->n; i++)
        code = set_flag(pipe, &args->item[i]);
    return code;
}

/* ---- opening ---------------------------------------------------------------------------------------------------- */

int vqp_job_open(const struct vqp_args *args, struct vqp_job *out)
{
    struct vqp_error err = {0};
    int code = vqp_prompts_read(args, &out->prompts);
    if (!code)
        code = vqp_job_context(args, NULL, out);
    if (code)
        return code;
    vqp_status status = vqpipe_open(out->ctx, args->operand, &out->pipe, &err);
    if (status)
        return vqp_say_error(status, &err);
    code = set_all(args, out->pipe);
    if (!code && out->prompts.n) {
        status = vqpipe_set_prompts(out->pipe, out->prompts.text, out->prompts.n, &err);
        code = status ? vqp_say_error(status, &err) : 0;
    }
    return code;
}

int vqp_job_load(const struct vqp_args *args, struct vqp_job *out)
{
    int code = vqp_job_open(args, out);
    if (code)
        return code;
    struct vqp_error err = {0};
    vqp_status status = vqpipe_load(out->pipe, &err);
    return status ? vqp_say_error(status, &err) : 0;
}

void vqp_job_close(struct vqp_job *s)
{
    vqpipe_close(s->pipe);
    vqpipe_context_destroy(s->ctx);
    vqp_prompts_free(&s->prompts);
    *s = (struct vqp_job){0};
}
