#include "check.h"
#include <math.h>
#include <vqpipe/philox.h>

/* The known answers that come with the paper's own library, Random123. */
static void known_answers(void)
{
    static const struct {
        uint32_t ctr[4], key[2], out[4];
    } rows[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t ctr[4];
        memcpy(ctr, rows[i].ctr, sizeof ctr);
        vqp_philox4x32_10(ctr, rows[i].key[0], rows[i].key[1]);
        for (int k = 0; k < 4; k++)
            CU_ASSERT_EQUAL(ctr[k], rows[i].out[k]);
    }
}

static void unit_interval(void)
{
    CU_ASSERT_EQUAL(vqp_unit_float(0), 0x1p-24f);
    CU_ASSERT_EQUAL(vqp_unit_float(0xFFFFFFFFu), 1.0f - 0x1p-24f);
    CU_ASSERT_EQUAL(vqp_unit_float(0x80000000u), 0.5f + 0x1p-24f);
    CU_ASSERT(vqp_unit_float(0) > 0.0f && vqp_unit_float(0xFFFFFFFFu) < 1.0f);
    CU_ASSERT_EQUAL(vqp_unit_float(0x1FF), vqp_unit_float(0)); /* the low nine bits are not used */
    CU_ASSERT_NOT_EQUAL(vqp_unit_float(0x200), vqp_unit_float(0));
}

/* Counter and key are laid out as the header says; a swap of any two fields would show. */
static void layout(void)
{
    const uint64_t seed = 0x0123456789abcdefull;
    uint32_t ctr[4] = {11, 22, 33, 44};
    vqp_philox4x32_10(ctr, 0x89abcdefu, 0x01234567u);
    float u[4];
    vqp_uniform4(seed, 33, 44, 11, 22, u);
    for (int k = 0; k < 4; k++)
        CU_ASSERT_EQUAL(u[k], vqp_unit_float(ctr[k]));
}

static void one_or_four(void)
{
    for (uint32_t cls = 0; cls < 64; cls++) {
        float u[4];
        vqp_uniform4(7, 3, 1, 5, cls / 4, u);
        CU_ASSERT_EQUAL(vqp_uniform(7, 3, 1, 5, cls), u[cls % 4]);
    }
}

/* Mean and variance of 65536 numbers; the bounds are five standard errors. */
static void looks_uniform(void)
{
    double sum = 0, squares = 0;
    const int n = 65536;
    for (uint32_t i = 0; i < (uint32_t)n; i++) {
        double u = vqp_uniform(99, 0, 0, i / 256, i % 256);
        sum += u;
        squares += u * u;
    }
    double mean = sum / n, variance = squares / n - mean * mean;
    CU_ASSERT(fabs(mean - 0.5) < 5 * sqrt(1.0 / 12 / n));
    CU_ASSERT(fabs(variance - 1.0 / 12) < 5 * sqrt(1.0 / 180 / n));
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"gives Random123's known answers", known_answers}, {"maps bits strictly inside (0, 1)", unit_interval},
        {"lays out key and counter as documented", layout}, {"draws one number as it draws four", one_or_four},
        {"is uniform in mean and variance", looks_uniform},
    };
    return RUN_CASES("philox", cases);
}
