#version 450
#include "common.glsl"
layout(local_size_x = 64) in;
layout(set = 0, binding = 0) readonly buffer X { float x[]; };
layout(set = 0, binding = 1) writeonly buffer Result { float result[]; };
layout(push_constant) uniform Push { uint n, width, channels, factor; }; // of the result

void main()
{
    uint i = invocation();
    if (i >= n)
        return;
    uint c = i % channels, column = i / channels % width, line = i / channels / width; // over the whole batch
    uint from = line / factor * (width / factor) + column / factor;
    result[i] = x[((from * channels + c) * factor + line % factor) * factor + column % factor];
}
