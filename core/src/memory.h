/* How much memory this process has held. */
#ifndef VQP_MEMORY_H
#define VQP_MEMORY_H

/* Makes vqpipe_peak_memory() count anew from what is held now. Nonzero where the system does not let us. */
int vqp_peak_memory_restart(void);

#endif
