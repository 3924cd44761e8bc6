/* What a PNG tells of how it was drawn: enough for `vqpipe inspect PICTURE.png` to print the command that draws it again, and
 * nothing that differs between equal runs. docs/pipeline-yaml.md lists the keys. */
#ifndef VQP_RECORDED_H
#define VQP_RECORDED_H
#include "pipeline.h"
#include "png_write.h"
#include "result.h"

/* The settings that all pictures of a run share, into r->settings. */
void vqp_recorded_run(struct vqpipe_result *r, const struct vqpipe *pipe, const struct vqpipe_run_params *params);

struct vqp_recorded { /* texts of one picture; zero-initialised: none */
    struct vqp_png_text *text;
    uint32_t n;
    char seed[64], image[32], scale[16], preview[48];
};
vqp_status vqp_recorded_picture(const struct vqpipe_result *r, uint32_t k, uint32_t scale, struct vqp_recorded *out,
                                struct vqp_error *err);
void vqp_recorded_free(struct vqp_recorded *rec);

#endif
