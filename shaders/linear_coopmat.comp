#version 450
#include "matrix.glsl"
layout(push_constant) uniform Push { uint rows, ins, outs; };

ivec4 row_of(uint row)
{
    return ivec4(row * ins, 0, 0, 0);
}

uvec4 load_row(ivec4 row, uint k)
{
    return load_a(uint(row.x) + k, int(ins) - int(k));
}

void main()
{
    product(rows, ins, outs);
}
