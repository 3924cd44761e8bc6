#version 450
#include "common.glsl"
// Four neighbouring bytes an invocation.
layout(local_size_x = 64) in;
layout(set = 0, binding = 0) readonly buffer X { float x[]; };
layout(set = 0, binding = 1) writeonly buffer Result { uint result[]; };
layout(push_constant) uniform Push { uint n; };

// 255 v in float32 may round up to or down to a half, and then to the wrong side: what was rounded off decides.
uint level(float v)
{
    if (!(v > 0.0))
        return 0;
    v = min(v, 1.0);
    precise float high = v * 256.0, product = high - v, low = (high - product) - v;
    float whole = floor(product);
    precise float part = product - whole;
    bool up = part > 0.5 || (part == 0.5 && (low > 0.0 || (low == 0.0 && (uint(whole) & 1u) == 1u)));
    return uint(whole) + (up ? 1u : 0u);
}

void main()
{
    uint first = 4 * invocation(), word = 0;
    if (first >= n)
        return;
    for (uint i = first; i < min(first + 4, n); i++)
        word |= level(x[i]) << 8 * (i - first);
    result[first / 4] = word;
}
