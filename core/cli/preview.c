#include "preview.h"
#include "clock.h"
#include "output.h"
#include "say.h"
#include "text.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char EXTENSION[] = ".png", MARK[] = "-preview";

int vqp_preview_init(const struct vqp_args *args, struct vqp_preview *out)
{
    const char *text = vqp_args_value(args, OPT_PREVIEW), *progress = vqp_args_value(args, OPT_PROGRESS);
    char *end = NULL;
    *out = (struct vqp_preview){.scale = 1};
    if (!text)
        return 0;
    unsigned long n = *text >= '1' && *text <= '9' && strlen(text) <= 9 ? strtoul(text, &end, 10) : 0;
    if (!n || *end)
        return vqp_say_usage("--preview: '%s' is not a whole number of steps, 1 to 999999999; give every how many a "
                             "preview is wanted",
                             text);
    out->every = (uint32_t)n;
    out->quiet =
        vqp_args_count(args, OPT_QUIET) || (progress && (!strcmp(progress, "none") || !strcmp(progress, "json")));
    return 0;
}

/* NAME.png becomes NAME-preview.png. */
static int name_preview(char *buf, size_t size, const char *name)
{
    int stem = (int)(strlen(name) - strlen(EXTENSION));
    return (size_t)snprintf(buf, size, "%.*s%s%s", stem, name, MARK, EXTENSION) < size;
}

int vqp_preview_check(struct vqp_preview *p, const char *pattern)
{
    char name[PATH_MAX];
    if (!p->every)
        return 0;
    if (!vqp_ends_with(pattern, EXTENSION))
        return vqp_say_usage("--preview: previews are PNG files, %s is none; give --output a .png, or leave it out",
                             pattern);
    p->pattern = pattern;
    if (name_preview(name, sizeof name, pattern))
        return vqp_output_check(name);
    vqp_say("%s: this name is too long; give another --output", pattern);
    return vqpipe_exit_code(VQP_E_OUTPUT);
}

static int preview_name(const struct vqp_preview *p, const vqpipe_result *r, uint32_t k, char name[PATH_MAX],
                        struct vqp_error *err)
{
    char picture[PATH_MAX - sizeof MARK];
    return vqpipe_result_name(r, k, p->pattern, picture, sizeof picture, err) == VQP_OK &&
           name_preview(name, PATH_MAX, picture);
}

/* How many evaluations of a batch are followed by a preview: the last one never is. */
static uint32_t previews(uint32_t first, uint32_t n, uint32_t every)
{
    return n > first ? (n - 1) / every - first / every : 0;
}

static void say_cost(struct vqp_preview *p, const struct vqpipe_preview_event *ev, double seconds)
{
    double all = seconds * previews(ev->first_eval, ev->n_evals, p->every);
    double steps = ev->eval_seconds * (ev->n_evals - ev->first_eval);
    p->told = 1;
    if (!p->quiet)
        vqp_say("previews: %.2g s each, about %.0f %% of this run", seconds, 100 * all / (all + steps));
}

int32_t vqp_preview_write(void *ctx, const struct vqpipe_preview_event *ev)
{
    struct vqp_preview *p = ctx;
    char name[PATH_MAX];
    struct vqp_error err = {0};
    double start = vqp_seconds();
    if (ev->finished || p->failed)
        return 0;
    if (!p->written && !(p->written = calloc(ev->images_total, 1)))
        p->failed = 1;
    for (uint32_t i = 0; !p->failed && i < ev->n_images; i++) {
        uint32_t k = ev->first_image + i;
        if (preview_name(p, ev->so_far, k, name, &err) &&
            !vqpipe_result_save_png(ev->so_far, k, p->metadata, p->scale, name, &err))
            p->written[k] = 1;
        else
            p->failed = 1;
    }
    if (p->failed)
        vqp_say("warning: %s; the run goes on without previews", *err.msg ? err.msg : "a preview cannot be written");
    else if (!p->told)
        say_cost(p, ev, ev->seconds + vqp_seconds() - start);
    return 0;
}

void vqp_preview_remove(struct vqp_preview *p, const vqpipe_result *r)
{
    char name[PATH_MAX];
    for (uint32_t k = 0; p->written && k < vqpipe_result_images(r); k++)
        if (p->written[k] && preview_name(p, r, k, name, NULL))
            unlink(name);
}

void vqp_preview_free(struct vqp_preview *p)
{
    free(p->written);
    *p = (struct vqp_preview){0};
}

void vqp_preview_json(const struct vqp_preview *p, const struct vqpipe_timings *t, FILE *f)
{
    if (!p->every)
        return;
    fprintf(f, ",\"previews\":{\"every\":%u,\"count\":%u,\"seconds\":%.6f,\"seconds_each\":%.6f,\"share\":%.6f}",
            p->every, t->n_previews, t->previews, t->n_previews ? t->previews / t->n_previews : 0.0,
            t->total > 0 ? t->previews / t->total : 0.0);
}
