#include "simd.h"

/* One pass over the keys with a running maximum and sum (Dao et al. 2022; Milakov, Gimelshein 2018): scores exist for a tile of ROWS
 * queries and KEY_BLOCK keys only. Each head's keys and values are packed once an item, so that both products are the tile product of
 * tile.h. In precision bf16 the operands of both are pairs of bfloat16 where the processor multiplies them (AVX512_BF16). */

#define TILE_BF16 0
#include "tile.h"
#undef TILE_BF16
#if defined(__AVX512BF16__)
#define TILE_BF16 1
#include "tile.h"
#undef TILE_BF16
#endif

ISA_SCRATCH(sdpa)
{
    struct slots s = *(const struct slots *)n->own;
#if defined(__AVX512BF16__)
    if (s.bf16)
        return s.slots * slot_bytes_bf16(n);
#endif
    return s.slots * slot_bytes_f32(n);
}

ISA_RUN(sdpa)
{
    struct slots s = *(const struct slots *)n->own;
#if defined(__AVX512BF16__)
    if (s.bf16) {
        run_bf16(x, n, s.slots);
        return;
    }
#endif
    run_f32(x, n, s.slots);
}
