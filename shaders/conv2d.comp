#version 450
#include "common.glsl"
// variant f16: -DF16
// variant texel: -DF16 -DTEXEL
// Plain tier: PIXELS neighbouring pixels by CHANNELS channels an invocation. The weight is [O,kh,kw,I/g]. Variant f16: I/g is a multiple of
// 4, and x and weight may be float16 each; sums are float32 there too.
#ifdef TEXEL
const uint DOWN = 1;
#else
const uint DOWN = 8;
#endif
layout(local_size_x = 8, local_size_y = DOWN) in;
layout(constant_id = 0) const uint VECTORS = 0; // I/g is a multiple of 4
layout(constant_id = 1) const uint BIAS = 0;
layout(constant_id = 2) const uint ACT = 0;
layout(constant_id = 3) const uint RESIDUAL = 0;
layout(constant_id = 4) const uint GROUPED = 0;
#ifdef TEXEL
TEXELS(0, x)
TEXELS(1, weight)
TEXELS(2, bias)
TEXELS(3, residual)
#else
layout(set = 0, binding = 0) readonly buffer X4 { vec4 x4[]; };
layout(set = 0, binding = 0) readonly buffer X { float x[]; };
layout(set = 0, binding = 1) readonly buffer Weight4 { vec4 weight4[]; };
layout(set = 0, binding = 1) readonly buffer Weight { float weight[]; };
layout(set = 0, binding = 2) readonly buffer Bias { float bias[]; };
layout(set = 0, binding = 3) readonly buffer Residual { float residual[]; };
#endif
layout(set = 0, binding = 4) writeonly buffer Result { float result[]; };
layout(push_constant) uniform Push
{
    uint pixels, height, width, ins; // pixels of the whole batch's result; ins: channels of x
    uint out_height, out_width, outs, groups;
    uint kernel_height, kernel_width, stride, upsample, top, left;
};
const uint PIXELS = 8, CHANNELS = 4;

#if defined F16 && !defined TEXEL
#include "f16.glsl"
layout(constant_id = 5) const uint X_F16 = 0;
layout(constant_id = 6) const uint WEIGHT_F16 = 0;
layout(set = 0, binding = 0) readonly buffer XHalf { uvec2 x_half[]; };
layout(set = 0, binding = 1) readonly buffer WeightHalf { uvec2 weight_half[]; };
#endif

vec4 load_x(uint at, uint c, uint some)
{
#ifdef TEXEL
    if (VECTORS != 0)
        return texelFetch(x_texels, int((at + c) / 4));
#else
#ifdef F16
    if (X_F16 != 0)
        return unpack_f16(x_half[(at + c) / 4]);
#endif
    if (VECTORS != 0)
        return x4[(at + c) / 4];
#endif
    return vec4(AT(x, at + c), some > 1 ? AT(x, at + c + 1) : 0.0, some > 2 ? AT(x, at + c + 2) : 0.0, some > 3 ? AT(x, at + c + 3) : 0.0);
}

vec4 load_w(uint at, uint c, uint some)
{
#ifdef TEXEL
    if (VECTORS != 0)
        return texelFetch(weight_texels, int((at + c) / 4));
#else
#ifdef F16
    if (WEIGHT_F16 != 0)
        return unpack_f16(weight_half[(at + c) / 4]);
#endif
    if (VECTORS != 0)
        return weight4[(at + c) / 4];
#endif
    return vec4(AT(weight, at + c), some > 1 ? AT(weight, at + c + 1) : 0.0, some > 2 ? AT(weight, at + c + 2) : 0.0, some > 3 ? AT(weight, at + c + 3) : 0.0);
}

void main()
{
    uint first = (gl_WorkGroupID.y * DOWN + gl_LocalInvocationID.y) * PIXELS, o = gl_WorkGroupID.x * 8 * CHANNELS + gl_LocalInvocationID.x;
    uint group_ins = ins / groups, group_outs = outs / groups, taps = kernel_height * kernel_width;
    float sum[PIXELS][CHANNELS];
    uint channel[CHANNELS];
    for (uint j = 0; j < CHANNELS; j++) {
        channel[j] = min(o + 8 * j, outs - 1);
        for (uint i = 0; i < PIXELS; i++)
            sum[i][j] = 0.0;
    }
    for (uint tap = 0; tap < taps; tap++) {
        uint at[PIXELS];
        bool inside[PIXELS];
        for (uint i = 0; i < PIXELS; i++) {
            uint p = min(first + i, pixels - 1), column = p % out_width, line = p / out_width % out_height, b = p / out_width / out_height;
            int y = int(line * stride + tap / kernel_width) - int(top), xx = int(column * stride + tap % kernel_width) - int(left);
            inside[i] = y >= 0 && xx >= 0 && y < int(height * upsample) && xx < int(width * upsample);
            at[i] = inside[i] ? ((b * height + uint(y) / upsample) * width + uint(xx) / upsample) * ins : 0;
        }
        for (uint c = 0; c < group_ins; c += 4) {
            uint some = group_ins - c;
            vec4 w[CHANNELS];
            for (uint j = 0; j < CHANNELS; j++)
                w[j] = load_w((channel[j] * taps + tap) * group_ins, c, some);
            for (uint i = 0; i < PIXELS; i++) {
                if (GROUPED == 0) {
                    vec4 v = load_x(at[i], c, some);
                    v = inside[i] ? v : vec4(0);
                    for (uint j = 0; j < CHANNELS; j++)
                        sum[i][j] += dot(v, w[j]);
                } else {
                    for (uint j = 0; j < CHANNELS; j++) {
                        vec4 v = load_x(at[i] + channel[j] / group_outs * group_ins, c, some);
                        sum[i][j] += inside[i] ? dot(v, w[j]) : 0.0;
                    }
                }
            }
        }
    }
    for (uint i = 0; i < PIXELS; i++)
        for (uint j = 0; j < CHANNELS; j++) {
            uint p = first + i, column = o + 8 * j, to = p * outs + column;
            if (p >= pixels || column >= outs)
                continue;
            float v = activate(ACT, BIAS != 0 ? sum[i][j] + AT(bias, column) : sum[i][j]);
            result[to] = RESIDUAL != 0 ? v + AT(residual, to) : v;
        }
}
