#include "transformer.h"

#define NORM_EPS 1e-5f

vqp_val vqp_transformer_linear(const struct transformer *m, vqp_program *p, vqp_val x, const char *name, int64_t in,
                               int64_t out, uint32_t with_bias, vqp_val residual, uint32_t act)
{
    vqp_val weight = vqp_tensor_shaped(m->api, p, vqp_name("%s.weight", name).s, vqp_shape2(out, in));
    vqp_val bias = with_bias ? vqp_tensor_shaped(m->api, p, vqp_name("%s.bias", name).s, vqp_shape1(out)) : 0;
    return vqp_linear_full(m->api, p, x, weight, bias, residual, 0, act);
}

vqp_val vqp_transformer_norm(const struct transformer *m, vqp_program *p, vqp_val x, const char *name)
{
    vqp_val weight = vqp_tensor_shaped(m->api, p, vqp_name("%s.weight", name).s, vqp_shape1(m->width));
    vqp_val bias = vqp_tensor_shaped(m->api, p, vqp_name("%s.bias", name).s, vqp_shape1(m->width));
    return vqp_layer_norm(m->api, p, x, weight, bias, 0, 0, NORM_EPS);
}

vqp_val vqp_transformer_ada_norm(const struct transformer *m, vqp_program *p, vqp_val x, vqp_val table, vqp_val row)
{
    return vqp_layer_norm(m->api, p, x, 0, 0, table, row, NORM_EPS);
}

vqp_val vqp_transformer_modulation(const struct transformer *m, vqp_program *p, vqp_val emb, const char *name)
{
    vqp_val silu = vqp_binary(m->api, p, VQP_OP_MUL, emb, vqp_unary(m->api, p, VQP_OP_SIGMOID, emb));
    return vqp_transformer_linear(m, p, silu, vqp_name("%s.linear", name).s, m->width, 2 * m->width, 1, 0,
                                  VQP_ACT_NONE);
}
