/* What belongs to the process and must not change while a shared object is opened, which runs its constructors. */
#ifndef VQP_PROCESS_STATE_H
#define VQP_PROCESS_STATE_H
#include <fenv.h>
#include <signal.h>
#include <stddef.h>

struct vqp_process_state {
    char *locale;
    int cwd; /* a descriptor of it, -1 if there is none */
    sigset_t mask;
    fenv_t fp;
    int out, caught; /* the true standard output, and the file in its place; -1: left as it is */
};
enum {
    VQP_STATE_TEXT = 320
};
/* Standard output is caught from here on. -1: out of memory, nothing to restore. */
int vqp_process_state_save(struct vqp_process_state *s);
/* Puts everything back. buf (VQP_STATE_TEXT bytes) gets what had changed, "" for nothing; text that was caught is quoted and dropped. */
void vqp_process_state_restore(struct vqp_process_state *s, char *buf);

#endif
