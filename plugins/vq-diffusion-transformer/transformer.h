/* What the folder's files share: the settings of one transformer, and the layers that it is made of. */
#ifndef VQP_TRANSFORMER_H
#define VQP_TRANSFORMER_H
#include <vqpipe/components.h>
#include <vqpipe/host.h>
#include <vqpipe/ops.h>
#include <vqpipe/plugin.h>
#include <vqpipe/tensor.h>

/* What a block has besides self-attention and MLP, as in block_type's choices. */
enum {
    BLOCK_SELFCROSS,     /* attention to the text */
    BLOCK_SELFCONDITION, /* a norm before the MLP whose scale and shift depend on the class */
    BLOCK_SELF
};
enum {
    MLP_FC,
    MLP_CONV /* two 3 x 3 convolutions over the grid */
};

struct transformer {
    const struct vqp_program_api *api;
    uint32_t heads, layers, vocab, train_steps, side, bias, act, block, mlp, classes;
    int64_t width, text_width, rows, columns; /* rows, columns: of the grid that positions were trained for */
    float scale;
};
struct transformer_options {
    int64_t num_attention_heads, attention_head_dim, num_layers, cross_attention_dim, num_vector_embeds,
        num_embeds_ada_norm, sample_size, num_classes;
    struct vqp_list spatial_size;
    int32_t attention_bias, activation_fn, norm_type, block_type, mlp_type;
};
extern const struct vqp_option vqp_transformer_options[];
/* Fills *m, but for api; `path` is for messages. */
vqp_status vqp_transformer_read(struct transformer *m, const struct transformer_options *o, const char *path,
                                struct vqp_error *err);

/* ---- layers: `name` is the tensors' name without .weight and .bias ---------------------------------------------- */

vqp_val vqp_transformer_linear(const struct transformer *m, vqp_program *p, vqp_val x, const char *name, int64_t in,
                               int64_t out, uint32_t with_bias, vqp_val residual, uint32_t act);
/* An affine layer norm. */
vqp_val vqp_transformer_norm(const struct transformer *m, vqp_program *p, vqp_val x, const char *name);
/* The layer norm NAME whose scale and shift are a row of `table` [R,2*width]: row[0] of it, or one each of x's where row is 0. */
vqp_val vqp_transformer_ada_norm(const struct transformer *m, vqp_program *p, vqp_val x, vqp_val table, vqp_val row);
/* linear(silu(emb)): scales and shifts from embeddings f32 or W [...,width], by NAME.linear. */
vqp_val vqp_transformer_modulation(const struct transformer *m, vqp_program *p, vqp_val emb, const char *name);

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

/* What no step changes of block i: tables of scales and shifts, keys and values of the text. */
void vqp_transformer_prepare_block(const struct transformer *m, vqp_program *p, uint32_t i);
vqp_val vqp_transformer_block(const struct transformer *m, vqp_program *p, vqp_val x, uint32_t i, vqp_val t);

#endif
