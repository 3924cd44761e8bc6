#include "check.h"
#include "crc32.h"

static unsigned char noise[5000];

/* Bit by bit, as the polynomial says. */
static uint32_t by_definition(uint32_t crc, const unsigned char *p, size_t n)
{
    crc = ~crc;
    for (; n; p++, n--) {
        crc ^= *p;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    return ~crc;
}

static void known_values(void)
{
    CU_ASSERT_EQUAL(vqp_crc32(0, "123456789", 9), 0xCBF43926u);
    CU_ASSERT_EQUAL(vqp_crc32_tables(0, "123456789", 9), 0xCBF43926u);
    CU_ASSERT_EQUAL(vqp_crc32(0, NULL, 0), 0);
}

static void all_lengths(void)
{
    unsigned wrong = 0;
    for (size_t n = 0; n < 1200; n++) {
        uint32_t start = (uint32_t)(n * 2654435761u), right = by_definition(start, noise + n % 67, n);
        wrong += vqp_crc32(start, noise + n % 67, n) != right;
        wrong += vqp_crc32_tables(start, noise + n % 67, n) != right;
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void in_pieces(void)
{
    uint32_t whole = vqp_crc32(0, noise, sizeof noise), pieces = 0;
    for (size_t at = 0, n; at < sizeof noise; at += n) {
        n = at % 251 + 1 < sizeof noise - at ? at % 251 + 1 : sizeof noise - at;
        pieces = vqp_crc32(pieces, noise + at, n);
    }
    CU_ASSERT_EQUAL(pieces, whole);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"gives the published check value", known_values},
        {"agrees with the definition at every length and start", all_lengths},
        {"may be taken piece by piece", in_pieces},
    };
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (unsigned char)(i * i * 31 + i / 7);
    return RUN_CASES("crc32", cases);
}
