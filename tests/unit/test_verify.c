/* Every op's rule, on values made up by a short notation: "f[2,3] h[4,3] -" is a computed f32, a weight of f16, and nothing. */
#include "builder.h"
#include "check.h"
#include "shape.h"
#include <math.h>

static const struct kind {
    char letter;
    uint32_t dtype, role;
} kinds[] = {
    {'f', VQP_F32, VQP_VAL_TEMP},    {'i', VQP_I32, VQP_VAL_TEMP},   {'u', VQP_U8, VQP_VAL_TEMP},
    {'w', VQP_F32, VQP_VAL_WEIGHT},  {'h', VQP_F16, VQP_VAL_WEIGHT}, {'b', VQP_BF16, VQP_VAL_WEIGHT},
    {'q', VQP_Q8_0, VQP_VAL_WEIGHT}, {'j', VQP_I32, VQP_VAL_WEIGHT}, {'c', VQP_F32, VQP_VAL_CONSTANT},
    {'s', VQP_F32, VQP_VAL_STATE},   {'k', VQP_I32, VQP_VAL_STATE},  {'n', VQP_F32, VQP_VAL_INPUT},
};

/* One value of the notation at *s, which is moved past it. */
static struct vqp_val_info parse_value(const char **s)
{
    struct vqp_val_info v = {.name = NULL};
    const struct kind *k = kinds;
    while (k->letter != **s)
        k++;
    v.dtype = k->dtype;
    v.role = k->role;
    if (v.role == VQP_VAL_WEIGHT)
        v.name = "blocks.0.w";
    for (*s += 2; **s != ']'; *s += **s == ',')
        v.shape.dim[v.shape.rank++] = strtoll(*s, (char **)s, 10);
    ++*s;
    return v;
}

struct rule_case {
    const char *in;
    const char *want; /* "f[2,3] i[2]", or "!" and part of the message; "!!" where it is VQP_E_FORMAT */
    struct vqp_op op;
};

#define ACT(a)        .u.linear.act = (a)
#define NORM(e, g, a) .u.norm = {(e), (g), (a)}
#define SDPA(h, s, c) .u.sdpa = {(s), (h), (c)}
#define CONV(...)     .u.conv = {__VA_ARGS__}
#define AXIS(a, ...)  .u.axis = {(a), ##__VA_ARGS__}
#define COUNT(n)      .u.axis.count = (n)
#define PERM(...)     .u.permute.perm = {__VA_ARGS__}
#define OP(op_kind, ...)                                                                                               \
    {                                                                                                                  \
        .kind = VQP_OP_##op_kind, ##__VA_ARGS__                                                                        \
    }

static const struct rule_case cases[] = {
    {"i[2,7] h[100,8] w[77,8]", "f[2,7,8]", OP(EMBEDDING)},
    {"i[7] w[100,8]", "f[7,8]", OP(EMBEDDING)},
    {"i[7] w[100,8] f[7,8]", "f[7,8]", OP(EMBEDDING)},
    {"i[7] f[100,8]", "!embedding: table is computed f32[100,8], expected a weight or a constant of f32",
     OP(EMBEDDING)},
    {"i[7] w[100,8] w[6,8]", "!embedding: pos has 6 rows, expected 7 or more", OP(EMBEDDING)},
    {"f[7] w[100,8]", "!embedding: ids is computed f32[7], expected i32", OP(EMBEDDING)},
    {"i[] w[100,8]", "!embedding: ids is [], expected [...,N]", OP(EMBEDDING)},
    {"i[1,1,1,1,1,2] w[100,8]", "!embedding: the output would have rank 7, more than 6", OP(EMBEDDING)},
    {"- w[100,8]", "!embedding: ids is missing", OP(EMBEDDING)},

    {"f[2,3,8] b[5,8] w[5] f[2,3,5] f[5]", "f[2,3,5]", OP(LINEAR, ACT(VQP_ACT_SILU))},
    {"f[8] w[5,8] - - f[5]", "f[5]", OP(LINEAR)},
    {"f[2,3,8] c[5,8] - - f[2,3,5]", "f[2,3,5]", OP(LINEAR)},
    {"f[2,1024] w[1408,512]", "!!linear: weight is [1408,512], expected [1408,1024] (tensor blocks.0.w)", OP(LINEAR)},
    {"f[2,8] n[5,8]", "!linear: weight is input f32[5,8], expected a weight", OP(LINEAR)},
    {"f[2,8] j[5,8]", "!!linear: weight is a weight of i32[5,8]", OP(LINEAR)},
    {"h[2,8] w[5,8]", "!linear: x is weight f16[2,8], expected f32 (tensor blocks.0.w)", OP(LINEAR)},
    {"f[2,8] w[5,8] w[4]", "!!linear: bias is [4], expected [5]", OP(LINEAR)},
    {"f[2,8] w[5,8] - f[3,5]", "!linear: residual is [3,5], expected [2,5]", OP(LINEAR)},
    {"f[2,8] w[5,8] - - f[3]", "!linear: gate is [3], expected [5] or [2,5]", OP(LINEAR)},
    {"f[2,8] w[5,8] - - - - f[5]", "!linear: operand 7 is set, but it takes no more than 6", OP(LINEAR)},
    {"f[2,64] q[5,64] w[5] - - h[5,2]", "f[2,5]", OP(LINEAR)},
    {"f[2,64] q[5,64]", "!linear: the weight is q8_0, and its scale is missing", OP(LINEAR)},
    {"f[2,64] w[5,64] - - - h[5,2]", "!linear: scale is given, and the weight is not q8_0", OP(LINEAR)},
    {"f[2,64] q[5,64] - - - h[5,3]", "!linear: a q8_0 weight [5,64] has a scale of f16 [5,3]", OP(LINEAR)},
    {"f[2,64] q[5,64] - - - w[5,2]", "!linear: a q8_0 weight [5,64] has a scale of f32 [5,2]", OP(LINEAR)},
    {"f[2,64] q[5,64] - - - h[4,2]", "!!linear: scale is [4,2], expected [5,2]", OP(LINEAR)},
    {"i[7] q[100,32]", "!!embedding: table is a weight of q8_0[100,32]; only f32, f16 and bf16", OP(EMBEDDING)},
    {"f[2,8] w[5,8]", "!linear: there is no activation 4", OP(LINEAR, ACT(4))},
    {"f[2,8] w[5,8]", "!linear: flags are 0x2, expected 0", OP(LINEAR, .flags = 2)},

    {"f[2,3,8] w[8] h[8]", "f[2,3,8]", OP(LAYER_NORM, NORM(1e-5f, 0, 0))},
    {"f[2,3,8] - - f[100,16] i[1]", "f[2,3,8]", OP(LAYER_NORM, NORM(1e-5f, 0, 0))},
    {"f[2,3,8] - - f[100,16] i[2]", "f[2,3,8]", OP(LAYER_NORM)},
    {"f[2,3,8] - - f[2,16]", "f[2,3,8]", OP(LAYER_NORM)},
    {"f[2,3,8] - - f[1,16]", "f[2,3,8]", OP(LAYER_NORM)},
    {"f[2,8] - - f[2,16]", "f[2,8]", OP(LAYER_NORM)},
    {"f[2,8] n[8]", "!layer_norm: weight is input f32[8], expected a weight", OP(LAYER_NORM)},
    {"f[2,8] w[8] f[8]", "!layer_norm: bias is computed f32[8], expected a weight", OP(LAYER_NORM)},
    {"f[2,3,8] - - f[3,16]", "!layer_norm: table is [3,16], expected [2,16]", OP(LAYER_NORM)},
    {"f[2,3,8] - - f[100,8] i[1]", "!layer_norm: table is [100,8], expected [100,16]", OP(LAYER_NORM)},
    {"f[2,3,8] - - f[100,16] i[3]", "!layer_norm: row is [3], expected [1] or [2]", OP(LAYER_NORM)},
    {"f[2,3,8] - - - i[1]", "!layer_norm: row is given without a table", OP(LAYER_NORM)},
    {"f[8] - - f[1,16]", "!layer_norm: a table needs an x of rank 2", OP(LAYER_NORM)},
    {"f[2,8]", "!layer_norm: eps is inf", OP(LAYER_NORM, NORM(INFINITY, 0, 0))},
    {"f[2,8]", "!layer_norm: eps is -1", OP(LAYER_NORM, NORM(-1, 0, 0))},
    {"f[2,8] w[9]", "!!layer_norm: weight is [9], expected [8]", OP(LAYER_NORM)},
    {"f[8] w[8]", "f[8]", OP(RMS_NORM, NORM(1e-6f, 0, 0))},
    {"f[8] n[8]", "!rms_norm: weight is input f32[8], expected a weight", OP(RMS_NORM)},
    {"f[8] w[8] f[8]", "!rms_norm: bias is computed f32[8], expected a weight", OP(RMS_NORM)},
    {"f[]", "!rms_norm: x is [], expected [...,D]", OP(RMS_NORM)},

    {"f[2,5,8] f[2,7,8] f[2,7,8]", "f[2,5,8]", OP(SDPA, SDPA(4, 0.5f, 0))},
    {"f[2,7,8] f[2,7,8] f[2,7,8]", "f[2,7,8]", OP(SDPA, SDPA(8, 0.5f, 1))},
    {"f[2,5,8] f[2,7,8] f[2,7,8]", "!sdpa: causal with 5 queries and 7 keys", OP(SDPA, SDPA(4, 0.5f, 1))},
    {"f[2,5,8] f[2,7,8] f[2,6,8]", "!sdpa: v is [2,6,8], expected [2,7,8]", OP(SDPA, SDPA(4, 0.5f, 0))},
    {"f[2,5,8] f[1,7,8] f[1,7,8]", "!sdpa: k is [1,7,8], expected [2,7,8]", OP(SDPA, SDPA(4, 0.5f, 0))},
    {"f[2,5,8] f[2,7,8] f[2,7,8]", "!sdpa: heads is 3, expected a divisor of the width 8", OP(SDPA, SDPA(3, 1, 0))},
    {"f[2,5,8] f[2,7,8] f[2,7,8]", "!sdpa: heads is 0", OP(SDPA, SDPA(0, 1, 0))},
    {"f[2,5,8] f[2,7,8] f[2,7,8]", "!sdpa: causal is 2, expected 0 or 1", OP(SDPA, SDPA(1, 1, 2))},
    {"f[2,5,8] f[2,7,8] f[2,7,8]", "!sdpa: scale is nan", OP(SDPA, SDPA(1, NAN, 0))},

    {"f[2,8,6,4] h[10,4,3,3] w[10] f[2,8,6,10]", "f[2,8,6,10]", OP(CONV2D, CONV(1, 1, 1, 1, 1, 1, 0, 1))},
    {"f[2,8,6,4] w[10,4,3,3]", "f[2,4,3,10]", OP(CONV2D, CONV(2, 1, 0, 0, 1, 1, 0, 1))},
    {"f[2,8,6,4] w[10,2,3,3]", "f[2,14,10,10]", OP(CONV2D, CONV(1, 2, 0, 0, 0, 0, VQP_ACT_SILU, 2))},
    {"f[2,8,6,4] w[10,4,1,1]", "f[2,8,6,10]", OP(CONV2D)},
    {"f[2,3,3,4] w[10,4,3,3]", "f[2,1,1,10]", OP(CONV2D)},
    {"f[2,2,6,4] w[10,4,3,3]", "!conv2d: a kernel of 3 does not fit into 2 padded entries", OP(CONV2D)},
    {"f[2,8,2,4] w[10,4,3,3]", "!conv2d: a kernel of 3 does not fit into 2 padded entries", OP(CONV2D)},
    {"f[2,8,6,4] w[10,4,3,3]", "!!conv2d: weight is [10,4,3,3], expected [10,2,3,3]", OP(CONV2D, CONV(1, 2))},
    {"f[2,8,6,4] w[10,4,3,3]", "!conv2d: groups is 3, expected a divisor of the input channels 4",
     OP(CONV2D, CONV(1, 3))},
    {"f[2,8,6,4] w[9,2,3,3]", "!conv2d: groups is 2, expected a divisor of the output channels 9",
     OP(CONV2D, CONV(1, 2))},
    {"f[2,8,6,4] w[10,4,3,3] - f[2,8,6,10]", "!conv2d: residual is [2,8,6,10], expected [2,6,4,10]", OP(CONV2D)},
    {"f[2,8,6,4] w[10,4,3,3]", "!conv2d: there is no activation 9", OP(CONV2D, CONV(1, 1, 0, 0, 0, 0, 9, 1))},
    {"f[1,4611686018427387904,1,1] w[1,1,1,1]", "!conv2d: 4611686018427387904 entries upsampled by 2",
     OP(CONV2D, CONV(1, 1, 0, 0, 0, 0, 0, 2))},

    {"f[2,8,6,32] w[32] w[32]", "f[2,8,6,32]", OP(GROUP_NORM, NORM(1e-6f, 8, VQP_ACT_SILU))},
    {"f[2,32]", "f[2,32]", OP(GROUP_NORM, NORM(1e-6f, 32, 0))},
    {"f[2,32] n[32]", "!group_norm: weight is input f32[32], expected a weight", OP(GROUP_NORM, NORM(1e-6f, 8, 0))},
    {"f[2,32] w[32] f[32]", "!group_norm: bias is computed f32[32], expected a weight",
     OP(GROUP_NORM, NORM(1e-6f, 8, 0))},
    {"f[2,6,32]", "!group_norm: groups is 5, expected a divisor of the channels 32", OP(GROUP_NORM, NORM(1e-6f, 5, 0))},
    {"f[32]", "!group_norm: x is [32], expected [B,...,C]", OP(GROUP_NORM, NORM(1e-6f, 8, 0))},

    {"f[2,7,8]", "f[2,7,8]", OP(L2_NORM)},
    {"i[2,7,8]", "!l2_norm: x is computed i32[2,7,8], expected f32", OP(L2_NORM)},

    {"i[2,4,4] h[100,8]", "f[2,4,4,8]", OP(CODEBOOK)},
    {"i[] w[100,8]", "f[8]", OP(CODEBOOK)},
    {"i[2] w[100]", "!!codebook: table is [100], expected [C,E]", OP(CODEBOOK)},

    {"f[2,4,4,8] w[100,8]", "i[2,4,4]", OP(NEAREST_CODE)},
    {"f[2,4,4,8] w[100,4]", "!!nearest_code: table is [100,4], expected [100,8]", OP(NEAREST_CODE)},
    {"f[1] w[2147483648,1]", "!nearest_code: 2147483648 entries are more than an i32 can number", OP(NEAREST_CODE)},

    {"f[2,3,5,12]", "f[2,6,10,3]", OP(PIXEL_SHUFFLE, .u.pixel_shuffle.factor = 2)},
    {"f[2,3,5,12]", "!pixel_shuffle: factor is 3", OP(PIXEL_SHUFFLE, .u.pixel_shuffle.factor = 3)},
    {"f[2,3,5,12]", "!pixel_shuffle: factor is 0", OP(PIXEL_SHUFFLE)},
    {"f[1,4611686018427387904,1,4]", "!pixel_shuffle: the output would be larger than memory can be",
     OP(PIXEL_SHUFFLE, .u.pixel_shuffle.factor = 2)},

    {"f[2,7,24] f[7,3] f[7,3]", "f[2,7,24]", OP(ROPE, .u.rope = {4, 1})},
    {"f[2,7,24] f[7,4] f[7,4]", "!rope: cos is [7,4], expected [7,3]", OP(ROPE, .u.rope = {4, 0})},
    {"f[2,7,24] f[7,1] f[7,1]", "!rope: the head size is 3, expected an even one", OP(ROPE, .u.rope = {8, 0})},
    {"f[2,7,24] f[7,3] f[7,3]", "!rope: interleaved is 2", OP(ROPE, .u.rope = {4, 2})},

    {"f[4,7,24] f[1]", "f[2,7,24]", OP(GUIDE_LOG_SOFTMAX)},
    {"f[3,7,24]", "f[3,7,24]", OP(GUIDE_LOG_SOFTMAX)},
    {"f[3,7,24] f[1]", "!guide_log_softmax: logits have 3 rows, expected an even number", OP(GUIDE_LOG_SOFTMAX)},
    {"f[4,7,24] f[2]", "!guide_log_softmax: guide is [2], expected [1]", OP(GUIDE_LOG_SOFTMAX)},

    {"f[2,7,24] f[1]", "f[2,7,24]", OP(TRUNCATE, .u.truncate.floor = -70)},
    {"f[2,7,24] f[1]", "!truncate: floor is NaN", OP(TRUNCATE, .u.truncate.floor = NAN)},
    {"f[2,7,24]", "!truncate: rate is missing", OP(TRUNCATE)},

    {"f[2,7,24] i[2,7] f[12] i[2,2] i[1]", "i[2,7]", OP(POSTERIOR_SAMPLE)},
    {"f[2,7,24] i[2,7] f[12] i[2,2] i[1] f[350]", "i[2,7]", OP(POSTERIOR_SAMPLE)},
    {"f[2,7,24] i[2,7] f[12] i[2,2] i[1] f[336]", "!posterior_sample: noise is [336], expected [350]",
     OP(POSTERIOR_SAMPLE)},
    {"f[2,7,24] i[2,6] f[12] i[2,2] i[1]", "!posterior_sample: tokens is [2,6], expected [2,7]", OP(POSTERIOR_SAMPLE)},
    {"f[2,7,24] i[2,7] f[10] i[2,2] i[1]", "!posterior_sample: par is [10], expected [12]", OP(POSTERIOR_SAMPLE)},
    {"f[2,7,24] i[2,7] f[12] i[1,2] i[1]", "!posterior_sample: seed is [1,2], expected [2,2]", OP(POSTERIOR_SAMPLE)},

    {"f[2,7,24] i[2,2] i[1] f[336]", "i[2,7] f[2,7]", OP(CATEGORICAL_SAMPLE)},
    {"f[2,7,24] i[2,2] i[1] f[350]", "!categorical_sample: noise is [350], expected [336]", OP(CATEGORICAL_SAMPLE)},

    {"f[2,7] i[1]", "i[2,7]", OP(SELECT_TOP_K)},
    {"f[2,7] f[1]", "!select_top_k: k is computed f32[1], expected i32", OP(SELECT_TOP_K)},

    {"i[2,2] i[1] i[2,7]", "f[2,7]", OP(GUMBEL)},
    {"i[2,2] i[1] f[2,7] f[14]", "f[2,7]", OP(GUMBEL)},
    {"i[2,2] i[1] f[2,7] f[7]", "!gumbel: noise is [7], expected [14]", OP(GUMBEL)},
    {"i[2,2] i[1] f[3,7]", "!gumbel: like is [3,7], expected [2,7]", OP(GUMBEL)},

    {"f[2,8,8,3]", "u[2,8,8,3]", OP(TO_RGB)},
    {"u[2]", "!to_rgb: x is computed u8[2], expected f32", OP(TO_RGB)},

    {"i[2,7]", "i[6,7]", OP(REPEAT, .u.repeat = {3, 1})},
    {"f[2]", "f[6]", OP(REPEAT, .u.repeat = {3, 0})},
    {"f[2,7]", "!repeat: 2 rows cannot be repeated 0 times", OP(REPEAT)},
    {"f[2,7]", "!repeat: tile is 2, expected 0 or 1", OP(REPEAT, .u.repeat = {3, 2})},
    {"f[1000000000000]", "!repeat: the output would be [4000000000000000000], larger than memory can be",
     OP(REPEAT, .u.repeat = {4000000, 0})},
    {"f[4611686018427387904]", "!cannot be repeated 4 times", OP(REPEAT, .u.repeat = {4, 0})},

    {"f[9,2,3] i[1]", "f[2,3]", OP(TAKE)},
    {"i[9] i[1]", "i[1]", OP(TAKE)},
    {"f[9,2] i[2]", "!take: index is [2], expected [1]", OP(TAKE)},
    {"f[] i[1]", "!take: table is [], expected [S,...]", OP(TAKE)},

    {"s[2,3] f[2,3]", "", OP(STORE)},
    {"k[2,3] i[2,3]", "", OP(STORE)},
    {"f[2,3] f[2,3]", "!store: only a state can be stored to", OP(STORE)},
    {"s[2,3] f[3,2]", "!store: v is [3,2], expected [2,3]", OP(STORE)},
    {"s[2,3] i[2,3]", "!store: v is i32[2,3], expected f32", OP(STORE)},

    {"k[1]", "", OP(ADVANCE)},
    {"i[1]", "!advance: only a state can be advanced", OP(ADVANCE)},
    {"k[2]", "!advance: counter is [2], expected [1]", OP(ADVANCE)},
    {"s[1]", "!advance: counter is state f32[1], expected i32", OP(ADVANCE)},

    {"f[2,1,4] f[3,1]", "f[2,3,4]", OP(ADD)},
    {"h[4] f[2,4]", "f[2,4]", OP(ADD)},
    {"f[2,4] f[3,4]", "!add: [3,4] does not broadcast to [2,4]", OP(ADD)},
    {"f[4] i[4]", "!add: b is i32[4], expected f32 as the operand before it", OP(ADD)},
    {"i[3] i[]", "i[3]", OP(SUB)},
    {"f[3]", "!sub: b is missing", OP(SUB)},
    {"b[4] h[4]", "f[4]", OP(MUL)},
    {"f[4] u[4]", "!mul: b is computed u8[4]", OP(MUL)},
    {"f[4] h[4]", "f[4]", OP(DIV)},
    {"i[4] i[4]", "!div: a is computed i32[4], expected f32", OP(DIV)},
    {"i[4] i[1]", "i[4]", OP(MAX)},
    {"j[4] i[4]", "!!max: a is a weight of i32[4]", OP(MAX)},
    {"f[4] f[1]", "f[4]", OP(MIN)},
    {"i[4] f[4]", "!min: b is f32[4], expected i32", OP(MIN)},

    {"f[2,3]", "f[2,3]", OP(EXP)},
    {"i[2,3]", "!exp: x is computed i32", OP(EXP)},
    {"h[2,3]", "f[2,3]", OP(LOG)},
    {"u[2,3]", "!log: x is computed u8", OP(LOG)},
    {"f[]", "f[]", OP(SQRT)},
    {"", "!sqrt: x is missing", OP(SQRT)},
    {"f[1]", "f[1]", OP(RSQRT)},
    {"k[1]", "!rsqrt: x is state i32[1]", OP(RSQRT)},
    {"b[2]", "f[2]", OP(SIGMOID)},
    {"f[2] f[2]", "!sigmoid: operand 2 is set", OP(SIGMOID)},

    {"f[2,1] f[3]", "i[2,3]", OP(COMPARE, .u.compare.cmp = VQP_CMP_GE)},
    {"i[2] i[2]", "i[2]", OP(COMPARE)},
    {"i[2] i[2]", "!compare: there is no comparison 6", OP(COMPARE, .u.compare.cmp = 6)},
    {"h[2] f[2]", "!compare: a is weight f16[2], expected f32 or i32", OP(COMPARE)},

    {"i[2,1] f[3] f[1]", "f[2,3]", OP(WHERE)},
    {"i[5] i[5] i[5]", "i[5]", OP(WHERE)},
    {"f[2] f[2] f[2]", "!where: cond is computed f32[2], expected i32", OP(WHERE)},
    {"i[2] f[2] i[2]", "!where: b is i32[2], expected f32", OP(WHERE)},

    {"h[2,3]", "f[2,3]", OP(CAST, .u.cast.dtype = VQP_F32)},
    {"f[2]", "u[2]", OP(CAST, .u.cast.dtype = VQP_U8)},
    {"u[2]", "i[2]", OP(CAST, .u.cast.dtype = VQP_I32)},
    {"f[2]", "!cast: dtype is 2 (f16), expected f32, i32 or u8", OP(CAST, .u.cast.dtype = VQP_F16)},
    {"j[2]", "!!cast: x is a weight of i32[2]", OP(CAST, .u.cast.dtype = VQP_I32)},

    {"f[2,3] f[2,1] f[2,4]", "f[2,8]", OP(CONCAT, AXIS(1, 0, 3))},
    {"i[2]", "i[2]", OP(CONCAT, AXIS(0, 0, 1))},
    {"i[1] i[1] i[1] i[1] i[1] i[1] i[1] i[1]", "i[8]", OP(CONCAT, AXIS(0, 0, 8))},
    {"f[2,3] f[3,1]", "!concat: in1 is [3,1], expected [2,1]", OP(CONCAT, AXIS(1, 0, 2))},
    {"f[2,3] f[2]", "!concat: in1 is [2], expected [2,3]", OP(CONCAT, AXIS(1, 0, 2))},
    {"f[2,3] - f[2,3]", "!concat: in1 is missing", OP(CONCAT, AXIS(1, 0, 3))},
    {"f[2,3] f[2,3]", "!concat: in1 is set, and there are 1 values to join", OP(CONCAT, AXIS(1, 0, 1))},
    {"f[2,3]", "!concat: axis is 2, and the rank is 2", OP(CONCAT, AXIS(2, 0, 1))},
    {"f[2,3]", "!concat: 9 values to join, expected 1 to 8", OP(CONCAT, AXIS(0, 0, 9))},

    {"i[2,7]", "i[2,3]", OP(SLICE, AXIS(1, 4, 3))},
    {"f[2,7]", "!slice: 4 entries from 4 on, of 7 along axis 1", OP(SLICE, AXIS(1, 4, 4))},
    {"f[2,7]", "!slice: 4294967295 entries from 4294967295 on", OP(SLICE, AXIS(1, UINT32_MAX, UINT32_MAX))},
    {"f[2,7]", "!slice: 0 entries", OP(SLICE, AXIS(1, 0, 0))},
    {"f[]", "!slice: axis is 0, and the rank is 0", OP(SLICE, AXIS(0, 0, 1))},

    {"f[2,3,4]", "f[4,2,3]", OP(PERMUTE, PERM(2, 0, 1))},
    {"i[]", "i[]", OP(PERMUTE)},
    {"f[2,3,4]", "!permute: perm[2] is 0: not a permutation of 3 axes", OP(PERMUTE, PERM(0, 1, 0))},
    {"f[2,3]", "!permute: perm[1] is 255", OP(PERMUTE, PERM(0, 255))},

    {"f[2,3,4]", "f[2,1,4]", OP(REDUCE_SUM, AXIS(1))},
    {"f[2]", "!reduce_sum: axis is 1", OP(REDUCE_SUM, AXIS(1))},
    {"f[2]", "f[1]", OP(REDUCE_MAX, AXIS(0))},
    {"i[2]", "!reduce_max: x is computed i32", OP(REDUCE_MAX, AXIS(0))},
    {"f[2,9]", "i[2,1]", OP(ARG_MAX, AXIS(1))},
    {"f[3000000000]", "!arg_max: 3000000000 entries are more than an i32 can number", OP(ARG_MAX, AXIS(0))},
    {"f[2,9]", "f[2,9]", OP(SOFTMAX, AXIS(0))},
    {"f[2,9]", "!softmax: axis is 4000000000", OP(SOFTMAX, AXIS(4000000000u))},
    {"f[2,9]", "f[2,9]", OP(CUMSUM, AXIS(1))},
    {"f[]", "!cumsum: axis is 0, and the rank is 0", OP(CUMSUM, AXIS(0))},

    {"f[2,9]", "f[2,4] i[2,4]", OP(SORT_K, COUNT(4))},
    {"f[2,9]", "f[2,9] i[2,9]", OP(SORT_K, COUNT(9))},
    {"f[2,9]", "!sort_k: k is 10, expected 1 to 9", OP(SORT_K, COUNT(10))},
    {"f[2,9]", "!sort_k: k is 0", OP(SORT_K)},

    {"f[2,5,4] i[2,9,3]", "f[2,9,3]", OP(GATHER, AXIS(1))},
    {"i[5] i[2]", "i[2]", OP(GATHER, AXIS(0))},
    {"f[2,5] i[3,5]", "!gather: index is [3,5], expected within [2,5] but along axis 1", OP(GATHER, AXIS(1))},
    {"f[2,5] i[5]", "!gather: index is [5]", OP(GATHER, AXIS(1))},

    {"f[2,5,4] i[2,9,3] f[2,9,3]", "f[2,5,4]", OP(SCATTER, AXIS(1))},
    {"f[2,5] i[2,3] f[2,4]", "!scatter: src is [2,4], expected [2,3] as index", OP(SCATTER, AXIS(1))},
    {"f[2,5] i[3,3] f[3,3]", "!scatter: index is [3,3], expected within [2,5]", OP(SCATTER, AXIS(1))},
    {"f[2,5] i[2,3] i[2,3]", "!scatter: src is i32[2,3], expected f32", OP(SCATTER, AXIS(1))},
};
enum {
    N_CASES = sizeof cases / sizeof *cases
};

/* What vqp_op_infer says, in the notation of `want`. */
static void outcome(const struct rule_case *c, char *text, size_t size)
{
    struct vqp_val_info vals[VQP_OP_MAX_IN + 1] = {{0}};
    struct vqp_op op = c->op;
    struct vqp_error err = {0};
    uint32_t n = 1, at = 0, dtype[VQP_OP_MAX_OUT];
    struct vqp_shape shape[VQP_OP_MAX_OUT];
    for (const char *s = c->in; *s; at++, s += *s == ' ') {
        if (*s == '-') {
            s++;
            continue;
        }
        vals[n] = parse_value(&s);
        vals[n].root = n;
        op.in[at] = n++;
    }
    int outs = vqp_op_infer(&op, vals, n, dtype, shape, &err);
    if (outs < 0) {
        snprintf(text, size, "%s%s", outs == VQP_E_FORMAT ? "!!" : "!", err.msg);
        CU_ASSERT_EQUAL(err.code, outs);
        CU_ASSERT_TRUE(outs == VQP_E_FORMAT || outs == VQP_E_SHAPE);
        return;
    }
    size_t used = 0;
    *text = 0;
    for (int i = 0; i < outs; i++) {
        char dims[VQP_SHAPE_TEXT];
        used += (size_t)snprintf(text + used, size - used, "%s%c%s", i ? " " : "",
                                 dtype[i] == VQP_F32   ? 'f'
                                 : dtype[i] == VQP_I32 ? 'i'
                                 : dtype[i] == VQP_U8  ? 'u'
                                                       : '?',
                                 vqp_shape_text(&shape[i], dims));
    }
}

static int refused(const char *want)
{
    return *want == '!';
}

static void run_table(int refusals)
{
    for (int i = 0; i < N_CASES; i++) {
        char text[700];
        const char *want = cases[i].want;
        if (refused(want) != refusals)
            continue;
        outcome(&cases[i], text, sizeof text);
        size_t marks = strspn(want, "!");
        int ok = refusals ? strspn(text, "!") == marks && strstr(text, want + marks) != NULL : !strcmp(text, want);
        if (!ok)
            printf("\n    %s of %s: \"%s\", expected \"%s\"\n", vqp_op_name(cases[i].op.kind), cases[i].in, text, want);
        CU_ASSERT_TRUE(ok);
    }
}

static void test_accepts(void)
{
    run_table(0);
}

static void test_refuses(void)
{
    run_table(1);
}

static void test_table_is_complete(void)
{
    for (uint32_t kind = 1; kind < VQP_OP_PLAIN_END; kind++) {
        int good = 0, bad = 0;
        if (kind >= VQP_OP_FUSED_END && kind < VQP_OP_ADD)
            continue;
        for (int i = 0; i < N_CASES; i++) {
            good += cases[i].op.kind == kind && !refused(cases[i].want);
            bad += cases[i].op.kind == kind && refused(cases[i].want);
        }
        if (!good || !bad)
            printf("\n    %s: %d accepted, %d refused\n", vqp_op_name(kind), good, bad);
        CU_ASSERT_TRUE(good && bad);
    }
}

static void test_unknown_kinds(void)
{
    static const uint32_t kinds_[] = {0, VQP_OP_FUSED_END, VQP_OP_ADD - 1, VQP_OP_PLAIN_END, UINT32_MAX};
    for (size_t i = 0; i < sizeof kinds_ / sizeof *kinds_; i++) {
        struct vqp_op op = {.kind = kinds_[i]};
        struct vqp_val_info none = {0};
        uint32_t dtype[VQP_OP_MAX_OUT];
        struct vqp_shape shape[VQP_OP_MAX_OUT];
        struct vqp_error err;
        CU_ASSERT_EQUAL(vqp_op_infer(&op, &none, 1, dtype, shape, &err), VQP_E_SHAPE);
        CHECK_STR_HAS(err.msg, "there is no op ");
        CU_ASSERT_STRING_EQUAL(vqp_op_name(kinds_[i]), "?");
    }
    CU_ASSERT_STRING_EQUAL(vqp_op_name(VQP_OP_LAYER_NORM), "layer_norm");
    CU_ASSERT_STRING_EQUAL(vqp_op_name(VQP_OP_SCATTER), "scatter");
}

static void test_foreign_value(void)
{
    struct vqp_op op = {.kind = VQP_OP_EXP, .in = {7}};
    struct vqp_val_info vals[3] = {{0}};
    uint32_t dtype[VQP_OP_MAX_OUT];
    struct vqp_shape shape[VQP_OP_MAX_OUT];
    struct vqp_error err;
    CU_ASSERT_EQUAL(vqp_op_infer(&op, vals, 3, dtype, shape, &err), VQP_E_SHAPE);
    CU_ASSERT_STRING_EQUAL(err.msg, "exp: operand 1 is value 7, and the program has none above 2");
    CU_ASSERT_EQUAL(vqp_op_infer(&op, vals, 3, dtype, shape, NULL), VQP_E_SHAPE);
}

static void test_output_is_clean(void)
{
    struct vqp_op op = {.kind = VQP_OP_REDUCE_SUM, .in = {1}, .u.axis.axis = 1};
    struct vqp_val_info vals[2] = {{0}, {.dtype = VQP_F32, .shape = vqp_shape2(3, 4), .root = 1}};
    uint32_t dtype[VQP_OP_MAX_OUT];
    struct vqp_shape shape[VQP_OP_MAX_OUT], want = vqp_shape2(3, 1);
    memset(shape, 0xFF, sizeof shape);
    CU_ASSERT_EQUAL(vqp_op_infer(&op, vals, 2, dtype, shape, NULL), 1);
    CU_ASSERT_EQUAL(memcmp(&shape[0], &want, sizeof want), 0);
}

int main(void)
{
    static const struct vqp_case all[] = {
        {"infers what each op gives", test_accepts},
        {"refuses what each op cannot take, and says why", test_refuses},
        {"has a right and a wrong case of every op", test_table_is_complete},
        {"refuses ops that it does not know", test_unknown_kinds},
        {"refuses operands that the program does not have", test_foreign_value},
        {"leaves no stale dims in inferred shapes", test_output_is_clean},
    };
    return RUN_CASES("verify", all);
}
