/* PNG writing (libpng): 8-bit RGB with tEXt chunks. Nothing here reads PNG. */
#ifndef VQP_PNG_WRITE_H
#define VQP_PNG_WRITE_H
#include <vqpipe/base.h>

struct vqp_png_text {
    const char *key, *value; /* UTF-8; a value that is not Latin-1 becomes an iTXt chunk */
};
/* rgb: h rows of w*3 bytes. scale 1..8 repeats pixels. No time stamp: equal input gives equal bytes. VQP_E_OUTPUT. Checks fflush. */
vqp_status vqp_png_write(FILE *f, const uint8_t *rgb, uint32_t w, uint32_t h, uint32_t scale,
                         const struct vqp_png_text *text, uint32_t n_text, struct vqp_error *err);

#endif
