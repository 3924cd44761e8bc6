/* What a program is, beyond single ops: states, views, buffers, cancelling, weights that come and go. */
#include "ops.h"
#include <math.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static const struct vqp_program_api *const api = &vqp_program_api_table;

/* sum += table[counter]; counter += 1: the loop of a sampler in small. */
struct loop {
    vqp_val counter, sum;
};
static struct loop record_loop(struct tensor *table)
{
    struct vqp_shape one = vqp_shape1(1), row = vqp_shape1(3);
    const int32_t start = 1;
    struct loop l = {.counter = api->state(ops_program(), "counter", VQP_I32, &one, &start)};
    l.sum = api->state(ops_program(), "sum", VQP_F32, &row, NULL);
    vqp_val now = vqp_binary(P, VQP_OP_ADD, l.sum, vqp_take(P, ops_val(table), l.counter));
    vqp_store(P, l.sum, now);
    ops_give(now);
    vqp_advance(P, l.counter);
    return l;
}

static void keeps_states_from_run_to_run(void)
{
    static const uint32_t groups[][3] = {{3, 0, 0}, {1, 1, 1}, {2, 1, 0}};
    ops_seed(3000);
    for (size_t g = 0; g < COUNT(groups); g++) {
        struct tensor *table = ops_random(VQP_F32, vqp_shape2(5, 3), 0, 8);
        for (int k = 0; k < 15; k++)
            table->f[k] = floorf(table->f[k]);
        struct loop l = record_loop(table);
        if (!ops_build()) {
            ops_load();
            for (int k = 0; k < 3; k++)
                CU_ASSERT_EQUAL(ops_execute(groups[g][k]), VQP_OK);
            const float *sum = ops_read_state(l.sum), *out = ops_read(0);
            CU_ASSERT_EQUAL(*(int32_t *)ops_read_state(l.counter), 4);
            for (int k = 0; k < 3; k++) {
                CU_ASSERT_EQUAL(sum[k], table->f[3 + k] + table->f[6 + k] + table->f[9 + k]);
                CU_ASSERT_EQUAL(out[k], sum[k]);
            }
        }
        ops_reset();
    }
}

static void starts_again_from_fresh_states(void)
{
    ops_seed(3010);
    struct tensor *table = ops_random(VQP_F32, vqp_shape2(5, 3), 0, 8);
    struct loop l = record_loop(table);
    if (!ops_build()) {
        ops_load();
        CU_ASSERT_EQUAL(ops_execute(4), VQP_OK);
        void *first = ops_read_state(l.sum);
        ops_load();
        CU_ASSERT_EQUAL(ops_execute(4), VQP_OK);
        CU_ASSERT_EQUAL(memcmp(first, ops_read_state(l.sum), 12), 0);
    }
    ops_reset();
}

static void sees_a_store_in_later_ops_alone(void)
{
    struct vqp_shape s = vqp_shape2(2, 3), flat = vqp_shape1(6);
    const float init[6] = {1, 2, 3, 4, 5, 6};
    struct tensor *two = ops_random(VQP_F32, vqp_shape1(1), 2, 2);
    vqp_val state = api->state(ops_program(), "state", VQP_F32, &s, init),
            view = api->view(ops_program(), state, &flat);
    vqp_val before = vqp_binary(P, VQP_OP_MUL, state, ops_val(two));
    vqp_store(P, view, vqp_binary(P, VQP_OP_MUL, view, view)); /* through a view */
    ops_give(before);
    ops_give(vqp_binary(P, VQP_OP_ADD, state, before));
    const float *got = ops_result();
    const float *after = got ? ops_read(1) : NULL, *now = got ? ops_read_state(state) : NULL;
    for (int k = 0; got && k < 6; k++) {
        CU_ASSERT_EQUAL(got[k], 2 * init[k]);
        CU_ASSERT_EQUAL(after[k], init[k] * init[k] + 2 * init[k]);
        CU_ASSERT_EQUAL(now[k], init[k] * init[k]);
    }
    ops_reset();
}

static void stores_every_type(void)
{
    struct vqp_shape s = vqp_shape1(5);
    ops_seed(3020);
    struct tensor *x = ops_random(VQP_F32, s, 0, 1), *ids = ops_random(VQP_I32, s, -9, 9);
    vqp_val bytes = api->state(ops_program(), "bytes", VQP_U8, &s, NULL),
            kept = api->state(ops_program(), "ids", VQP_I32, &s, NULL);
    vqp_store(P, bytes, vqp_to_rgb(P, ops_val(x)));
    vqp_store(P, kept, ops_val(ids));
    ops_give(bytes);
    const uint8_t *got = ops_result();
    if (got) {
        CU_ASSERT_EQUAL(memcmp(got, ops_read_state(bytes), 5), 0);
        CU_ASSERT_EQUAL(got[2], (uint8_t)rint(255 * (double)x->f[2]));
        CU_ASSERT_EQUAL(memcmp(ops_read_state(kept), ids->i, 20), 0);
    }
    ops_reset();
}

static void reads_views_of_anything(void)
{
    ops_seed(3030);
    struct tensor *x = ops_random(VQP_F32, vqp_shape2(4, 6), -2, 2),
                  *c = ops_as(ops_random(VQP_F32, vqp_shape1(3), -2, 2), VQP_VAL_CONSTANT);
    struct tensor *w = ops_random(VQP_F16, vqp_shape4(6, 3, 1, 1), -1, 1);
    struct vqp_shape rows = vqp_shape2(8, 3), matrix = vqp_shape2(6, 3), out = vqp_shape3(2, 4, 6);
    vqp_val xv = api->view(ops_program(), ops_val(x), &rows), wv = ops_val(w);
    vqp_val y = vqp_linear(P, vqp_binary(P, VQP_OP_ADD, xv, ops_val(c)), api->view(ops_program(), wv, &matrix), 0,
                           VQP_ACT_NONE);
    ops_give(api->view(ops_program(), y, &out));
    struct vqp_shape picture = vqp_shape4(1, 2, 4, 3);
    ops_give(vqp_conv2d(P, api->view(ops_program(), xv, &picture), wv, 0, 0, &(struct vqp_conv2d_params){0}));
    ops_give(api->view(ops_program(), xv, &picture)); /* an output that is a view of an input */
    const float *got = ops_result();
    if (got) {
        double want[48], plain[48];
        for (uint64_t k = 0; k < 48; k++) {
            want[k] = plain[k] = 0;
            for (uint64_t i = 0; i < 3; i++) {
                want[k] += (double)(x->f[k / 6 * 3 + i] + c->f[i]) * ops_at(w, k % 6 * 3 + i);
                plain[k] += ops_at(x, k / 6 * 3 + i) * ops_at(w, k % 6 * 3 + i);
            }
        }
        ops_close(VQP_OP_LINEAR, got, want, 48);
        ops_close(VQP_OP_CONV2D, ops_read(1), plain, 48);
        CU_ASSERT_EQUAL(memcmp(ops_read(2), x->f, x->bytes), 0);
    }
    ops_reset();
}

/* Many temporaries share an arena; a chain in which old ones are read late shows any overlap. */
static void keeps_temporaries_apart(void)
{
    ops_seed(3040);
    struct tensor *x = ops_random(VQP_F32, vqp_shape2(40, 33), -1, 1),
                  *w = ops_as(ops_random(VQP_F32, vqp_shape2(33, 33), -0.2, 0.2), VQP_VAL_WEIGHT);
    vqp_val v[12] = {ops_val(x)}, wv = ops_val(w);
    double *want = ops_alloc(12 * x->count, sizeof *want);
    struct tensor *now = ops_zeros(VQP_F32, x->shape);
    for (uint64_t k = 0; k < x->count; k++)
        want[k] = ops_at(x, k);
    for (size_t i = 1; i < COUNT(v); i++) {
        v[i] = vqp_linear_full(P, v[i - 1], wv, 0, v[i / 2], 0, VQP_ACT_SILU);
        for (uint64_t k = 0; k < x->count; k++)
            now->f[k] = (float)want[(i - 1) * x->count + k];
        formula_linear(now, w, NULL, NULL, NULL, VQP_ACT_SILU, want + i * x->count);
        for (uint64_t k = 0; k < x->count; k++)
            want[i * x->count + k] += want[i / 2 * x->count + k];
    }
    ops_give(v[COUNT(v) - 1]);
    const float *got = ops_result();
    if (got)
        ops_close(VQP_OP_LINEAR, got, want + (COUNT(v) - 1) * x->count, x->count);
    ops_reset();
}

static void takes_part_of_a_buffer_and_no_more(void)
{
    const struct vqp_backend_vtbl *v = ops_target.v;
    struct vqp_error err = {0};
    vqp_buffer *b = NULL, *empty = NULL;
    uint8_t data[100], back[100];
    CU_ASSERT_EQUAL_FATAL(v->buffer_create(ops_target.self, 100, &b, &err), VQP_OK);
    CU_ASSERT_EQUAL(v->buffer_create(ops_target.self, 0, &empty, &err), VQP_OK);
    memset(back, 1, sizeof back);
    CU_ASSERT_EQUAL(v->download(ops_target.self, b, 0, back, 100, &err), VQP_OK);
    for (int k = 0; k < 100; k++) {
        CU_ASSERT_EQUAL(back[k], 0); /* filled with zeros */
        data[k] = (uint8_t)(k + 1);
    }
    CU_ASSERT_EQUAL(v->upload(ops_target.self, b, 7, data, 13, &err), VQP_OK);
    CU_ASSERT_EQUAL(v->download(ops_target.self, b, 5, back, 20, &err), VQP_OK);
    for (int k = 0; k < 20; k++)
        CU_ASSERT_EQUAL(back[k], k < 2 || k >= 15 ? 0 : k - 1);
    static const uint64_t wrong[][2] = {{0, 101}, {100, 1}, {101, 0}, {UINT64_MAX, 2}, {2, UINT64_MAX}, {99, 2}};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        err.msg[0] = 0;
        CU_ASSERT_NOT_EQUAL(v->upload(ops_target.self, b, wrong[i][0], data, wrong[i][1], &err), VQP_OK);
        CU_ASSERT_NOT_EQUAL(v->download(ops_target.self, b, wrong[i][0], back, wrong[i][1], &err), VQP_OK);
        CU_ASSERT_TRUE(err.msg[0] != 0);
    }
    CU_ASSERT_EQUAL(v->upload(ops_target.self, b, 100, data, 0, &err), VQP_OK);
    CU_ASSERT_EQUAL(v->upload(ops_target.self, empty, 0, data, 0, &err), VQP_OK);
    CU_ASSERT_NOT_EQUAL(v->buffer_create(ops_target.self, UINT64_MAX, &(vqp_buffer *){NULL}, &err), VQP_OK);
    v->buffer_destroy(ops_target.self, b);
    v->buffer_destroy(ops_target.self, empty);
    v->buffer_destroy(ops_target.self, NULL);
    v->exec_destroy(ops_target.self, NULL);
}

static void stops_when_cancelled(void)
{
    ops_seed(3050);
    struct tensor *table = ops_random(VQP_F32, vqp_shape2(5, 3), 0, 8);
    struct loop l = record_loop(table);
    if (!ops_build()) {
        ops_load();
        CU_ASSERT_EQUAL(ops_execute(3), VQP_OK);
        void *want = ops_read_state(l.sum);
        for (int polls = 0; polls < 3; polls++) {
            ops_load();
            ops_cancel_after(polls);
            CU_ASSERT_EQUAL(ops_execute(1000), VQP_E_CANCELLED);
            ops_cancel_after(-1);
        }
        ops_load(); /* and is as good as new after */
        CU_ASSERT_EQUAL(ops_execute(3), VQP_OK);
        CU_ASSERT_EQUAL(memcmp(want, ops_read_state(l.sum), 12), 0);
    }
    ops_reset();
}

/* One long op: the answer must come while it works. What a device of its own has begun, it ends. */
static void stops_inside_a_long_op(void)
{
    struct vqp_device_info info = {.struct_size = sizeof info};
    ops_target.v->info(ops_target.self, &info);
    if (!info.is_host)
        SKIP("%s: not the host's processor", ops_target.name);
    ops_seed(3060);
    struct tensor *x = ops_random(VQP_F32, vqp_shape2(8192, 512), -1, 1),
                  *w = ops_as(ops_random(VQP_F32, vqp_shape2(2048, 512), -1, 1), VQP_VAL_WEIGHT);
    ops_give(vqp_linear(P, ops_val(x), ops_val(w), 0, VQP_ACT_NONE));
    if (!ops_build()) {
        ops_threads(2);
        ops_load();
        ops_cancel_after(3);
        vqp_status st = ops_execute(2);
        ops_cancel_after(-1);
        CU_ASSERT_EQUAL(st, VQP_E_CANCELLED);
    }
    ops_reset();
}

static void forgets_weights(void)
{
    ops_seed(3070);
    struct tensor *shared = ops_as(ops_random(VQP_F16, vqp_shape2(8, 5), -1, 1), VQP_VAL_WEIGHT);
    uint16_t *data = malloc(shared->bytes); /* outlives the first program */
    memcpy(data, shared->h, shared->bytes);
    for (int round = 0; round < 2; round++) {
        struct tensor *x = ops_random(VQP_F32, vqp_shape2(3, 5), -1, 1),
                      *w = ops_as(ops_zeros(VQP_F16, vqp_shape2(8, 5)), VQP_VAL_WEIGHT);
        for (int k = 0; round && k < 40; k++)
            data[k] ^= 0x8000;
        w->h = data;
        double want[24];
        formula_linear(x, w, NULL, NULL, NULL, VQP_ACT_NONE, want);
        ops_give(vqp_linear(P, ops_val(x), ops_val(w), 0, VQP_ACT_NONE));
        const float *got = ops_result();
        if (got)
            ops_close(VQP_OP_LINEAR, got, want, 24);
        ops_reset(); /* forgets */
    }
    free(data);
}

static void shares_a_weight_among_shapes_and_ops(void)
{
    ops_seed(3080);
    struct tensor *w = ops_random(VQP_BF16, vqp_shape2(6, 6), -1, 1), *x = ops_random(VQP_F32, vqp_shape2(4, 6), -1, 1);
    struct tensor *y = ops_random(VQP_F32, vqp_shape2(4, 3), -1, 1), *ids = ops_random(VQP_I32, vqp_shape1(4), 0, 6);
    struct vqp_shape tall = vqp_shape2(12, 3);
    vqp_val wv = ops_val(w);
    struct tensor other = *w;
    other.shape = tall;
    double want[24], want_tall[48], want_rows[24];
    formula_linear(x, w, NULL, NULL, NULL, VQP_ACT_NONE, want);
    formula_linear(y, &other, NULL, NULL, NULL, VQP_ACT_NONE, want_tall);
    for (uint64_t k = 0; k < 24; k++)
        want_rows[k] = ops_at(w, (uint64_t)ids->i[k / 6] * 6 + k % 6);
    ops_give(vqp_linear(P, ops_val(x), wv, 0, VQP_ACT_NONE));
    ops_give(vqp_linear(P, ops_val(y), api->view(ops_program(), wv, &tall), 0, VQP_ACT_NONE));
    ops_give(vqp_codebook(P, ops_val(ids), wv));
    const float *got = ops_result();
    if (got) {
        ops_close(VQP_OP_LINEAR, got, want, 24);
        ops_close(VQP_OP_LINEAR, ops_read(1), want_tall, 48);
        ops_close(VQP_OP_CODEBOOK, ops_read(2), want_rows, 24);
    }
    ops_reset();
}

static void tells_where_time_went(void)
{
    const struct vqp_backend_vtbl *v = ops_target.v;
    ops_seed(3090);
    record_loop(ops_random(VQP_F32, vqp_shape2(5, 3), 0, 8));
    if (!VQP_HAS(v, profile)) {
        ops_reset();
        SKIP("%s has no profile", ops_target.name);
    }
    if (!ops_build()) {
        uint64_t ns[64] = {0}, total = 0;
        uint32_t n = 0;
        ops_load();
        CU_ASSERT_EQUAL(ops_execute(500), VQP_OK);
        CU_ASSERT_EQUAL(v->profile(ops_target.self, ops_exec(), ns, 64, &n), VQP_OK);
        CU_ASSERT_EQUAL(n, ops_view()->n_ops);
        for (uint32_t i = 0; i < n; i++)
            total += ns[i];
        CU_ASSERT_TRUE(total > 0 && total < 60000000000u);
        ns[1] = 12345;
        CU_ASSERT_EQUAL(v->profile(ops_target.self, ops_exec(), ns, 1, &n), VQP_OK);
        CU_ASSERT_TRUE(n == 1 && ns[1] == 12345); /* no more than there is room for */
    }
    ops_reset();
}

static void refuses_what_it_does_not_know(void)
{
    struct vqp_error err = {0};
    void *self = NULL;
    CU_ASSERT_NOT_EQUAL(ops_target_create("f7", ops_target.device, &self, &err), VQP_OK);
    CHECK_STR_HAS(err.msg, "f7");
    CU_ASSERT_NOT_EQUAL(ops_target_create(ops_target.precision, "no such device", &self, &err), VQP_OK);
    CHECK_STR_HAS(err.msg, "no such device");
    CU_ASSERT_PTR_NULL(self);
    ops_target.component->destroy(NULL);

    vqp_val x = ops_val(ops_random(VQP_F32, vqp_shape1(4), 0, 1));
    ops_give(vqp_to_rgb(P, x));
    if (!ops_build()) {
        struct vqp_program_view view = *ops_view();
        struct vqp_op op = view.ops[0];
        view.ops = &op;
        CU_ASSERT_EQUAL(ops_target.v->supports(ops_target.self, &view, 0), 1);
        op.flags = 1;
        CU_ASSERT_EQUAL(ops_target.v->supports(ops_target.self, &view, 0), 0);
        op.flags = 0;
        op.kind = 63;
        CU_ASSERT_EQUAL(ops_target.v->supports(ops_target.self, &view, 0), 0);
        op.kind = 4000000000u;
        CU_ASSERT_EQUAL(ops_target.v->supports(ops_target.self, &view, 0), 0);
    }
    ops_reset();
}

static void describes_its_devices(void)
{
    struct vqp_device_info info = {.struct_size = sizeof info}, all[8] = {{.struct_size = sizeof info}};
    struct vqp_error err = {0};
    uint32_t n = 0;
    ops_target.v->info(ops_target.self, &info);
    CU_ASSERT_TRUE(info.name[0] != 0 && info.usable);
    if (VQP_HAS(ops_target.v, devices)) {
        CU_ASSERT_EQUAL(ops_target.v->devices(&ops_target.host, NULL, 0, &n, &err), VQP_OK);
        CU_ASSERT_TRUE(n >= 1);
        for (size_t i = 1; i < COUNT(all); i++)
            all[i].struct_size = sizeof info;
        CU_ASSERT_EQUAL(ops_target.v->devices(&ops_target.host, all, COUNT(all), &n, &err), VQP_OK);
        CU_ASSERT_TRUE(all[0].name[0] != 0);
    }
}

const struct vqp_case cases_program[] = {
    {"states keep their value from run to run", keeps_states_from_run_to_run},
    {"fresh states start the same run again", starts_again_from_fresh_states},
    {"a store is seen by later ops alone, through views too", sees_a_store_in_later_ops_alone},
    {"store takes every type", stores_every_type},
    {"views of inputs, weights and results", reads_views_of_anything},
    {"temporaries do not overlap", keeps_temporaries_apart},
    {"buffers are zero at first and bounds are checked", takes_part_of_a_buffer_and_no_more},
    {"a cancelled run stops and leaves the backend usable", stops_when_cancelled},
    {"a long op stops when cancelled", stops_inside_a_long_op},
    {"forgotten weights are read anew", forgets_weights},
    {"one weight serves several shapes and ops", shares_a_weight_among_shapes_and_ops},
    {"profile tells the time of every op", tells_where_time_went},
    {"unknown precisions, devices, flags and ops are refused", refuses_what_it_does_not_know},
    {"the device is described", describes_its_devices},
};
const size_t cases_program_n = COUNT(cases_program);
