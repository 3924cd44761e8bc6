/* Dead ops and arena offsets, checked by brute force on random programs. */
#include "builder.h"
#include "check.h"
#include <stdint.h>

enum {
    MAX_VALS = 400,
    MAX_OPS = 300
};

static struct vqp_val_info vals[MAX_VALS];
static struct vqp_op ops[MAX_OPS];
static uint32_t n_vals, n_ops;

static void begin(void)
{
    memset(vals, 0, sizeof vals);
    memset(ops, 0, sizeof ops);
    n_vals = 1;
    n_ops = 0;
}

static vqp_val value(uint32_t role, uint64_t bytes)
{
    vals[n_vals] = (struct vqp_val_info){.dtype = VQP_U8, .role = role, .bytes = bytes, .root = n_vals};
    return n_vals++;
}

static vqp_val view_of(vqp_val v)
{
    vals[n_vals] = vals[v];
    return n_vals++;
}

/* Appends an op of `kind`; returns its output of `bytes`, or 0 where bytes is 0. */
static vqp_val op(uint32_t kind, vqp_val a, vqp_val b, uint64_t bytes)
{
    struct vqp_op *o = &ops[n_ops++];
    o->kind = kind;
    o->in[0] = a;
    o->in[1] = b;
    if (bytes)
        o->out[0] = value(VQP_VAL_TEMP, bytes);
    return o->out[0];
}

static uint64_t plan(void)
{
    uint64_t bytes = 1;
    struct vqp_error err;
    vqp_status status = vqp_plan_arena(ops, n_ops, vals, n_vals, &bytes, &err);
    if (status)
        printf("\n    %s\n", err.msg);
    CU_ASSERT_EQUAL(status, VQP_OK);
    return bytes;
}

/* ---- brute force ------------------------------------------------------------------------------------------------- */

static int touches(uint32_t i, vqp_val root)
{
    for (int k = 0; k < VQP_OP_MAX_IN; k++)
        if (ops[i].in[k] && vals[ops[i].in[k]].root == root)
            return 1;
    for (int k = 0; k < VQP_OP_MAX_OUT; k++)
        if (ops[i].out[k] && vals[ops[i].out[k]].root == root)
            return 1;
    return 0;
}

/* First and last op that touches root; 0 where none does. */
static int lifetime(vqp_val root, uint32_t *first, uint32_t *last)
{
    int found = 0;
    for (uint32_t i = 0; i < n_ops; i++)
        if (touches(i, root)) {
            *first = found ? *first : i;
            *last = i;
            found = 1;
        }
    return found;
}

/* Checks alignment, bounds, views and overlaps; returns the most bytes (rounded up) alive at one op: no plan can do with less. */
static uint64_t check_plan(uint64_t arena_bytes)
{
    static uint64_t load[MAX_OPS];
    uint64_t peak = 0;
    int bad = 0;
    memset(load, 0, sizeof load);
    for (vqp_val a = 1; a < n_vals; a++) {
        uint32_t first_a, last_a, first_b, last_b;
        bad += vals[a].arena_offset != vals[vals[a].root].arena_offset;
        if (vals[a].root != a || vals[a].role != VQP_VAL_TEMP || !lifetime(a, &first_a, &last_a)) {
            bad += vals[a].role != VQP_VAL_TEMP && vals[a].arena_offset != 0;
            continue;
        }
        uint64_t start = vals[a].arena_offset, end = start + vals[a].bytes;
        bad += start % 256 != 0 || end > arena_bytes;
        for (uint32_t i = first_a; i <= last_a; i++)
            load[i] += (vals[a].bytes + 255) / 256 * 256;
        for (vqp_val b = a + 1; b < n_vals; b++) {
            if (vals[b].root != b || vals[b].role != VQP_VAL_TEMP || !lifetime(b, &first_b, &last_b))
                continue;
            int together = first_a <= last_b && first_b <= last_a;
            bad += together && start < vals[b].arena_offset + vals[b].bytes && vals[b].arena_offset < end;
        }
    }
    CU_ASSERT_EQUAL(bad, 0);
    for (uint32_t i = 0; i < n_ops; i++)
        peak = load[i] > peak ? load[i] : peak;
    return peak;
}

static uint32_t random_state;

static uint32_t below(uint32_t n)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % n;
}

/* Ops on anything recorded before, mostly on something recent; views, states, outputs and stores among them. */
static void random_program(uint32_t seed)
{
    random_state = seed;
    begin();
    uint32_t ops_wanted = 1 + below(60);
    for (uint32_t i = 0; i < 3; i++) {
        value(VQP_VAL_INPUT, 100);
        value(VQP_VAL_STATE, 100);
        value(VQP_VAL_WEIGHT, 100);
    }
    while (n_ops < ops_wanted) {
        uint32_t reach = below(4) ? 8 : n_vals - 1;
        vqp_val a = n_vals - 1 - below(reach < n_vals - 1 ? reach : n_vals - 1),
                b = below(3) ? 1 + below(n_vals - 1) : 0;
        switch (below(8)) {
        case 0: view_of(a); break;
        case 1: op(VQP_OP_STORE, 2, a, 0); break;
        case 2:
            if (vals[a].role == VQP_VAL_TEMP && vals[a].root == a && below(2))
                vals[a].role = VQP_VAL_OUTPUT;
            break;
        case 3:
            op(VQP_OP_SORT_K, a, 0, 1 + below(5000));
            ops[n_ops - 1].out[1] = value(VQP_VAL_TEMP, 1 + below(5000));
            break;
        default: op(VQP_OP_ADD, a, b, 1 + below(below(3) ? 700 : 60000));
        }
    }
    for (vqp_val v = 1; v < n_vals; v++)
        vals[v].role = vals[vals[v].root].role;
}

/* Whether anything outside the program can see what op i does, found forwards: through everything that reads it. */
static int reaches_outside(uint32_t i)
{
    static unsigned char carries[MAX_VALS];
    memset(carries, 0, sizeof carries);
    for (uint32_t k = i; k < n_ops; k++) {
        int reads = k == i;
        for (int in = 0; in < VQP_OP_MAX_IN; in++)
            reads |= ops[k].in[in] && carries[vals[ops[k].in[in]].root];
        if (!reads)
            continue;
        if (ops[k].kind == VQP_OP_STORE || ops[k].kind == VQP_OP_ADVANCE)
            return 1;
        for (int out = 0; out < VQP_OP_MAX_OUT; out++) {
            if (ops[k].out[out] && vals[ops[k].out[out]].role == VQP_VAL_OUTPUT)
                return 1;
            carries[ops[k].out[out]] = ops[k].out[out] != 0;
        }
    }
    return 0;
}

/* ---- cases ------------------------------------------------------------------------------------------------------- */

static void test_random_arena(void)
{
    uint64_t used = 0, least = 0;
    for (uint32_t seed = 0; seed < 600; seed++) {
        random_program(seed);
        uint64_t bytes = plan(), peak = check_plan(bytes);
        CU_ASSERT_TRUE(bytes >= peak);
        used += bytes;
        least += peak;
    }
    CU_ASSERT_TRUE(used * 10 < least * 11);
}

static void test_random_dead(void)
{
    static struct vqp_op want[MAX_OPS];
    uint64_t dropped = 0;
    for (uint32_t seed = 0; seed < 600; seed++) {
        uint32_t n = 0;
        random_program(seed);
        for (uint32_t i = 0; i < n_ops; i++)
            if (reaches_outside(i))
                want[n++] = ops[i];
        dropped += n_ops - n;
        uint32_t left = vqp_plan_drop_dead(ops, n_ops, vals, n_vals);
        CU_ASSERT_EQUAL(left, n);
        CU_ASSERT_EQUAL(memcmp(ops, want, n * sizeof *ops), 0);
        n_ops = left;
        check_plan(plan());
    }
    CU_ASSERT_TRUE(dropped > 600);
}

static void test_chain_reuses(void)
{
    begin();
    vqp_val v = value(VQP_VAL_INPUT, 1000);
    for (int i = 0; i < 50; i++)
        v = op(VQP_OP_EXP, v, 0, 1000);
    CU_ASSERT_EQUAL(plan(), 2048);
    CU_ASSERT_EQUAL(check_plan(2048), 2048);
}

static void test_output_not_over_input(void)
{
    begin();
    vqp_val x = op(VQP_OP_EXP, value(VQP_VAL_INPUT, 256), 0, 256), y = op(VQP_OP_EXP, x, 0, 256);
    CU_ASSERT_EQUAL(plan(), 512);
    CU_ASSERT_NOT_EQUAL(vals[x].arena_offset, vals[y].arena_offset);
}

static void test_view_prolongs(void)
{
    begin();
    vqp_val x = op(VQP_OP_EXP, value(VQP_VAL_INPUT, 256), 0, 256), w = view_of(x);
    vqp_val y = op(VQP_OP_EXP, x, 0, 256), z = op(VQP_OP_EXP, y, 0, 256);
    op(VQP_OP_ADD, z, w, 256);
    CU_ASSERT_EQUAL(plan(), 3 * 256);
    CU_ASSERT_NOT_EQUAL(vals[x].arena_offset, vals[z].arena_offset);
    CU_ASSERT_EQUAL(vals[w].arena_offset, vals[x].arena_offset);
}

static void test_store_survives(void)
{
    begin();
    vqp_val in = value(VQP_VAL_INPUT, 4), state = value(VQP_VAL_STATE, 4);
    op(VQP_OP_STORE, state, op(VQP_OP_EXP, in, 0, 4), 0);
    vqp_val seen = op(VQP_OP_LOG, state, 0, 4);
    op(VQP_OP_STORE, state, in, 0);
    op(VQP_OP_SQRT, in, 0, 4);
    vals[seen].role = VQP_VAL_OUTPUT;
    CU_ASSERT_EQUAL(vqp_plan_drop_dead(ops, n_ops, vals, n_vals), 4);
    static const uint32_t kinds[] = {VQP_OP_EXP, VQP_OP_STORE, VQP_OP_LOG, VQP_OP_STORE};
    for (int i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(ops[i].kind, kinds[i]);
}

static void test_refuses_unwritten(void)
{
    begin();
    op(VQP_OP_EXP, value(VQP_VAL_TEMP, 4), 0, 4);
    uint64_t bytes;
    struct vqp_error err;
    CU_ASSERT_EQUAL(vqp_plan_arena(ops, n_ops, vals, n_vals, &bytes, &err), VQP_E_INTERNAL);
    CU_ASSERT_STRING_EQUAL(err.msg, "op 0 (exp) reads value 1, which no op before it writes");
}

static void test_refuses_overflow(void)
{
    begin();
    vqp_val x = op(VQP_OP_EXP, value(VQP_VAL_INPUT, 4), 0, INT64_MAX);
    op(VQP_OP_EXP, x, 0, INT64_MAX);
    uint64_t bytes;
    struct vqp_error err;
    CU_ASSERT_EQUAL(vqp_plan_arena(ops, n_ops, vals, n_vals, &bytes, &err), VQP_E_NOMEM);
    CHECK_STR_HAS(err.msg, "more memory than there can be");
}

int main(void)
{
    static const struct vqp_case all[] = {
        {"keeps values that live together apart, near the least memory", test_random_arena},
        {"keeps exactly the ops that reach an output or a state", test_random_dead},
        {"reuses memory along a chain", test_chain_reuses},
        {"never puts an output over an input of its op", test_output_not_over_input},
        {"keeps a value as long as a view of it is read", test_view_prolongs},
        {"keeps every store, in order", test_store_survives},
        {"refuses to read what nothing wrote", test_refuses_unwritten},
        {"refuses more memory than there can be", test_refuses_overflow},
    };
    return RUN_CASES("plan", all);
}
