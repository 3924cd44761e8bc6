/* A small program on the Vulkan backend, from opening the device to closing it. */
#ifndef ONCE_H
#define ONCE_H
#include <vqpipe/backend.h>
#include <vqpipe/host.h>
#include <vqpipe/plugin.h>

/* sum = (x + w) + (x + c), product = sum matrix^T, three times over; *right: what came back is that. */
vqp_status once(const char *device, const char *precision, int32_t pipeline_cache, int *right, struct vqp_error *err);
extern uint32_t once_warnings; /* that the backend gave while it ran, and the last of them */
extern char once_warning[600];
extern const struct vqp_host once_host;

#endif
