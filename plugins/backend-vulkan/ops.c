#include "ops.h"

const struct vk_op vk_ops[VQP_OP_PLAIN_END] = {
    [VQP_OP_ADD] = {vk_op_add, vk_supports_add},
};
