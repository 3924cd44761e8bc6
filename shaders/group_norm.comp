#version 450
#include "common.glsl"
#include "group.glsl"
// variant f16: -DF16
// variant texel: -DTEXEL
// variant texel_f16: -DTEXEL -DF16
// A work group for each batch row and group of channels. Variant f16: the result is float16, and the channels of a group even in number.
layout(constant_id = 1) const uint WEIGHT = 0;
layout(constant_id = 2) const uint BIAS = 0;
layout(constant_id = 3) const uint ACT = 0;
#ifdef TEXEL
TEXELS(0, x)
TEXELS(1, weight)
TEXELS(2, bias)
#else
layout(set = 0, binding = 0) readonly buffer X { float x[]; };
layout(set = 0, binding = 1) readonly buffer Weight { float weight[]; };
layout(set = 0, binding = 2) readonly buffer Bias { float bias[]; };
#endif
#ifdef F16
#include "f16.glsl"
layout(set = 0, binding = 3) writeonly buffer Result { uint result[]; };
#else
layout(set = 0, binding = 3) writeonly buffer Result { float result[]; };
#endif
layout(push_constant) uniform Push
{
    uint all, groups, channels, pixels; // all: groups of the whole batch
    float eps;
};

float finish(float y, uint c)
{
    if (WEIGHT != 0)
        y *= AT(weight, c);
    if (BIAS != 0)
        y += AT(bias, c);
    return activate(ACT, y);
}

void main()
{
    uint g = work_group(), me = gl_LocalInvocationID.x;
    if (g >= all)
        return;
    uint width = channels / groups, n = pixels * width, first = g / groups * pixels * channels + g % groups * width;
    vec2 sum = vec2(0);
    for (uint i = me; i < n; i += GROUP)
        add_to(sum, AT(x, first + i / width * channels + i % width));
    float mean = group_sum(sum.x + sum.y) / float(n);
    sum = vec2(0);
    for (uint i = me; i < n; i += GROUP) {
        float v = AT(x, first + i / width * channels + i % width) - mean;
        add_to(sum, v * v);
    }
    float factor = 1.0 / sqrt(group_sum(sum.x + sum.y) / float(n) + eps);
#ifdef F16
    for (uint i = 2 * me; i < n; i += 2 * GROUP) {
        uint c = g % groups * width + i % width, at = first + i / width * channels + i % width;
        result[at / 2] = pack_f16(finish((AT(x, at) - mean) * factor, c), finish((AT(x, at + 1) - mean) * factor, c + 1));
    }
#else
    for (uint i = me; i < n; i += GROUP) {
        uint c = g % groups * width + i % width, at = first + i / width * channels + i % width;
        result[at] = finish((AT(x, at) - mean) * factor, c);
    }
#endif
}
