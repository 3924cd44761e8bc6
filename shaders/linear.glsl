// What the tiers of linear share: operands, how they are read, and what comes after the sum. With F16, I is a multiple of 4 and x, weight and
// result may be float16 each; sums are float32 there too. With Q8_0 the weight is int8, I a
// multiple of 32, and each 32 of a row have a scale. With TEXEL what is read comes from texel buffers, in whatever format.
layout(constant_id = 0) const uint VECTORS = 0; // I is a multiple of 4
layout(constant_id = 1) const uint BIAS = 0;
layout(constant_id = 2) const uint ACT = 0;
layout(constant_id = 3) const uint RESIDUAL = 0;
layout(constant_id = 4) const uint GATE = 0; // 1: [O], 2: as the result
#ifdef TEXEL
TEXELS(0, x)
#ifdef Q8_0
ITEXELS(1, weight)
TEXELS(5, scale)
#define LOAD_WEIGHT(i) (vec4(texelFetch(weight_texels, int(i))) * AT(scale, (i) / 8))
#else
TEXELS(1, weight)
#define LOAD_WEIGHT(i) texelFetch(weight_texels, int(i))
#endif
TEXELS(2, bias)
TEXELS(3, residual)
TEXELS(4, gate)
#define LOAD_X(i) texelFetch(x_texels, int(i))
#else
layout(set = 0, binding = 0) readonly buffer X4 { vec4 x4[]; };
layout(set = 0, binding = 0) readonly buffer X { float x[]; };
layout(set = 0, binding = 1) readonly buffer Weight4 { vec4 weight4[]; };
layout(set = 0, binding = 1) readonly buffer Weight { float weight[]; };
layout(set = 0, binding = 2) readonly buffer Bias { float bias[]; };
layout(set = 0, binding = 3) readonly buffer Residual { float residual[]; };
layout(set = 0, binding = 4) readonly buffer Gate { float gate[]; };
#endif
#ifdef Q8_0
const uint AFTER = 6;
#else
const uint AFTER = 5;
#endif
layout(set = 0, binding = AFTER) writeonly buffer Result { float result[]; };
layout(push_constant) uniform Push { uint rows, ins, outs; };

#ifdef F16
#include "f16.glsl"
layout(constant_id = 5) const uint X_F16 = 0;
layout(constant_id = 6) const uint WEIGHT_F16 = 0;
layout(constant_id = 7) const uint RESULT_F16 = 0; // O is a multiple of 4
layout(set = 0, binding = AFTER) writeonly buffer ResultHalf { uvec2 result_half[]; };
#endif
#if defined F16 && !defined TEXEL
layout(set = 0, binding = 0) readonly buffer XHalf { uvec2 x_half[]; };
layout(set = 0, binding = 1) readonly buffer WeightHalf { uvec2 weight_half[]; };
#define LOAD_X(i)      (X_F16 != 0 ? unpack_f16(x_half[i]) : x4[i])
#ifdef Q8_0
layout(set = 0, binding = 1) readonly buffer WeightInt8 { uint weight_int8[]; };
layout(set = 0, binding = 5) readonly buffer Scale { float scale[]; };
vec4 load_weight(uint i)
{
    int v = int(weight_int8[i]);
    return vec4(v << 24 >> 24, v << 16 >> 24, v << 8 >> 24, v >> 24) * scale[i / 8];
}
#define LOAD_WEIGHT(i) load_weight(i)
#else
#define LOAD_WEIGHT(i) (WEIGHT_F16 != 0 ? unpack_f16(weight_half[i]) : weight4[i])
#endif
#elif !defined TEXEL
#define LOAD_X(i)      x4[i]
#define LOAD_WEIGHT(i) weight4[i]
#endif

float finish(uint row, uint column, float v)
{
    uint at = row * outs + column;
    if (BIAS != 0)
        v += AT(bias, column);
    v = activate(ACT, v);
    if (GATE != 0)
        v *= AT(gate, GATE == 1 ? column : at);
    return RESIDUAL != 0 ? v + AT(residual, at) : v;
}

// Four columns of a row.
void store(uint row, uint column, vec4 v)
{
#ifdef F16
    if (RESULT_F16 != 0) {
        if (row < rows && column < outs)
            result_half[(row * outs + column) / 4] =
                uvec2(pack_f16(finish(row, column, v.x), finish(row, column + 1, v.y)),
                      pack_f16(finish(row, column + 2, v.z), finish(row, column + 3, v.w)));
        return;
    }
#endif
    for (uint j = 0; j < 4; j++)
        if (row < rows && column + j < outs)
            result[row * outs + column + j] = finish(row, column + j, v[j]);
}
