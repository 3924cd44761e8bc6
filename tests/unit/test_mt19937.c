#include "check.h"
#include "mt19937.h"

/* The first two are the reference implementation's published outputs for its default seed 5489; the 10000th is the value that the C++
 * standard requires of std::mt19937. */
static void reference_outputs(void)
{
    static uint32_t bits[10000];
    struct vqp_mt19937 g;
    vqp_mt19937_seed(&g, 5489);
    vqp_mt19937_fill(&g, bits, 10000);
    CU_ASSERT_EQUAL(bits[0], 3499211612u);
    CU_ASSERT_EQUAL(bits[1], 581869302u);
    CU_ASSERT_EQUAL(bits[9999], 4123659995u);
}

/* torch.rand(1005, generator=torch.Generator().manual_seed(SEED)) times 2^24: draws 0..4 and 1000..1002. */
static void torch_rand(void)
{
    static const struct {
        uint64_t seed; /* torch takes 64 bits and uses the low 32 */
        uint32_t first[5], later[3];
    } rows[] = {
        {0, {8325804, 12888623, 1484405, 2215104, 5157699}, {7675431, 1846506, 8337019}},
        {5, {13929315, 2115790, 15224815, 13756093, 15436774}, {9795114, 5167726, 4425907}},
        {(1ull << 40) + 5, {13929315, 2115790, 15224815, 13756093, 15436774}, {9795114, 5167726, 4425907}},
        {(1ull << 63) + 123, {4967934, 8666477, 4222334, 11552066, 1241052}, {8134678, 5122599, 7211583}},
        {0xFFFFFFFFu, {16673187, 9584930, 9563148, 830535, 16660404}, {263985, 14357944, 175562}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        float u[1005];
        struct vqp_mt19937 g;
        vqp_mt19937_seed(&g, (uint32_t)rows[i].seed);
        vqp_mt19937_uniform(&g, u, 1005);
        for (int k = 0; k < 5; k++)
            CU_ASSERT_EQUAL(u[k], (float)rows[i].first[k] * 0x1p-24f);
        for (int k = 0; k < 3; k++)
            CU_ASSERT_EQUAL(u[1000 + k], (float)rows[i].later[k] * 0x1p-24f);
    }
}

static void seed_zero_by_eye(void)
{
    static const float shown[] = {0.4963f, 0.7682f, 0.0885f, 0.1320f, 0.3074f};
    float u[5];
    struct vqp_mt19937 g;
    vqp_mt19937_seed(&g, 0);
    vqp_mt19937_uniform(&g, u, 5);
    for (int i = 0; i < 5; i++)
        CU_ASSERT_DOUBLE_EQUAL(u[i], shown[i], 5e-5);
}

static void one_stream(void)
{
    uint32_t whole[2000], parts[2000];
    struct vqp_mt19937 a, b;
    vqp_mt19937_seed(&a, 42);
    vqp_mt19937_seed(&b, 42);
    vqp_mt19937_fill(&a, whole, 2000);
    for (uint32_t at = 0, n = 1; at < 2000; at += n, n = n * 3 % 1000)
        vqp_mt19937_fill(&b, parts + at, at + n < 2000 ? n : 2000 - at);
    CU_ASSERT_EQUAL(memcmp(whole, parts, sizeof whole), 0);

    float u;
    vqp_mt19937_uniform(&a, &u, 1);
    vqp_mt19937_fill(&b, whole, 1);
    CU_ASSERT_EQUAL(u, (float)(whole[0] & 0xFFFFFF) * 0x1p-24f);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"gives the reference implementation's outputs", reference_outputs},
        {"gives torch.rand's floats, also for seeds above 32 bits and after 1000 draws", torch_rand},
        {"begins with 0.4963 0.7682 0.0885 for seed 0", seed_zero_by_eye},
        {"is one stream however it is drawn", one_stream},
    };
    return RUN_CASES("mt19937", cases);
}
