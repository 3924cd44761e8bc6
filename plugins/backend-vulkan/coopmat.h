/* Products on matrix units (cooperative matrices), for the ops that use shaders/matrix.glsl: which tile, and what the shader is told. */
#ifndef VQP_VULKAN_COOPMAT_H
#define VQP_VULKAN_COOPMAT_H
#include "kernel.h"

/* Multiply-adds of one op beyond which a driver on the processor would take minutes: left to the plain tier. */
#define VK_MOST_EMULATED (1u << 27)

struct vk_tile {
    uint32_t m, n, k;           /* of a work group: rows, columns, terms at a time */
    uint32_t subgroups, across; /* subgroups of a work group; how many of them side by side */
    uint32_t stages;            /* 2: the next terms are loaded while these are multiplied */
    uint32_t shared_bytes;      /* exactly what the shader takes */
    struct vk_coopmat fragment; /* what a subgroup multiplies at once */
};

/* The tile for a product with so many rows and columns: of those that fit this device the one that should take least time. A function of its
 * arguments alone, so that a device gives the same bits every time. 0: none fits. */
int vk_tile_choose(const struct vk_caps *caps, uint32_t rows, uint32_t outs, struct vk_tile *out);

#if defined(                                                                                                           \
    VK_TEST_HOOK) /* of the test: fills m, n, k, subgroups and across, and returns 1, to have this tile and no other */
int vk_test_tile(struct vk_tile *out);
#endif

/* A product with its epilogue: what a shader that includes matrix.glsl computes. */
struct vk_product {
    const struct vk_kernel *kernel;
    uint32_t rows, terms, outs;
    uint32_t vectors;                                /* rows of A and of the weight are whole vectors of 8 */
    uint32_t act, gate_form;                         /* VQP_ACT_*; 0: no gate, 1: [O], 2: as the result */
    vqp_val a, weight, bias, residual, gate, result; /* 0: none; a, weight and result are there */
    struct vk_form form;                             /* of the weight: [outs,terms] as float16 */
    const void *push;
    uint32_t push_bytes;
};
/* As a tier of an op: 0 where this device, program or product is not for matrix units. */
int32_t vk_product_emit(struct vk_plan *plan, const struct vk_product *product);

#endif
