#include "check.h"
#include "half.h"
#include "q8_0.h"
#include <math.h>

static void rounds_to_the_blocks_scale(void)
{
    float x[96];
    int8_t q[96];
    uint16_t h[3];
    float scale[3];
    for (int i = 0; i < 96; i++)
        x[i] = i < 32 ? (float)(i - 16) / 7 : i < 64 ? 0 : 1e-3f * (float)(i % 5 - 2);
    CU_ASSERT_EQUAL(vqp_to_q8_0(x, 96, q, h), 0);
    vqp_to_floats(VQP_F16, h, scale, 3);
    CU_ASSERT_EQUAL(scale[1], 0);
    CU_ASSERT_EQUAL(q[0], -127); /* the largest of its block, -16 / 7 */
    for (int i = 0; i < 96; i++)
        CU_ASSERT_TRUE(fabsf(x[i] - (float)q[i] * scale[i / 32]) <=
                       0.505f * scale[i / 32] + 127 * 0x1p-12f * scale[i / 32]);
}

static void says_what_is_beyond_its_range(void)
{
    float x[32] = {1e7f};
    int8_t q[32];
    uint16_t h[1];
    CU_ASSERT_NOT_EQUAL(vqp_to_q8_0(x, 32, q, h), 0);
}

static void suits_matrices_that_linear_alone_reads(void)
{
    static const struct {
        const char *name;
        uint32_t dtype;
        struct vqp_shape shape;
        int suits;
    } rows[] = {
        {"blocks.0.attn1.to_q.weight", VQP_F32, {2, 0, {8, 64}}, 1},
        {"blocks.0.attn1.to_q.weight", VQP_F16, {2, 0, {8, 32}}, 1},
        {"blocks.0.attn1.to_q.weight", VQP_I32, {2, 0, {8, 64}}, 0},
        {"blocks.0.attn1.to_q.weight", VQP_F32, {2, 0, {8, 48}}, 0},
        {"blocks.0.attn1.to_q.bias", VQP_F32, {2, 0, {8, 64}}, 0},
        {"conv.weight", VQP_F32, {4, 0, {8, 64, 1, 1}}, 0},
        {"norm.weight", VQP_F32, {1, 0, {64}}, 0},
        {"latent_image_embedding.emb.weight", VQP_F32, {2, 0, {8, 64}}, 0},
        {"embeddings.token_embedding.weight", VQP_F32, {2, 0, {8, 64}}, 0},
        {"emb.linear.weight", VQP_F32, {2, 0, {8, 64}}, 1},
        {"weight", VQP_F32, {2, 0, {8, 64}}, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CU_ASSERT_EQUAL(vqp_q8_0_suits(rows[i].name, rows[i].dtype, &rows[i].shape), rows[i].suits);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"rounds to the scale of each block", rounds_to_the_blocks_scale},
        {"says what is beyond its range", says_what_is_beyond_its_range},
        {"suits matrices that linear alone reads", suits_matrices_that_linear_alone_reads},
    };
    return RUN_CASES("q8_0", cases);
}
