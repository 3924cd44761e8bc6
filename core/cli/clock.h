/* Seconds, monotonic. */
#ifndef VQP_CLI_CLOCK_H
#define VQP_CLI_CLOCK_H

double vqp_seconds(void);
/* When this process started, on the same clock. To be asked while it has one thread and has not waited for anything yet. */
double vqp_process_start(void);

#endif
