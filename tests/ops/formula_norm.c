#include "ops.h"
#include <math.h>

void formula_norm(int rms, const struct tensor *x, const struct tensor *weight, const struct tensor *bias,
                  const struct tensor *table, const struct tensor *row, double eps, double *out)
{
    uint64_t d = (uint64_t)ops_dim(x, 1), rows = x->count / d, batch = (uint64_t)x->shape.dim[0];
    for (uint64_t k = 0; k < rows; k++) {
        double mean = 0, square = 0;
        for (uint64_t i = 0; i < d; i++) {
            mean += ops_at(x, k * d + i) / (double)d;
            square += ops_at(x, k * d + i) * ops_at(x, k * d + i) / (double)d;
        }
        double var =
            rms ? square : square - mean * mean; /* E(x^2) - E(x)^2: in double, for numbers of the tests' size */
        for (uint64_t i = 0; i < d; i++) {
            double y = (ops_at(x, k * d + i) - (rms ? 0 : mean)) / sqrt(var + eps);
            y = y * (weight ? ops_at(weight, i) : 1) + (bias ? ops_at(bias, i) : 0);
            if (table) {
                int64_t last = table->shape.dim[0] - 1, b = (int64_t)(k / (rows / batch)), r = last ? b : 0;
                if (row)
                    r = row->i[row->count > 1 ? b : 0];
                uint64_t at = (uint64_t)(r < 0 ? 0 : r > last ? last : r) * 2 * d + i;
                y = y * (1 + ops_at(table, at)) + ops_at(table, at + d);
            }
            out[k * d + i] = y;
        }
    }
}

void formula_group_norm(const struct tensor *x, const struct tensor *weight, const struct tensor *bias, int64_t groups,
                        double eps, uint32_t act, double *out)
{
    uint64_t c = (uint64_t)ops_dim(x, 1), each = c / (uint64_t)groups, row = x->count / (uint64_t)x->shape.dim[0];
    double n = (double)(row / (uint64_t)groups);
    for (uint64_t first = 0; first < x->count; first += row)
        for (uint64_t group = 0; group < (uint64_t)groups; group++) {
            double mean = 0, var = 0;
            for (int pass = 0; pass < 3; pass++)
                for (uint64_t k = first; k < first + row; k++) {
                    double v = ops_at(x, k), w = weight ? ops_at(weight, k % c) : 1, b = bias ? ops_at(bias, k % c) : 0;
                    if (k % c / each != group)
                        continue;
                    if (pass == 0)
                        mean += v / n;
                    else if (pass == 1)
                        var += (v - mean) * (v - mean) / n;
                    else
                        out[k] = formula_act(act, (v - mean) / sqrt(var + eps) * w + b);
                }
        }
}

void formula_l2_norm(const struct tensor *x, double *out)
{
    uint64_t d = (uint64_t)ops_dim(x, 1);
    for (uint64_t k = 0; k < x->count; k++) {
        double sum = 0;
        for (uint64_t i = k / d * d; i < k / d * d + d; i++)
            sum += ops_at(x, i) * ops_at(x, i);
        out[k] = ops_at(x, k) / sqrt(sum);
    }
}

void formula_code_scores(const struct tensor *x, const struct tensor *table, int64_t row, double *score)
{
    int64_t e = ops_dim(table, 1);
    for (int64_t c = 0; c < table->shape.dim[0]; c++) {
        score[c] = 0;
        for (int64_t j = 0; j < e; j++)
            score[c] -= pow(ops_at(x, (uint64_t)(row * e + j)) - ops_at(table, (uint64_t)(c * e + j)), 2);
    }
}

void formula_pixel_shuffle(const struct tensor *x, int64_t r, double *out)
{
    const int64_t *d = x->shape.dim;
    int64_t channels = d[3] / (r * r);
    for (int64_t b = 0; b < d[0]; b++)
        for (int64_t h = 0; h < d[1]; h++)
            for (int64_t w = 0; w < d[2]; w++)
                for (int64_t i = 0; i < r; i++)
                    for (int64_t j = 0; j < r; j++)
                        for (int64_t c = 0; c < channels; c++)
                            out[((b * d[1] * r + h * r + i) * d[2] * r + w * r + j) * channels + c] =
                                ops_at(x, (uint64_t)(((b * d[1] + h) * d[2] + w) * d[3] + (c * r + i) * r + j));
}
