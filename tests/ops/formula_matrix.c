#include "ops.h"
#include <math.h>

double formula_act(uint32_t act, double v)
{
    switch (act) {
    case VQP_ACT_GELU_ERF: return v * (1 + erf(v / sqrt(2.0))) / 2;
    case VQP_ACT_GELU_SIGMOID: return v * (1 / (1 + exp(-1.702 * v)));
    case VQP_ACT_SILU: return v * (1 / (1 + exp(-v)));
    default: return v;
    }
}

static int64_t clamp(int64_t v, int64_t rows)
{
    return v < 0 ? 0 : v >= rows ? rows - 1 : v;
}

void formula_embedding(const struct tensor *ids, const struct tensor *table, const struct tensor *pos, double *out)
{
    int64_t width = ops_dim(table, 1), n = ops_dim(ids, 1);
    for (int64_t k = 0; k < (int64_t)ids->count; k++)
        for (int64_t d = 0; d < width; d++)
            out[k * width + d] = ops_at(table, (uint64_t)(clamp(ids->i[k], table->shape.dim[0]) * width + d)) +
                                 (pos ? ops_at(pos, (uint64_t)(k % n * width + d)) : 0);
}

void formula_linear(const struct tensor *x, const struct tensor *weight, const struct tensor *bias,
                    const struct tensor *residual, const struct tensor *gate, uint32_t act, double *out)
{
    uint64_t ins = (uint64_t)ops_dim(x, 1), outs = (uint64_t)weight->shape.dim[0];
    for (uint64_t row = 0; row < x->count / ins; row++)
        for (uint64_t o = 0; o < outs; o++) {
            double v = bias ? ops_at(bias, o) : 0;
            for (uint64_t i = 0; i < ins; i++)
                v += ops_at(x, row * ins + i) * ops_at(weight, o * ins + i);
            v = formula_act(act, v);
            if (gate)
                v *= ops_at(gate, gate->shape.rank == 1 ? o : row * outs + o);
            out[row * outs + o] = (residual ? ops_at(residual, row * outs + o) : 0) + v;
        }
}

/* x after nearest-neighbour upsampling, zero outside. */
static double pixel(const struct tensor *x, int64_t f, int64_t b, int64_t y, int64_t xx, int64_t c)
{
    const int64_t *d = x->shape.dim;
    if (y < 0 || xx < 0 || y >= d[1] * f || xx >= d[2] * f)
        return 0;
    return ops_at(x, (uint64_t)(((b * d[1] + y / f) * d[2] + xx / f) * d[3] + c));
}

void formula_conv2d(const struct tensor *x, const struct tensor *weight, const struct tensor *bias,
                    const struct tensor *residual, const struct vqp_conv2d_params *c, int64_t oh, int64_t ow,
                    double *out)
{
    const int64_t *w = weight->shape.dim;
    int64_t stride = c->stride ? c->stride : 1, groups = c->groups ? c->groups : 1, f = c->upsample ? c->upsample : 1;
    for (int64_t k = 0; k < x->shape.dim[0] * oh * ow * w[0]; k++) {
        int64_t o = k % w[0], ox = k / w[0] % ow, oy = k / w[0] / ow % oh, b = k / w[0] / ow / oh;
        int64_t first = o / (w[0] / groups) * w[1];
        double v = bias ? ops_at(bias, (uint64_t)o) : 0;
        for (int64_t i = 0; i < w[1]; i++)
            for (int64_t ky = 0; ky < w[2]; ky++)
                for (int64_t kx = 0; kx < w[3]; kx++)
                    v += pixel(x, f, b, oy * stride - c->pad_top + ky, ox * stride - c->pad_left + kx, first + i) *
                         ops_at(weight, (uint64_t)(((o * w[1] + i) * w[2] + ky) * w[3] + kx));
        out[k] = (residual ? ops_at(residual, (uint64_t)k) : 0) + formula_act(c->act, v);
    }
}

void formula_sdpa(const struct tensor *q, const struct tensor *k, const struct tensor *v, int64_t heads, double scale,
                  int causal, double *out)
{
    int64_t batch = q->shape.dim[0], n = q->shape.dim[1], m = k->shape.dim[1], width = q->shape.dim[2];
    int64_t d = width / heads;
    double *p = ops_alloc((size_t)m, sizeof *p);
    for (int64_t row = 0; row < batch * n * heads; row++) {
        int64_t head = row % heads, query = row / heads % n, b = row / heads / n, off = head * d;
        double max = -INFINITY, sum = 0;
        int64_t seen = causal ? query + 1 : m;
        for (int64_t key = 0; key < seen; key++) {
            p[key] = 0;
            for (int64_t j = 0; j < d; j++)
                p[key] += ops_at(q, (uint64_t)((b * n + query) * width + off + j)) *
                          ops_at(k, (uint64_t)((b * m + key) * width + off + j));
            p[key] *= scale;
            max = fmax(max, p[key]);
        }
        for (int64_t key = 0; key < seen; key++)
            sum += p[key] = exp(p[key] - max);
        for (int64_t j = 0; j < d; j++) {
            double o = 0;
            for (int64_t key = 0; key < seen; key++)
                o += p[key] / sum * ops_at(v, (uint64_t)((b * m + key) * width + off + j));
            out[(b * n + query) * width + off + j] = o;
        }
    }
}

void formula_rope(const struct tensor *x, const struct tensor *cosine, const struct tensor *sine, int64_t heads,
                  int interleaved, double *out)
{
    int64_t n = x->shape.dim[1], width = x->shape.dim[2], d = width / heads, pairs = d / 2;
    for (int64_t row = 0; row < x->shape.dim[0] * n; row++)
        for (int64_t head = 0; head < heads; head++)
            for (int64_t i = 0; i < pairs; i++) {
                int64_t first = row * width + head * d, a = first + (interleaved ? 2 * i : i),
                        b = first + (interleaved ? 2 * i + 1 : i + pairs);
                double c = ops_at(cosine, (uint64_t)(row % n * pairs + i)),
                       s = ops_at(sine, (uint64_t)(row % n * pairs + i));
                out[a] = ops_at(x, (uint64_t)a) * c - ops_at(x, (uint64_t)b) * s;
                out[b] = ops_at(x, (uint64_t)b) * c + ops_at(x, (uint64_t)a) * s;
            }
}
