/* The order in which the halton scheduler visits the grid. */
#ifndef VQP_HALTON_ORDER_H
#define VQP_HALTON_ORDER_H
#include <stdint.h>

/* place[row * w + column] = when the cell is first visited, from 0, by the points (radical inverse of i in base 2, in base 3) for
 * i = 1, 2, ...: the first coordinate goes down the rows, the second along the columns. */
void vqp_halton_order(uint32_t h, uint32_t w, int32_t *place);

#endif
