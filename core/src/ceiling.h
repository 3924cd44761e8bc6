/* How fast matrix products are alone (vqp_backend_vtbl.ceiling), asked once for all ops of one shape, in several rounds. */
#ifndef VQP_CEILING_H
#define VQP_CEILING_H
#include "session.h"

enum {
    VQP_CEILING_ROUNDS = 21 /* at most */
};
struct vqp_ceiling {
    const struct vqp_piece *piece;
    uint32_t op, rounds; /* one op of this shape, and how often it was asked for */
    double seconds[VQP_CEILING_ROUNDS];
};
struct vqp_ceilings { /* zero-initialised: empty */
    struct vqp_ceiling *item;
    uint32_t n, cap;
    const struct vqp_pipe_host *host; /* asked whether to go on; may be NULL */
};

/* The index of the entry for op i of a piece, made where no op of its backend, kind, parameters, dtypes and shapes has one.
 * *index UINT32_MAX: this op has no matrix product, or its backend no ceilings. */
vqp_status vqp_ceilings_add(struct vqp_ceilings *c, const struct vqp_piece *piece, uint32_t i, uint32_t *index,
                            struct vqp_error *err);
/* One round of the entries first .. first+n-1, those that have had all rounds left out. */
vqp_status vqp_ceilings_measure(struct vqp_ceilings *c, uint32_t first, uint32_t n, struct vqp_error *err);
/* Of v[n], n > 0, which it sorts. */
double vqp_median(double *v, uint32_t n);
/* The median, least and most of an entry's rounds; 0 where there was none. */
void vqp_ceiling_spread(const struct vqp_ceiling *c, double *median, double *low, double *high);
void vqp_ceilings_free(struct vqp_ceilings *c);

#endif
