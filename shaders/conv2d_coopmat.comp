#version 450
#include "matrix.glsl"
// Implicit GEMM: a row of A is what the kernel sees at a pixel, [kh,kw,I], as the weight is [O,kh,kw,I]; it is never in memory as a whole.
layout(push_constant) uniform Push
{
    uint pixels, height, width, ins; // pixels of the whole batch's result; ins: channels of x
    uint out_height, out_width, outs;
    uint kernel_height, kernel_width, stride, upsample, top, left;
};

ivec4 row_of(uint p)
{
    uint b = p / (out_width * out_height), line = p / out_width % out_height, column = p % out_width;
    return ivec4(b * height * width * ins, int(line * stride) - int(top), int(column * stride) - int(left), 0);
}

uvec4 load_tap(ivec4 row, uint tap, uint c, int n)
{
    int y = row.y + int(tap / kernel_width), x = row.z + int(tap % kernel_width);
    bool inside = y >= 0 && x >= 0 && y < int(height * upsample) && x < int(width * upsample);
    return load_a(inside ? uint(row.x) + (uint(y) / upsample * width + uint(x) / upsample) * ins + c : 0, inside ? n : 0);
}

uvec4 load_row(ivec4 row, uint k)
{
    uint tap = k / ins, c = k % ins, taps = kernel_height * kernel_width;
    if (VECTORS != 0)
        return load_tap(row, tap, c, tap < taps ? 8 : 0);
    vec4 v[2] = {vec4(0), vec4(0)}; // the eight may lie in several taps
    for (uint i = 0; i < 8; i++, c++) {
        if (c == ins) {
            c = 0;
            tap++;
        }
        v[i / 4][i % 4] = unpackHalf2x16(load_tap(row, tap, c, tap < taps ? 1 : 0).x).x;
    }
    return pack8(v[0], v[1]);
}

void main()
{
    product(pixels, kernel_height * kernel_width * ins, outs);
}
