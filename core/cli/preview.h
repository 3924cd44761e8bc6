/* run --preview N: the picture so far beside the picture to be, and what that costs. */
#ifndef VQP_CLI_PREVIEW_H
#define VQP_CLI_PREVIEW_H
#include "args.h"
#include <vqpipe/vqpipe.h>

struct vqp_preview {
    uint32_t every; /* 0: no previews */
    const char *pattern;
    int metadata, quiet, told;
    uint32_t scale;
    unsigned char *written; /* one a picture of the run: its preview exists */
    int failed;             /* a preview could not be written: no more are tried */
};
/* From --preview. 0, or the exit code after a message. */
int vqp_preview_init(const struct vqp_args *args, struct vqp_preview *out);
/* Checks what can be before the run; the pattern must live as long as the previews. Returns as vqp_preview_init. */
int vqp_preview_check(struct vqp_preview *p, const char *pattern);
/* The callback of struct vqpipe_run_params, ctx a struct vqp_preview. A preview that cannot be written stops no run. */
int32_t vqp_preview_write(void *ctx, const struct vqpipe_preview_event *ev);
/* The pictures are there: the previews go. */
void vqp_preview_remove(struct vqp_preview *p, const vqpipe_result *r);
void vqp_preview_free(struct vqp_preview *p);
/* ,"previews":{...} or nothing */
void vqp_preview_json(const struct vqp_preview *p, const struct vqpipe_timings *t, FILE *f);

#endif
