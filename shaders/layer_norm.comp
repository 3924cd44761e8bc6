#version 450
#include "common.glsl"
#include "group.glsl"
// variant f16: -DF16
// variant texel: -DTEXEL
// variant texel_f16: -DTEXEL -DF16
// layer_norm, rms_norm and l2_norm: a work group a row. Variant f16: the result is float16, and the width even.
layout(constant_id = 1) const uint KIND = 0; // 0: layer_norm, 1: rms_norm, 2: l2_norm
layout(constant_id = 2) const uint WEIGHT = 0;
layout(constant_id = 3) const uint BIAS = 0;
layout(constant_id = 4) const uint TABLE = 0;
layout(constant_id = 5) const uint ROW = 0; // 0: by the batch row, 1: row[0], 2: row[b]
#ifdef TEXEL
TEXELS(0, x)
TEXELS(1, weight)
TEXELS(2, bias)
TEXELS(3, table)
ITEXELS(4, row)
#else
layout(set = 0, binding = 0) readonly buffer X { float x[]; };
layout(set = 0, binding = 1) readonly buffer Weight { float weight[]; };
layout(set = 0, binding = 2) readonly buffer Bias { float bias[]; };
layout(set = 0, binding = 3) readonly buffer Table { float table[]; };
layout(set = 0, binding = 4) readonly buffer Row { int row[]; };
#endif
#ifdef F16
#include "f16.glsl"
layout(set = 0, binding = 5) writeonly buffer Result { uint result[]; };
#else
layout(set = 0, binding = 5) writeonly buffer Result { float result[]; };
#endif
layout(push_constant) uniform Push
{
    uint rows, width, per_batch, table_rows; // per_batch: rows of one batch row
    float eps;
};

float finish(float y, uint d, uint t)
{
    if (WEIGHT != 0)
        y *= AT(weight, d);
    if (BIAS != 0)
        y += AT(bias, d);
    return TABLE != 0 ? y * (1.0 + AT(table, t * 2 * width + d)) + AT(table, t * 2 * width + width + d) : y;
}

void main()
{
    uint r = work_group(), me = gl_LocalInvocationID.x, at = r * width;
    if (r >= rows)
        return;
    vec2 sum = vec2(0);
    float mean = 0.0;
    if (KIND == 0) {
        for (uint d = me; d < width; d += GROUP)
            add_to(sum, AT(x, at + d));
        mean = group_sum(sum.x + sum.y) / float(width);
        sum = vec2(0);
    }
    for (uint d = me; d < width; d += GROUP) {
        float v = AT(x, at + d) - mean;
        add_to(sum, v * v);
    }
    float squares = group_sum(sum.x + sum.y);
    float factor = 1.0 / sqrt(KIND == 2 ? squares : squares / float(width) + eps);
    uint t = 0;
    if (TABLE != 0) {
        uint b = r / per_batch;
        t = ROW == 1 ? uint(clamp(AT(row, 0), 0, int(table_rows) - 1)) : ROW == 2 ? uint(clamp(AT(row, b), 0, int(table_rows) - 1)) : table_rows == 1 ? 0 : b;
    }
#ifdef F16
    for (uint d = 2 * me; d < width; d += 2 * GROUP)
        result[(at + d) / 2] =
            pack_f16(finish((AT(x, at + d) - mean) * factor, d, t), finish((AT(x, at + d + 1) - mean) * factor, d + 1, t));
#else
    for (uint d = me; d < width; d += GROUP)
        result[at + d] = finish((AT(x, at + d) - mean) * factor, d, t);
#endif
}
