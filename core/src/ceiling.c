#include "ceiling.h"
#include "shape.h"
#include <stdlib.h>
#include <string.h>

static int same_value(const struct vqp_val_info *a, const struct vqp_val_info *b)
{
    int weight_a = a->role == VQP_VAL_WEIGHT, weight_b = b->role == VQP_VAL_WEIGHT;
    return a->dtype == b->dtype && weight_a == weight_b && vqp_shape_equal(&a->shape, &b->shape);
}

static int same_work(const struct vqp_program_view *p, const struct vqp_op *a, const struct vqp_program_view *q,
                     const struct vqp_op *b)
{
    if (a->kind != b->kind || a->flags != b->flags || memcmp(a->u.raw, b->u.raw, sizeof a->u.raw))
        return 0;
    for (int k = 0; k < VQP_OP_MAX_IN; k++)
        if (!a->in[k] != !b->in[k] || (a->in[k] && !same_value(&p->vals[a->in[k]], &q->vals[b->in[k]])))
            return 0;
    return 1;
}

vqp_status vqp_ceilings_add(struct vqp_ceilings *c, const struct vqp_piece *piece, uint32_t i, uint32_t *index,
                            struct vqp_error *err)
{
    const struct vqp_program_view *p = piece->view;
    const struct vqp_op *op = &p->ops[i];
    *index = UINT32_MAX;
    if (!VQP_HAS(piece->backend->v, ceiling) ||
        (op->kind != VQP_OP_LINEAR && op->kind != VQP_OP_CONV2D && op->kind != VQP_OP_SDPA))
        return VQP_OK;
    for (uint32_t k = 0; k < c->n; k++) {
        const struct vqp_program_view *q = c->item[k].piece->view;
        if (c->item[k].piece->backend == piece->backend && same_work(p, op, q, &q->ops[c->item[k].op])) {
            *index = k;
            return VQP_OK;
        }
    }
    if (c->n == c->cap) {
        uint32_t cap = c->cap ? 2 * c->cap : 32;
        struct vqp_ceiling *grown = reallocarray(c->item, cap, sizeof *grown);
        if (!grown)
            return vqp_fail(err, VQP_E_NOMEM, "measuring: out of memory");
        c->item = grown;
        c->cap = cap;
    }
    c->item[c->n] = (struct vqp_ceiling){.piece = piece, .op = i};
    *index = c->n++;
    return VQP_OK;
}

vqp_status vqp_ceilings_measure(struct vqp_ceilings *c, uint32_t first, uint32_t n, struct vqp_error *err)
{
    for (uint32_t k = first; k < first + n && k < c->n; k++) {
        struct vqp_ceiling *item = &c->item[k];
        const struct vqp_backend_instance *b = item->piece->backend;
        struct vqp_error e = {0};
        uint64_t ns = 0;
        if (item->rounds == VQP_CEILING_ROUNDS)
            continue;
        vqp_status st = b->v->ceiling(b->self, item->piece->view, item->op, &ns, &e);
        if (st)
            return vqp_fail(err, st, "backend (%s): %s", b->name, e.msg);
        item->seconds[item->rounds++] = 1e-9 * (double)ns;
        if (c->host && atomic_load(&c->host->cancelled))
            return vqp_fail(err, VQP_E_CANCELLED, "cancelled");
    }
    return VQP_OK;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double vqp_median(double *v, uint32_t n)
{
    qsort(v, n, sizeof *v, ascending);
    return (v[(n - 1) / 2] + v[n / 2]) / 2;
}

void vqp_ceiling_spread(const struct vqp_ceiling *c, double *median, double *low, double *high)
{
    double s[VQP_CEILING_ROUNDS];
    uint32_t n = c->rounds;
    *median = *low = *high = 0;
    if (!n)
        return;
    memcpy(s, c->seconds, n * sizeof *s);
    *median = vqp_median(s, n);
    *low = s[0];
    *high = s[n - 1];
}

void vqp_ceilings_free(struct vqp_ceilings *c)
{
    free(c->item);
    *c = (struct vqp_ceilings){0};
}
