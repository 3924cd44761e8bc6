#include "progress.h"
#include "clock.h"
#include "say.h"
#include <string.h>
#include <unistd.h>

int vqp_progress_init(const struct vqp_args *args, struct vqp_progress *out)
{
    const char *kind = vqp_args_value(args, OPT_PROGRESS);
    *out = (struct vqp_progress){0};
    if (!kind || strcmp(kind, "auto") == 0)
        out->kind = isatty(STDERR_FILENO) ? PROGRESS_BAR : PROGRESS_LINES;
    else if (strcmp(kind, "bar") == 0)
        out->kind = PROGRESS_BAR;
    else if (strcmp(kind, "json") == 0)
        out->kind = PROGRESS_JSON;
    else if (strcmp(kind, "none"))
        return vqp_say_usage("--progress: '%s' is none of auto, bar, json, none; give one of these", kind);
    if (vqp_args_count(args, OPT_QUIET))
        out->kind = PROGRESS_NONE;
    return 0;
}

static void json_event(const struct vqpipe_step_event *ev)
{
    fprintf(stderr,
            "{\"event\":\"step\",\"eval\":%u,\"evals\":%u,\"timestep\":%d,\"first_image\":%u,\"images\":%u,"
            "\"images_total\":%u,\"elapsed\":%.6f}\n",
            ev->eval, ev->n_evals, ev->timestep, ev->first_image, ev->n_images, ev->images_total, ev->elapsed);
}

/* "42 %  step 42/100  images 5-8 of 12  3.1 steps/s  18 s left" */
static void describe(const struct vqp_progress *p, const struct vqpipe_step_event *ev, double done, char *buf, size_t n)
{
    char images[64] = "", speed[64] = "";
    if (ev->n_images < ev->images_total)
        snprintf(images, sizeof images, "  images %u-%u of %u", ev->first_image + 1, ev->first_image + ev->n_images,
                 ev->images_total);
    double seconds = ev->elapsed - p->first_at, share = done - p->first_done;
    if (seconds > 0 && share > 0) {
        double step_share = (double)ev->n_images / (double)ev->images_total / (ev->n_evals - ev->first_eval);
        snprintf(speed, sizeof speed, "  %.3g steps/s  %.0f s left", share / step_share / seconds,
                 seconds / share * (1 - done));
    }
    snprintf(buf, n, "%3.0f %%  step %u/%u%s%s", 100 * done, ev->eval + 1, ev->n_evals, images, speed);
}

/* A bar at once or ten times a second, a line every tenth of the work that took 5 seconds. */
static void show(struct vqp_progress *p, double elapsed, double done, int last, const char *text)
{
    enum {
        WIDTH = 24
    };
    double waited = elapsed - p->shown_at;
    if (p->kind == PROGRESS_BAR && (last || waited >= 0.1 || p->shown_at == 0)) {
        static const char full[WIDTH + 1] = "########################";
        static const char empty[WIDTH + 1] = "........................";
        char line[256];
        int filled = (int)(WIDTH * done);
        snprintf(line, sizeof line, "[%.*s%.*s] %s", filled, full, WIDTH - filled, empty, text);
        vqp_say_bar(line);
    } else if (p->kind == PROGRESS_LINES && (last || (waited >= 5 && done - p->shown_done >= 0.1))) {
        vqp_say("%s", text);
    } else {
        return;
    }
    p->shown_at = elapsed;
    p->shown_done = done;
}

void vqp_progress_step(struct vqp_progress *p, const struct vqpipe_step_event *ev)
{
    if (p->kind == PROGRESS_NONE || !ev->n_evals || !ev->images_total)
        return;
    if (p->kind == PROGRESS_JSON) {
        json_event(ev);
        return;
    }
    double step = (ev->eval + 1.0 - ev->first_eval) / (ev->n_evals - ev->first_eval);
    double done = (ev->first_image + ev->n_images * step) / ev->images_total;
    int last = ev->eval + 1 == ev->n_evals && ev->first_image + ev->n_images == ev->images_total;
    if (p->first_at == 0) {
        p->first_at = ev->elapsed;
        p->first_done = done;
    }
    char text[192];
    describe(p, ev, done, text, sizeof text);
    show(p, ev->elapsed, done, last, text);
}

void vqp_progress_bytes(struct vqp_progress *p, uint64_t done, uint64_t total, const char *text)
{
    if (p->first_at == 0)
        p->first_at = vqp_seconds();
    double elapsed = vqp_seconds() - p->first_at;
    if (p->kind == PROGRESS_NONE || !total)
        return;
    if (p->kind != PROGRESS_JSON) {
        show(p, elapsed, (double)done / (double)total, 0, text);
        return;
    }
    if (elapsed - p->shown_at < 0.5 && done < total)
        return;
    fprintf(stderr, "{\"event\":\"%s\",\"bytes\":%llu,\"bytes_total\":%llu,\"elapsed\":%.6f}\n",
            p->event ? p->event : "pull", (unsigned long long)done, (unsigned long long)total, elapsed);
    p->shown_at = elapsed;
}

void vqp_progress_end(struct vqp_progress *p)
{
    if (p->kind == PROGRESS_BAR)
        vqp_say_bar(NULL);
}
