#version 450
#include "common.glsl"
#include "group.glsl"
// A work group for each batch row and group of channels.
layout(constant_id = 1) const uint WEIGHT = 0;
layout(constant_id = 2) const uint BIAS = 0;
layout(constant_id = 3) const uint ACT = 0;
layout(set = 0, binding = 0) readonly buffer X { float x[]; };
layout(set = 0, binding = 1) readonly buffer Weight { float weight[]; };
layout(set = 0, binding = 2) readonly buffer Bias { float bias[]; };
layout(set = 0, binding = 3) writeonly buffer Result { float result[]; };
layout(push_constant) uniform Push
{
    uint all, groups, channels, pixels; // all: groups of the whole batch
    float eps;
};

void main()
{
    uint g = work_group(), me = gl_LocalInvocationID.x;
    if (g >= all)
        return;
    uint width = channels / groups, n = pixels * width, first = g / groups * pixels * channels + g % groups * width;
    vec2 sum = vec2(0);
    for (uint i = me; i < n; i += GROUP)
        add_to(sum, x[first + i / width * channels + i % width]);
    float mean = group_sum(sum.x + sum.y) / float(n);
    sum = vec2(0);
    for (uint i = me; i < n; i += GROUP) {
        float v = x[first + i / width * channels + i % width] - mean;
        add_to(sum, v * v);
    }
    float factor = 1.0 / sqrt(group_sum(sum.x + sum.y) / float(n) + eps);
    for (uint i = me; i < n; i += GROUP) {
        uint c = g % groups * width + i % width, at = first + i / width * channels + i % width;
        float y = (x[at] - mean) * factor;
        if (WEIGHT != 0)
            y *= weight[c];
        if (BIAS != 0)
            y += bias[c];
        result[at] = activate(ACT, y);
    }
}
