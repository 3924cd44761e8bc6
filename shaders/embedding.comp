#version 450
#include "common.glsl"
// embedding and codebook
layout(local_size_x = 64) in;
layout(constant_id = 0) const uint CODEBOOK = 0; // 1: an id out of range gives zeros
layout(constant_id = 1) const uint POSITIONS = 0;
layout(set = 0, binding = 0) readonly buffer Ids { int ids[]; };
layout(set = 0, binding = 1) readonly buffer Table { float table[]; };
layout(set = 0, binding = 2) readonly buffer Positions { float positions[]; };
layout(set = 0, binding = 3) writeonly buffer Result { float result[]; };
layout(push_constant) uniform Push { uint n, width, rows, per_row; };

void main()
{
    uint i = invocation();
    if (i >= n)
        return;
    uint token = i / width, column = i % width;
    int id = ids[token], last = int(rows) - 1;
    float v = CODEBOOK != 0 && (id < 0 || id > last) ? 0.0 : table[uint(clamp(id, 0, last)) * width + column];
    if (POSITIONS != 0)
        v += positions[token % per_row * width + column];
    result[i] = v;
}
