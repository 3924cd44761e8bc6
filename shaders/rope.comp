#version 450
#include "common.glsl"
// One pair an invocation.
layout(local_size_x = 64) in;
layout(set = 0, binding = 0) readonly buffer X { float x[]; };
layout(set = 0, binding = 1) readonly buffer Cosine { float cosine[]; };
layout(set = 0, binding = 2) readonly buffer Sine { float sine[]; };
layout(set = 0, binding = 3) writeonly buffer Result { float result[]; };
layout(push_constant) uniform Push { uint n, positions, heads, half_width, interleaved; };

void main()
{
    uint i = invocation();
    if (i >= n)
        return;
    uint pair = i % half_width, head = i / half_width, row = head / heads % positions * half_width + pair;
    uint first = head * 2 * half_width + (interleaved != 0 ? 2 * pair : pair), second = first + (interleaved != 0 ? 1 : half_width);
    precise float u = x[first], v = x[second], c = cosine[row], s = sine[row];
    precise float a = u * c - v * s, b = v * c + u * s;
    result[first] = a;
    result[second] = b;
}
