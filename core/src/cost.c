#include "cost.h"
#include "shape.h"

/* Elements as double: no product of sizes can overflow here. */
static double count(const struct vqp_program_view *p, vqp_val v)
{
    double n = v ? 1 : 0;
    for (uint32_t i = 0; v && i < p->vals[v].shape.rank; i++)
        n *= (double)p->vals[v].shape.dim[i];
    return n;
}

static double dim(const struct vqp_program_view *p, vqp_val v, uint32_t i)
{
    return i < p->vals[v].shape.rank ? (double)p->vals[v].shape.dim[i] : 1;
}

static double last(const struct vqp_program_view *p, vqp_val v)
{
    uint32_t rank = p->vals[v].shape.rank;
    return rank ? (double)p->vals[v].shape.dim[rank - 1] : 1;
}

static double bytes_of(const struct vqp_program_view *p, vqp_val v)
{
    return count(p, v) * vqp_dtype_bytes(p->vals[v].dtype);
}

static double sdpa_flops(const struct vqp_program_view *p, const struct vqp_op *op)
{
    double b = dim(p, op->in[0], 0), n = dim(p, op->in[0], 1), width = dim(p, op->in[0], 2), m = dim(p, op->in[1], 1);
    double pairs = op->u.sdpa.causal ? n * (n + 1) / 2 : n * m;
    return 4 * b * width * pairs;
}

static double conv2d_flops(const struct vqp_program_view *p, const struct vqp_op *op)
{
    vqp_val w = op->in[1];
    return 2 * count(p, op->out[0]) * dim(p, w, 1) * dim(p, w, 2) * dim(p, w, 3);
}

/* weight, bias and, of the norms over the last axis, table: operands 1 to 3. */
static double norm_flops(const struct vqp_program_view *p, const struct vqp_op *op, double each)
{
    int table = op->kind != VQP_OP_GROUP_NORM && op->in[3];
    int act = op->kind == VQP_OP_GROUP_NORM && op->u.norm.act;
    each += (op->in[1] != 0) + (op->in[2] != 0) + (table ? 3 : 0) + (act ? 4 : 0);
    return each * count(p, op->out[0]);
}

static double flops(const struct vqp_program_view *p, const struct vqp_op *op)
{
    double in = count(p, op->in[0]), out = count(p, op->out[0]);
    switch (op->kind) {
    case VQP_OP_LINEAR: return 2 * out * last(p, op->in[0]);
    case VQP_OP_CONV2D: return conv2d_flops(p, op);
    case VQP_OP_SDPA: return sdpa_flops(p, op);
    case VQP_OP_LAYER_NORM:
    case VQP_OP_GROUP_NORM: return norm_flops(p, op, 7);
    case VQP_OP_RMS_NORM: return norm_flops(p, op, 4);
    case VQP_OP_L2_NORM:
    case VQP_OP_ROPE:
    case VQP_OP_TRUNCATE:
    case VQP_OP_TO_RGB: return 3 * out;
    case VQP_OP_EMBEDDING: return op->in[2] ? out : 0;
    case VQP_OP_NEAREST_CODE: return 3 * in * dim(p, op->in[1], 0);
    case VQP_OP_GUIDE_LOG_SOFTMAX: return 4 * in + (op->in[1] ? 7 * out : 0);
    case VQP_OP_POSTERIOR_SAMPLE: return 24 * in;
    case VQP_OP_CATEGORICAL_SAMPLE: return 6 * in;
    case VQP_OP_SOFTMAX:
    case VQP_OP_GUMBEL: return 4 * out;
    case VQP_OP_ADVANCE: return 1;
    case VQP_OP_SELECT_TOP_K:
    case VQP_OP_SORT_K:
    case VQP_OP_ARG_MAX:
    case VQP_OP_REDUCE_SUM:
    case VQP_OP_REDUCE_MAX:
    case VQP_OP_CUMSUM: return in;
    case VQP_OP_ADD:
    case VQP_OP_SUB:
    case VQP_OP_MUL:
    case VQP_OP_DIV:
    case VQP_OP_MAX:
    case VQP_OP_MIN:
    case VQP_OP_EXP:
    case VQP_OP_LOG:
    case VQP_OP_SQRT:
    case VQP_OP_RSQRT:
    case VQP_OP_SIGMOID:
    case VQP_OP_COMPARE: return out;
    default: return 0;
    }
}

/* What one run reads of operand k: of a table that is looked up in, as much as comes out. */
static double read_bytes(const struct vqp_program_view *p, const struct vqp_op *op, int k)
{
    double all = bytes_of(p, op->in[k]), taken = all;
    switch (op->kind) {
    case VQP_OP_EMBEDDING:
        if (k == 1)
            taken = count(p, op->out[0]) * vqp_dtype_bytes(p->vals[op->in[k]].dtype);
        if (k == 2)
            taken = dim(p, op->in[0], p->vals[op->in[0]].shape.rank - 1) * last(p, op->in[2]) *
                    vqp_dtype_bytes(p->vals[op->in[k]].dtype);
        break;
    case VQP_OP_CODEBOOK:
        if (k == 1)
            taken = count(p, op->out[0]) * vqp_dtype_bytes(p->vals[op->in[k]].dtype);
        break;
    case VQP_OP_LAYER_NORM:
    case VQP_OP_RMS_NORM:
        if (k == 3 && op->in[4]) /* one row for all, or one a batch row */
            taken = count(p, op->in[4]) * 2 * last(p, op->in[0]) * sizeof(float);
        break;
    case VQP_OP_TAKE:
    case VQP_OP_SLICE:
    case VQP_OP_GATHER:
        if (k == 0)
            taken = bytes_of(p, op->out[0]);
        break;
    case VQP_OP_GUMBEL:
        if (k == 2)
            taken = 0; /* its shape alone counts */
        break;
    case VQP_OP_STORE:
        if (k == 0)
            taken = 0; /* written, below */
        break;
    default: break;
    }
    return taken < all ? taken : all;
}

struct vqp_cost vqp_op_cost(const struct vqp_program_view *p, uint32_t i)
{
    const struct vqp_op *op = &p->ops[i];
    struct vqp_cost c = {.flops = flops(p, op),
                         .products = op->kind == VQP_OP_LINEAR || op->kind == VQP_OP_CONV2D || op->kind == VQP_OP_SDPA};
    for (int k = 0; k < VQP_OP_MAX_IN; k++) {
        int again = 0;
        for (int j = 0; j < k; j++)
            again |= op->in[j] == op->in[k];
        if (op->in[k] && !again)
            c.bytes += read_bytes(p, op, k);
    }
    for (int k = 0; k < VQP_OP_MAX_OUT; k++)
        if (op->out[k])
            c.bytes += bytes_of(p, op->out[k]);
    if (op->kind == VQP_OP_STORE || op->kind == VQP_OP_ADVANCE)
        c.bytes += bytes_of(p, op->in[0]);
    return c;
}

struct vqp_cost vqp_program_cost(const struct vqp_program_view *p)
{
    struct vqp_cost all = {0};
    for (uint32_t i = 0; i < p->n_ops; i++) {
        struct vqp_cost c = vqp_op_cost(p, i);
        all.flops += c.flops;
        all.bytes += c.bytes;
        all.products |= c.products;
    }
    return all;
}
