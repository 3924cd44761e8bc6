/* The prompts of the command line: every -p, then every line of -f. */
#ifndef VQP_CLI_PROMPTS_H
#define VQP_CLI_PROMPTS_H
#include "args.h"

struct vqp_prompts {
    const char **text;
    uint32_t n;
    char *file; /* what the lines of -f point into */
};
/* 0, or the exit code after a message. None of either: n is 0. */
int vqp_prompts_read(const struct vqp_args *args, struct vqp_prompts *out);
void vqp_prompts_free(struct vqp_prompts *p);

#endif
