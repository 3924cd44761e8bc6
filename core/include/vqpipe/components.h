/* The five components of a pipeline. Each tells what it is (info), then records its part of the three programs. */
#ifndef VQPIPE_COMPONENTS_H
#define VQPIPE_COMPONENTS_H
#include "program.h"
#ifdef __cplusplus
extern "C" {
#endif

/* Letters used throughout: P prompts, B images (P * images per prompt, prompt-major), L text positions, W text width,
 * N tokens of the grid, C codes without the mask, G = 2 with guidance (unconditional rows first), else 1. */

/* ---- tokenizer -------------------------------------------------------------------------------------------------- */

struct vqp_text {
    uint32_t struct_size;
    uint32_t used;      /* out: ids before padding, start and end tokens included */
    uint32_t truncated; /* out: ids that were cut off */
    uint32_t end;       /* out: index of the end token (of the last id where there is none) */
    int32_t *ids;       /* context_length entries, filled and padded */
    /* optional: called for every word of the normalised text in order (not NUL-terminated): how many ids it became, and
     * whether it was cut off, wholly or in part. Valid during the call. */
    void (*word)(void *ctx, const char *word, size_t n, uint32_t pieces, uint32_t cut);
    void *word_ctx;
};
struct vqp_tokenizer_vtbl { /* [any-thread]: pure, no device */
    uint32_t struct_size, reserved;
    void (*info)(void *self, uint32_t *context_length, uint32_t *vocab_size);
    /* Any n bytes are accepted; what is not UTF-8 is the tokenizer's to define. Linear time in n for words of any length. */
    vqp_status (*encode)(void *self, const char *utf8, size_t n, struct vqp_text *io, struct vqp_error *err);
};

/* ---- text encoder ----------------------------------------------------------------------------------------------- */

/* A named conditioning value, shape without the row dimension. The name says what it is, so that no wrong one fits by
 * shape: "states.l2" [L,W] (after the final norm, each vector then divided by its L2 norm: VQ-Diffusion), "states.final",
 * "states.penultimate" (before the final norm: aMUSEd), "pooled.projected" [W], "class" [1] i32. In a denoiser's list a
 * dim of -1 means any. */
struct vqp_cond {
    const char *name;
    uint32_t dtype, reserved;
    struct vqp_shape shape;
};
#define VQP_MAX_CONDS 8
struct vqp_text_encoder_info {
    uint32_t struct_size, context_length, vocab_size, has_null, n_conds, reserved;
    struct vqp_cond conds[VQP_MAX_CONDS];
};
struct vqp_text_inputs {
    uint32_t struct_size, rows; /* R texts */
    vqp_val ids, end;           /* i32 [R,L]; i32 [R] */
};
struct vqp_text_encoder_vtbl {
    uint32_t struct_size, reserved;
    void (*info)(void *self, struct vqp_text_encoder_info *out);
    /* Gives out every value of info.conds with output(p, "cond.NAME", v), R rows. Core drops what nobody links, repeats rows
     * per image and puts the unconditional rows first. */
    void (*record)(void *self, vqp_program *p, const struct vqp_text_inputs *in);
    /* optional, used when info.has_null: the learned unconditional values, one row each, under the same names. Without it
     * core encodes the negative prompt (default ""). */
    void (*record_null)(void *self, vqp_program *p);
};

/* ---- denoiser --------------------------------------------------------------------------------------------------- */

/* train_steps 0: no timestep of its own; t is S-1-i and steps may be 1..1024 */
struct vqp_denoiser_info {
    uint32_t struct_size, grid_h, grid_w;
    uint32_t n_codes; /* C: classes it predicts */
    uint32_t n_vocab; /* ids it accepts: the codes and the mask */
    uint32_t mask_id, train_steps, n_conds;
    struct vqp_cond conds[VQP_MAX_CONDS]; /* what it links as "cond.NAME" */
};
/* What a step's recording may use. */
struct vqp_step {
    uint32_t struct_size, batch, guided, reserved; /* batch B; guided: G = 2 */
    vqp_val tokens;                                /* denoiser: i32 [G*B,N], already repeated; scheduler: i32 [B,N] */
    vqp_val t, tf;                                 /* i32 [1], f32 [1]: the evaluation's timestep */
    vqp_val par;                                   /* f32 [12] = vqp_eval.par of this evaluation */
    vqp_val eval;                                  /* i32 [1]: index of this evaluation */
    vqp_val logp;                     /* scheduler only: f32 [B,N,C], after guidance, truncation and the clamp at -70 */
    vqp_val seed;                     /* scheduler only: i32 [B,2], low and high word */
    vqp_val noise;                    /* scheduler only: 0 = Philox; else f32 [B*N*(C+1)], filled by fill_noise */
    uint32_t mask_id, grid_h, grid_w; /* the denoiser's: the id of a masked token; N = grid_h * grid_w, row by row */
};
struct vqp_denoiser_vtbl {
    uint32_t struct_size, reserved;
    void (*info)(void *self, struct vqp_denoiser_info *out);
    /* optional: what no step changes, given out for record_step to link; conditioning by link(p, "cond.NAME"), [G*B,...] */
    void (*record_prepare)(void *self, vqp_program *p, uint32_t batch, uint32_t guided);
    /* Raw logits f32 [G*B,N,C], token-major. */
    vqp_val (*record_step)(void *self, vqp_program *p, const struct vqp_step *s);
};

/* ---- scheduler -------------------------------------------------------------------------------------------------- */

struct vqp_plan_args {
    uint32_t struct_size, steps; /* run.steps */
    uint32_t train_steps;        /* the denoiser's; 0: it has none */
    uint32_t n_tokens, n_codes;
    uint32_t
        first_step; /* run.start_step. The plan is the whole one all the same; core runs it from evaluation first_step on */
    float guidance;
    uint32_t reserved;
};
/* One evaluation of the denoiser. Core sets tf = t and guide = run.guidance_scale in all of `out` before plan, which may change
 * them (and must set tf itself where it sets t). par is the sampler's own row. Frozen for ABI major 1. */
struct vqp_eval {
    int32_t t;
    uint32_t flags;
    float tf, guide, par[12];
};
typedef void (*vqp_u32_source)(void *rng, uint32_t *dst, uint64_t n); /* the next n outputs of the run's MT19937 */
enum {
    VQP_SCHED_TRUNCATES = 1, /* truncate is recorded at rate 1.0 too, as diffusers does; without it only below 1 */
};
struct vqp_scheduler_vtbl {
    uint32_t struct_size, flags;
    /* Host, once a run: writes the evaluations in order and returns how many (at most cap are written; with cap 0 it
     * counts), or a negative vqp_status with *err. Refuses with VQP_E_ARG where steps or n_codes do not suit it. */
    int32_t (*plan)(void *self, const struct vqp_plan_args *a, struct vqp_eval *out, uint32_t cap,
                    struct vqp_error *err);
    /* The next tokens, i32 [B,N]. What run.pin holds fast, core writes back afterwards. */
    vqp_val (*record_step)(void *self, vqp_program *p, const struct vqp_step *s);
    /* optional: noises the clean tokens s->tokens to the level at which evaluation s->eval begins; s->t, tf and par are that
     * evaluation's, s->logp is 0. Draws from a stream that record_step does not use (stream 0 is record_step's); s->noise, where it
     * is not 0, is u [B,C+1,N] from the run's MT19937. Without it, run.start_step above 0 is refused. */
    vqp_val (*record_start)(void *self, vqp_program *p, const struct vqp_step *s);
    /* optional, rng torch-cpu only: the reference's draws of this evaluation in its own order, n_out = B*N*(C+1) floats of
     * which it fills what its record_step reads. NULL: core fills u [B,C+1,N] class-major. */
    vqp_status (*fill_noise)(void *self, const struct vqp_eval *e, uint32_t batch, uint32_t n_tokens, uint32_t n_codes,
                             vqp_u32_source u32, void *rng, float *out, uint64_t n_out, struct vqp_error *err);
};

/* ---- vq decoder ------------------------------------------------------------------------------------------------- */

struct vqp_vq_decoder_info {
    uint32_t struct_size, grid_h, grid_w; /* 0: any, the denoiser's is used */
    uint32_t n_codes, scale, reserved;    /* scale: pixels per grid cell along each axis */
};
struct vqp_vq_decoder_vtbl {
    uint32_t struct_size, reserved;
    void (*info)(void *self, struct vqp_vq_decoder_info *out);
    /* tokens i32 [B,h,w] -> picture f32 [B,h*scale,w*scale,3] in 0..1, clamped. Core appends to_rgb for PNG. An id outside
     * 0..C-1 must not break it (codebook gives zeros). */
    vqp_val (*record)(void *self, vqp_program *p, vqp_val tokens);
    /* optional: picture f32 [B,H,W,3] in 0..1 -> i32 [B,h,w] */
    vqp_val (*record_encode)(void *self, vqp_program *p, vqp_val rgb);
};

#ifdef __cplusplus
}
#endif
#endif
