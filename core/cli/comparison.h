/* What `run --compare` found, as text or JSON. */
#ifndef VQP_CLI_COMPARISON_H
#define VQP_CLI_COMPARISON_H
#include <vqpipe/vqpipe.h>

/* To stdout. The exit code: 0 where the backends agree, 1 where they differ. */
int vqp_comparison_print(const struct vqpipe_comparison *c, int json);

#endif
