#version 450
#include "load8.glsl"
#extension GL_KHR_shader_subgroup_shuffle : require
// Flash attention (Dao et al. 2022) on matrix units. A subgroup keeps ROWS queries and what they have added up, in fragments; a work group
// goes through the keys KEYS at a time, which all its subgroups read from shared memory. A head of any size is filled up with zeros there, 88 to 96.
// Scores, softmax and sums are float32; only the factors are float16. A result wider than COLUMNS is made by several work groups, which
// each compute the scores. op_sdpa_coopmat.c chooses.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint THREADS = 128;
layout(constant_id = 1) const uint SUBGROUP = 32;
layout(constant_id = 2) const uint FRAGMENT_M = 16;
layout(constant_id = 3) const uint FRAGMENT_N = 16;
layout(constant_id = 4) const uint FRAGMENT_K = 16;
layout(constant_id = 5) const uint KEYS = 64;
layout(constant_id = 6) const uint SIZE = 88;    // of a head
layout(constant_id = 7) const uint PADDED = 96;  // to whole fragments
layout(constant_id = 8) const uint COLUMNS = 96; // of a head's result that a work group makes
layout(constant_id = 9) const uint SHARED = 3072;
layout(constant_id = 10) const uint VECTORS = 0; // SIZE is a multiple of 8
layout(constant_id = 11) const uint CAUSAL = 0;
layout(constant_id = 12) const uint Q_F16 = 0;
layout(constant_id = 13) const uint K_F16 = 0;
layout(constant_id = 14) const uint V_F16 = 0;
layout(constant_id = 15) const uint RESULT_F16 = 0;
LOADED(0, q, VECTORS, Q_F16)
LOADED(1, k, VECTORS, K_F16)
LOADED(2, v, VECTORS, V_F16)
layout(set = 0, binding = 3) writeonly buffer Result32x4 { vec4 result_f32x4[]; };
layout(set = 0, binding = 3) writeonly buffer Result32 { float result_f32[]; };
layout(set = 0, binding = 3) writeonly buffer Result16x4 { f16vec4 result_f16x4[]; };
layout(set = 0, binding = 3) writeonly buffer Result16 { float16_t result_f16[]; };
layout(push_constant) uniform Push
{
    uint queries, keys, heads;
    float scale; // times log2(e)
};

const uint ROWS = FRAGMENT_M, SUBGROUPS = THREADS / SUBGROUP;
const uint DEEP = PADDED / FRAGMENT_K, WIDE = COLUMNS / FRAGMENT_N, ACROSS = KEYS / FRAGMENT_N;
// In shared memory, in vectors: rows are one longer than they need, so that those of a fragment lie in different banks.
const uint K_STRIDE = PADDED / 8 + 1, V_STRIDE = COLUMNS / 8 + 1, S_STRIDE = KEYS / 4 + 1, F_STRIDE = FRAGMENT_N / 4 + 1;
const uint FIRST_V = KEYS * K_STRIDE, FIRST_S = FIRST_V + KEYS * V_STRIDE, OWN = ROWS * (S_STRIDE + F_STRIDE);
const uint LOADS_K = (KEYS * PADDED / 8 + THREADS - 1) / THREADS, LOADS_V = (KEYS * COLUMNS / 8 + THREADS - 1) / THREADS;
// Softmax: SPLIT invocations share a row, or each has several.
const uint SPLIT = SUBGROUP > ROWS ? SUBGROUP / ROWS : 1, EACH = ROWS > SUBGROUP ? ROWS / SUBGROUP : 1, EIGHTS = KEYS / 8 / SPLIT;
shared uvec4 stage[SHARED];

#define Sums coopmat<float, gl_ScopeSubgroup, FRAGMENT_M, FRAGMENT_N, gl_MatrixUseAccumulator>
#define Left coopmat<float16_t, gl_ScopeSubgroup, FRAGMENT_M, FRAGMENT_K, gl_MatrixUseA>
#define Right coopmat<float16_t, gl_ScopeSubgroup, FRAGMENT_K, FRAGMENT_N, gl_MatrixUseB>

// A number for each row as a fragment whose columns are all the same, to multiply sums with.
void spread(uint to, float factor)
{
    for (uint c = gl_SubgroupInvocationID % SPLIT; c < FRAGMENT_N / 4; c += SPLIT)
        stage[to + c] = floatBitsToUint(vec4(factor));
}

void main()
{
    uint me = gl_LocalInvocationID.x, lane = gl_SubgroupInvocationID, b = gl_WorkGroupID.y / heads, head = gl_WorkGroupID.y % heads;
    uint query0 = gl_WorkGroupID.x * SUBGROUPS * ROWS, mine0 = query0 + gl_SubgroupID * ROWS, column0 = gl_WorkGroupID.z * COLUMNS;
    uint stride = heads * SIZE, from_q = b * queries * stride + head * SIZE, from_k = b * keys * stride + head * SIZE;
    uint own = FIRST_S + gl_SubgroupID * OWN, factors = own + ROWS * S_STRIDE;

    Left fq[DEEP];
    [[unroll]] for (uint d = 0; d < DEEP; d++) {
        for (uint n = lane; n < ROWS * FRAGMENT_K / 8; n += SUBGROUP) {
            uint r = n / (FRAGMENT_K / 8), c = d * FRAGMENT_K + n % (FRAGMENT_K / 8) * 8;
            stage[own + n] = load_q(from_q + min(mine0 + r, queries - 1) * stride + c, int(SIZE) - int(c));
        }
        subgroupBarrier();
        coopMatLoad(fq[d], stage, own, FRAGMENT_K / 8, gl_CooperativeMatrixLayoutRowMajor);
        subgroupBarrier();
    }

    Sums sum[WIDE];
    [[unroll]] for (uint c = 0; c < WIDE; c++)
        sum[c] = Sums(0.0);
    float most[EACH], total[EACH];
    [[unroll]] for (uint e = 0; e < EACH; e++) {
        most[e] = -1.0e30; // finite: nothing seen yet is no NaN
        total[e] = 0.0;
    }

    uvec4 some_k[LOADS_K], some_v[LOADS_V];
    uint end = CAUSAL != 0 ? min(keys, query0 + SUBGROUPS * ROWS) : keys;
    // Step 0 brings the first keys. Each later one multiplies what is in shared memory while the next is on its way from memory.
    for (uint next = 0; next < end + KEYS; next += KEYS) {
        uint key0 = next - KEYS;
        if (next > 0) {
            [[unroll]] for (uint i = 0; i < LOADS_V; i++) {
                uint at = me + i * THREADS, key = key0 + at / (COLUMNS / 8), c = column0 + at % (COLUMNS / 8) * 8;
                some_v[i] = load_v(from_k + min(key, keys - 1) * stride + c, key < keys ? int(SIZE) - int(c) : 0);
            }
            [[unroll]] for (uint j = 0; j < ACROSS; j++) {
                Sums s = Sums(0.0);
                [[unroll]] for (uint d = 0; d < DEEP; d++) {
                    Right fk;
                    coopMatLoad(fk, stage, j * FRAGMENT_N * K_STRIDE + d * (FRAGMENT_K / 8), K_STRIDE, gl_CooperativeMatrixLayoutColumnMajor);
                    s = coopMatMulAdd(fq[d], fk, s);
                }
                coopMatStore(s, stage, own + j * (FRAGMENT_N / 4), S_STRIDE, gl_CooperativeMatrixLayoutRowMajor);
            }
            subgroupBarrier();
            [[unroll]] for (uint e = 0; e < EACH; e++) {
                uint r = lane / SPLIT + e * SUBGROUP, row = own + r * S_STRIDE, part = lane % SPLIT;
                uint seen = CAUSAL != 0 ? min(mine0 + r + 1, keys) : keys;
                vec4 s[2 * EIGHTS];
                float higher = most[e], more = 0.0;
                [[unroll]] for (uint n = 0; n < 2 * EIGHTS; n++) {
                    uint at = 2 * (part + n / 2 * SPLIT) + n % 2;
                    s[n] = uintBitsToFloat(stage[row + at]) * scale;
                    [[unroll]] for (uint x = 0; x < 4; x++)
                        if (key0 + 4 * at + x >= seen)
                            s[n][x] = -INFINITY;
                    higher = max(max(higher, max(s[n].x, s[n].y)), max(s[n].z, s[n].w));
                }
                for (uint d = 1; d < SPLIT; d *= 2)
                    higher = max(higher, subgroupShuffleXor(higher, d));
                [[unroll]] for (uint n = 0; n < 2 * EIGHTS; n++) {
                    s[n] = exp2(s[n] - higher);
                    more += (s[n].x + s[n].y) + (s[n].z + s[n].w);
                }
                for (uint d = 1; d < SPLIT; d *= 2)
                    more += subgroupShuffleXor(more, d);
                subgroupBarrier(); // the scores are read: probabilities take their place
                [[unroll]] for (uint n = 0; n < EIGHTS; n++)
                    stage[row + part + n * SPLIT] = pack8(s[2 * n], s[2 * n + 1]);
                float keep = exp2(most[e] - higher);
                spread(factors + r * F_STRIDE, keep);
                total[e] = total[e] * keep + more;
                most[e] = higher;
            }
            [[unroll]] for (uint i = 0; i < LOADS_V; i++) {
                uint at = me + i * THREADS;
                if ((i + 1) * THREADS <= KEYS * COLUMNS / 8 || at < KEYS * COLUMNS / 8)
                    stage[FIRST_V + at / (COLUMNS / 8) * V_STRIDE + at % (COLUMNS / 8)] = some_v[i];
            }
        }
        if (next < end) {
            [[unroll]] for (uint i = 0; i < LOADS_K; i++) {
                uint at = me + i * THREADS, key = next + at / (PADDED / 8), c = at % (PADDED / 8) * 8;
                some_k[i] = load_k(from_k + min(key, keys - 1) * stride + c, key < keys ? int(SIZE) - int(c) : 0);
            }
        }
        barrier(); // values are there; no subgroup reads keys
        if (next < end) {
            [[unroll]] for (uint i = 0; i < LOADS_K; i++) {
                uint at = me + i * THREADS;
                if ((i + 1) * THREADS <= KEYS * PADDED / 8 || at < KEYS * PADDED / 8)
                    stage[at / (PADDED / 8) * K_STRIDE + at % (PADDED / 8)] = some_k[i];
            }
        }
        if (next > 0) {
            Sums keep;
            coopMatLoad(keep, stage, factors, F_STRIDE, gl_CooperativeMatrixLayoutRowMajor);
            [[unroll]] for (uint c = 0; c < WIDE; c++)
                sum[c] = sum[c] * keep;
            [[unroll]] for (uint t = 0; t < KEYS / FRAGMENT_K; t++) {
                Left fp;
                coopMatLoad(fp, stage, own + t * (FRAGMENT_K / 8), S_STRIDE, gl_CooperativeMatrixLayoutRowMajor);
                [[unroll]] for (uint c = 0; c < WIDE; c++) {
                    Right fv;
                    coopMatLoad(fv, stage, FIRST_V + t * FRAGMENT_K * V_STRIDE + c * (FRAGMENT_N / 8), V_STRIDE, gl_CooperativeMatrixLayoutRowMajor);
                    sum[c] = coopMatMulAdd(fp, fv, sum[c]);
                }
            }
        }
        barrier(); // keys are there; no subgroup reads values
    }

    [[unroll]] for (uint e = 0; e < EACH; e++)
        spread(factors + (lane / SPLIT + e * SUBGROUP) * F_STRIDE, 1.0 / total[e]);
    subgroupBarrier();
    Sums share;
    coopMatLoad(share, stage, factors, F_STRIDE, gl_CooperativeMatrixLayoutRowMajor);
    [[unroll]] for (uint c0 = 0; c0 < WIDE; c0 += ACROSS) {
        [[unroll]] for (uint j = 0; j < ACROSS; j++)
            if (c0 + j < WIDE)
                coopMatStore(sum[c0 + j] * share, stage, own + j * (FRAGMENT_N / 4), S_STRIDE, gl_CooperativeMatrixLayoutRowMajor);
        subgroupBarrier();
        for (uint n = lane; n < ROWS * KEYS / 4; n += SUBGROUP) {
            uint r = n / (KEYS / 4), c = n % (KEYS / 4), column = c0 * FRAGMENT_N + 4 * c;
            if (mine0 + r >= queries || column >= COLUMNS || column0 + column >= SIZE)
                continue;
            uint to = from_q + (mine0 + r) * stride + column0 + column;
            vec4 x = uintBitsToFloat(stage[own + r * S_STRIDE + c]);
            if (VECTORS != 0 && RESULT_F16 != 0)
                result_f16x4[to / 4] = f16vec4(x);
            else if (VECTORS != 0)
                result_f32x4[to / 4] = x;
            else
                for (uint i = 0; i < min(4, SIZE - column0 - column); i++)
                    if (RESULT_F16 != 0)
                        result_f16[to + i] = float16_t(x[i]);
                    else
                        result_f32[to + i] = x[i];
        }
        subgroupBarrier();
    }
}
