/* What the command line says on stderr: one line a message, whatever bytes the user's words hold. */
#ifndef VQP_CLI_SAY_H
#define VQP_CLI_SAY_H
#include <vqpipe/base.h>

/* "vqpipe: TEXT" on one line; control characters are shown as \xNN. Takes a progress bar off the line first. */
void vqp_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Says err's sentence and returns the exit code of `status`. */
int vqp_say_error(vqp_status status, const struct vqp_error *err);
/* The same for a mistake on the command line: exit code 2. */
int vqp_say_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int vqp_say_nomem(void);
/* The log of struct vqpipe_context_params. */
void vqp_say_log(void *ctx, int32_t level, const char *msg);

/* Draws a progress bar over the one that stands there; NULL takes it away. */
void vqp_say_bar(const char *line);

/* Flushes stdout. 0, or exit code 6 with a message; where the reader of a pipe has left, without one. */
int vqp_stdout_finish(void);
/* The same where it is known already that writing failed. */
int vqp_stdout_failed(const char *why);

#endif
