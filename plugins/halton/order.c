#include "order.h"

/* floor(size * radical inverse of i in `base`), in integers. */
static uint32_t cell(uint64_t i, uint32_t base, uint32_t size)
{
    uint64_t digits = 0, whole = 1;
    for (; i; i /= base) {
        digits = digits * base + i % base;
        whole *= base;
    }
    return (uint32_t)(digits * size / whole);
}

void vqp_halton_order(uint32_t h, uint32_t w, int32_t *place)
{
    uint64_t n = (uint64_t)h * w, seen = 0;
    for (uint64_t k = 0; k < n; k++)
        place[k] = -1;
    /* Any cell holds a whole box of 1/2^a by 1/3^b with 2^a <= 4h and 3^b <= 6w, so that this ends within 24 n points. */
    for (uint64_t i = 1; seen < n; i++) {
        uint64_t at = (uint64_t)cell(i, 2, h) * w + cell(i, 3, w);
        if (place[at] < 0)
            place[at] = (int32_t)seen++;
    }
}
