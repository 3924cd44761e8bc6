/* Takes back the macros of product.h. */
#undef NAME
#undef PAIR
#undef MULTIPLY_ADD
#undef TILE_PRODUCT
