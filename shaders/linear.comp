#version 450
#include "common.glsl"
#include "linear.glsl"
// variant f16: -DF16
// variant texel: -DF16 -DTEXEL
// variant q8_0: -DF16 -DQ8_0
// variant texel_q8_0: -DF16 -DTEXEL -DQ8_0
// Plain tier: ROWS rows by COLUMNS columns an invocation, all sums in registers, nothing shared.
#ifdef TEXEL
const uint DOWN = 1;
#else
const uint DOWN = 8;
#endif
layout(local_size_x = 8, local_size_y = DOWN) in;
const uint ROWS = 8, COLUMNS = 4;

void main()
{
    uint m = (gl_WorkGroupID.y * DOWN + gl_LocalInvocationID.y) * ROWS;
    uint n = (gl_WorkGroupID.x * 8 + gl_LocalInvocationID.x) * COLUMNS;
    float sum[ROWS][COLUMNS];
    for (uint i = 0; i < ROWS; i++)
        for (uint j = 0; j < COLUMNS; j++)
            sum[i][j] = 0.0;
    uint from_x[ROWS], from_w[COLUMNS], terms = VECTORS != 0 ? ins / 4 : ins;
    for (uint i = 0; i < ROWS; i++)
        from_x[i] = min(m + i, rows - 1) * terms;
    for (uint j = 0; j < COLUMNS; j++)
        from_w[j] = min(n + j, outs - 1) * terms;
    for (uint k = 0; k < terms; k++) {
#ifndef Q8_0
        if (VECTORS == 0) {
            float w[COLUMNS];
            for (uint j = 0; j < COLUMNS; j++)
                w[j] = AT(weight, from_w[j] + k);
            for (uint i = 0; i < ROWS; i++) {
                float v = AT(x, from_x[i] + k);
                for (uint j = 0; j < COLUMNS; j++)
                    sum[i][j] += v * w[j];
            }
        } else
#endif
        {
            vec4 w[COLUMNS];
            for (uint j = 0; j < COLUMNS; j++)
                w[j] = LOAD_WEIGHT(from_w[j] + k);
            for (uint i = 0; i < ROWS; i++) {
                vec4 v = LOAD_X(from_x[i] + k);
                for (uint j = 0; j < COLUMNS; j++)
                    sum[i][j] += dot(v, w[j]);
            }
        }
    }
    for (uint i = 0; i < ROWS; i++)
        store(m + i, n, vec4(sum[i][0], sum[i][1], sum[i][2], sum[i][3]));
}
