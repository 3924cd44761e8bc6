/* The tests of kernels. Shapes are small, leave the last work group half empty, and reach every way through a kernel that depends on
 * them. */
#include "ops.h"
#include "selftest.h"

#define F32  1e-5
#define HALF 2e-3 /* a float16 result has 11 bits; so have the weights of an attention in some kernels */
#define LINEAR(k, rows, ins, outs, allow, half_in, half_result, ...)                                                   \
    {                                                                                                                  \
        .kernel = &vk_kernel_##k, .allowed = (allow), .half = (half_in), .half_out = (half_result),                    \
        .op = {VQP_OP_LINEAR, .u.linear = {VQP_ACT_GELU_SIGMOID}},                                                     \
        .in = {{2, {(rows), (ins)}}, {2, {(outs), (ins)}}, {1, {(outs)}}, __VA_ARGS__}, .out = {2, {(rows), (outs)}},  \
    }
#define LINEAR_Q8_0(k, rows, ins, outs, allow, half_in, half_result, ...)                                              \
    LINEAR(k, rows, ins, outs, allow, half_in, half_result, __VA_ARGS__, {0}, {2, {(outs), (ins) / 32}})
#define SDPA(k, queries, keys, heads_, size, allow, half_in, half_result)                                              \
    {                                                                                                                  \
        .kernel = &vk_kernel_##k, .allowed = (allow), .half = (half_in), .half_out = (half_result),                    \
        .op = {VQP_OP_SDPA, .u.sdpa = {.scale = 0.25F, .heads = (heads_)}},                                            \
        .in = {{3, {2, (queries), (int64_t)(heads_) * (size)}},                                                        \
               {3, {2, (keys), (int64_t)(heads_) * (size)}},                                                           \
               {3, {2, (keys), (int64_t)(heads_) * (size)}}},                                                          \
        .out = {3, {2, (queries), (int64_t)(heads_) * (size)}},                                                        \
    }
#define CONV2D(k, ins, outs, allow, half_in)                                                                           \
    {                                                                                                                  \
        .kernel = &vk_kernel_##k, .allowed = (allow), .half = (half_in),                                               \
        .op = {VQP_OP_CONV2D, .u.conv = {1, 1, 1, 1, 1, 1, VQP_ACT_SILU, 2}},                                          \
        .in = {{4, {1, 5, 4, (ins)}}, {4, {(outs), (ins), 3, 3}}, {1, {(outs)}}, {4, {1, 10, 8, (outs)}}},             \
        .out = {4, {1, 10, 8, (outs)}},                                                                                \
    }
#define LAYER_NORM(k, width, allow, half_result)                                                                       \
    {                                                                                                                  \
        .kernel = &vk_kernel_##k, .allowed = (allow), .half_out = (half_result),                                       \
        .op = {VQP_OP_LAYER_NORM, .u.norm = {.eps = 1e-5F}},                                                           \
        .in = {{2, {5, (width)}}, {1, {(width)}}, {1, {(width)}}, {2, {1, (int64_t)2 * (width)}}},                     \
        .out = {2, {5, (width)}},                                                                                      \
    }
#define GROUP_NORM(k, pixels, channels, allow, half_result)                                                            \
    {                                                                                                                  \
        .kernel = &vk_kernel_##k, .allowed = (allow), .half_out = (half_result),                                       \
        .op = {VQP_OP_GROUP_NORM, .u.norm = {.eps = 1e-6F, .groups = 2, .act = VQP_ACT_SILU}},                         \
        .in = {{3, {2, (pixels), (channels)}}, {1, {(channels)}}, {1, {(channels)}}},                                  \
        .out = {3, {2, (pixels), (channels)}},                                                                         \
    }

const struct vk_test vk_tests[] = {
    LINEAR(linear, 70, 36, 44, F32, 0, 0, {2, {70, 44}}),
    LINEAR(linear, 9, 7, 5, F32, 0, 0, {2, {9, 5}}),
    LINEAR(linear_f16, 70, 36, 44, F32, 0, 0, {2, {70, 44}}),
    LINEAR(linear_f16, 9, 20, 36, HALF, 1, 1),
    LINEAR(linear_texel, 21, 36, 44, F32, 0, 0, {2, {21, 44}}),
    LINEAR(linear_texel, 9, 7, 5, F32, 0, 0, {2, {9, 5}}),
    LINEAR(linear_texel, 9, 20, 36, HALF, 1, 1),
    LINEAR_Q8_0(linear_q8_0, 70, 64, 44, F32, 0, 0, {2, {70, 44}}),
    LINEAR_Q8_0(linear_q8_0, 9, 96, 5, F32, 0, 0, {2, {9, 5}}),
    LINEAR_Q8_0(linear_q8_0, 9, 32, 36, HALF, 1, 1, {2, {9, 36}}),
    LINEAR_Q8_0(linear_texel_q8_0, 21, 64, 44, F32, 0, 0, {2, {21, 44}}),
    LINEAR_Q8_0(linear_texel_q8_0, 9, 32, 36, HALF, 1, 1, {2, {9, 36}}),
    SDPA(sdpa, 37, 7, 2, 12, F32, 0, 0),
    SDPA(sdpa, 3, 9, 1, 5, F32, 0, 0),
    SDPA(sdpa_f16, 37, 7, 2, 12, HALF, 7, 1),
    SDPA(sdpa_f16, 3, 9, 2, 4, F32, 1, 0),
    SDPA(sdpa_texel, 37, 7, 2, 12, F32, 0, 0),
    SDPA(sdpa_texel, 3, 9, 1, 5, F32, 0, 0),
    SDPA(sdpa_texel, 37, 7, 2, 12, HALF, 7, 1),
    CONV2D(conv2d, 8, 36, F32, 0),
    CONV2D(conv2d, 3, 5, F32, 0),
    CONV2D(conv2d_f16, 8, 36, F32, 1),
    CONV2D(conv2d_texel, 8, 36, F32, 1),
    CONV2D(conv2d_texel, 3, 5, F32, 0),
    LINEAR(linear_coopmat, 66, 40, 44, F32, 0, 0, {2, {66, 44}}), /* coopmat.c: each number of rows another tile */
    LINEAR(linear_coopmat, 67, 40, 44, F32, 0, 0, {2, {67, 44}}),
    LINEAR(linear_coopmat, 68, 40, 44, F32, 0, 0, {2, {68, 44}}),
    LINEAR(linear_coopmat, 69, 40, 44, F32, 0, 0, {2, {69, 44}}),
    LINEAR(linear_coopmat, 70, 40, 44, F32, 0, 0, {2, {70, 44}}),
    LINEAR(linear_coopmat, 71, 40, 44, F32, 0, 0, {2, {71, 44}}),
    LINEAR(linear_coopmat, 19, 36, 21, F32, 0, 0),
    LINEAR(linear_coopmat, 40, 72, 24, HALF, 1, 1),
    SDPA(sdpa_coopmat, 37, 7, 2, 12, HALF, 0, 0),
    SDPA(sdpa_coopmat, 70, 101, 2, 88, HALF, 7, 1),
    CONV2D(conv2d_coopmat, 8, 36, F32, 1),
    CONV2D(conv2d_coopmat, 3, 5, F32, 0),
    LAYER_NORM(layer_norm, 37, F32, 0),
    LAYER_NORM(layer_norm_f16, 36, HALF, 1),
    LAYER_NORM(layer_norm_texel, 37, F32, 0),
    LAYER_NORM(layer_norm_texel_f16, 36, HALF, 1),
    GROUP_NORM(group_norm, 7, 6, F32, 0),
    GROUP_NORM(group_norm_f16, 7, 8, HALF, 1),
    GROUP_NORM(group_norm_texel, 7, 6, F32, 0),
    GROUP_NORM(group_norm_texel_f16, 7, 8, HALF, 1),
    {0},
};
