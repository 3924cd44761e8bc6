/* Which differences between two backends are a matter of the last bits, and which are not. */
#include "check.h"
#include "near_tie.h"

/* One op on at most 6 operands; value k + 1 is operand k. */
struct trial {
    struct vqp_val_info vals[8];
    struct vqp_op op;
    void *values[8];
    struct vqp_program_view view;
};

static void start(struct trial *t, uint32_t kind)
{
    *t = (struct trial){.op = {.kind = kind}};
    t->view = (struct vqp_program_view){
        .struct_size = sizeof t->view, .n_vals = 8, .n_ops = 1, .vals = t->vals, .ops = &t->op};
}

static void operand(struct trial *t, uint32_t k, uint32_t dtype, struct vqp_shape shape, void *data)
{
    t->vals[k + 1] = (struct vqp_val_info){.dtype = dtype, .shape = shape, .root = k + 1};
    t->values[k + 1] = data;
    t->op.in[k] = k + 1;
}

static int tie(const struct trial *t, uint64_t at, double first, double second)
{
    struct vqp_choice c = {&t->view, &t->op, t->values, at, first, second};
    return vqp_near_tie(&c);
}

static int32_t seed[2] = {1, 0}, eval[1] = {0};
static struct vqp_shape one = {1, 0, {1}};

static void tells_a_near_tie_of_a_draw_from_a_wrong_class(void)
{
    float logp[3] = {-1.0f, -1.0f, -1.01f}, noise[3] = {0.5f, 0.50001f, 0.5f};
    struct trial t;
    start(&t, VQP_OP_CATEGORICAL_SAMPLE);
    operand(&t, 0, VQP_F32, vqp_shape3(1, 1, 3), logp);
    operand(&t, 1, VQP_I32, vqp_shape2(1, 2), seed);
    operand(&t, 2, VQP_I32, one, eval);
    operand(&t, 3, VQP_F32, vqp_shape1(3), noise);
    CU_ASSERT_EQUAL(tie(&t, 0, 0, 1), 1);
    CU_ASSERT_EQUAL(tie(&t, 0, 0, 2), 0);
    CU_ASSERT_EQUAL(tie(&t, 0, 0, -1), 0);
    CU_ASSERT_EQUAL(tie(&t, 0, 3, 0), 0);
}

static void weighs_the_posterior_of_a_mask(void)
{
    /* x_t is the mask: every class has one column, so that equal probabilities tie; the mask itself is far likelier. */
    float logp[2] = {-0.6931472f, -0.6931472f}, noise[3] = {0.5f, 0.5f, 0.5f};
    float par[12] = {-0.1f, -5, -4, -3, -4, -0.1f, -2, -4, -0.2f, 0};
    int32_t tokens[1] = {2};
    struct trial t;
    start(&t, VQP_OP_POSTERIOR_SAMPLE);
    operand(&t, 0, VQP_F32, vqp_shape3(1, 1, 2), logp);
    operand(&t, 1, VQP_I32, vqp_shape2(1, 1), tokens);
    operand(&t, 2, VQP_F32, vqp_shape1(12), par);
    operand(&t, 3, VQP_I32, vqp_shape2(1, 2), seed);
    operand(&t, 4, VQP_I32, one, eval);
    operand(&t, 5, VQP_F32, vqp_shape1(3), noise);
    CU_ASSERT_EQUAL(tie(&t, 0, 0, 1), 1);
    CU_ASSERT_EQUAL(tie(&t, 0, 0, 2), 0);
    par[VQP_PAR_FINAL] = 1; /* two classes alone */
    CU_ASSERT_EQUAL(tie(&t, 0, 0, 1), 1);
    CU_ASSERT_EQUAL(tie(&t, 0, 0, 2), 0);
    logp[1] = -0.7f;
    CU_ASSERT_EQUAL(tie(&t, 0, 0, 1), 0);
}

static void forgives_a_cut_only_where_the_sum_reaches_the_rate(void)
{
    float logp[4] = {-0.6931472f, -1.3862944f, -2.0794415f, -2.0794415f}, rate[1] = {0.75f}; /* 1/2 1/4 1/8 1/8 */
    struct trial t;
    start(&t, VQP_OP_TRUNCATE);
    t.op.u.truncate.floor = -70;
    operand(&t, 0, VQP_F32, vqp_shape2(1, 4), logp);
    operand(&t, 1, VQP_F32, one, rate);
    CU_ASSERT_EQUAL(tie(&t, 2, -70, (double)logp[2]), 1);
    CU_ASSERT_EQUAL(tie(&t, 2, (double)logp[2], -70), 1);
    CU_ASSERT_EQUAL(tie(&t, 2, (double)logp[2], -3), 0);
    CU_ASSERT_EQUAL(tie(&t, 1, (double)logp[1], -70), 0);
    CU_ASSERT_EQUAL(tie(&t, 3, (double)logp[3], -70), 0);
}

static void forgives_codes_at_one_distance_and_levels_at_a_half(void)
{
    float x[2] = {0, 0}, table[6] = {1, 0, 0, 1, 0.9f, 0}, grey[2] = {0.5f, 0.51f}; /* 127.5, 130.05 */
    struct trial t;
    start(&t, VQP_OP_NEAREST_CODE);
    operand(&t, 0, VQP_F32, vqp_shape2(1, 2), x);
    operand(&t, 1, VQP_F32, vqp_shape2(3, 2), table);
    CU_ASSERT_EQUAL(tie(&t, 0, 0, 1), 1);
    CU_ASSERT_EQUAL(tie(&t, 0, 0, 2), 0);
    CU_ASSERT_EQUAL(tie(&t, 0, 0, 3), 0);
    start(&t, VQP_OP_TO_RGB);
    operand(&t, 0, VQP_F32, vqp_shape1(2), grey);
    CU_ASSERT_EQUAL(tie(&t, 0, 127, 128), 1);
    CU_ASSERT_EQUAL(tie(&t, 1, 130, 131), 0);
    start(&t, VQP_OP_ARG_MAX);
    operand(&t, 0, VQP_F32, vqp_shape1(2), grey);
    CU_ASSERT_EQUAL(tie(&t, 0, 0, 1), 0);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"tells a near-tie of a draw from a wrong class", tells_a_near_tie_of_a_draw_from_a_wrong_class},
        {"weighs the posterior of a mask", weighs_the_posterior_of_a_mask},
        {"forgives a cut only where the sum reaches the rate", forgives_a_cut_only_where_the_sum_reaches_the_rate},
        {"forgives codes at one distance and levels at a half", forgives_codes_at_one_distance_and_levels_at_a_half},
    };
    return RUN_CASES("near_tie", cases);
}
