#version 450
#include "common.glsl"
#include "group.glsl"
// variant texel: -DTEXEL
// A work group a row of classes.
layout(constant_id = 1) const uint GUIDED = 0;
#ifdef TEXEL
TEXELS(0, logits)
TEXELS(1, scale)
#else
layout(set = 0, binding = 0) readonly buffer Logits { float logits[]; };
layout(set = 0, binding = 1) readonly buffer Scale { float scale[]; };
#endif
layout(set = 0, binding = 2) writeonly buffer Result { float result[]; };
layout(push_constant) uniform Push { uint rows, classes; };

float log_sum_exp(uint at)
{
    float most = -INFINITY;
    for (uint k = gl_LocalInvocationID.x; k < classes; k += GROUP)
        most = max(most, AT(logits, at + k));
    most = group_max(most);
    vec2 sum = vec2(0);
    for (uint k = gl_LocalInvocationID.x; k < classes; k += GROUP)
        add_to(sum, exp_f32(AT(logits, at + k) - most));
    return most + log_f32(group_sum(sum.x + sum.y));
}

void main()
{
    uint row = work_group(), me = gl_LocalInvocationID.x;
    if (row >= rows)
        return;
    uint u = row * classes, c = u + rows * classes;
    float lse_u = log_sum_exp(u);
    if (GUIDED == 0) {
        for (uint k = me; k < classes; k += GROUP)
            result[u + k] = AT(logits, u + k) - lse_u;
        return;
    }
    float lse_c = log_sum_exp(c), s = AT(scale, 0), most = -INFINITY;
    for (uint k = me; k < classes; k += GROUP) {
        float l = AT(logits, u + k) - lse_u;
        most = max(most, l + s * (AT(logits, c + k) - lse_c - l));
    }
    most = group_max(most);
    vec2 sum = vec2(0);
    for (uint k = me; k < classes; k += GROUP) {
        float l = AT(logits, u + k) - lse_u;
        add_to(sum, exp_f32(l + s * (AT(logits, c + k) - lse_c - l) - most));
    }
    float norm = most + log_f32(group_sum(sum.x + sum.y));
    for (uint k = me; k < classes; k += GROUP) {
        float l = AT(logits, u + k) - lse_u;
        result[u + k] = l + s * (AT(logits, c + k) - lse_c - l) - norm;
    }
}
