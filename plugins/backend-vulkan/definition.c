/* What the ops with several kernels are, as plainly as ops.h says it, in double: what a self-test compares with. */
#include "selftest.h"
#include <math.h>

static double activate(uint32_t act, double v)
{
    switch (act) {
    case VQP_ACT_GELU_ERF: return v * (1 + erf(v * M_SQRT1_2)) / 2;
    case VQP_ACT_GELU_SIGMOID: return v / (1 + exp(-1.702 * v));
    case VQP_ACT_SILU: return v / (1 + exp(-v));
    default: return v;
    }
}

static double or_else(const struct vk_test_value *v, uint64_t i, double otherwise)
{
    return v->data ? v->data[i] : otherwise;
}

static void linear(const struct vk_test *t, double *out)
{
    const struct vk_test_value *x = &t->in[0], *w = &t->in[1], *gate = &t->in[4];
    int64_t rows = x->dim[0], ins = w->dim[1], outs = w->dim[0];
    for (int64_t r = 0; r < rows; r++)
        for (int64_t o = 0; o < outs; o++) {
            double sum = or_else(&t->in[2], (uint64_t)o, 0);
            for (int64_t i = 0; i < ins; i++)
                sum += x->data[r * ins + i] * w->data[o * ins + i];
            sum = activate(t->op.u.linear.act, sum) * or_else(gate, (uint64_t)(gate->rank == 1 ? o : r * outs + o), 1);
            out[r * outs + o] = sum + or_else(&t->in[3], (uint64_t)(r * outs + o), 0);
        }
}

static void sdpa(const struct vk_test *t, double *out)
{
    const struct vk_test_value *q = &t->in[0], *k = &t->in[1];
    int64_t queries = q->dim[1], keys = k->dim[1], width = q->dim[2], heads = t->op.u.sdpa.heads, size = width / heads;
    for (int64_t i = 0; i < q->dim[0] * queries * heads; i++) {
        int64_t h = i % heads * size, n = i / heads % queries, b = i / heads / queries;
        const double *mine = q->data + (b * queries + n) * width + h, *key = k->data + b * keys * width + h;
        const double *value = t->in[2].data + b * keys * width + h;
        double *to = out + (b * queries + n) * width + h, total = 0; /* scores are small: no maximum to subtract */
        for (int64_t d = 0; d < size; d++)
            to[d] = 0;
        for (int64_t m = 0; m < (t->op.u.sdpa.causal ? n + 1 : keys); m++) {
            double s = 0;
            for (int64_t d = 0; d < size; d++)
                s += mine[d] * key[m * width + d];
            s = exp(s * (double)t->op.u.sdpa.scale);
            total += s;
            for (int64_t d = 0; d < size; d++)
                to[d] += s * value[m * width + d];
        }
        for (int64_t d = 0; d < size; d++)
            to[d] /= total;
    }
}

static void conv2d(const struct vk_test *t, double *out)
{
    const struct vk_test_value *x = &t->in[0], *w = &t->in[1];
    int64_t height = x->dim[1], width = x->dim[2], ins = x->dim[3], outs = w->dim[0], some = w->dim[1];
    int64_t down = t->out.dim[1], across = t->out.dim[2], factor = t->op.u.conv.upsample, stride = t->op.u.conv.stride;
    for (int64_t i = 0; i < x->dim[0] * down * across * outs; i++) {
        int64_t o = i % outs, c = i / outs % across, r = i / outs / across % down, b = i / outs / across / down;
        double sum = or_else(&t->in[2], (uint64_t)o, 0);
        for (int64_t k = 0; k < some * w->dim[2] * w->dim[3]; k++) {
            int64_t kx = k % w->dim[3], ky = k / w->dim[3] % w->dim[2], ch = k / w->dim[3] / w->dim[2];
            int64_t y = r * stride + ky - t->op.u.conv.pad_top, xx = c * stride + kx - t->op.u.conv.pad_left;
            int64_t from = o / (outs / t->op.u.conv.groups) * some + ch;
            if (y >= 0 && xx >= 0 && y < height * factor && xx < width * factor)
                sum += x->data[((b * height + y / factor) * width + xx / factor) * ins + from] *
                       w->data[o * some * w->dim[2] * w->dim[3] + k];
        }
        out[i] = activate(t->op.u.conv.act, sum) + or_else(&t->in[3], (uint64_t)i, 0);
    }
}

/* Of n numbers: (x - mean) / sqrt(var + eps); i-th at x[place(i)]. */
struct moments {
    double mean, factor;
};
static struct moments moments(const double *x, int64_t n, int64_t per, int64_t stride, double eps)
{
    double mean = 0, var = 0;
    for (int64_t i = 0; i < n; i++)
        mean += x[i / per * stride + i % per] / (double)n;
    for (int64_t i = 0; i < n; i++)
        var += pow(x[i / per * stride + i % per] - mean, 2) / (double)n;
    return (struct moments){mean, 1 / sqrt(var + eps)};
}

static void layer_norm(const struct vk_test *t, double *out)
{
    const struct vk_test_value *x = &t->in[0], *table = &t->in[3];
    int64_t width = x->dim[x->rank - 1];
    for (int64_t r = 0; r < x->dim[0]; r++) {
        struct moments m = moments(x->data + r * width, width, width, width, (double)t->op.u.norm.eps);
        for (int64_t d = 0; d < width; d++) {
            double y = (x->data[r * width + d] - m.mean) * m.factor * or_else(&t->in[1], (uint64_t)d, 1) +
                       or_else(&t->in[2], (uint64_t)d, 0);
            out[r * width + d] = y * (1 + or_else(table, (uint64_t)d, 0)) + or_else(table, (uint64_t)(width + d), 0);
        }
    }
}

static void group_norm(const struct vk_test *t, double *out)
{
    const struct vk_test_value *x = &t->in[0];
    int64_t channels = x->dim[2], pixels = x->dim[1], groups = t->op.u.norm.groups, width = channels / groups;
    for (int64_t g = 0; g < x->dim[0] * groups; g++) {
        int64_t from = g / groups * pixels * channels + g % groups * width;
        struct moments m = moments(x->data + from, pixels * width, width, channels, (double)t->op.u.norm.eps);
        for (int64_t i = 0; i < pixels * width; i++) {
            int64_t at = from + i / width * channels + i % width, c = at % channels;
            double y = (x->data[at] - m.mean) * m.factor * or_else(&t->in[1], (uint64_t)c, 1);
            out[at] = activate(t->op.u.norm.act, y + or_else(&t->in[2], (uint64_t)c, 0));
        }
    }
}

void vk_define(const struct vk_test *t, double *out)
{
    switch (t->op.kind) {
    case VQP_OP_LINEAR: linear(t, out); break;
    case VQP_OP_SDPA: sdpa(t, out); break;
    case VQP_OP_CONV2D: conv2d(t, out); break;
    case VQP_OP_LAYER_NORM: layer_norm(t, out); break;
    case VQP_OP_GROUP_NORM: group_norm(t, out); break;
    default: break;
    }
}
