#version 450
#include "common.glsl"
// out = x at index along one axis; for SCATTER out[index] = x, one invocation a line, so that the last of doubles wins.
// variant scatter: -DSCATTER
layout(local_size_x = 64) in;
layout(set = 0, binding = 0) readonly buffer X { uint x[]; };
layout(set = 0, binding = 1) readonly buffer Index { int index[]; };
#if defined(SCATTER)
layout(set = 0, binding = 2) buffer Result { uint result[]; };
#else
layout(set = 0, binding = 2) writeonly buffer Result { uint result[]; };
#endif
layout(push_constant) uniform Push
{
    uint n, rank, axis; // n: elements of index, or its lines along the axis
    uint dim[6];        // of index
    uint base[6];       // of what index points into
    uint stride[6];     // of index
};

void main()
{
    uint i = invocation(), at = 0, step = 1, rest = i, first = 0;
    if (i >= n)
        return;
    uint along = 0;
    for (uint k = rank; k-- > 0;) {
        if (k == axis) {
            along = step;
#if !defined(SCATTER)
            rest /= dim[k];
#endif
        } else {
            uint c = rest % dim[k];
            rest /= dim[k];
            at += c * step;
            first += c * stride[k];
        }
        step *= base[k];
    }
#if defined(SCATTER)
    for (uint j = 0; j < dim[axis]; j++) {
        int to = index[first + j * stride[axis]];
        if (to >= 0 && to < int(base[axis]))
            result[at + uint(to) * along] = x[first + j * stride[axis]];
    }
#else
    result[i] = x[at + uint(clamp(index[i], 0, int(base[axis]) - 1)) * along];
#endif
}
