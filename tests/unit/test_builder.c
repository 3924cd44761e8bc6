/* Recording, errors, outputs and the text of a sealed program. */
#include "builder.h"
#include "check.h"
#include "shape.h"

static const struct vqp_program_api *const api = &vqp_program_api_table;

/* ---- allocations that can be made to fail ------------------------------------------------------------------------ */

/* Of this executable, before those of libc or of the sanitizer, which are called through. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define REAL(f) __interceptor_##f
#else
#define REAL(f) __libc_##f
#endif
void *REAL(calloc)(size_t n, size_t size);
void *REAL(realloc)(void *p, size_t size);

static int fail_after; /* 1: the next one fails, and it alone; 0: none does */

static int exhausted(void)
{
    return fail_after > 0 && --fail_after == 0;
}

__attribute__((visibility("default"))) void *calloc(size_t n, size_t size)
{
    return exhausted() ? NULL : REAL(calloc)(n, size);
}

__attribute__((visibility("default"))) void *realloc(void *p, size_t size)
{
    return exhausted() ? NULL : REAL(realloc)(p, size);
}

__attribute__((visibility("default"))) void *reallocarray(void *p, size_t n, size_t size)
{
    size_t bytes;
    return __builtin_mul_overflow(n, size, &bytes) ? NULL : realloc(p, bytes);
}

/* ---- a pipeline's side of the builder ---------------------------------------------------------------------------- */

static const float file_data[64];

struct files {
    int asked;
    const char *owner;
};

static vqp_status env_weight(void *ctx, const char *owner, const char *name, struct vqp_tensor_view *out,
                             struct vqp_error *err)
{
    static const struct {
        const char *name;
        uint32_t dtype;
        struct vqp_shape shape;
    } files[] = {
        {"to_q.weight", VQP_F32, {2, 0, {4, 3}}}, {"to_q.bias", VQP_F16, {1, 0, {4}}}, {"ids", VQP_I32, {1, 0, {4}}},
        {"empty", VQP_F32, {2, 0, {0, 3}}},       {"blocks", VQP_Q8_0, {1, 0, {32}}},  {"short", VQP_F32, {1, 0, {3}}},
    };
    struct files *f = ctx;
    f->asked++;
    f->owner = owner;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (!strcmp(files[i].name, name)) {
            *out = (struct vqp_tensor_view){.dtype = files[i].dtype, .shape = files[i].shape, .data = file_data + i};
            vqp_shape_bytes(&out->shape, out->dtype, &out->bytes);
            out->bytes -= !strcmp(name, "short");
            return VQP_OK;
        }
    return vqp_fail(err, VQP_E_IO, "no tensor \"%s\" in transformer; the nearest is \"to_q.weight\"", name);
}

static int32_t env_has_weight(void *ctx, const char *owner, const char *name)
{
    struct vqp_tensor_view v;
    return env_weight(ctx, owner, name, &v, NULL) == VQP_OK;
}

static int32_t env_find(void *ctx, const char *name, uint32_t *dtype, struct vqp_shape *shape)
{
    (void)ctx;
    *dtype = VQP_F32;
    *shape = vqp_shape2(2, 3);
    return !strcmp(name, "denoiser.kv.0") || !strcmp(name, "cond.states.l2");
}

static struct files files;
static const struct vqp_builder_env env = {&files, env_weight, env_has_weight, env_find};
static const struct vqp_shape s1 = {1, 0, {1}}, s23 = {2, 0, {2, 3}}, s32 = {2, 0, {3, 2}}, s6 = {1, 0, {6}};

static vqp_program *begin(const char *owner)
{
    files = (struct files){0};
    vqp_program *p = vqp_program_create("step", &env);
    vqp_program_set_owner(p, owner);
    return p;
}

static vqp_val input(vqp_program *p, const char *name, const struct vqp_shape *s)
{
    return api->input(p, name, VQP_F32, s);
}

static const char *message(const vqp_program *p)
{
    static struct vqp_error err;
    err = (struct vqp_error){0};
    vqp_program_error(p, &err);
    return err.msg;
}

/* Ends p, whose first error is this. */
static void expect_error(vqp_program *p, vqp_status code, const char *msg)
{
    CU_ASSERT_EQUAL(vqp_program_error(p, NULL), code);
    CU_ASSERT_STRING_EQUAL(message(p), msg);
    if (strcmp(message(p), msg))
        printf("\n    \"%s\", expected \"%s\"\n", message(p), msg);
    vqp_program_destroy(p);
}

static const struct vqp_program_view *seal(vqp_program *p)
{
    struct vqp_error err = {0};
    vqp_status status = vqp_program_seal(p, &err);
    if (status)
        printf("\n    %s\n", err.msg);
    CU_ASSERT_EQUAL_FATAL(status, VQP_OK);
    CU_ASSERT_PTR_NOT_NULL_FATAL(vqp_program_view(p));
    return vqp_program_view(p);
}

/* ---- errors ------------------------------------------------------------------------------------------------------ */

static void test_error_has_scope(void)
{
    vqp_program *p = begin("denoiser");
    api->scope(p, "blocks.7");
    api->scope(p, "attn1");
    api->scope(p, NULL);
    api->scope(p, "attn2");
    struct vqp_shape s = {2, 0, {2, 5}};
    CU_ASSERT_EQUAL(vqp_linear(api, p, input(p, "x", &s), api->weight(p, "to_q.weight"), 0, 0), 0);
    expect_error(p, VQP_E_FORMAT,
                 "step/denoiser/blocks.7/attn2: linear: weight is [4,3], expected [4,5] (tensor to_q.weight)");
}

static void test_first_error_wins(void)
{
    vqp_program *p = begin("denoiser");
    vqp_val x = input(p, "x", &s23), bad = vqp_unary(api, p, VQP_OP_EXP, 0);
    struct vqp_op op = {.kind = VQP_OP_EXP, .in = {x}, .out = {9, 9}};
    CU_ASSERT_EQUAL(bad, 0);
    CU_ASSERT_EQUAL(vqp_unary(api, p, VQP_OP_LOG, bad), 0);
    CU_ASSERT_EQUAL(api->emit(p, &op), 0);
    CU_ASSERT_TRUE(op.out[0] == 0 && op.out[1] == 0);
    CU_ASSERT_EQUAL(api->weight(p, "to_q.weight"), 0);
    CU_ASSERT_EQUAL(api->has_weight(p, "to_q.weight"), 0);
    CU_ASSERT_EQUAL(api->link(p, "kv.0"), 0);
    CU_ASSERT_EQUAL(api->constant(p, "c", VQP_F32, &s1, file_data), 0);
    CU_ASSERT_EQUAL(api->state(p, "s", VQP_F32, &s1, NULL), 0);
    CU_ASSERT_EQUAL(input(p, "y", &s23), 0);
    CU_ASSERT_EQUAL(api->view(p, x, &s32), 0);
    CU_ASSERT_EQUAL(vqp_program_take_output(p, "y"), 0);
    api->output(p, "y", x);
    api->scope(p, NULL);
    vqp_program_set_owner(p, "scheduler");
    api->fail(p, VQP_E_ARG, "another");
    CU_ASSERT_EQUAL(files.asked, 0);
    struct vqp_error err;
    CU_ASSERT_EQUAL(vqp_program_seal(p, &err), VQP_E_SHAPE);
    CU_ASSERT_STRING_EQUAL(err.msg, "step/denoiser: exp: x is missing");
    CU_ASSERT_PTR_NULL(vqp_program_view(p));
    expect_error(p, VQP_E_SHAPE, "step/denoiser: exp: x is missing");
}

static void test_fail(void)
{
    vqp_program *p = begin("scheduler");
    api->scope(p, "mask");
    api->fail(p, VQP_E_ARG, "steps must be at least 2");
    expect_error(p, VQP_E_ARG, "step/scheduler/mask: steps must be at least 2");
    p = begin("scheduler");
    api->fail(p, VQP_OK, NULL);
    expect_error(p, VQP_E_PLUGIN, "step/scheduler: the component failed and does not say why");
}

static void test_scopes_balance(void)
{
    vqp_program *p = begin("denoiser");
    api->scope(p, NULL);
    expect_error(p, VQP_E_SHAPE, "step/denoiser: a scope is closed that was not opened");
    p = begin("denoiser");
    api->scope(p, "blocks.0");
    vqp_program_set_owner(p, NULL);
    expect_error(p, VQP_E_SHAPE,
                 "step/denoiser/blocks.0: this scope is still open at the end; close it with scope(p, NULL)");
    p = begin(NULL);
    api->scope(p, "guidance");
    CU_ASSERT_EQUAL(vqp_program_seal(p, NULL), VQP_E_SHAPE);
    expect_error(p, VQP_E_SHAPE, "step/guidance: this scope is still open at the end; close it with scope(p, NULL)");
}

static void test_sealed_is_closed(void)
{
    vqp_program *p = begin(NULL);
    vqp_val x = input(p, "x", &s23);
    api->output(p, "y", vqp_unary(api, p, VQP_OP_EXP, x));
    const struct vqp_program_view *v = seal(p);
    CU_ASSERT_EQUAL(vqp_program_seal(p, NULL), VQP_OK);
    CU_ASSERT_EQUAL(vqp_unary(api, p, VQP_OP_EXP, x), 0);
    CU_ASSERT_EQUAL(v->n_ops, 1);
    CU_ASSERT_EQUAL(vqp_program_seal(p, NULL), VQP_E_SHAPE);
    expect_error(p, VQP_E_SHAPE, "step: recorded after the program was sealed");
}

static void test_bad_values(void)
{
    struct vqp_shape zero = {2, 0, {2, 0}}, deep = {7, 0, {1}}, negative = {1, 0, {-1}}, huge = {2, 0, {INT64_MAX, 4}};
    static const char *const want[] = {
        "step: input \"x\" is f32[2,0]: not a possible tensor",
        "step: input \"x\" is f32[1,0,0,0,0,0]: not a possible tensor",
        "step: input \"x\" is f32[-1]: not a possible tensor",
        "step: input \"x\" is f32[9223372036854775807,4]: not a possible tensor",
        "step: input \"x\" has no shape",
    };
    const struct vqp_shape *shapes[] = {&zero, &deep, &negative, &huge, NULL};
    for (int i = 0; i < 5; i++) {
        vqp_program *p = begin(NULL);
        CU_ASSERT_EQUAL(input(p, "x", shapes[i]), 0);
        expect_error(p, VQP_E_SHAPE, want[i]);
    }
    vqp_program *p = begin(NULL);
    CU_ASSERT_EQUAL(api->state(p, "x", VQP_F16, &s1, NULL), 0);
    expect_error(p, VQP_E_SHAPE, "step: state \"x\" is of dtype 2 (f16), expected f32, i32 or u8");
    p = begin(NULL);
    CU_ASSERT_EQUAL(api->constant(p, "x", VQP_F32, &s1, NULL), 0);
    expect_error(p, VQP_E_SHAPE, "step: constant \"x\" has no data");
    p = begin(NULL);
    CU_ASSERT_EQUAL(input(p, "", &s1), 0);
    expect_error(p, VQP_E_SHAPE, "step: input without a name");
    p = begin("denoiser");
    api->output(p, "y", input(p, "x", &s1) + 1);
    expect_error(p, VQP_E_SHAPE, "step/denoiser: output \"denoiser.y\": the value is missing");
}

static void test_names_are_unique(void)
{
    static const char *const want = "step/denoiser: output \"denoiser.x\": the program already has an input, state or "
                                    "output of this name";
    for (int i = 0; i < 3; i++) {
        vqp_program *p = begin("denoiser");
        vqp_val x = i == 0   ? input(p, "x", &s23)
                    : i == 1 ? api->state(p, "x", VQP_F32, &s23, NULL)
                             : input(p, "other", &s23);
        if (i == 2)
            api->output(p, "x", x);
        CU_ASSERT_EQUAL(vqp_program_error(p, NULL), VQP_OK);
        api->output(p, "x", x);
        expect_error(p, VQP_E_SHAPE, want);
    }
    vqp_program *p = begin("denoiser");
    api->output(p, "x", input(p, "y", &s23));
    CU_ASSERT_EQUAL(input(p, "x", &s23), 0);
    CHECK_STR_HAS(message(p), "step/denoiser: input \"denoiser.x\": the program already has");
    vqp_program_destroy(p);
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static void test_weights(void)
{
    vqp_program *p = begin("denoiser");
    vqp_val q = api->weight(p, "to_q.weight");
    const struct vqp_val_info *info = api->describe(p, q);
    CU_ASSERT_EQUAL(info->role, VQP_VAL_WEIGHT);
    CU_ASSERT_EQUAL(info->bytes, 48);
    CU_ASSERT_PTR_EQUAL(info->data, file_data);
    CU_ASSERT_STRING_EQUAL(info->name, "to_q.weight");
    CU_ASSERT_STRING_EQUAL(files.owner, "denoiser");
    CU_ASSERT_EQUAL(api->weight(p, "to_q.weight"), q);
    CU_ASSERT_EQUAL(files.asked, 1);
    CU_ASSERT_EQUAL(api->has_weight(p, "to_q.bias"), 1);
    CU_ASSERT_EQUAL(api->has_weight(p, "to_k.bias"), 0);
    CU_ASSERT_EQUAL(vqp_program_error(p, NULL), VQP_OK);
    vqp_program_set_owner(p, "vq_decoder");
    CU_ASSERT_NOT_EQUAL(api->weight(p, "to_q.weight"), q);
    CU_ASSERT_STRING_EQUAL(files.owner, "vq_decoder");
    vqp_program_destroy(p);
}

static void test_bad_weights(void)
{
    static const struct {
        const char *name, *msg;
        vqp_status code;
    } bad[] = {
        {"to_k.weight", "step/denoiser/b: no tensor \"to_k.weight\" in transformer; the nearest is \"to_q.weight\"",
         VQP_E_IO},
        {"empty", "step/denoiser/b: weight \"empty\" is f32[0,3]: not a possible tensor", VQP_E_FORMAT},
        {"blocks", "step/denoiser/b: weight \"blocks\" is q8_0[32]: not a possible tensor", VQP_E_FORMAT},
        {"short", "step/denoiser/b: weight \"short\" has 11 bytes of data, expected 12", VQP_E_FORMAT},
        {NULL, "step/denoiser/b: weight without a name", VQP_E_SHAPE},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        vqp_program *p = begin("denoiser");
        api->scope(p, "b");
        CU_ASSERT_EQUAL(api->weight(p, bad[i].name), 0);
        expect_error(p, bad[i].code, bad[i].msg);
    }
    vqp_program *p = begin("denoiser");
    CU_ASSERT_NOT_EQUAL(api->weight(p, "ids"), 0);
    CU_ASSERT_EQUAL(vqp_unary(api, p, VQP_OP_EXP, api->weight(p, "ids")), 0);
    expect_error(
        p, VQP_E_FORMAT,
        "step/denoiser: exp: x is a weight of i32[4]; only f32, f16 and bf16 can be computed with (tensor ids)");
}

static void test_constants_are_copied(void)
{
    vqp_program *p = begin(NULL);
    float data[6] = {1, 2, 3, 4, 5, 6};
    vqp_val c = api->constant(p, "c", VQP_F32, &s23, data), s = api->state(p, "s", VQP_F32, &s23, data),
            zeros = api->state(p, "z", VQP_F32, &s23, NULL);
    vqp_store(api, p, s, c);
    vqp_store(api, p, zeros, c);
    data[1] = 9;
    const struct vqp_program_view *v = seal(p);
    CU_ASSERT_EQUAL(((const float *)v->vals[c].data)[1], 2);
    CU_ASSERT_EQUAL(((const float *)vqp_program_state_init(p, s))[1], 2);
    CU_ASSERT_PTR_NULL(vqp_program_state_init(p, zeros));
    CU_ASSERT_PTR_NULL(v->vals[s].data);
    CU_ASSERT_PTR_NULL(v->vals[c].name);
    CU_ASSERT_PTR_NULL(vqp_program_state_init(p, 1000));
    vqp_program_destroy(p);
}

static void test_links(void)
{
    vqp_program *p = begin("denoiser");
    vqp_val kv = api->link(p, "kv.0"), cond = api->link(p, "cond.states.l2");
    CU_ASSERT_EQUAL(api->describe(p, kv)->role, VQP_VAL_INPUT);
    CU_ASSERT_STRING_EQUAL(api->describe(p, kv)->name, "denoiser.kv.0");
    CU_ASSERT_TRUE(vqp_shape_equal(&api->describe(p, kv)->shape, &s23));
    CU_ASSERT_STRING_EQUAL(api->describe(p, cond)->name, "cond.states.l2");
    CU_ASSERT_EQUAL(api->link(p, "kv.0"), kv);
    vqp_val y = vqp_unary(api, p, VQP_OP_EXP, kv);
    api->output(p, "y", y);
    CU_ASSERT_EQUAL(api->link(p, "y"), y);
    CU_ASSERT_EQUAL(vqp_program_find_output(p, "denoiser.y"), y);
    CU_ASSERT_EQUAL(vqp_program_find_output(p, "y"), 0);
    CU_ASSERT_EQUAL(api->link(p, "yy"), 0);
    expect_error(p, VQP_E_SHAPE,
                 "step/denoiser: link \"denoiser.yy\": nothing recorded before was given out under this name; did you "
                 "mean \"denoiser.y\"?");
}

static void test_take_output(void)
{
    vqp_program *p = begin("text_encoder");
    vqp_val x = input(p, "x", &s23), y = vqp_unary(api, p, VQP_OP_EXP, x);
    api->output(p, "cond.a", y);
    api->output(p, "cond.b", x);
    vqp_program_set_owner(p, NULL);
    CU_ASSERT_EQUAL(vqp_program_take_output(p, "cond.c"), 0);
    CU_ASSERT_EQUAL(vqp_program_take_output(p, "cond.a"), y);
    CU_ASSERT_EQUAL(vqp_program_find_output(p, "cond.a"), 0);
    CU_ASSERT_EQUAL(vqp_program_find_output(p, "cond.b"), x);
    vqp_val twice = vqp_repeat(api, p, y, 2, 0);
    api->output(p, "cond.a", twice);
    CU_ASSERT_EQUAL(vqp_program_take_output(p, "cond.b"), x);
    const struct vqp_program_view *v = seal(p);
    CU_ASSERT_EQUAL(v->n_ops, 2);
    CU_ASSERT_EQUAL(v->vals[y].role, VQP_VAL_TEMP);
    CU_ASSERT_EQUAL(v->vals[twice].role, VQP_VAL_OUTPUT);
    vqp_program_destroy(p);
}

static void test_views(void)
{
    vqp_program *p = begin(NULL);
    vqp_val x = input(p, "x", &s23), a = api->view(p, x, &s32), b = api->view(p, a, &s6);
    CU_ASSERT_EQUAL(api->view(p, x, &s23), x);
    CU_ASSERT_TRUE(vqp_shape_equal(&api->describe(p, b)->shape, &s6));
    CU_ASSERT_EQUAL(api->describe(p, b)->root, x);
    CU_ASSERT_EQUAL(api->describe(p, b)->role, VQP_VAL_INPUT);
    CU_ASSERT_EQUAL(api->describe(p, 0)->dtype, 0);
    CU_ASSERT_EQUAL(api->describe(p, 0)->shape.rank, 0);
    CU_ASSERT_EQUAL(api->describe(p, 99)->dtype, 0);
    vqp_val y = vqp_unary(api, p, VQP_OP_EXP, b), w = api->view(p, y, &s23);
    api->output(p, "y", y);
    const struct vqp_program_view *v = seal(p);
    CU_ASSERT_EQUAL(v->vals[w].role, VQP_VAL_OUTPUT);
    CU_ASSERT_PTR_NULL(v->vals[w].name);
    vqp_program_destroy(p);

    p = begin(NULL);
    CU_ASSERT_EQUAL(api->view(p, input(p, "x", &s23), &s1), 0);
    expect_error(p, VQP_E_SHAPE, "step: view: [2,3] of x has not as many elements as [1]");
    p = begin("denoiser");
    CU_ASSERT_EQUAL(api->view(p, api->weight(p, "to_q.weight"), &s6), 0);
    expect_error(p, VQP_E_FORMAT, "step/denoiser: view: [4,3] of to_q.weight has not as many elements as [6]");
    p = begin(NULL);
    CU_ASSERT_EQUAL(api->view(p, 0, &s6), 0);
    expect_error(p, VQP_E_SHAPE, "step: view: the value is missing");
    p = begin(NULL);
    CU_ASSERT_EQUAL(api->view(p, input(p, "x", &s6) + 1, &s6), 0);
    expect_error(p, VQP_E_SHAPE, "step: view: the value is missing");
    p = begin(NULL);
    CU_ASSERT_EQUAL(api->view(p, input(p, "x", &s6), NULL), 0);
    expect_error(p, VQP_E_SHAPE, "step: view: the shape is missing");
}

/* ---- ops and outputs --------------------------------------------------------------------------------------------- */

static void test_conv_defaults(void)
{
    vqp_program *p = begin(NULL);
    struct vqp_shape xs = {4, 0, {1, 3, 3, 1}}, ws = {4, 0, {1, 1, 1, 1}};
    vqp_val x = input(p, "x", &xs);
    struct vqp_op op = {.kind = VQP_OP_CONV2D, .in = {x, api->constant(p, "w", VQP_F32, &ws, file_data)}};
    api->output(p, "y", api->emit(p, &op));
    const struct vqp_program_view *v = seal(p);
    CU_ASSERT_EQUAL(v->ops[0].u.conv.stride, 1);
    CU_ASSERT_EQUAL(v->ops[0].u.conv.groups, 1);
    CU_ASSERT_EQUAL(v->ops[0].u.conv.upsample, 1);
    vqp_program_destroy(p);
}

static void test_two_outputs(void)
{
    vqp_program *p = begin(NULL);
    vqp_val index = 0, top = vqp_sort_k(api, p, input(p, "x", &s23), 2, &index);
    CU_ASSERT_EQUAL(index, top + 1);
    CU_ASSERT_EQUAL(api->describe(p, top)->dtype, VQP_F32);
    CU_ASSERT_EQUAL(api->describe(p, index)->dtype, VQP_I32);
    vqp_program_destroy(p);
}

/* Op i of v is a copy of `from`, given out as `name`. */
static void check_copy(const struct vqp_program_view *v, uint32_t i, vqp_val from, uint32_t dtype, const char *name)
{
    CU_ASSERT_TRUE_FATAL(i < v->n_ops);
    const struct vqp_op *op = &v->ops[i];
    CU_ASSERT_EQUAL(op->kind, VQP_OP_CAST);
    CU_ASSERT_EQUAL(op->in[0], from);
    CU_ASSERT_EQUAL(op->u.cast.dtype, dtype);
    CU_ASSERT_EQUAL(v->vals[op->out[0]].role, VQP_VAL_OUTPUT);
    CU_ASSERT_EQUAL(v->vals[op->out[0]].dtype, dtype);
    CU_ASSERT_STRING_EQUAL(v->vals[op->out[0]].name, name);
    CU_ASSERT_STRING_EQUAL(v->op_scope[i], "denoiser");
}

static void test_output_copies(void)
{
    vqp_program *p = begin("denoiser");
    vqp_val x = input(p, "x", &s23), w = api->weight(p, "to_q.bias"), s = api->state(p, "s", VQP_I32, &s1, NULL),
            c = api->constant(p, "c", VQP_F32, &s1, file_data), y = vqp_unary(api, p, VQP_OP_EXP, x),
            z = vqp_unary(api, p, VQP_OP_LOG, x), view = api->view(p, z, &s6);
    api->output(p, "of.input", x);
    api->output(p, "of.weight", w);
    api->output(p, "of.state", s);
    api->output(p, "of.constant", c);
    api->output(p, "y", y);
    api->output(p, "y.again", y);
    api->output(p, "of.view", view);
    const struct vqp_program_view *v = seal(p);
    CU_ASSERT_EQUAL_FATAL(v->n_ops, 8);
    CU_ASSERT_EQUAL(v->vals[y].role, VQP_VAL_OUTPUT);
    CU_ASSERT_STRING_EQUAL(v->vals[y].name, "denoiser.y");
    CU_ASSERT_EQUAL(v->vals[z].role, VQP_VAL_TEMP);
    check_copy(v, 2, x, VQP_F32, "denoiser.of.input");
    check_copy(v, 3, w, VQP_F32, "denoiser.of.weight");
    check_copy(v, 4, s, VQP_I32, "denoiser.of.state");
    check_copy(v, 5, c, VQP_F32, "denoiser.of.constant");
    check_copy(v, 6, y, VQP_F32, "denoiser.y.again");
    check_copy(v, 7, view, VQP_F32, "denoiser.of.view");
    CU_ASSERT_EQUAL(vqp_program_find_output(p, "denoiser.of.view"), v->ops[7].out[0]);
    CU_ASSERT_EQUAL(v->arena_bytes, 256);
    vqp_program_destroy(p);
}

static void test_dead_ops(void)
{
    vqp_program *p = begin("denoiser");
    vqp_val x = input(p, "x", &s23), s = api->state(p, "s", VQP_F32, &s23, NULL),
            n = api->state(p, "n", VQP_I32, &s1, NULL);
    api->scope(p, "dead");
    vqp_unary(api, p, VQP_OP_EXP, vqp_unary(api, p, VQP_OP_EXP, x));
    api->scope(p, NULL);
    api->scope(p, "stored");
    vqp_store(api, p, s, vqp_unary(api, p, VQP_OP_SQRT, x));
    vqp_store(api, p, api->view(p, s, &s32), api->view(p, x, &s32));
    api->scope(p, NULL);
    vqp_unary(api, p, VQP_OP_LOG, s);
    api->scope(p, "given");
    api->output(p, "y", vqp_unary(api, p, VQP_OP_SIGMOID, api->view(p, s, &s6)));
    api->scope(p, NULL);
    vqp_advance(api, p, n);
    static const uint32_t kinds[] = {VQP_OP_SQRT, VQP_OP_STORE, VQP_OP_STORE, VQP_OP_SIGMOID, VQP_OP_ADVANCE};
    static const char *const scopes[] = {"denoiser/stored", "denoiser/stored", "denoiser/stored", "denoiser/given",
                                         "denoiser"};
    const struct vqp_program_view *v = seal(p);
    CU_ASSERT_EQUAL_FATAL(v->n_ops, 5);
    for (int i = 0; i < 5; i++) {
        CU_ASSERT_EQUAL(v->ops[i].kind, kinds[i]);
        CU_ASSERT_STRING_EQUAL(v->op_scope[i], scopes[i]);
    }
    vqp_program_destroy(p);
}

static void test_empty_program(void)
{
    vqp_program *p = begin(NULL);
    const struct vqp_program_view *v = seal(p);
    CU_ASSERT_TRUE(v->n_ops == 0 && v->n_vals == 1 && v->arena_bytes == 0);
    CU_ASSERT_STRING_EQUAL(v->name, "step");
    CU_ASSERT_EQUAL(v->struct_size, sizeof *v);
    vqp_program_destroy(p);
    vqp_program_destroy(NULL);
    p = vqp_program_create("step", NULL);
    CU_ASSERT_EQUAL(api->has_weight(p, "w"), 0);
    CU_ASSERT_EQUAL(api->weight(p, "w"), 0);
    expect_error(p, VQP_E_IO, "step: weight \"w\": there are no model files here");
}

/* ---- text -------------------------------------------------------------------------------------------------------- */

/* A bit of everything; returns the program, which has an error where memory ran out. NULL: not even that. */
static vqp_program *record_sample(void)
{
    vqp_program *p = vqp_program_create("step", &env);
    if (!p)
        return NULL;
    static const float half[6] = {0.5f, -1, 0.25f, 4, 5, 6};
    static const uint8_t swap[2] = {1, 0};
    struct vqp_shape s8 = {2, 0, {4, 2}}, s4 = {1, 0, {4}};
    vqp_val count = api->state(p, "eval", VQP_I32, &s1, NULL);
    vqp_program_set_owner(p, "denoiser");
    vqp_val x = api->link(p, "kv.0");
    api->scope(p, "blocks.0");
    vqp_val weight = api->weight(p, "to_q.weight"), gate = vqp_cast(api, p, api->weight(p, "to_q.bias"), VQP_F32);
    vqp_val y = vqp_linear_full(api, p, x, weight, 0, 0, gate, VQP_ACT_SILU);
    api->scope(p, NULL);
    vqp_val c = api->constant(p, "half", VQP_F32, &s23, half),
            one = api->constant(p, NULL, VQP_I32, &s1, (int32_t[]){7});
    vqp_val swapped = vqp_permute(api, p, api->view(p, y, &s8), swap, 2), where = 0;
    vqp_val top = vqp_sort_k(api, p, vqp_binary(api, p, VQP_OP_ADD, x, c), 2, &where);
    api->output(p, "swapped", swapped);
    api->output(p, "top", api->view(p, top, &s4));
    vqp_program_set_owner(p, NULL);
    vqp_store(api, p, api->state(p, "s", VQP_I32, &s1, (int32_t[]){3}), one);
    vqp_advance(api, p, count);
    api->output(p, "y", y);
    vqp_program_seal(p, NULL);
    return p;
}

static void test_dump(void)
{
    static const char want[] = "program step: 8 ops, 16 values, arena 768 bytes\n"
                               "input %2 f32[2,3] denoiser.kv.0\n"
                               "state %1 i32[1] eval\n"
                               "state %15 i32[1] s\n"
                               "constant %7 f32[2,3] = 0.5 -1 0.25 4 ...\n"
                               "constant %8 i32[1] = 7\n"
                               "output %6 f32[2,4] y\n"
                               "output %10 f32[2,4] denoiser.swapped\n"
                               "output %16 f32[4] denoiser.top\n"
                               "%5 f32[4] = cast w:to_q.bias dtype=f32   @ denoiser/blocks.0\n"
                               "%6 f32[2,4] = linear %2, w:to_q.weight, -, -, %5 act=silu   @ denoiser/blocks.0\n"
                               "%10 f32[2,4] = permute %6[4,2] perm=1,0   @ denoiser\n"
                               "%11 f32[2,3] = add %2, %7   @ denoiser\n"
                               "%12 f32[2,2], %13 i32[2,2] = sort_k %11 k=2   @ denoiser\n"
                               "store %15, %8\n"
                               "advance %1\n"
                               "%16 f32[4] = cast %12[4] dtype=f32   @ denoiser\n";
    vqp_program *p = record_sample();
    CU_ASSERT_STRING_EQUAL(message(p), "");
    CU_ASSERT_PTR_NOT_NULL_FATAL(vqp_program_view(p));
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    vqp_program_dump(vqp_program_view(p), f);
    fclose(f);
    if (strcmp(text, want))
        printf("\n%s", text);
    CU_ASSERT_STRING_EQUAL(text, want);
    free(text);
    vqp_program_destroy(p);
}

static void test_dump_params(void)
{
    static const struct {
        const char *line;
        struct vqp_op op;
    } want[] = {
        {"linear %1 act=gelu_erf", {.kind = VQP_OP_LINEAR, .u.linear.act = VQP_ACT_GELU_ERF}},
        {"linear %1", {.kind = VQP_OP_LINEAR}},
        {"linear %1 act=?", {.kind = VQP_OP_LINEAR, .u.linear.act = 4}},
        {"layer_norm %1 eps=1e-05", {.kind = VQP_OP_LAYER_NORM, .u.norm.eps = 1e-5f}},
        {"rms_norm %1 eps=1e-06", {.kind = VQP_OP_RMS_NORM, .u.norm.eps = 1e-6f}},
        {"group_norm %1 groups=8 eps=0.5 act=silu", {.kind = VQP_OP_GROUP_NORM, .u.norm = {0.5f, 8, VQP_ACT_SILU}}},
        {"sdpa %1 heads=4 scale=0.125", {.kind = VQP_OP_SDPA, .u.sdpa = {0.125f, 4, 0}}},
        {"sdpa %1 heads=4 scale=0.125 causal", {.kind = VQP_OP_SDPA, .u.sdpa = {0.125f, 4, 1}}},
        {"conv2d %1", {.kind = VQP_OP_CONV2D, .u.conv = {1, 1, 0, 0, 0, 0, 0, 1}}},
        {"conv2d %1 stride=2 groups=3 pad=0,0,1,2 upsample=4 act=gelu_sigmoid",
         {.kind = VQP_OP_CONV2D, .u.conv = {2, 3, 0, 0, 1, 2, VQP_ACT_GELU_SIGMOID, 4}}},
        {"conv2d %1 pad=1,0,0,0", {.kind = VQP_OP_CONV2D, .u.conv = {1, 1, 1, 0, 0, 0, 0, 1}}},
        {"pixel_shuffle %1 factor=2", {.kind = VQP_OP_PIXEL_SHUFFLE, .u.pixel_shuffle.factor = 2}},
        {"rope %1 heads=4 interleaved", {.kind = VQP_OP_ROPE, .u.rope = {4, 1}}},
        {"rope %1 heads=4", {.kind = VQP_OP_ROPE, .u.rope = {4, 0}}},
        {"truncate %1 floor=-70", {.kind = VQP_OP_TRUNCATE, .u.truncate.floor = -70}},
        {"posterior_sample %1 stream=1", {.kind = VQP_OP_POSTERIOR_SAMPLE, .u.sample.stream = 1}},
        {"categorical_sample %1 stream=2", {.kind = VQP_OP_CATEGORICAL_SAMPLE, .u.sample.stream = 2}},
        {"gumbel %1 stream=1", {.kind = VQP_OP_GUMBEL, .u.sample.stream = 1}},
        {"repeat %1 times=3 tile", {.kind = VQP_OP_REPEAT, .u.repeat = {3, 1}}},
        {"compare %1 eq", {.kind = VQP_OP_COMPARE, .u.compare.cmp = VQP_CMP_EQ}},
        {"compare %1 ge", {.kind = VQP_OP_COMPARE, .u.compare.cmp = VQP_CMP_GE}},
        {"slice %1 axis=1 start=2 count=3", {.kind = VQP_OP_SLICE, .u.axis = {1, 2, 3}}},
        {"concat %1 axis=1", {.kind = VQP_OP_CONCAT, .u.axis = {1, 0, 1}}},
        {"l2_norm %1", {.kind = VQP_OP_L2_NORM}},
    };
    enum {
        N = sizeof want / sizeof *want
    };
    const struct vqp_val_info vals[2] = {{0}, {.dtype = VQP_F32, .role = VQP_VAL_TEMP, .shape = s6, .root = 1}};
    const char *scope[N] = {0};
    struct vqp_op ops[N];
    char *text = NULL, *at;
    size_t size;
    for (int i = 0; i < N; i++) {
        ops[i] = want[i].op;
        ops[i].in[0] = 1;
    }
    struct vqp_program_view v = {.n_vals = 2, .n_ops = N, .name = "p", .vals = vals, .ops = ops, .op_scope = scope};
    FILE *f = open_memstream(&text, &size);
    vqp_program_dump(&v, f);
    fclose(f);
    CU_ASSERT_STRING_EQUAL(strtok_r(text, "\n", &at), "program p: 24 ops, 1 values, arena 0 bytes");
    for (int i = 0; i < N; i++) {
        const char *line = strtok_r(NULL, "\n", &at);
        CU_ASSERT_PTR_NOT_NULL_FATAL(line);
        if (strcmp(line, want[i].line))
            printf("\n    \"%s\", expected \"%s\"\n", line, want[i].line);
        CU_ASSERT_STRING_EQUAL(line, want[i].line);
    }
    free(text);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static void test_out_of_memory(void)
{
    int failures = 0;
    for (int after = 1; after < 1000; after++) {
        fail_after = after;
        vqp_program *p = record_sample();
        int ran_out = !fail_after;
        fail_after = 0;
        if (!ran_out) {
            CU_ASSERT_EQUAL(vqp_program_error(p, NULL), VQP_OK);
            vqp_program_destroy(p);
            break;
        }
        failures++;
        if (p) {
            CU_ASSERT_EQUAL(vqp_program_error(p, NULL), VQP_E_NOMEM);
            CHECK_STR_HAS(message(p), ": out of memory");
            CU_ASSERT_PTR_NULL(vqp_program_view(p));
        }
        vqp_program_destroy(p);
    }
    CU_ASSERT_TRUE(failures > 8 && failures < 999);
}

static void test_long_programs(void)
{
    vqp_program *p = begin(NULL);
    vqp_val v = input(p, "x", &s23);
    for (int i = 0; i < 3000; i++)
        v = vqp_unary(api, p, VQP_OP_EXP, v);
    api->output(p, "y", v);
    const struct vqp_program_view *view = seal(p);
    CU_ASSERT_EQUAL(view->n_ops, 3000);
    CU_ASSERT_EQUAL(view->arena_bytes, 512);
    vqp_program_destroy(p);
}

int main(void)
{
    static const struct vqp_case all[] = {
        {"says where an error happened, and with which tensor", test_error_has_scope},
        {"keeps the first error and does nothing afterwards", test_first_error_wins},
        {"passes a component's own refusal on", test_fail},
        {"wants scopes closed", test_scopes_balance},
        {"refuses recording after seal", test_sealed_is_closed},
        {"refuses impossible values", test_bad_values},
        {"refuses one name for two values", test_names_are_unique},
        {"finds weights once, by owner", test_weights},
        {"refuses weights that are missing or unfit", test_bad_weights},
        {"copies constants and initial states", test_constants_are_copied},
        {"links by name", test_links},
        {"takes an output back", test_take_output},
        {"views share their root", test_views},
        {"fills in the defaults of conv2d", test_conv_defaults},
        {"gives the second output of an op", test_two_outputs},
        {"copies outputs that have no storage of their own", test_output_copies},
        {"drops dead ops and keeps stores in order", test_dead_ops},
        {"seals an empty program", test_empty_program},
        {"dumps a program as text", test_dump},
        {"dumps the parameters of every op that has some", test_dump_params},
        {"fails cleanly wherever memory runs out", test_out_of_memory},
        {"records long programs", test_long_programs},
    };
    return RUN_CASES("builder", all);
}
