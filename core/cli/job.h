/* From parsed arguments to an open pipeline: what run, validate, program and inspect have in common. */
#ifndef VQP_CLI_JOB_H
#define VQP_CLI_JOB_H
#include "args.h"
#include "prompts.h"
#include <vqpipe/vqpipe.h>

struct vqp_job { /* zero-initialised: nothing open */
    vqpipe_context *ctx;
    vqpipe *pipe;
    struct vqp_prompts prompts;
};
/* A context with --plugin-path, -v and -q; `first_dir` (may be NULL) is searched before all other folders. Every function here
 * returns 0 or the exit code, after a message. */
int vqp_job_context(const struct vqp_args *args, const char *first_dir, struct vqp_job *out);
/* Context, descriptor, and every setting of the command line. */
int vqp_job_open(const struct vqp_args *args, struct vqp_job *out);
/* And vqpipe_load. */
int vqp_job_load(const struct vqp_args *args, struct vqp_job *out);
void vqp_job_close(struct vqp_job *s);

#endif
