/* The ops: their values, their formulas, and one inline function each to record them.
 *
 * The comment of an op is its definition; plugins/backend-reference is that definition in plain C, docs/ops.md explains it,
 * tests/ops checks every backend against it. f32, i32, u8 are dtypes of values; W marks an operand that is a WEIGHT of f32,
 * f16 or bf16 (as in its file, standing for its exact float32 value) or a CONSTANT of f32; "W or f32" takes any f32 too. "?" marks an optional operand (0).
 * Shapes: "..." is any number of leading dimensions, equal wherever it appears in one op. Sums of more than a few terms are
 * correct to float32 rounding of the exact sum (tolerances: docs/numerics.md). Nothing depends on the number of threads. */
#ifndef VQPIPE_OPS_H
#define VQPIPE_OPS_H
#include "program.h"
#ifdef __cplusplus
extern "C" {
#endif

/* Values are for ever; add at the end of a block. */
enum {
    VQP_OP_EMBEDDING = 1,
    VQP_OP_LINEAR,
    VQP_OP_LAYER_NORM,
    VQP_OP_RMS_NORM,
    VQP_OP_SDPA,
    VQP_OP_CONV2D,
    VQP_OP_GROUP_NORM,
    VQP_OP_L2_NORM,
    VQP_OP_CODEBOOK,
    VQP_OP_NEAREST_CODE,
    VQP_OP_PIXEL_SHUFFLE,
    VQP_OP_ROPE,
    VQP_OP_GUIDE_LOG_SOFTMAX,
    VQP_OP_TRUNCATE,
    VQP_OP_POSTERIOR_SAMPLE,
    VQP_OP_CATEGORICAL_SAMPLE,
    VQP_OP_SELECT_TOP_K,
    VQP_OP_TO_RGB,
    VQP_OP_REPEAT,
    VQP_OP_TAKE,
    VQP_OP_STORE,
    VQP_OP_ADVANCE,
    VQP_OP_GUMBEL,
    VQP_OP_FUSED_END, /* one past the last fused op */

    VQP_OP_ADD = 64,
    VQP_OP_SUB,
    VQP_OP_MUL,
    VQP_OP_DIV,
    VQP_OP_MAX,
    VQP_OP_MIN,
    VQP_OP_EXP,
    VQP_OP_LOG,
    VQP_OP_SQRT,
    VQP_OP_RSQRT,
    VQP_OP_SIGMOID,
    VQP_OP_COMPARE,
    VQP_OP_WHERE,
    VQP_OP_CAST,
    VQP_OP_CONCAT,
    VQP_OP_SLICE,
    VQP_OP_PERMUTE,
    VQP_OP_REDUCE_SUM,
    VQP_OP_REDUCE_MAX,
    VQP_OP_ARG_MAX,
    VQP_OP_SOFTMAX,
    VQP_OP_CUMSUM,
    VQP_OP_SORT_K,
    VQP_OP_GATHER,
    VQP_OP_SCATTER,
    VQP_OP_PLAIN_END, /* one past the last plain op */
};

/* Activations, element-wise. */
enum {
    VQP_ACT_NONE = 0,
    VQP_ACT_GELU_ERF,     /* x * (1 + erf(x / sqrt 2)) / 2  (Hendrycks, Gimpel 2016) */
    VQP_ACT_GELU_SIGMOID, /* x * sigmoid(1.702 x): CLIP's quick_gelu, diffusers' geglu-approximate */
    VQP_ACT_SILU,         /* x * sigmoid(x) */
};

enum {
    VQP_CMP_EQ = 0,
    VQP_CMP_NE,
    VQP_CMP_LT,
    VQP_CMP_LE,
    VQP_CMP_GT,
    VQP_CMP_GE
};

/* What POSTERIOR_SAMPLE reads from its `par` [12]: natural logs of the forward process's parameters for the jump from
 * timestep s (cleaner) to t. With a = probability to keep the token, b = to become one given other code, c = to be masked. */
enum {
    VQP_PAR_LOG_A = 0, /* one jump s -> t: log a, log b, log c */
    VQP_PAR_LOG_B = 1,
    VQP_PAR_LOG_C = 2,
    VQP_PAR_CUM_T_A = 3, /* cumulative, clean -> t */
    VQP_PAR_CUM_T_B = 4,
    VQP_PAR_CUM_T_C = 5,
    VQP_PAR_CUM_S_A = 6, /* cumulative, clean -> s */
    VQP_PAR_CUM_S_B = 7,
    VQP_PAR_CUM_S_C = 8,
    VQP_PAR_FINAL = 9, /* 1: s is clean: sample p(x0) itself over the C codes; the nine above are not read */
};

#define VQP_EMIT(p, ...)                                                                                               \
    struct vqp_op op_ = {__VA_ARGS__};                                                                                 \
    return api->emit(p, &op_)
#define VQP_API const struct vqp_program_api *api, vqp_program *p

/* ---- fused ops ------------------------------------------------------------------------------------------------- */

/* EMBEDDING  in: ids i32 [...,N], table W [V,D], pos? W or f32 [M,D] with M >= N.   out: f32 [...,N,D]
 *   out[...,n,:] = table[clamp(ids[...,n], 0, V-1),:] + pos[n,:] */
static inline vqp_val vqp_embedding(VQP_API, vqp_val ids, vqp_val table, vqp_val pos)
{
    VQP_EMIT(p, VQP_OP_EMBEDDING, 0, {ids, table, pos}, {0}, {{0}});
}

/* LINEAR  in: x f32 [...,I], weight W or Q8_0 [O,I], bias? W [O], residual? f32 [...,O], gate? f32 [O] or [...,O], scale? F16 [O,I/32].
 *   out: f32 [...,O] = residual + gate * act(x weight^T + bias)
 *   scale goes with a weight of Q8_0, whose entry (o,i) is weight[o,i] * scale[o,i/32] (blocks as ggml's q8_0). A component records such a
 *   weight like any other: core adds the scale, the tensor NAME.scale beside NAME. */
static inline vqp_val vqp_linear_full(VQP_API, vqp_val x, vqp_val weight, vqp_val bias, vqp_val residual, vqp_val gate,
                                      uint32_t act)
{
    VQP_EMIT(p, VQP_OP_LINEAR, 0, {x, weight, bias, residual, gate}, {0}, {{act}});
}
static inline vqp_val vqp_linear(VQP_API, vqp_val x, vqp_val weight, vqp_val bias, uint32_t act)
{
    return vqp_linear_full(api, p, x, weight, bias, 0, 0, act);
}

/* LAYER_NORM  in: x f32 [...,D], weight? W [D], bias? W [D], table? f32 [R,2D], row? i32 [1] or [B].   out: as x
 *   y = (x - mean) / sqrt(var + eps) over the last axis (biased variance; Ba, Kiros, Hinton 2016), then y = y*weight + bias,
 *   then with `table` (AdaLN: scale first, shift second) out = y * (1 + table[r,0:D]) + table[r,D:2D]; B = x's first dimension.
 *   r = clamp(row[0], 0, R-1) for row [1]; clamp(row[b], 0, R-1) for row [B]; without row: r = b where R = B, 0 where R = 1. */
static inline vqp_val vqp_layer_norm(VQP_API, vqp_val x, vqp_val weight, vqp_val bias, vqp_val table, vqp_val row,
                                     float eps)
{
    struct vqp_op op = {VQP_OP_LAYER_NORM, 0, {x, weight, bias, table, row}, {0}, {{0}}};
    op.u.norm.eps = eps;
    return api->emit(p, &op);
}

/* RMS_NORM  as LAYER_NORM with y = x / sqrt(mean(x^2) + eps)  (Zhang, Sennrich 2019) */
static inline vqp_val vqp_rms_norm(VQP_API, vqp_val x, vqp_val weight, vqp_val bias, vqp_val table, vqp_val row,
                                   float eps)
{
    struct vqp_op op = {VQP_OP_RMS_NORM, 0, {x, weight, bias, table, row}, {0}, {{0}}};
    op.u.norm.eps = eps;
    return api->emit(p, &op);
}

/* SDPA  in: q f32 [B,N,H*d], k f32 [B,M,H*d], v f32 [B,M,H*d]; u: scale, heads H, causal.   out: f32 [B,N,H*d]
 *   per head: out = softmax(scale * q k^T) v  (Vaswani et al. 2017); causal: key m is seen by query n where m <= n (N = M) */
static inline vqp_val vqp_sdpa(VQP_API, vqp_val q, vqp_val k, vqp_val v, uint32_t heads, float scale, uint32_t causal)
{
    struct vqp_op op = {VQP_OP_SDPA, 0, {q, k, v}, {0}, {{0}}};
    op.u.sdpa.scale = scale;
    op.u.sdpa.heads = heads;
    op.u.sdpa.causal = causal;
    return api->emit(p, &op);
}

/* CONV2D  in: x f32 [B,H,W,I], weight W [O,I/g,kh,kw] (as in PyTorch's files), bias? W [O], residual? f32 [B,H',W',O]
 *   u: stride, groups g, pad_top/left/bottom/right (zeros), act, upsample f (nearest neighbour, before the convolution)
 *   out: f32 [B,H',W',O], H' = (H*f + pad_top + pad_bottom - kh) / stride + 1, W' likewise
 *   out = residual + act(conv(upsample(x), weight) + bias); cross-correlation, as torch.nn.Conv2d. Fields of 0 mean 1 for
 *   stride, groups and upsample. */
struct vqp_conv2d_params {
    uint16_t stride, groups, pad_top, pad_left, pad_bottom, pad_right;
    uint32_t act, upsample;
};
static inline vqp_val vqp_conv2d(VQP_API, vqp_val x, vqp_val weight, vqp_val bias, vqp_val residual,
                                 const struct vqp_conv2d_params *c)
{
    struct vqp_op op = {VQP_OP_CONV2D, 0, {x, weight, bias, residual}, {0}, {{0}}};
    op.u.conv.stride = c->stride ? c->stride : 1;
    op.u.conv.groups = c->groups ? c->groups : 1;
    op.u.conv.pad_top = c->pad_top;
    op.u.conv.pad_left = c->pad_left;
    op.u.conv.pad_bottom = c->pad_bottom;
    op.u.conv.pad_right = c->pad_right;
    op.u.conv.act = c->act;
    op.u.conv.upsample = c->upsample ? c->upsample : 1;
    return api->emit(p, &op);
}

/* GROUP_NORM  in: x f32 [B,...,C], weight? W [C], bias? W [C]; u: eps, groups (divides C), act.   out: as x
 *   mean and biased variance over everything of one batch row and one group of C/groups neighbouring channels;
 *   out = act((x - mean) / sqrt(var + eps) * weight + bias)  (Wu, He 2018) */
static inline vqp_val vqp_group_norm(VQP_API, vqp_val x, vqp_val weight, vqp_val bias, uint32_t groups, float eps,
                                     uint32_t act)
{
    struct vqp_op op = {VQP_OP_GROUP_NORM, 0, {x, weight, bias}, {0}, {{0}}};
    op.u.norm.eps = eps;
    op.u.norm.groups = groups;
    op.u.norm.act = act;
    return api->emit(p, &op);
}

/* L2_NORM  in: x f32 [...,D].   out = x / sqrt(sum x^2) over the last axis, without an epsilon */
static inline vqp_val vqp_l2_norm(VQP_API, vqp_val x)
{
    VQP_EMIT(p, VQP_OP_L2_NORM, 0, {x}, {0}, {{0}});
}

/* CODEBOOK  in: ids i32 [...], table W [C,E].   out: f32 [...,E] = table[ids]; an id outside 0..C-1 gives zeros */
static inline vqp_val vqp_codebook(VQP_API, vqp_val ids, vqp_val table)
{
    VQP_EMIT(p, VQP_OP_CODEBOOK, 0, {ids, table}, {0}, {{0}});
}

/* NEAREST_CODE  in: x f32 [...,E], table W [C,E].   out: i32 [...] = argmin_c sum (x - table[c])^2; the lowest c wins ties */
static inline vqp_val vqp_nearest_code(VQP_API, vqp_val x, vqp_val table)
{
    VQP_EMIT(p, VQP_OP_NEAREST_CODE, 0, {x, table}, {0}, {{0}});
}

/* PIXEL_SHUFFLE  in: x f32 [B,H,W,C*r*r]; u: factor r.   out: f32 [B,H*r,W*r,C]
 *   out[b, h*r+i, w*r+j, c] = x[b, h, w, (c*r + i)*r + j]  (torch.nn.PixelShuffle, channels last) */
static inline vqp_val vqp_pixel_shuffle(VQP_API, vqp_val x, uint32_t factor)
{
    VQP_EMIT(p, VQP_OP_PIXEL_SHUFFLE, 0, {x}, {0}, {{factor}});
}

/* ROPE  in: x f32 [B,N,H*d], cos f32 [N,d/2], sin f32 [N,d/2]; u: heads H, interleaved.   out: as x
 *   every head's pairs (x[i], x[i+d/2]), or (x[2i], x[2i+1]) where interleaved, are turned:
 *   (u, v) -> (u cos[n,i] - v sin[n,i], v cos[n,i] + u sin[n,i])  (Su et al. 2021) */
static inline vqp_val vqp_rope(VQP_API, vqp_val x, vqp_val cos, vqp_val sin, uint32_t heads, uint32_t interleaved)
{
    struct vqp_op op = {VQP_OP_ROPE, 0, {x, cos, sin}, {0}, {{0}}};
    op.u.rope.heads = heads;
    op.u.rope.interleaved = interleaved;
    return api->emit(p, &op);
}

/* GUIDE_LOG_SOFTMAX  in: logits f32 [G*B,N,C], guide? f32 [1].   out: f32 [B,N,C]
 *   without guide (G = 1): log_softmax(logits). With it (G = 2, the B unconditional rows first), s = guide[0]:
 *   u, c = log_softmax of each half; l = u + s*(c - u); out = l - logsumexp(l)  (Ho, Salimans 2022; Tang et al. 2022) */
static inline vqp_val vqp_guide_log_softmax(VQP_API, vqp_val logits, vqp_val guide)
{
    VQP_EMIT(p, VQP_OP_GUIDE_LOG_SOFTMAX, 0, {logits, guide}, {0}, {{0}});
}

/* TRUNCATE  in: logp f32 [...,C], rate f32 [1]; u: floor.   out: f32 [...,C]
 *   classes in descending order of logp (ties: lower class first); the k-th (from 0) is kept where k = 0 or where
 *   float32(sum of exp of the first k, in double) < rate, so that the class which crosses the rate stays.
 *   kept: max(logp, floor); dropped: floor. Not renormalised. (VQ-Diffusion's truncation sampling, Gu et al. 2022) */
static inline vqp_val vqp_truncate(VQP_API, vqp_val logp, vqp_val rate, float floor)
{
    struct vqp_op op = {VQP_OP_TRUNCATE, 0, {logp, rate}, {0}, {{0}}};
    op.u.truncate.floor = floor;
    return api->emit(p, &op);
}

/* POSTERIOR_SAMPLE  in: logp f32 [B,N,C] = log p(x0), tokens i32 [B,N] = x_t, par f32 [12] (VQP_PAR_*), seed i32 [B,2] (low,
 *   high word), eval i32 [1], noise? f32 [B*N*(C+1)]; u: stream.   out: i32 [B,N] = x_s, in 0..C (C is the mask)
 *   With lae = log(exp x + exp y), x = tokens[b,n], for each class k < C:
 *     qt[k]  = x == C ? CUM_T_C : lae(CUM_T_A + (k == x ? 0 : log 1e-30), CUM_T_B)            log q(x_t | x0 = k)
 *     q[k]   = logp[k] - qt[k];   S = logsumexp_k q
 *     m[k]   = lae(q[k] - S + CUM_S_A, CUM_S_B);   m[C] = CUM_S_C                             x0 noised to s
 *     st[k]  = x == C ? LOG_C : lae(LOG_A + (k == x ? 0 : log 1e-30), LOG_B);   st[C] = x == C ? 0 : log 1e-30
 *     l[k]   = m[k] + st[k] + S, for k in 0..C                                                log q(x_s | x_t, p(x0))
 *   With FINAL: l[k] = logp[k] for k < C alone. Then out = argmax_k of float32(l[k]) + g[k], the lowest k on ties, with
 *     g[k] = -log(-log(u + 1e-30) + 1e-30) in float32, u = vqp_uniform(seed[b], eval[0], stream, n, k) (philox.h), or, with
 *     noise, u = noise[(b*K + k)*N + n], K = C+1, with FINAL K = C.
 *   (Austin et al. 2021, D3PM; Gu et al. 2022, eq. 11.) Where a column's l holds a NaN, or +infinity, or no finite value: -1. */
static inline vqp_val vqp_posterior_sample(VQP_API, vqp_val logp, vqp_val tokens, vqp_val par, vqp_val seed,
                                           vqp_val eval, vqp_val noise, uint32_t stream)
{
    struct vqp_op op = {VQP_OP_POSTERIOR_SAMPLE, 0, {logp, tokens, par, seed, eval, noise}, {0}, {{0}}};
    op.u.sample.stream = stream;
    return api->emit(p, &op);
}

/* CATEGORICAL_SAMPLE  in: logp f32 [B,N,C], seed i32 [B,2], eval i32 [1], noise? f32 [B*N*C]; u: stream
 *   out[0]: i32 [B,N] = argmax_k logp[k] + g[k], g as in POSTERIOR_SAMPLE with K = C;   out[1]: f32 [B,N] = logp of that class
 *   A column as bad as there: -1, and out[1] = 0. */
static inline vqp_val vqp_categorical_sample(VQP_API, vqp_val logp, vqp_val seed, vqp_val eval, vqp_val noise,
                                             uint32_t stream, vqp_val *logp_of_sample)
{
    struct vqp_op op = {VQP_OP_CATEGORICAL_SAMPLE, 0, {logp, seed, eval, noise}, {0}, {{0}}};
    op.u.sample.stream = stream;
    vqp_val v = api->emit(p, &op);
    if (logp_of_sample)
        *logp_of_sample = op.out[1];
    return v;
}

/* SELECT_TOP_K  in: score f32 [B,N], k i32 [1].   out: i32 [B,N] = 1 for the k highest scores of each row, else 0; ties go to
 *   the lower position; k is clamped to 0..N */
static inline vqp_val vqp_select_top_k(VQP_API, vqp_val score, vqp_val k)
{
    VQP_EMIT(p, VQP_OP_SELECT_TOP_K, 0, {score, k}, {0}, {{0}});
}

/* TO_RGB  in: x f32 [...].   out: u8 [...] = round(255 * clamp(x, 0, 1)), halves to even; NaN gives 0 */
static inline vqp_val vqp_to_rgb(VQP_API, vqp_val x)
{
    VQP_EMIT(p, VQP_OP_TO_RGB, 0, {x}, {0}, {{0}});
}

/* REPEAT  in: x f32 or i32 [R,...]; u: times n, tile.   out: [R*n,...]
 *   tile 0: every row n times in a row (out[r*n + i] = x[r]); tile 1: the whole n times over (out[i*R + r] = x[r]) */
static inline vqp_val vqp_repeat(VQP_API, vqp_val x, uint32_t times, uint32_t tile)
{
    struct vqp_op op = {VQP_OP_REPEAT, 0, {x}, {0}, {{0}}};
    op.u.repeat.times = times;
    op.u.repeat.tile = tile;
    return api->emit(p, &op);
}

/* TAKE  in: table f32 or i32 [S,...], index i32 [1].   out: [...], or [1] where table has rank 1 = table[clamp(index[0], 0, S-1)] */
static inline vqp_val vqp_take(VQP_API, vqp_val table, vqp_val index)
{
    VQP_EMIT(p, VQP_OP_TAKE, 0, {table, index}, {0}, {{0}});
}

/* STORE  in: state (a STATE value or a view of one), v of its dtype and shape.   no out. state = v */
static inline void vqp_store(VQP_API, vqp_val state, vqp_val v)
{
    struct vqp_op op = {VQP_OP_STORE, 0, {state, v}, {0}, {{0}}};
    api->emit(p, &op);
}

/* ADVANCE  in: counter, a STATE i32 [1].   no out. counter += 1; core records it as the last op of a step */
static inline void vqp_advance(VQP_API, vqp_val counter)
{
    struct vqp_op op = {VQP_OP_ADVANCE, 0, {counter}, {0}, {{0}}};
    api->emit(p, &op);
}

/* GUMBEL  in: seed i32 [B,2] (low, high word), eval i32 [1], like f32 or i32 [B,N] (its shape alone counts), noise? f32 [B*N];
 *   u: stream.   out: f32 [B,N] = -log(-log(u + 1e-30) + 1e-30), u = vqp_uniform(seed[b], eval[0], stream, n, 0) (philox.h), or, with
 *   noise, u = noise[b*N + n]. One number a position: the k highest of log w + GUMBEL are k draws without replacement by the weights
 *   w (Yellott 1977; Kool, van Hoof, Welling 2019) */
static inline vqp_val vqp_gumbel(VQP_API, vqp_val seed, vqp_val eval, vqp_val like, vqp_val noise, uint32_t stream)
{
    struct vqp_op op = {VQP_OP_GUMBEL, 0, {seed, eval, like, noise}, {0}, {{0}}};
    op.u.sample.stream = stream;
    return api->emit(p, &op);
}

/* ---- plain ops: as fast as the definition, no more -------------------------------------------------------------- */

/* ADD SUB MUL DIV MAX MIN  in: a, b, both f32 or (not DIV) both i32; weights W [..] allowed and read as f32.
 *   out: shapes broadcast as in NumPy (aligned at the last axis, 1 stretches). MAX and MIN give NaN where either is NaN. */
static inline vqp_val vqp_binary(VQP_API, uint32_t kind, vqp_val a, vqp_val b)
{
    VQP_EMIT(p, kind, 0, {a, b}, {0}, {{0}});
}
/* EXP LOG SQRT RSQRT SIGMOID  in: x f32 (W allowed).   out: as x */
static inline vqp_val vqp_unary(VQP_API, uint32_t kind, vqp_val x)
{
    VQP_EMIT(p, kind, 0, {x}, {0}, {{0}});
}
/* COMPARE  in: a, b of one dtype, f32 or i32; u: cmp.   out: i32, 1 or 0, broadcast. NaN compares as in C. */
static inline vqp_val vqp_compare(VQP_API, uint32_t cmp, vqp_val a, vqp_val b)
{
    VQP_EMIT(p, VQP_OP_COMPARE, 0, {a, b}, {0}, {{cmp}});
}
/* WHERE  in: cond i32, a, b of one dtype, f32 or i32.   out: cond != 0 ? a : b, all three broadcast */
static inline vqp_val vqp_where(VQP_API, vqp_val cond, vqp_val a, vqp_val b)
{
    VQP_EMIT(p, VQP_OP_WHERE, 0, {cond, a, b}, {0}, {{0}});
}
/* CAST  in: x f32, i32, u8 or W; u: dtype f32, i32 or u8.   out: as x. Float to integer truncates towards zero and saturates, NaN
 *   gives 0; i32 to u8 saturates. To the same dtype: a copy. */
static inline vqp_val vqp_cast(VQP_API, vqp_val x, uint32_t dtype)
{
    VQP_EMIT(p, VQP_OP_CAST, 0, {x}, {0}, {{dtype}});
}
/* CONCAT  in: 1 to 8 values of one dtype (f32 or i32) and equal shapes but for `axis`.   out: joined along it */
static inline vqp_val vqp_concat(VQP_API, const vqp_val *in, uint32_t n, uint32_t axis)
{
    struct vqp_op op = {VQP_OP_CONCAT, 0, {0}, {0}, {{0}}};
    for (uint32_t i = 0; i < n && i < VQP_OP_MAX_IN; i++)
        op.in[i] = in[i];
    op.u.axis.axis = axis;
    op.u.axis.count = n;
    return api->emit(p, &op);
}
/* SLICE  in: x f32 or i32.   out: entries start .. start+count-1 along `axis` */
static inline vqp_val vqp_slice(VQP_API, vqp_val x, uint32_t axis, uint32_t start, uint32_t count)
{
    struct vqp_op op = {VQP_OP_SLICE, 0, {x}, {0}, {{0}}};
    op.u.axis.axis = axis;
    op.u.axis.start = start;
    op.u.axis.count = count;
    return api->emit(p, &op);
}
/* PERMUTE  in: x f32 or i32.   out.dim[i] = x.dim[perm[i]]: numpy.transpose(x, perm) */
static inline vqp_val vqp_permute(VQP_API, vqp_val x, const uint8_t *perm, uint32_t rank)
{
    struct vqp_op op = {VQP_OP_PERMUTE, 0, {x}, {0}, {{0}}};
    for (uint32_t i = 0; i < rank && i < 8; i++)
        op.u.permute.perm[i] = perm[i];
    return api->emit(p, &op);
}
/* REDUCE_SUM REDUCE_MAX SOFTMAX CUMSUM  in: x f32; u: axis.   out: reductions keep the axis with length 1; SOFTMAX and CUMSUM
 *   (inclusive) keep the shape.  ARG_MAX: out i32, the axis has length 1, the lowest index wins ties, NaN never wins. */
static inline vqp_val vqp_along(VQP_API, uint32_t kind, vqp_val x, uint32_t axis)
{
    VQP_EMIT(p, kind, 0, {x}, {0}, {{axis}});
}
/* SORT_K  in: x f32 [...,D]; u.axis.count = k <= D.   out[0]: f32 [...,k], the k largest in descending order; out[1]: i32 [...,k],
 *   where they were; ties: lower index first; NaN sorts last */
static inline vqp_val vqp_sort_k(VQP_API, vqp_val x, uint32_t k, vqp_val *index)
{
    struct vqp_op op = {VQP_OP_SORT_K, 0, {x}, {0}, {{0}}};
    op.u.axis.count = k;
    vqp_val v = api->emit(p, &op);
    if (index)
        *index = op.out[1];
    return v;
}
/* GATHER  in: x f32 or i32, index i32 of the same rank, no longer than x but along `axis`; u: axis.   out: as index:
 *   out[i][j][k] = x[i][clamp(index[i][j][k])][k] for axis 1 (torch.gather) */
static inline vqp_val vqp_gather(VQP_API, vqp_val x, vqp_val index, uint32_t axis)
{
    VQP_EMIT(p, VQP_OP_GATHER, 0, {x, index}, {0}, {{axis}});
}
/* SCATTER  in: base, index i32, src (index and src of one shape, ranks equal, base and src of one dtype); u: axis.   out: base with
 *   out[i][index[i][j][k]][k] = src[i][j][k] for axis 1 (torch.scatter); an index out of range writes nothing; on doubles the
 *   last in row-major order wins */
static inline vqp_val vqp_scatter(VQP_API, vqp_val base, vqp_val index, vqp_val src, uint32_t axis)
{
    VQP_EMIT(p, VQP_OP_SCATTER, 0, {base, index, src}, {0}, {{axis}});
}

#undef VQP_API
#undef VQP_EMIT
#ifdef __cplusplus
}
#endif
#endif
