#version 450
#include "common.glsl"
// Each element counts those before it: where it stands in descending order. select_top_k: whether that is below k.
// variant top: -DTOP
layout(local_size_x = 64) in;
layout(set = 0, binding = 0) readonly buffer X { float x[]; };
#if defined(TOP)
layout(set = 0, binding = 1) readonly buffer K { int k[]; };
#else
layout(set = 0, binding = 1) writeonly buffer Values { float values[]; };
#endif
layout(set = 0, binding = 2) writeonly buffer Result { int result[]; };
layout(push_constant) uniform Push { uint n, width, count; };

void main()
{
    uint i = invocation();
    if (i >= n)
        return;
    uint row = i / width, me = i % width, before = 0;
    float mine = x[i];
    for (uint j = 0; j < width; j++) {
        float v = x[row * width + j];
        if (v > mine || (is_nan(mine) && !is_nan(v)) || ((v == mine || (is_nan(v) && is_nan(mine))) && j < me))
            before++;
    }
#if defined(TOP)
    result[i] = int(before) < k[0] ? 1 : 0;
#else
    if (before < count) {
        values[row * count + before] = mine;
        result[row * count + before] = int(me);
    }
#endif
}
