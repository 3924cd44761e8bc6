#include "crc32.h"
#include <pthread.h>

enum {
    LANES = 8
};
static uint32_t tables[LANES][256]; /* tables[k][b]: byte b followed by k zero bytes */
static pthread_once_t made = PTHREAD_ONCE_INIT;

static void make_tables(void)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t r = b;
        for (int bit = 0; bit < 8; bit++)
            r = r >> 1 ^ (r & 1 ? 0xEDB88320u : 0);
        tables[0][b] = r;
    }
    for (uint32_t b = 0; b < 256; b++)
        for (int k = 1; k < LANES; k++)
            tables[k][b] = tables[k - 1][b] >> 8 ^ tables[0][tables[k - 1][b] & 255];
}

/* On the register itself, without the inversions at both ends. */
static uint32_t run_tables(uint32_t r, const unsigned char *p, size_t n)
{
    for (; n >= LANES; p += LANES, n -= LANES) {
        uint32_t low = r ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
        r = tables[7][low & 255] ^ tables[6][low >> 8 & 255] ^ tables[5][low >> 16 & 255] ^ tables[4][low >> 24] ^
            tables[3][p[4]] ^ tables[2][p[5]] ^ tables[1][p[6]] ^ tables[0][p[7]];
    }
    for (; n; p++, n--)
        r = r >> 8 ^ tables[0][(r ^ *p) & 255];
    return r;
}

uint32_t vqp_crc32_tables(uint32_t crc, const void *data, size_t n)
{
    pthread_once(&made, make_tables);
    return ~run_tables(~crc, data, n);
}

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

/* x moved on by as many bits as the two constants stand for, plus what is there. */
__attribute__((target("pclmul"))) static __m128i fold(__m128i x, __m128i by, const unsigned char *p)
{
    __m128i low = _mm_clmulepi64_si128(x, by, 0x00), high = _mm_clmulepi64_si128(x, by, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), _mm_loadu_si128((const __m128i *)(const void *)p));
}

/* Four registers of 16 bytes walk over the data; what is left, 16 bytes of the same remainder, goes through the tables. The
 * constants are x^(512+32), x^(512-32), x^(128+32) and x^(128-32) modulo the polynomial, bits reversed. At least 64 bytes. */
__attribute__((target("pclmul"))) static uint32_t run_folding(uint32_t r, const unsigned char *p, size_t n)
{
    const __m128i by64 = _mm_set_epi64x(0x1c6e41596, 0x154442bd4), by16 = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0);
    __m128i x[4];
    unsigned char rest[16];
    for (size_t i = 0; i < 4; i++)
        x[i] = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
    x[0] = _mm_xor_si128(x[0], _mm_cvtsi32_si128((int)r));
    for (p += 64, n -= 64; n >= 64; p += 64, n -= 64)
        for (size_t i = 0; i < 4; i++)
            x[i] = fold(x[i], by64, p + 16 * i);
    for (size_t i = 1; i < 4; i++) {
        _mm_storeu_si128((__m128i *)(void *)rest, x[i]);
        x[0] = fold(x[0], by16, rest);
    }
    for (; n >= 16; p += 16, n -= 16)
        x[0] = fold(x[0], by16, p);
    _mm_storeu_si128((__m128i *)(void *)rest, x[0]);
    return run_tables(run_tables(0, rest, sizeof rest), p, n);
}

uint32_t vqp_crc32(uint32_t crc, const void *data, size_t n)
{
    if (n < 64 || !__builtin_cpu_supports("pclmul"))
        return vqp_crc32_tables(crc, data, n);
    pthread_once(&made, make_tables);
    return ~run_folding(~crc, data, n);
}
#else
uint32_t vqp_crc32(uint32_t crc, const void *data, size_t n)
{
    return vqp_crc32_tables(crc, data, n);
}
#endif
