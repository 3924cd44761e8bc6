#version 450
#include "common.glsl"
layout(local_size_x = 64) in;
layout(constant_id = 0) const uint NOISE = 0;
layout(set = 0, binding = 0) readonly buffer Seed { uint seed[]; };
layout(set = 0, binding = 1) readonly buffer Eval { uint eval[]; };
layout(set = 0, binding = 2) readonly buffer Noise { float noise[]; };
layout(set = 0, binding = 3) writeonly buffer Result { float result[]; };
layout(push_constant) uniform Push { uint n, positions, stream; };

void main()
{
    uint i = invocation();
    if (i >= n)
        return;
    uint b = i / positions;
    float u = NOISE != 0 ? noise[i]
                         : unit_float(philox(uvec4(i % positions, 0, eval[0], stream), uvec2(seed[2 * b], seed[2 * b + 1])).x);
    result[i] = gumbel(u);
}
