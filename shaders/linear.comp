#version 450
#include "common.glsl"
// variant f16: -DF16
// Plain tier: ROWS rows by COLUMNS columns an invocation, all sums in registers, nothing shared. Variant f16: I is a multiple of 4, and
// x, weight and result may be float16 each; sums are float32 there too.
layout(local_size_x = 8, local_size_y = 8) in;
layout(constant_id = 0) const uint VECTORS = 0; // I is a multiple of 4
layout(constant_id = 1) const uint BIAS = 0;
layout(constant_id = 2) const uint ACT = 0;
layout(constant_id = 3) const uint RESIDUAL = 0;
layout(constant_id = 4) const uint GATE = 0; // 1: [O], 2: as the result
layout(set = 0, binding = 0) readonly buffer X4 { vec4 x4[]; };
layout(set = 0, binding = 0) readonly buffer X { float x[]; };
layout(set = 0, binding = 1) readonly buffer Weight4 { vec4 weight4[]; };
layout(set = 0, binding = 1) readonly buffer Weight { float weight[]; };
layout(set = 0, binding = 2) readonly buffer Bias { float bias[]; };
layout(set = 0, binding = 3) readonly buffer Residual { float residual[]; };
layout(set = 0, binding = 4) readonly buffer Gate { float gate[]; };
layout(set = 0, binding = 5) writeonly buffer Result { float result[]; };
layout(push_constant) uniform Push { uint rows, ins, outs; };
const uint ROWS = 8, COLUMNS = 4;

#ifdef F16
#include "f16.glsl"
layout(constant_id = 5) const uint X_F16 = 0;
layout(constant_id = 6) const uint WEIGHT_F16 = 0;
layout(constant_id = 7) const uint RESULT_F16 = 0; // O is a multiple of 4
layout(set = 0, binding = 0) readonly buffer XHalf { uvec2 x_half[]; };
layout(set = 0, binding = 1) readonly buffer WeightHalf { uvec2 weight_half[]; };
layout(set = 0, binding = 5) writeonly buffer ResultHalf { uvec2 result_half[]; };
#define LOAD_X(i)      (X_F16 != 0 ? unpack_f16(x_half[i]) : x4[i])
#define LOAD_WEIGHT(i) (WEIGHT_F16 != 0 ? unpack_f16(weight_half[i]) : weight4[i])
const uint APART = 1; // an invocation's columns: four of float16 are stored at once
#else
#define LOAD_X(i)      x4[i]
#define LOAD_WEIGHT(i) weight4[i]
const uint APART = 8;
#endif

float finish(uint row, uint column, float v)
{
    uint at = row * outs + column;
    if (BIAS != 0)
        v += bias[column];
    v = activate(ACT, v);
    if (GATE != 0)
        v *= gate[GATE == 1 ? column : at];
    return RESIDUAL != 0 ? v + residual[at] : v;
}

void main()
{
    uint m = (gl_WorkGroupID.y * 8 + gl_LocalInvocationID.y) * ROWS;
    uint n = gl_WorkGroupID.x * 8 * COLUMNS + gl_LocalInvocationID.x * (APART == 1 ? COLUMNS : 1);
    float sum[ROWS][COLUMNS];
    for (uint i = 0; i < ROWS; i++)
        for (uint j = 0; j < COLUMNS; j++)
            sum[i][j] = 0.0;
    uint from_x[ROWS], from_w[COLUMNS], terms = VECTORS != 0 ? ins / 4 : ins;
    for (uint i = 0; i < ROWS; i++)
        from_x[i] = min(m + i, rows - 1) * terms;
    for (uint j = 0; j < COLUMNS; j++)
        from_w[j] = min(n + APART * j, outs - 1) * terms;
    for (uint k = 0; k < terms; k++) {
        if (VECTORS != 0) {
            vec4 w[COLUMNS];
            for (uint j = 0; j < COLUMNS; j++)
                w[j] = LOAD_WEIGHT(from_w[j] + k);
            for (uint i = 0; i < ROWS; i++) {
                vec4 v = LOAD_X(from_x[i] + k);
                for (uint j = 0; j < COLUMNS; j++)
                    sum[i][j] += dot(v, w[j]);
            }
        } else {
            float w[COLUMNS];
            for (uint j = 0; j < COLUMNS; j++)
                w[j] = weight[from_w[j] + k];
            for (uint i = 0; i < ROWS; i++) {
                float v = x[from_x[i] + k];
                for (uint j = 0; j < COLUMNS; j++)
                    sum[i][j] += v * w[j];
            }
        }
    }
    for (uint i = 0; i < ROWS; i++) {
        uint row = m + i;
#ifdef F16
        if (RESULT_F16 != 0) {
            if (row < rows && n < outs)
                result_half[(row * outs + n) / 4] = uvec2(pack_f16(finish(row, n, sum[i][0]), finish(row, n + 1, sum[i][1])),
                                                          pack_f16(finish(row, n + 2, sum[i][2]), finish(row, n + 3, sum[i][3])));
            continue;
        }
#endif
        for (uint j = 0; j < COLUMNS; j++) {
            uint column = n + APART * j;
            if (row < rows && column < outs)
                result[row * outs + column] = finish(row, column, sum[i][j]);
        }
    }
}
