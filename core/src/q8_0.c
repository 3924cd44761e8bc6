#include "q8_0.h"
#include "half.h"
#include <math.h>
#include <string.h>

int vqp_q8_0_suits(const char *name, uint32_t dtype, const struct vqp_shape *shape)
{
    const char *last = strrchr(name, '.');
    if ((dtype != VQP_F32 && dtype != VQP_F16 && dtype != VQP_BF16) || shape->rank != 2 ||
        shape->dim[1] < VQP_Q8_BLOCK || shape->dim[1] % VQP_Q8_BLOCK || !last || strcmp(last, ".weight"))
        return 0;
    const char *owner = last;
    while (owner > name && owner[-1] != '.')
        owner--;
    for (const char *s = owner; s + 3 <= last; s++)
        if (!strncmp(s, "emb", 3))
            return 0;
    return 1;
}

int vqp_to_q8_0(const float *from, size_t n, int8_t *entries, uint16_t *scales)
{
    int lost = 0;
    for (size_t i = 0; i < n; i += VQP_Q8_BLOCK) {
        float most = 0, scale;
        for (size_t k = i; k < i + VQP_Q8_BLOCK; k++)
            most = fabsf(from[k]) > most ? fabsf(from[k]) : most;
        scale = most / 127;
        lost |= vqp_from_floats(VQP_F16, &scale, &scales[i / VQP_Q8_BLOCK], 1);
        vqp_to_floats(VQP_F16, &scales[i / VQP_Q8_BLOCK], &scale, 1);
        for (size_t k = i; k < i + VQP_Q8_BLOCK; k++) {
            float q = scale > 0 ? roundf(from[k] / scale) : 0;
            entries[k] = (int8_t)(q > 127 ? 127 : q < -127 ? -127 : q);
        }
    }
    return lost;
}
