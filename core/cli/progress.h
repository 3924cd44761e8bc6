/* How far a run is, on stderr: a bar, lines, JSON events or nothing. */
#ifndef VQP_CLI_PROGRESS_H
#define VQP_CLI_PROGRESS_H
#include "args.h"
#include <vqpipe/vqpipe.h>

struct vqp_progress {
    enum {
        PROGRESS_NONE,
        PROGRESS_BAR,
        PROGRESS_LINES,
        PROGRESS_JSON
    } kind;
    double first_at, first_done; /* when the first step was done, and the share of the work it was */
    double shown_at, shown_done;
    const char *event; /* of vqp_progress_bytes in JSON; NULL: "pull" */
};
/* From --progress and --quiet. 0, or the exit code after a message. */
int vqp_progress_init(const struct vqp_args *args, struct vqp_progress *out);
void vqp_progress_step(struct vqp_progress *p, const struct vqpipe_step_event *ev);
/* `done` of `total` bytes have arrived; `text` says so in words. */
void vqp_progress_bytes(struct vqp_progress *p, uint64_t done, uint64_t total, const char *text);
/* Leaves the line clean for what follows. */
void vqp_progress_end(struct vqp_progress *p);

#endif
