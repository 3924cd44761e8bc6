#version 450
#include "common.glsl"
// reduce_sum reduce_max arg_max softmax cumsum: one invocation a line.
layout(local_size_x = 64) in;
layout(constant_id = 0) const uint KIND = 0; // VQP_OP_*
layout(set = 0, binding = 0) readonly buffer X { float x[]; };
layout(set = 0, binding = 1) writeonly buffer Result { uint result[]; };
layout(push_constant) uniform Push { uint lines, n, inner; };

void main()
{
    uint line = invocation();
    if (line >= lines)
        return;
    uint first = line / inner * n * inner + line % inner, best = 0;
    vec2 sum = vec2(0);
    float most = -INFINITY;
    bool nan = false, any = false;
    for (uint j = 0; j < n; j++) {
        float v = x[first + j * inner];
        nan = nan || is_nan(v);
        if (KIND == 81 || KIND == 85)
            add_to(sum, v);
        if (!is_nan(v) && (!any || v > most)) {
            most = v;
            best = j;
            any = true;
        }
        if (KIND == 85)
            result[first + j * inner] = floatBitsToUint(sum.x + sum.y);
    }
    if (KIND == 81)
        result[line] = floatBitsToUint(is_finite(sum.x) ? sum.x + sum.y : sum.x);
    if (KIND == 82)
        result[line] = nan ? 0x7fc00000u : floatBitsToUint(most);
    if (KIND == 83)
        result[line] = best;
    if (KIND == 84) {
        for (uint j = 0; j < n; j++)
            add_to(sum, exp_f32(x[first + j * inner] - most));
        for (uint j = 0; j < n; j++)
            result[first + j * inner] = floatBitsToUint(exp_f32(x[first + j * inner] - most) / (sum.x + sum.y));
    }
}
