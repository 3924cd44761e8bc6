/* Ceilings are asked for once a shape, in rounds. */
#include "ceiling.h"
#include "check.h"

static const struct vqp_program_api *const api = &vqp_program_api_table;
#define P &vqp_program_api_table, program

static float data[64];
static uint64_t answers[VQP_CEILING_ROUNDS + 4]; /* nanoseconds, one a question */
static uint32_t asked, fail_at = UINT32_MAX;

static vqp_status fake_ceiling(void *self, const struct vqp_program_view *p, uint32_t i, uint64_t *ns,
                               struct vqp_error *err)
{
    (void)self;
    CU_ASSERT_TRUE(i < p->n_ops);
    if (asked == fail_at)
        return vqp_fail(err, VQP_E_NOMEM, "no room");
    *ns = answers[asked++];
    return VQP_OK;
}

static const struct vqp_backend_vtbl with = {.struct_size = sizeof with, .ceiling = fake_ceiling};
static const struct vqp_backend_vtbl shorter = {.struct_size = offsetof(struct vqp_backend_vtbl, ceiling),
                                                .ceiling = fake_ceiling};

/* linear [4,8], linear [4,8], exp, linear [2,8], sdpa */
static vqp_program *record(void)
{
    vqp_program *program = vqp_program_create("step", NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(program);
    struct vqp_shape four = vqp_shape2(4, 8), two = vqp_shape2(2, 8), square = vqp_shape2(8, 8),
                     three = vqp_shape3(1, 4, 8);
    vqp_val x = api->input(program, "x", VQP_F32, &four), y = api->input(program, "y", VQP_F32, &two);
    vqp_val v = api->constant(program, "v", VQP_F32, &square, data),
            w = api->constant(program, "w", VQP_F32, &square, data);
    vqp_val a = vqp_linear(P, x, v, 0, VQP_ACT_NONE), b = vqp_linear(P, a, w, 0, VQP_ACT_NONE);
    vqp_val e = vqp_unary(P, VQP_OP_EXP, b);
    api->output(program, "other", vqp_linear(P, y, v, 0, VQP_ACT_NONE));
    e = api->view(program, e, &three);
    api->output(program, "out", vqp_sdpa(P, e, e, e, 2, 1.0f, 0));
    CU_ASSERT_EQUAL_FATAL(vqp_program_seal(program, NULL), VQP_OK);
    CU_ASSERT_EQUAL_FATAL(vqp_program_view(program)->n_ops, 5);
    return program;
}

static void asks_once_for_each_shape_and_round(void)
{
    vqp_program *program = record();
    struct vqp_backend_instance backend = {.v = &with, .name = "fake"};
    struct vqp_piece piece = {.view = vqp_program_view(program), .backend = &backend};
    struct vqp_ceilings c = {0};
    uint32_t index[5];
    double median, low, high;
    for (uint32_t i = 0; i < 5; i++)
        CU_ASSERT_EQUAL(vqp_ceilings_add(&c, &piece, i, &index[i], NULL), VQP_OK);
    CU_ASSERT_EQUAL(c.n, 3);
    CU_ASSERT_EQUAL(index[0], index[1]);
    CU_ASSERT_EQUAL(index[2], UINT32_MAX);
    CU_ASSERT_NOT_EQUAL(index[3], index[0]);
    CU_ASSERT_NOT_EQUAL(index[4], index[3]);
    vqp_ceiling_spread(&c.item[index[0]], &median, &low, &high);
    CU_ASSERT_TRUE(median == 0 && low == 0 && high == 0);
    asked = 0;
    for (uint32_t round = 0; round < VQP_CEILING_ROUNDS + 2; round++) {
        if (asked < VQP_CEILING_ROUNDS)
            answers[asked] = (uint64_t)1000 * (2 * VQP_CEILING_ROUNDS - round);
        CU_ASSERT_EQUAL(vqp_ceilings_measure(&c, 0, 1, NULL), VQP_OK);
    }
    CU_ASSERT_EQUAL(asked, VQP_CEILING_ROUNDS);
    vqp_ceiling_spread(&c.item[0], &median, &low, &high);
    CU_ASSERT_DOUBLE_EQUAL(low, 1e-6 * (VQP_CEILING_ROUNDS + 1), 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(median, 1e-6 * (1.5 * VQP_CEILING_ROUNDS + 0.5), 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(high, 2e-6 * VQP_CEILING_ROUNDS, 1e-12);
    CU_ASSERT_EQUAL(c.item[1].rounds, 0);
    vqp_ceilings_free(&c);
    vqp_program_destroy(program);
}

static void asks_nothing_of_an_older_backend(void)
{
    vqp_program *program = record();
    struct vqp_backend_instance backend = {.v = &shorter, .name = "older"};
    struct vqp_piece piece = {.view = vqp_program_view(program), .backend = &backend};
    struct vqp_ceilings c = {0};
    uint32_t index = 0;
    CU_ASSERT_EQUAL(vqp_ceilings_add(&c, &piece, 0, &index, NULL), VQP_OK);
    CU_ASSERT_EQUAL(index, UINT32_MAX);
    CU_ASSERT_EQUAL(c.n, 0);
    vqp_ceilings_free(&c);
    vqp_program_destroy(program);
}

static void keeps_backends_apart_and_names_the_one_that_fails(void)
{
    vqp_program *program = record();
    struct vqp_backend_instance a = {.v = &with, .name = "fake"}, b = {.v = &with, .name = "other"};
    const struct vqp_program_view *view = vqp_program_view(program);
    struct vqp_piece first = {.view = view, .backend = &a}, second = {.view = view, .backend = &b};
    struct vqp_ceilings c = {0};
    struct vqp_error err = {0};
    uint32_t i = 0, k = 0;
    vqp_ceilings_add(&c, &first, 0, &i, NULL);
    vqp_ceilings_add(&c, &second, 0, &k, NULL);
    CU_ASSERT_NOT_EQUAL(i, k);
    asked = 0;
    fail_at = 1;
    CU_ASSERT_EQUAL(vqp_ceilings_measure(&c, 0, c.n, &err), VQP_E_NOMEM);
    CU_ASSERT_STRING_EQUAL(err.msg, "backend (other): no room");
    fail_at = UINT32_MAX;
    vqp_ceilings_free(&c);
    vqp_program_destroy(program);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"asks once for each shape and round", asks_once_for_each_shape_and_round},
        {"asks nothing of an older backend", asks_nothing_of_an_older_backend},
        {"keeps backends apart and names the one that fails", keeps_backends_apart_and_names_the_one_that_fails},
    };
    return RUN_CASES("ceiling", cases);
}
