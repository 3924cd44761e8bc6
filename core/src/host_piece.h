/* HOST_CALLs at run time: a plugin's own C function between two programs. */
#ifndef VQP_HOST_PIECE_H
#define VQP_HOST_PIECE_H
#include "session.h"

/* Makes host memory for what the call reads and writes, and points its arguments there. */
vqp_status vqp_host_piece_prepare(struct vqp_piece *piece, struct vqp_error *err);
/* Calls the function: its inputs are in host memory, its outputs will be. */
vqp_status vqp_host_piece_run(struct vqp_piece *piece, struct vqp_error *err);

#endif
