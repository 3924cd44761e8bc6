/* NumPy's .npy format, version 1.0 to 3.0, little-endian, C order: int32 and float32. */
#ifndef VQP_NPY_H
#define VQP_NPY_H
#include <vqpipe/base.h>

/* Writes header and data to an open stream; VQP_E_OUTPUT. dtype VQP_I32 or VQP_F32. */
vqp_status vqp_npy_write(FILE *f, uint32_t dtype, const struct vqp_shape *s, const void *data, struct vqp_error *err);
/* The same into a file, written beside and renamed. */
vqp_status vqp_npy_save(const char *path, uint32_t dtype, const struct vqp_shape *s, const void *data,
                        struct vqp_error *err);
/* Reads a file of the wanted dtype (int64 and int16 files are accepted for VQP_I32 where every value fits, float64 is not accepted for
 * VQP_F32) into malloc'ed memory. Errors name the file: `code` is the status for a bad file (VQP_E_ARG where the user named it). */
vqp_status vqp_npy_load(const char *path, uint32_t dtype, vqp_status code, struct vqp_shape *shape, void **data,
                        struct vqp_error *err);

#endif
