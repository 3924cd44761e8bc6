/* Whether a result can be written where the user wants it, asked before a long run. */
#ifndef VQP_CLI_OUTPUT_H
#define VQP_CLI_OUTPUT_H

/* 0, or the exit code after a message: the extension is known, the folder exists and is writable, the target is no folder or
 * device, the name is not too long. */
int vqp_output_check(const char *pattern);

#endif
