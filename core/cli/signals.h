/* SIGINT and SIGTERM while a pipeline runs. */
#ifndef VQP_CLI_SIGNALS_H
#define VQP_CLI_SIGNALS_H
#include <vqpipe/vqpipe.h>

void vqp_signals_catch(void);
/* The pipeline that a first signal cancels; NULL: there is nothing to wait for. */
void vqp_signals_running(vqpipe *pipe);
/* Nonzero: a first signal is only noted; whoever works asks vqp_signals_code now and then. */
void vqp_signals_polled(int polled);
/* 0, or the exit code of a run that a signal stopped. */
int vqp_signals_code(void);

#endif
