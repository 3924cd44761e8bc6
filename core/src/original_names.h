/* The tables of names behind original.c. */
#ifndef VQP_ORIGINAL_NAMES_H
#define VQP_ORIGINAL_NAMES_H
#include "original.h"

/* In `from`, # is a number and * at the end the rest; in `to` they stand for what was there, and ~ for a number counted from the other
 * end. `to` NULL: of no use. thirds: the tensor is three, stacked, and @ in `to` is q, k and v. */
struct vqp_original_name {
    const char *from, *to;
    int thirds;
};
/* Where a part may lie in a file: behind `prefix`, if `prefix``marker` is there; and behind `second` too. */
struct vqp_original_place {
    const char *prefix, *second;
};
struct vqp_original_layout {
    const char *marker;
    const struct vqp_original_place *places; /* the first that is there is taken; ends with prefix NULL */
    const struct vqp_original_name *names;   /* ends with from NULL */
    const char *levels;                      /* what ~ counts: the pattern of a name with that number; or NULL */
};
extern const struct vqp_original_layout vqp_original_layouts[VQP_ORIGINAL_N_PARTS];

/* `name` by one row, into `out`; 0 where it does not match. third: 0..2, for @. */
int vqp_original_rename(const struct vqp_original_name *row, const char *name, unsigned levels, unsigned third,
                        char *out, size_t size);
/* 1 if `name` matches the pattern; its first number into *number. */
int vqp_original_match(const char *pattern, const char *name, unsigned *number);

#endif
