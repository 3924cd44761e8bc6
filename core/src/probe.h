/* Trying a plugin in a child process before this one opens it. */
#ifndef VQP_PROBE_H
#define VQP_PROBE_H
#include <stdint.h>
#include <vqpipe/base.h>

enum {
    VQP_PROBE_MS = 5000
};
/* Opens and judges the file in a child process. VQP_OK: that came to an end, whatever the verdict. VQP_E_PLUGIN: the child crashed, ended
 * itself, or was killed because it was not done within `ms`; err says which. The child is a fork of this process, so that other threads
 * must not be busy. */
vqp_status vqp_probe(const char *path, uint32_t ms, struct vqp_error *err);

#endif
