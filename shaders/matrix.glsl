// Products on matrix units: result[rows,outs] = residual + gate * act(A weight^T + bias), A [rows,terms] and weight [outs,terms] as float16,
// sums in float32. A shader includes this, defines row_of and load_row, and calls product().
//
// A work group makes TILE_M rows by TILE_N columns; its subgroups share them out, a rectangle of fragments each. TILE_K terms at a time
// go from memory to registers, to shared memory, to fragments. With STAGES 2 the loads for the next terms are on their way while these are
// multiplied, and one barrier is enough. coopmat.c chooses the tiles and counts the bytes.
#include "load8.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint THREADS = 128;
layout(constant_id = 1) const uint SUBGROUP = 32;
layout(constant_id = 2) const uint TILE_M = 128;
layout(constant_id = 3) const uint TILE_N = 128;
layout(constant_id = 4) const uint TILE_K = 32;
layout(constant_id = 5) const uint ACROSS = 2; // subgroups side by side
layout(constant_id = 6) const uint FRAGMENT_M = 16;
layout(constant_id = 7) const uint FRAGMENT_N = 16;
layout(constant_id = 8) const uint FRAGMENT_K = 16;
layout(constant_id = 9) const uint STAGES = 2;
layout(constant_id = 10) const uint SHARED = 2560;   // vectors of shared memory
layout(constant_id = 11) const uint ROWS_FIRST = 1;  // neighbouring work groups make different rows, not columns
layout(constant_id = 12) const uint VECTORS = 0;     // a row of A and of the weight is whole vectors of 8
layout(constant_id = 13) const uint OUT_VECTORS = 0; // outs is a multiple of 4
layout(constant_id = 14) const uint A_F16 = 0;       // A and the result are stored as float16
layout(constant_id = 15) const uint RESULT_F16 = 0;
layout(constant_id = 16) const uint BIAS = 0;
layout(constant_id = 17) const uint ACT = 0;
layout(constant_id = 18) const uint RESIDUAL = 0;
layout(constant_id = 19) const uint GATE = 0; // 1: [O], 2: as the result

const uint WEIGHT_F16 = 1;
LOADED(0, a, VECTORS, A_F16)
LOADED(1, weight, VECTORS, WEIGHT_F16)
layout(set = 0, binding = 2) readonly buffer Bias4 { vec4 bias4[]; };
layout(set = 0, binding = 2) readonly buffer Bias { float bias[]; };
layout(set = 0, binding = 3) readonly buffer Residual4 { vec4 residual4[]; };
layout(set = 0, binding = 3) readonly buffer Residual { float residual[]; };
layout(set = 0, binding = 4) readonly buffer Gate4 { vec4 gate4[]; };
layout(set = 0, binding = 4) readonly buffer Gate { float gate[]; };
layout(set = 0, binding = 5) writeonly buffer Result32x4 { vec4 result_f32x4[]; };
layout(set = 0, binding = 5) writeonly buffer Result32 { float result_f32[]; };
layout(set = 0, binding = 5) writeonly buffer Result16x4 { f16vec4 result_f16x4[]; };
layout(set = 0, binding = 5) writeonly buffer Result16 { float16_t result_f16[]; };

// Rows in shared memory are one vector longer than their terms: so the rows of a fragment lie in different banks.
const uint PARTS = TILE_K / 8, STRIDE = PARTS + 1, STAGE = (TILE_M + TILE_N) * STRIDE;
const uint LOADS_A = (TILE_M * PARTS + THREADS - 1) / THREADS, LOADS_B = (TILE_N * PARTS + THREADS - 1) / THREADS;
const uint SUBGROUPS = THREADS / SUBGROUP, OWN_M = TILE_M / (SUBGROUPS / ACROSS), OWN_N = TILE_N / ACROSS;
const uint DOWN = OWN_M / FRAGMENT_M, WIDE = OWN_N / FRAGMENT_N;
const uint OUT_STRIDE = OWN_N / 4 + 1;
shared uvec4 stage[SHARED];

ivec4 row_of(uint row);              // what stays the same along a row of A
uvec4 load_row(ivec4 row, uint k);   // A[row][k ... k+7]; k is a multiple of 8; zeros from `terms` on

void finish4(uint row, uint column, uint outs, vec4 v) // OUT_VECTORS
{
    uint at = (row * outs + column) / 4;
    if (BIAS != 0)
        v += bias4[column / 4];
    v = vec4(activate(ACT, v.x), activate(ACT, v.y), activate(ACT, v.z), activate(ACT, v.w));
    if (GATE != 0)
        v *= gate4[GATE == 1 ? column / 4 : at];
    if (RESIDUAL != 0)
        v += residual4[at];
    if (RESULT_F16 != 0)
        result_f16x4[at] = f16vec4(v);
    else
        result_f32x4[at] = v;
}

void finish1(uint row, uint column, uint outs, float v)
{
    uint at = row * outs + column;
    v = activate(ACT, BIAS != 0 ? v + bias[column] : v);
    if (GATE != 0)
        v *= gate[GATE == 1 ? column : at];
    if (RESIDUAL != 0)
        v += residual[at];
    if (RESULT_F16 != 0)
        result_f16[at] = float16_t(v);
    else
        result_f32[at] = v;
}

void product(uint rows, uint terms, uint outs)
{
    uint me = gl_LocalInvocationID.x, lane = gl_SubgroupInvocationID, down = gl_SubgroupID / ACROSS * OWN_M, across = gl_SubgroupID % ACROSS * OWN_N;
    uint row0 = (ROWS_FIRST != 0 ? gl_WorkGroupID.x : gl_WorkGroupID.y) * TILE_M, column0 = (ROWS_FIRST != 0 ? gl_WorkGroupID.y : gl_WorkGroupID.x) * TILE_N;
    coopmat<float, gl_ScopeSubgroup, FRAGMENT_M, FRAGMENT_N, gl_MatrixUseAccumulator> sum[DOWN * WIDE];
    [[unroll]] for (uint i = 0; i < DOWN * WIDE; i++)
        sum[i] = coopmat<float, gl_ScopeSubgroup, FRAGMENT_M, FRAGMENT_N, gl_MatrixUseAccumulator>(0.0);

    // Rows beyond the end are the last row once more: what comes of them is thrown away.
    ivec4 row[LOADS_A];
    uint from[LOADS_B];
    uvec4 a[LOADS_A], b[LOADS_B];
    [[unroll]] for (uint i = 0; i < LOADS_A; i++)
        row[i] = row_of(min(row0 + (me + i * THREADS) / PARTS, rows - 1));
    [[unroll]] for (uint i = 0; i < LOADS_B; i++)
        from[i] = min(column0 + (me + i * THREADS) / PARTS, outs - 1) * terms;

    uint current = 0;
    for (uint k0 = 0; k0 < terms + TILE_K; k0 += TILE_K) {
        // The terms from k0 on come from memory; those before them, in shared memory already, are multiplied.
        bool more = k0 < terms;
        if (more) {
            [[unroll]] for (uint i = 0; i < LOADS_A; i++)
                a[i] = load_row(row[i], k0 + (me + i * THREADS) % PARTS * 8);
            [[unroll]] for (uint i = 0; i < LOADS_B; i++) {
                uint k = k0 + (me + i * THREADS) % PARTS * 8;
                b[i] = load_weight(from[i] + k, int(terms) - int(k));
            }
        }
        if (k0 > 0) {
            uint at_a = current * STAGE + down * STRIDE, at_b = current * STAGE + (TILE_M + across) * STRIDE;
            [[unroll]] for (uint k = 0; k < TILE_K; k += FRAGMENT_K) {
                coopmat<float16_t, gl_ScopeSubgroup, FRAGMENT_M, FRAGMENT_K, gl_MatrixUseA> fa[DOWN];
                coopmat<float16_t, gl_ScopeSubgroup, FRAGMENT_K, FRAGMENT_N, gl_MatrixUseB> fb;
                [[unroll]] for (uint i = 0; i < DOWN; i++)
                    coopMatLoad(fa[i], stage, at_a + i * FRAGMENT_M * STRIDE + k / 8, STRIDE, gl_CooperativeMatrixLayoutRowMajor);
                [[unroll]] for (uint j = 0; j < WIDE; j++) {
                    coopMatLoad(fb, stage, at_b + j * FRAGMENT_N * STRIDE + k / 8, STRIDE, gl_CooperativeMatrixLayoutColumnMajor);
                    [[unroll]] for (uint i = 0; i < DOWN; i++)
                        sum[i * WIDE + j] = coopMatMulAdd(fa[i], fb, sum[i * WIDE + j]);
                }
            }
            current = STAGES - 1 - current;
            if (STAGES == 1)
                barrier();
        }
        if (more) {
            [[unroll]] for (uint i = 0; i < LOADS_A; i++) {
                uint at = me + i * THREADS;
                if ((i + 1) * THREADS <= TILE_M * PARTS || at < TILE_M * PARTS)
                    stage[current * STAGE + at / PARTS * STRIDE + at % PARTS] = a[i];
            }
            [[unroll]] for (uint i = 0; i < LOADS_B; i++) {
                uint at = me + i * THREADS;
                if ((i + 1) * THREADS <= TILE_N * PARTS || at < TILE_N * PARTS)
                    stage[current * STAGE + (TILE_M + at / PARTS) * STRIDE + at % PARTS] = b[i];
            }
        }
        barrier();
    }

    // A strip of fragments at a time through shared memory, each subgroup through its own part, so that rows are written in one go.
    uint own = gl_SubgroupID * FRAGMENT_M * OUT_STRIDE;
    [[unroll]] for (uint i = 0; i < DOWN; i++) {
        [[unroll]] for (uint j = 0; j < WIDE; j++)
            coopMatStore(sum[i * WIDE + j], stage, own + j * (FRAGMENT_N / 4), OUT_STRIDE, gl_CooperativeMatrixLayoutRowMajor);
        subgroupBarrier();
        for (uint n = lane; n < FRAGMENT_M * OWN_N / 4; n += SUBGROUP) {
            uint r = n / (OWN_N / 4), c = n % (OWN_N / 4), to = row0 + down + i * FRAGMENT_M + r, column = column0 + across + 4 * c;
            vec4 v = uintBitsToFloat(stage[own + r * OUT_STRIDE + c]);
            if (to >= rows || column >= outs)
                continue;
            if (OUT_VECTORS != 0)
                finish4(to, column, outs, v);
            else
                for (uint e = 0; e < min(4, outs - column); e++)
                    finish1(to, column + e, outs, v[e]);
        }
        subgroupBarrier();
    }
}
