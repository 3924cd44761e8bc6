/* What a run is going to take, said before it begins and corrected after its first step. */
#ifndef VQP_CLI_PREDICTION_H
#define VQP_CLI_PREDICTION_H
#include "args.h"
#include <vqpipe/vqpipe.h>

struct vqp_prediction {
    struct vqpipe_prediction guess;
    int known, told, quiet; /* known: there is a guess; told: it was long enough to be said */
    double corrected;       /* seconds of the whole run, after the first step; 0: not yet */
};
/* Says it on stderr where the run will take long; not with -q or --progress none or json. A pipeline that cannot be predicted is no
 * error. every: a preview after so many steps; 0: none. */
void vqp_prediction_start(struct vqp_prediction *p, const struct vqp_args *args, vqpipe *pipe, uint32_t every);
void vqp_prediction_step(struct vqp_prediction *p, const struct vqpipe_step_event *ev);
/* ,"predicted":{...} or nothing */
void vqp_prediction_json(const struct vqp_prediction *p, FILE *f);

#endif
