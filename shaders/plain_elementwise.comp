#version 450
#include "common.glsl"
// add sub mul div max min exp log sqrt rsqrt sigmoid compare where cast: four neighbouring elements an invocation.
layout(local_size_x = 64) in;
layout(constant_id = 0) const uint KIND = 0; // VQP_OP_*
layout(constant_id = 1) const uint FROM = 1; // VQP_F32, VQP_I32, VQP_U8: of the operands
layout(constant_id = 2) const uint TO = 1;   // of the result
layout(constant_id = 3) const uint CMP = 0;  // VQP_CMP_*
layout(constant_id = 4) const uint BROADCAST = 0;
layout(set = 0, binding = 0) readonly buffer A { uint a[]; };
layout(set = 0, binding = 1) readonly buffer B { uint b[]; };
layout(set = 0, binding = 2) readonly buffer C { uint c[]; };
layout(set = 0, binding = 3) writeonly buffer Result { uint result[]; };
layout(push_constant) uniform Push
{
    uint n, rank;
    uint dim[6], step_a[6], step_b[6], step_c[6];
};

float f(uint bits)
{
    return uintBitsToFloat(bits);
}

uint binary_f32(float x, float y)
{
    precise float r;
    switch (KIND) {
    case 64: r = x + y; break;
    case 65: r = x - y; break;
    case 66: r = x * y; break;
    case 67: r = x / y; break;
    case 68: r = is_nan(x) || x > y ? x : y; break;
    default: r = is_nan(x) || x < y ? x : y; break;
    }
    return floatBitsToUint(r);
}

uint binary_i32(int x, int y)
{
    switch (KIND) {
    case 64: return uint(x) + uint(y);
    case 65: return uint(x) - uint(y);
    case 66: return uint(x) * uint(y);
    case 68: return uint(max(x, y));
    default: return uint(min(x, y));
    }
}

uint unary(float x)
{
    switch (KIND) {
    case 70: return floatBitsToUint(exp_f32(x));
    case 71: return floatBitsToUint(log_f32(x));
    case 72: return floatBitsToUint(sqrt(x));
    case 73: return floatBitsToUint(inversesqrt(x));
    default: return floatBitsToUint(sigmoid_f32(x));
    }
}

bool compared(bool less, bool equal, bool ordered)
{
    switch (CMP) {
    case 0: return equal;
    case 1: return !equal;
    case 2: return less;
    case 3: return less || equal;
    case 4: return ordered && !less && !equal;
    default: return ordered && !less;
    }
}

uint converted(uint x)
{
    if (FROM == TO)
        return x;
    if (FROM == 1) {
        float v = f(x);
        if (TO == 3)
            return is_nan(v) ? 0u : v >= 2147483648.0 ? 0x7fffffffu : v <= -2147483648.0 ? 0x80000000u : uint(int(v));
        return v > 0.0 ? uint(min(v, 255.0)) : 0u;
    }
    if (TO == 1)
        return floatBitsToUint(FROM == 3 ? float(int(x)) : float(x));
    return TO == 4 ? uint(clamp(int(x), 0, 255)) : x;
}

uint one(uint i)
{
    uint at_a = i, at_b = i, at_c = i;
    if (BROADCAST != 0) {
        at_a = at_b = at_c = 0;
        for (uint k = rank; k-- > 0;) {
            uint index = i % dim[k];
            i /= dim[k];
            at_a += index * step_a[k];
            at_b += index * step_b[k];
            at_c += index * step_c[k];
        }
    }
    if (KIND < 70)
        return FROM == 1 ? binary_f32(f(a[at_a]), f(b[at_b])) : binary_i32(int(a[at_a]), int(b[at_b]));
    if (KIND < 75)
        return unary(f(a[at_a]));
    if (KIND == 75) {
        float x = f(a[at_a]), y = f(b[at_b]);
        int p = int(a[at_a]), q = int(b[at_b]);
        return uint(FROM == 1 ? compared(x < y, x == y, !is_nan(x) && !is_nan(y)) : compared(p < q, p == q, true));
    }
    if (KIND == 76)
        return a[at_a] != 0 ? b[at_b] : c[at_c];
    return converted(FROM == 4 ? a[at_a / 4] >> 8 * (at_a % 4) & 255u : a[at_a]);
}

void main()
{
    uint first = 4 * invocation(), word = 0;
    for (uint i = first; i < min(first + 4, n); i++) {
        uint v = one(i);
        if (TO == 4)
            word |= v << 8 * (i % 4);
        else
            result[i] = v;
    }
    if (TO == 4 && first < n)
        result[first / 4] = word;
}
