#include "check.h"
#include "half.h"
#include <math.h>
#include <vqpipe/base.h>

/* The nearest 16-bit float by search, ties to even; `exponent` and `fraction` bits; values through ldexp. */
static double value_of(uint16_t h, int exponent, int fraction)
{
    int e = h >> fraction & ((1 << exponent) - 1), bias = (1 << (exponent - 1)) - 1;
    double m = h & ((1 << fraction) - 1);
    return e ? ldexp(m + (1 << fraction), e - bias - fraction) : ldexp(m, 1 - bias - fraction);
}

static void every_half(void)
{
    unsigned wrong = 0;
    for (uint32_t h = 0; h < 65536; h++) {
        uint16_t in = (uint16_t)h, out;
        float f, b;
        vqp_to_floats(VQP_F16, &in, &f, 1);
        vqp_to_floats(VQP_BF16, &in, &b, 1);
        if ((h & 0x7C00) != 0x7C00)
            wrong += (double)f != (h & 0x8000 ? -1 : 1) * value_of(h & 0x7FFF, 5, 10);
        else
            wrong += (unsigned)((h & 0x3FF) ? !isnan(f) : !isinf(f));
        wrong += !(h & 0x8000) != !signbit(f);
        if ((h & 0x7F80) != 0x7F80)
            wrong += (double)b != (h & 0x8000 ? -1 : 1) * value_of(h & 0x7FFF, 8, 7);
        if (!isnan(f)) {
            CU_ASSERT_EQUAL(vqp_from_floats(VQP_F16, &f, &out, 1), 0);
            wrong += out != in;
        }
        if (!isnan(b)) {
            CU_ASSERT_EQUAL(vqp_from_floats(VQP_BF16, &b, &out, 1), 0);
            wrong += out != in;
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* Between two neighbours: below the middle, the middle, above it. */
static void rounding(void)
{
    static const struct {
        uint32_t dtype;
        int exponent, fraction;
        uint16_t last;
    } kinds[] = {{VQP_F16, 5, 10, 0x7BFF}, {VQP_BF16, 8, 7, 0x7F7F}};
    unsigned wrong = 0;
    for (size_t k = 0; k < 2; k++)
        for (uint16_t h = 0; h < kinds[k].last; h++) {
            double low = value_of(h, kinds[k].exponent, kinds[k].fraction),
                   high = value_of((uint16_t)(h + 1), kinds[k].exponent, kinds[k].fraction);
            float middle = (float)((low + high) / 2);
            float x[3] = {nextafterf(middle, 0), middle, nextafterf(middle, INFINITY)};
            uint16_t out[3], even = h & 1 ? (uint16_t)(h + 1) : h;
            CU_ASSERT_EQUAL(vqp_from_floats(kinds[k].dtype, x, out, 3), 0);
            wrong += out[0] != h || out[1] != even || out[2] != h + 1;
        }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void range(void)
{
    static const struct {
        uint32_t dtype;
        float x;
        int lost;
        uint16_t out;
    } rows[] = {
        {VQP_F16, 65504, 0, 0x7BFF},    {VQP_F16, 65519.99f, 0, 0x7BFF}, {VQP_F16, 65520, 1, 0x7C00},
        {VQP_F16, -1e30f, 1, 0xFC00},   {VQP_F16, INFINITY, 0, 0x7C00},  {VQP_F16, -INFINITY, 0, 0xFC00},
        {VQP_F16, NAN, 0, 0x7E00},      {VQP_F16, 1e-30f, 0, 0},         {VQP_F16, -1e-30f, 0, 0x8000},
        {VQP_BF16, 3.4e38f, 1, 0x7F80}, {VQP_BF16, 3.38e38f, 0, 0x7F7E}, {VQP_BF16, INFINITY, 0, 0x7F80},
        {VQP_BF16, NAN, 0, 0x7FC0},     {VQP_BF16, -3.4e38f, 1, 0xFF80},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint16_t out;
        CU_ASSERT_EQUAL(vqp_from_floats(rows[i].dtype, &rows[i].x, &out, 1), rows[i].lost);
        if (out != rows[i].out)
            printf("\n    row %zu: %04x instead of %04x\n", i, out, rows[i].out);
        CU_ASSERT_EQUAL(out, rows[i].out);
    }
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"every 16-bit float is its value, there and back", every_half},
        {"rounds to the nearest, ties to even", rounding},
        {"tells where a number left the range, and keeps infinities and NaN", range},
    };
    return RUN_CASES("half", cases);
}
