/* A folder that appears whole or not at all: filled beside the target, renamed. */
#ifndef VQP_OUTFOLDER_H
#define VQP_OUTFOLDER_H
#include <vqpipe/base.h>

struct vqp_outfolder {
    char *path, *tmp; /* write into tmp */
};
/* Makes PATH.tmp.PID. Refused with VQP_E_OUTPUT where PATH is there and is no empty folder. */
vqp_status vqp_outfolder_open(struct vqp_outfolder *o, const char *path, struct vqp_error *err);
/* Renames it; on failure it is removed. */
vqp_status vqp_outfolder_commit(struct vqp_outfolder *o, struct vqp_error *err);
/* Removes it with all that is in it. After open, commit or abort, abort is harmless. */
void vqp_outfolder_abort(struct vqp_outfolder *o);

#endif
