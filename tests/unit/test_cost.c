/* FLOPs and bytes of ops, counted by hand. */
#include "builder.h"
#include "check.h"
#include "cost.h"

#define P &vqp_program_api_table, program

static const struct vqp_program_api *const api = &vqp_program_api_table;
static vqp_program *program;
static float data[4096];
static uint16_t half[4096];

/* Every tensor is 6 x 8 of f16. */
static vqp_status weight(void *ctx, const char *owner, const char *name, struct vqp_tensor_view *out,
                         struct vqp_error *err)
{
    (void)ctx;
    (void)owner;
    (void)name;
    (void)err;
    *out = (struct vqp_tensor_view){
        .dtype = VQP_F16, .shape = vqp_shape2(6, 8), .data = half, .bytes = sizeof *half * 6 * 8};
    return VQP_OK;
}

static void begin(void)
{
    static const struct vqp_builder_env env = {.weight = weight};
    program = vqp_program_create("test", &env);
    CU_ASSERT_PTR_NOT_NULL_FATAL(program);
}

static vqp_val input(const char *name, uint32_t dtype, struct vqp_shape s)
{
    return api->input(program, name, dtype, &s);
}

static vqp_val constant(struct vqp_shape s)
{
    return api->constant(program, "c", VQP_F32, &s, data);
}

/* Seals; the cost of op i where v is its output. */
static void check(vqp_val v, uint32_t i, double flops, double bytes)
{
    struct vqp_error err = {0};
    if (v)
        api->output(program, "out", v);
    vqp_status st = vqp_program_seal(program, &err);
    if (st)
        printf("\n    %s\n", err.msg);
    CU_ASSERT_EQUAL_FATAL(st, VQP_OK);
    struct vqp_cost c = vqp_op_cost(vqp_program_view(program), i);
    if (c.flops != flops || c.bytes != bytes)
        printf("\n    %s: %g flops, %g bytes, expected %g, %g\n", vqp_op_name(vqp_program_view(program)->ops[i].kind),
               c.flops, c.bytes, flops, bytes);
    CU_ASSERT_EQUAL(c.flops, flops);
    CU_ASSERT_EQUAL(c.bytes, bytes);
    vqp_program_destroy(program);
}

static void counts_matrix_products(void)
{
    begin();
    vqp_val x = input("x", VQP_F32, vqp_shape3(2, 5, 8));
    vqp_val w = api->weight(program, "w"), bias = constant(vqp_shape1(6));
    vqp_val residual = input("r", VQP_F32, vqp_shape3(2, 5, 6));
    check(vqp_linear_full(P, x, w, bias, residual, 0, VQP_ACT_SILU), 0, 2.0 * 60 * 8,
          80 * 4 + 48 * 2 + 6 * 4 + 60 * 4 + 60 * 4);

    begin();
    vqp_val q = input("q", VQP_F32, vqp_shape3(2, 5, 8)), k = input("k", VQP_F32, vqp_shape3(2, 7, 8));
    check(vqp_sdpa(P, q, k, k, 2, 1.0f, 0), 0, 4.0 * 2 * 8 * 5 * 7, (80 + 112 + 80) * 4); /* k read once */

    begin();
    q = input("q", VQP_F32, vqp_shape3(2, 5, 8));
    check(vqp_sdpa(P, q, q, q, 2, 1.0f, 1), 0, 4.0 * 2 * 8 * 15, 160 * 4);

    begin();
    struct vqp_conv2d_params c = {.pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1, .groups = 2};
    x = input("x", VQP_F32, vqp_shape4(1, 4, 4, 6));
    check(vqp_conv2d(P, x, constant(vqp_shape4(4, 3, 3, 3)), 0, 0, &c), 0, 2.0 * 64 * 27, (96 + 108 + 64) * 4);
}

static void counts_what_norms_are_given(void)
{
    begin();
    vqp_val x = input("x", VQP_F32, vqp_shape3(2, 3, 4));
    check(vqp_layer_norm(P, x, 0, 0, 0, 0, 1e-5f), 0, 7 * 24, 48 * 4);
    begin();
    x = input("x", VQP_F32, vqp_shape3(2, 3, 4));
    vqp_val table = input("t", VQP_F32, vqp_shape2(100, 8)), row = input("row", VQP_I32, vqp_shape1(1));
    check(vqp_layer_norm(P, x, constant(vqp_shape1(4)), 0, table, row, 1e-5f), 0, 11 * 24, (48 + 4 + 8 + 1) * 4);
    begin();
    x = input("x", VQP_F32, vqp_shape3(2, 3, 4));
    check(vqp_rms_norm(P, x, constant(vqp_shape1(4)), constant(vqp_shape1(4)), 0, 0, 1e-5f), 0, 6 * 24, 56 * 4);
    begin();
    x = input("x", VQP_F32, vqp_shape3(2, 3, 4));
    check(vqp_group_norm(P, x, 0, 0, 2, 1e-6f, VQP_ACT_SILU), 0, 11 * 24, 48 * 4);
}

static void counts_of_tables_only_what_is_taken(void)
{
    begin();
    vqp_val ids = input("ids", VQP_I32, vqp_shape2(2, 3));
    check(vqp_embedding(P, ids, constant(vqp_shape2(100, 4)), constant(vqp_shape2(9, 4))), 0, 24,
          (6 + 24 + 12 + 24) * 4);
    begin();
    ids = input("ids", VQP_I32, vqp_shape1(3));
    check(vqp_codebook(P, ids, api->weight(program, "w")), 0, 0, 3 * 4 + 24 * 2 + 24 * 4);
    begin();
    vqp_val table = input("t", VQP_F32, vqp_shape2(100, 12)), index = input("i", VQP_I32, vqp_shape1(1));
    check(vqp_take(P, table, index), 0, 0, (12 + 1 + 12) * 4);
}

static void counts_draws_guidance_and_plain_ops(void)
{
    begin();
    vqp_val logits = input("l", VQP_F32, vqp_shape3(2, 3, 5)), guide = input("g", VQP_F32, vqp_shape1(1));
    check(vqp_guide_log_softmax(P, logits, guide), 0, 4 * 30 + 7 * 15, (30 + 1 + 15) * 4);
    begin();
    vqp_val logp = input("l", VQP_F32, vqp_shape3(1, 3, 5)), seed = input("s", VQP_I32, vqp_shape2(1, 2));
    vqp_val eval = input("e", VQP_I32, vqp_shape1(1)), of_sample;
    check(vqp_categorical_sample(P, logp, seed, eval, 0, 0, &of_sample), 0, 6 * 15, (15 + 2 + 1 + 3 + 3) * 4);
    begin();
    seed = input("s", VQP_I32, vqp_shape2(1, 2));
    eval = input("e", VQP_I32, vqp_shape1(1));
    check(vqp_gumbel(P, seed, eval, input("x", VQP_I32, vqp_shape2(1, 6)), 0, 0), 0, 4 * 6, (2 + 1 + 6) * 4);
    begin();
    vqp_val a = input("a", VQP_F32, vqp_shape2(3, 5)), b = input("b", VQP_F32, vqp_shape1(5));
    check(vqp_binary(P, VQP_OP_MUL, a, b), 0, 15, (15 + 5 + 15) * 4);
    begin();
    check(vqp_to_rgb(P, input("a", VQP_F32, vqp_shape2(3, 5))), 0, 45, 15 * 4 + 15);
}

static void counts_what_is_kept(void)
{
    struct vqp_shape s = vqp_shape1(6), one = vqp_shape1(1);
    begin();
    vqp_store(P, api->state(program, "s", VQP_I32, &s, NULL), input("v", VQP_I32, s));
    check(0, 0, 0, 12 * 4);
    begin();
    vqp_advance(P, api->state(program, "n", VQP_I32, &one, NULL));
    check(0, 0, 1, 8);
}

static void adds_up_a_program(void)
{
    begin();
    vqp_val x = input("x", VQP_F32, vqp_shape2(5, 8));
    vqp_val y = vqp_linear(P, x, api->weight(program, "w"), 0, 0);
    api->output(program, "out", vqp_unary(P, VQP_OP_EXP, y));
    CU_ASSERT_EQUAL_FATAL(vqp_program_seal(program, NULL), VQP_OK);
    struct vqp_cost c = vqp_program_cost(vqp_program_view(program));
    CU_ASSERT_EQUAL(c.flops, 2 * 30 * 8 + 30);
    CU_ASSERT_EQUAL(c.bytes, 40 * 4 + 48 * 2 + 30 * 4 + 60 * 4);
    CU_ASSERT_TRUE(c.products);
    CU_ASSERT_FALSE(vqp_op_cost(vqp_program_view(program), 1).products);
    vqp_program_destroy(program);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"counts matrix products", counts_matrix_products},
        {"counts what norms are given", counts_what_norms_are_given},
        {"counts of tables only what is taken", counts_of_tables_only_what_is_taken},
        {"counts draws, guidance and plain ops", counts_draws_guidance_and_plain_ops},
        {"counts what is kept", counts_what_is_kept},
        {"adds up a program", adds_up_a_program},
    };
    return RUN_CASES("cost", cases);
}
