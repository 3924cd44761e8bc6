#include "host_piece.h"
#include <stdlib.h>

static vqp_status need_host(struct vqp_slot *slot, struct vqp_error *err)
{
    if (!slot->host && !(slot->host = calloc(1, slot->bytes)))
        return vqp_fail(err, VQP_E_NOMEM, "compiling: out of memory");
    return VQP_OK;
}

/* Where the value's bytes are: a view's where its root's are. */
static void *data_of(const struct vqp_piece *piece, vqp_val v)
{
    vqp_val root = piece->view->vals[v].root;
    for (uint32_t i = 0; i < piece->n_bound; i++)
        if (piece->bound[i].val == root)
            return piece->bound[i].slot->host;
    return (void *)piece->view->vals[v].data; /* a weight or a constant, in[].data: only read */
}

vqp_status vqp_host_piece_prepare(struct vqp_piece *piece, struct vqp_error *err)
{
    struct vqp_host_piece *h = piece->host;
    const struct vqp_op *op = piece->view->ops; /* the call's own, though n_ops is 0 */
    vqp_status st = VQP_OK;
    for (uint32_t i = 0; !st && i < piece->n_bound; i++)
        st = need_host(piece->bound[i].slot, err);
    for (uint32_t k = 0; !st && k < h->call->n_in; k++) {
        const struct vqp_val_info *v = &piece->view->vals[op->in[k]];
        h->in[k] = (struct vqp_tensor_view){
            .dtype = v->dtype, .shape = v->shape, .data = data_of(piece, op->in[k]), .bytes = v->bytes};
    }
    for (uint32_t k = 0; !st && k < h->call->n_out; k++)
        h->out[k] = data_of(piece, op->out[k]);
    return st;
}

vqp_status vqp_host_piece_run(struct vqp_piece *piece, struct vqp_error *err)
{
    const struct vqp_host_piece *h = piece->host;
    struct vqp_error e = {0};
    vqp_status st = h->call->fn(h->call->self, h->in, h->out, &e);
    if (st == VQP_E_CANCELLED)
        return vqp_fail(err, st, "cancelled");
    if (!st)
        return VQP_OK;
    const char *key = h->who ? h->who->key : "core", *use = h->who ? h->who->use : "host call";
    if (st > 0 || st < VQP_E_INTERNAL)
        return vqp_fail(err, VQP_E_PLUGIN, "%s (%s): %s, \"%s\": returned %d, which is no status", key, use, h->scope,
                        h->call->name, (int)st);
    return vqp_fail(err, st, "%s (%s): %s, \"%s\": %s", key, use, h->scope, h->call->name,
                    *e.msg ? e.msg : "it failed and does not say why");
}
