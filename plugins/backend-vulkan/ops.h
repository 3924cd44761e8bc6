/* Every op_NAME.c of this folder. */
#ifndef VQP_VULKAN_OPS_H
#define VQP_VULKAN_OPS_H
#include "kernels.h"

#define VK_OP(name)                                                                                                    \
    vqp_status vk_op_##name(struct vk_plan *plan, const struct vqp_program_view *p, uint32_t i, struct vqp_error *err)
#define VK_SUPPORTS(name)                                                                                              \
    int32_t vk_supports_##name(const struct vk_caps *caps, const struct vqp_program_view *p, uint32_t i)
VK_OP(add);
VK_SUPPORTS(add);

#endif
