/* Files that appear whole or not at all: written beside the target, synced, renamed. */
#ifndef VQP_OUTFILE_H
#define VQP_OUTFILE_H
#include <vqpipe/base.h>

struct vqp_outfile {
    FILE *f;
    char *path, *tmp;
};
/* Opens PATH.tmp.PID.N in the target's folder (O_EXCL | O_NOFOLLOW, 0644). VQP_E_OUTPUT with path and errno's text. What exists and is
 * no regular file (a device, pipe, link, folder) is refused, since the rename would replace it. At most 64 are open at once. */
vqp_status vqp_outfile_open(struct vqp_outfile *o, const char *path, struct vqp_error *err);
/* fflush, fsync, fclose, rename, each checked; on failure the temporary is removed and the target is as it was. */
vqp_status vqp_outfile_commit(struct vqp_outfile *o, struct vqp_error *err);
/* Removes the temporary. After open, commit or abort, abort is harmless. */
void vqp_outfile_abort(struct vqp_outfile *o);
/* Removes every temporary still open, of all threads: for a signal handler that ends the process. Async-signal-safe. */
void vqp_outfile_unlink_all(void);
/* Checked before a long run: the folder exists and is writable, the target is no folder, the name is not too long. */
vqp_status vqp_outfile_check(const char *path, struct vqp_error *err);

#endif
