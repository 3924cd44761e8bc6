#include "prediction.h"
#include "say.h"
#include <inttypes.h>
#include <string.h>

static const double LONG_RUN = 10; /* seconds: from here on it is said */

/* "75 s", "12 min", "2.5 h" */
static const char *duration(double seconds, char *buf, size_t n)
{
    if (seconds < 99.5)
        snprintf(buf, n, "%.0f s", seconds);
    else if (seconds < 5970)
        snprintf(buf, n, "%.0f min", seconds / 60);
    else
        snprintf(buf, n, "%.1f h", seconds / 3600);
    return buf;
}

void vqp_prediction_start(struct vqp_prediction *p, const struct vqp_args *args, vqpipe *pipe, uint32_t every)
{
    const char *progress = vqp_args_value(args, OPT_PROGRESS);
    char text[32];
    *p = (struct vqp_prediction){.guess = {.struct_size = sizeof p->guess}};
    p->quiet =
        vqp_args_count(args, OPT_QUIET) || (progress && (!strcmp(progress, "none") || !strcmp(progress, "json")));
    if (p->quiet && !vqp_args_count(args, OPT_JSON))
        return;
    p->known = vqpipe_predict(pipe, &p->guess, NULL) == VQP_OK;
    if (p->known && every && p->guess.evals) { /* a preview is one more run of the finish program */
        uint32_t n = (p->guess.evals - 1) / every;
        double more = n * p->guess.finish;
        p->guess.finish += more;
        p->guess.seconds += p->guess.batches * more;
    }
    p->told = p->known && !p->quiet && p->guess.seconds > LONG_RUN;
    if (p->told)
        vqp_say("this will take about %s and %.0f MB of memory", duration(p->guess.seconds, text, sizeof text),
                (double)p->guess.memory_bytes / 1e6);
}

void vqp_prediction_step(struct vqp_prediction *p, const struct vqpipe_step_event *ev)
{
    char text[32];
    if (!p->known || p->corrected > 0 || ev->eval != ev->first_eval || ev->first_image || !(p->guess.step > 0))
        return;
    const struct vqpipe_prediction *g = &p->guess;
    double factor = ev->eval_seconds / g->step;
    /* Text and compiling are behind us in the first batch. */
    p->corrected = ev->elapsed + (g->evals - 1.0) * ev->eval_seconds + factor * g->finish +
                   (g->batches - 1) * (g->evals * ev->eval_seconds + factor * (g->prepare + g->finish));
    if (!p->quiet && (p->told || p->corrected > LONG_RUN))
        vqp_say("after the first step: about %s in all", duration(p->corrected, text, sizeof text));
}

void vqp_prediction_json(const struct vqp_prediction *p, FILE *f)
{
    if (p->known)
        fprintf(f, ",\"predicted\":{\"seconds\":%.6f,\"seconds_after_first_step\":%.6f,\"memory_bytes\":%" PRIu64 "}",
                p->guess.seconds, p->corrected, p->guess.memory_bytes);
}
