#version 450
#include "common.glsl"
layout(local_size_x = 64) in;
layout(set = 0, binding = 0) readonly buffer X { float x[]; };
layout(set = 0, binding = 1) readonly buffer Table { float table[]; };
layout(set = 0, binding = 2) writeonly buffer Result { int result[]; };
layout(push_constant) uniform Push { uint n, width, codes; };

void main()
{
    uint i = invocation(), best = 0;
    if (i >= n)
        return;
    float least = 0.0;
    for (uint c = 0; c < codes; c++) {
        vec2 sum = vec2(0);
        for (uint e = 0; e < width; e++) {
            float d = x[i * width + e] - table[c * width + e];
            add_to(sum, d * d);
        }
        float distance = sum.x + sum.y;
        if (c == 0 || distance < least) {
            least = distance;
            best = c;
        }
    }
    result[i] = int(best);
}
