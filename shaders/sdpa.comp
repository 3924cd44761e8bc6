#version 450
#include "common.glsl"
// variant f16: -DF16
// variant texel: -DF16 -DTEXEL
// Plain tier of flash attention (Dao et al. 2022): one invocation a query, keys four by four, no scores in memory. Variant f16: SIZE is a
// multiple of 4, and q, k, v and the result may be float16 each. Variant texel: the result where F16_result says so, the others in whatever
// format the texel buffers have.
layout(local_size_x = 64) in;
layout(constant_id = 0) const uint SIZE = 4;    // of a head
layout(constant_id = 1) const uint VECTORS = 0; // SIZE is a multiple of 4
layout(constant_id = 2) const uint CAUSAL = 0;
layout(constant_id = 3) const uint PARTS = 1; // vectors of a head, the last one filled up with zeros
#ifdef TEXEL
TEXELS(0, q)
TEXELS(1, k)
TEXELS(2, v)
#else
layout(set = 0, binding = 0) readonly buffer Q4 { vec4 q4[]; };
layout(set = 0, binding = 0) readonly buffer Q { float q[]; };
layout(set = 0, binding = 1) readonly buffer K4 { vec4 k4[]; };
layout(set = 0, binding = 1) readonly buffer K { float k[]; };
layout(set = 0, binding = 2) readonly buffer V4 { vec4 v4[]; };
layout(set = 0, binding = 2) readonly buffer V { float v[]; };
#endif
layout(set = 0, binding = 3) writeonly buffer Result { float result[]; };
layout(push_constant) uniform Push
{
    uint n, queries, keys, heads;
    float scale;
};

#ifdef F16
#include "f16.glsl"
layout(constant_id = 4) const uint F16_q = 0;
layout(constant_id = 5) const uint F16_k = 0;
layout(constant_id = 6) const uint F16_v = 0;
layout(constant_id = 7) const uint F16_result = 0;
layout(set = 0, binding = 3) writeonly buffer ResultHalf { uvec2 half_result[]; };
#endif
#if defined F16 && !defined TEXEL
layout(set = 0, binding = 0) readonly buffer QHalf { uvec2 half_q[]; };
layout(set = 0, binding = 1) readonly buffer KHalf { uvec2 half_k[]; };
layout(set = 0, binding = 2) readonly buffer VHalf { uvec2 half_v[]; };
#define LOAD(name, at, i) (F16_##name != 0 ? unpack_f16(half_##name[(at) / 4 + (i)]) : name##4[(at) / 4 + (i)])
#else
#ifdef TEXEL
#define FOUR(name, at, i) texelFetch(name##_texels, int((at) / 4 + (i)))
#else
#define FOUR(name, at, i) name##4[(at) / 4 + (i)]
#endif
#define SOME(name, at, i, j) (4 * (i) + (j) < SIZE ? AT(name, (at) + 4 * (i) + (j)) : 0.0)
#define LOAD(name, at, i) (VECTORS != 0 ? FOUR(name, at, i) : vec4(SOME(name, at, i, 0), SOME(name, at, i, 1), SOME(name, at, i, 2), SOME(name, at, i, 3)))
#endif

// Vector i of the result that begins at `at`.
void store(uint at, uint i, vec4 r)
{
#ifdef F16
    if (F16_result != 0) {
        half_result[at / 4 + i] = uvec2(pack_f16(r.x, r.y), pack_f16(r.z, r.w));
        return;
    }
#endif
    for (uint j = 0; j < 4; j++)
        if (4 * i + j < SIZE)
            result[at + 4 * i + j] = r[j];
}

// llvmpipe bounds how often loops turn (VK_CPU_TURNS), and unrolls those over a whole array of up to 32, which is faster too: longer heads go eight
// vectors a turn, then the up to seven left over.
const uint EIGHTS = PARTS > 32 ? PARTS / 8 * 8 : 0;
#define SCORE(i)                                                                                                       \
    s += vec4(dot(mine[i], LOAD(k, at[0], i)), dot(mine[i], LOAD(k, at[1], i)), dot(mine[i], LOAD(k, at[2], i)),         \
              dot(mine[i], LOAD(k, at[3], i)));
#define ADD(i)                                                                                                         \
    sum[i] = sum[i] * keep + (p.x * LOAD(v, at[0], i) + p.y * LOAD(v, at[1], i)) +                                      \
             (p.z * LOAD(v, at[2], i) + p.w * LOAD(v, at[3], i));

void main()
{
    uint me = invocation(); // [B,H,N]
    if (me >= n)
        return;
    uint query = me % queries, head = me / queries % heads, b = me / queries / heads, stride = heads * SIZE;
    uint from_q = (b * queries + query) * stride + head * SIZE, from_k = b * keys * stride + head * SIZE;
    uint seen = CAUSAL != 0 ? min(query + 1, keys) : keys;
    vec4 mine[PARTS], sum[PARTS];
    for (uint i = 0; i < PARTS; i++) {
        mine[i] = LOAD(q, from_q, i) * scale;
        sum[i] = vec4(0);
    }
    float most = -3.0e38, total = 0.0;
    for (uint key = 0; key < seen; key += 4) {
        vec4 s = vec4(0);
        uint at[4];
        for (uint j = 0; j < 4; j++)
            at[j] = from_k + min(key + j, seen - 1) * stride;
        for (uint i = 0; i < EIGHTS; i += 8) {
            SCORE(i) SCORE(i + 1) SCORE(i + 2) SCORE(i + 3) SCORE(i + 4) SCORE(i + 5) SCORE(i + 6) SCORE(i + 7)
        }
        for (uint i = EIGHTS; i < PARTS; i++) {
            SCORE(i)
        }
        for (uint j = 1; j < 4; j++)
            if (key + j >= seen)
                s[j] = -INFINITY;
        float higher = max(max(most, max(s.x, s.y)), max(s.z, s.w));
        float keep = exp_f32(most - higher);
        vec4 p = vec4(exp_f32(s.x - higher), exp_f32(s.y - higher), exp_f32(s.z - higher), exp_f32(s.w - higher));
        most = higher;
        total = total * keep + (p.x + p.y) + (p.z + p.w);
        for (uint i = 0; i < EIGHTS; i += 8) {
            ADD(i) ADD(i + 1) ADD(i + 2) ADD(i + 3) ADD(i + 4) ADD(i + 5) ADD(i + 6) ADD(i + 7)
        }
        for (uint i = EIGHTS; i < PARTS; i++) {
            ADD(i)
        }
    }
    for (uint i = 0; i < PARTS; i++)
        store(from_q, i, sum[i] / total);
}
