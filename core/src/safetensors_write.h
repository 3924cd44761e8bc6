/* Safetensors files written in one pass: the header's place is kept, and it is filled in at the end. */
#ifndef VQP_SAFETENSORS_WRITE_H
#define VQP_SAFETENSORS_WRITE_H
#include "outfile.h"

struct vqp_st_entry {
    const char *name, *dtype; /* dtype: "F16"; at most four characters */
    struct vqp_shape shape;
    uint64_t begin, end; /* bytes of the data */
};
struct vqp_st_writer {
    struct vqp_outfile out;
    const char *path;
    uint64_t room, at; /* bytes kept for the header; where the data ends so far */
};
/* Of the n entries, names and shapes must be there already. Errors: VQP_E_OUTPUT with the path, VQP_E_NOMEM. */
vqp_status vqp_st_open(struct vqp_st_writer *w, const char *path, const struct vqp_st_entry *entries, uint32_t n,
                       struct vqp_error *err);
vqp_status vqp_st_write(struct vqp_st_writer *w, const void *data, uint64_t bytes, struct vqp_error *err);
/* Forgets the data from `at` on: a tensor is written again in another type. */
vqp_status vqp_st_rewind(struct vqp_st_writer *w, uint64_t at, struct vqp_error *err);
/* Writes the header from the finished entries; the file then appears. On failure it is gone. */
vqp_status vqp_st_commit(struct vqp_st_writer *w, const struct vqp_st_entry *entries, uint32_t n,
                         struct vqp_error *err);
void vqp_st_abort(struct vqp_st_writer *w);

#endif
