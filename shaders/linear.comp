#version 450
#include "common.glsl"
// Plain tier: ROWS rows by COLUMNS columns an invocation, all sums in registers, nothing shared.
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

void main()
{
    uint m = (gl_WorkGroupID.y * 8 + gl_LocalInvocationID.y) * ROWS, n = gl_WorkGroupID.x * 8 * COLUMNS + gl_LocalInvocationID.x;
    float sum[ROWS][COLUMNS];
    for (uint i = 0; i < ROWS; i++)
        for (uint j = 0; j < COLUMNS; j++)
            sum[i][j] = 0.0;
    uint from_x[ROWS], from_w[COLUMNS], terms = VECTORS != 0 ? ins / 4 : ins;
    for (uint i = 0; i < ROWS; i++)
        from_x[i] = min(m + i, rows - 1) * terms;
    for (uint j = 0; j < COLUMNS; j++)
        from_w[j] = min(n + 8 * j, outs - 1) * terms;
    for (uint k = 0; k < terms; k++) {
        if (VECTORS != 0) {
            vec4 w[COLUMNS];
            for (uint j = 0; j < COLUMNS; j++)
                w[j] = weight4[from_w[j] + k];
            for (uint i = 0; i < ROWS; i++) {
                vec4 v = x4[from_x[i] + k];
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
    for (uint i = 0; i < ROWS; i++)
        for (uint j = 0; j < COLUMNS; j++) {
            uint row = m + i, column = n + 8 * j, at = row * outs + column;
            if (row >= rows || column >= outs)
                continue;
            float v = sum[i][j];
            if (BIAS != 0)
                v += bias[column];
            v = activate(ACT, v);
            if (GATE != 0)
                v *= gate[GATE == 1 ? column : at];
            if (RESIDUAL != 0)
                v += residual[at];
            result[at] = v;
        }
}
