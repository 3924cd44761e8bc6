// What the shaders for matrix units share: they take float16 or float32 from memory, eight elements at a time, as eight float16.
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_control_flow_attributes : require
#include "common.glsl"

uvec4 pack8(vec4 low, vec4 high)
{
    return uvec4(packFloat2x16(f16vec2(low.xy)), packFloat2x16(f16vec2(low.zw)), packFloat2x16(f16vec2(high.xy)),
                 packFloat2x16(f16vec2(high.zw)));
}

// The buffers NAME_..., and load_NAME(at, n): elements at ... at+7, zeros from at+n on. VECTORS: `at` and n are multiples of 8.
#define LOADED(number, name, VECTORS, IS_F16)                                                                          \
    layout(set = 0, binding = number) readonly buffer name##_f32x4_block { vec4 name##_f32x4[]; };                     \
    layout(set = 0, binding = number) readonly buffer name##_f32_block { float name##_f32[]; };                        \
    layout(set = 0, binding = number) readonly buffer name##_f16x8_block { uvec4 name##_f16x8[]; };                    \
    layout(set = 0, binding = number) readonly buffer name##_f16_block { float16_t name##_f16[]; };                    \
    uvec4 load_##name(uint at, int n)                                                                                  \
    {                                                                                                                  \
        if (n <= 0)                                                                                                    \
            return uvec4(0);                                                                                           \
        if (VECTORS != 0 && IS_F16 != 0)                                                                               \
            return name##_f16x8[at / 8];                                                                               \
        if (VECTORS != 0)                                                                                              \
            return pack8(name##_f32x4[at / 4], name##_f32x4[at / 4 + 1]);                                              \
        vec4 v[2] = {vec4(0), vec4(0)};                                                                                \
        [[unroll]] for (int i = 0; i < 8; i++)                                                                         \
            if (i < n)                                                                                                 \
                v[i / 4][i % 4] = IS_F16 != 0 ? float(name##_f16[at + i]) : name##_f32[at + i];                        \
        return pack8(v[0], v[1]);                                                                                      \
    }
