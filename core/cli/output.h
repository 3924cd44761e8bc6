/* Where the result goes and how, checked while there is nothing to lose. */
#ifndef VQP_CLI_OUTPUT_H
#define VQP_CLI_OUTPUT_H
#include <vqpipe/vqpipe.h>

/* 0, or the exit code after a message: the extension is known, the folder exists and is writable, the target is no folder or
 * device, the name is not too long. */
int vqp_output_check(const char *pattern);

struct vqp_output {
    char *pattern; /* to be freed; NULL: stdout */
    int metadata;
    uint32_t scale;
};
/* From the descriptor's output section as it stands now; pattern is checked. Returns as vqp_output_check. */
int vqp_output_settle(vqpipe *pipe, int to_stdout, struct vqp_output *out);

#endif
