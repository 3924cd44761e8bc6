#version 450
#include "common.glsl"
// concat slice permute repeat take store: words from one place to another.
layout(local_size_x = 64) in;
layout(constant_id = 0) const uint TAKE = 0; // 1: begin at row clamp(row[0]) of `rows`
layout(set = 0, binding = 0) readonly buffer From { uint from[]; };
layout(set = 0, binding = 1) readonly buffer Row { int row[]; };
layout(set = 0, binding = 2) writeonly buffer To { uint to[]; };
layout(push_constant) uniform Push
{
    uint n, rank, rows, from_first, to_first;
    uint dim[6], from_step[6], to_step[6];
};

void main()
{
    uint i = invocation(), at = from_first, where = to_first;
    if (i >= n)
        return;
    if (TAKE != 0)
        at += uint(clamp(row[0], 0, int(rows) - 1)) * n;
    for (uint k = rank; k-- > 0;) {
        uint index = i % dim[k];
        i /= dim[k];
        at += index * from_step[k];
        where += index * to_step[k];
    }
    to[where] = from[at];
}
