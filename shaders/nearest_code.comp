#version 450
#include "common.glsl"
#include "group.glsl"
// A work group a row: its invocations share the codes out, and the nearest of theirs meet at the end.
layout(set = 0, binding = 0) readonly buffer X { float x[]; };
layout(set = 0, binding = 1) readonly buffer Table { float table[]; };
layout(set = 0, binding = 2) writeonly buffer Result { int result[]; };
layout(push_constant) uniform Push { uint n, width, codes; };

shared uint which[GROUP];

void main()
{
    uint row = work_group(), me = gl_LocalInvocationID.x, best = me;
    if (row >= n)
        return;
    float least = INFINITY;
    for (uint c = me; c < codes; c += GROUP) {
        vec2 sum = vec2(0);
        for (uint e = 0; e < width; e++) {
            float d = x[row * width + e] - table[c * width + e];
            add_to(sum, d * d);
        }
        float distance = sum.x + sum.y;
        if (c == 0 && is_nan(distance)) // nothing is nearer than NaN
            distance = -INFINITY;
        if (distance < least) {
            least = distance;
            best = c;
        }
    }
    exchange[me] = least;
    which[me] = best;
    barrier();
    for (uint half_way = GROUP / 2; half_way > 0; half_way /= 2) {
        if (me < half_way) {
            float other = exchange[me + half_way];
            uint code = which[me + half_way];
            if (other < exchange[me] || (other == exchange[me] && code < which[me])) {
                exchange[me] = other;
                which[me] = code;
            }
        }
        barrier();
    }
    if (me == 0)
        result[row] = int(which[0]);
}
