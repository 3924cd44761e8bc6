// float16 kept in pairs, in uints: what any device can do.

vec4 unpack_f16(uvec2 v)
{
    return vec4(unpackHalf2x16(v.x), unpackHalf2x16(v.y));
}

// To the nearest, halves to even; beyond the range infinity. packHalf2x16 may round as the device likes.
uint to_f16(float f)
{
    uint bits = floatBitsToUint(f), sign = bits >> 16 & 0x8000u, size = bits & 0x7fffffffu;
    if (size >= 0x47800000u)
        return sign | (size > 0x7f800000u ? 0x7e00u : 0x7c00u);
    if (size < 0x38800000u) // subnormal: a multiple of 2^-24
        return sign | uint(roundEven(uintBitsToFloat(size) * 16777216.0));
    return sign | (size + 0xfffu + (size >> 13 & 1u) - 0x38000000u) >> 13;
}

uint pack_f16(float low, float high)
{
    return to_f16(low) | to_f16(high) << 16;
}
