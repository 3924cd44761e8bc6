#include "check.h"
#include "pickle.h"
#include "torch_file.h"
#include <sys/resource.h>
#include <time.h>

static struct bytes b;

static void start(void)
{
    b.n = 0;
    put(&b, "\x80\x02", 2);
}

#define RAW(text) put(&b, text, sizeof(text) - 1)

/* In a block of its own size, so that a sanitizer sees what reads past the end. */
static vqp_status read_it(struct vqp_arena *a, struct vqp_pickle_value **root, struct vqp_error *err, void **block)
{
    *block = malloc(b.n ? b.n : 1);
    memcpy(*block, b.at, b.n);
    return vqp_pickle_read("f.bin: data.pkl", *block, b.n, a, root, err);
}

static void refused(const char *part)
{
    struct vqp_arena a = {0};
    struct vqp_pickle_value *root = NULL;
    struct vqp_error err = {0};
    void *block;
    CU_ASSERT_EQUAL(read_it(&a, &root, &err, &block), VQP_E_FORMAT);
    CHECK_STR_HAS(err.msg, "f.bin: data.pkl, byte ");
    CHECK_STR_HAS(err.msg, part);
    vqp_arena_free(&a);
    free(block);
}

static void values(void)
{
    struct vqp_arena a = {0};
    struct vqp_pickle_value *root = NULL;
    struct vqp_error err = {0};
    void *block;
    start();
    RAW("(K\xFFM\xFF\xFFJ\xFF\xFF\xFF\xFF\x8A\x00\x8A\x01\x80\x8A\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7FN\x88\x89G1234567"
        "8");
    put_text(&b, "\xC3\xA9t");
    RAW(")]q\x01(K\x01K\x02"
        "e}r\x02\x00\x00\x00(");
    put_text(&b, "a");
    RAW("h\x01");
    put_text(&b, "b");
    RAW("K\x03uj\x02\x00\x00\x00"
        "c");
    RAW("torch\nfloat32\nK\x07\x85K\x08K\x09\x86K\x01K\x02K\x03\x87t.");
    vqp_status status = read_it(&a, &root, &err, &block);
    CU_ASSERT_EQUAL(status, VQP_OK);
    if (status)
        printf("\n    %s\n", err.msg);
    CU_ASSERT_EQUAL_FATAL(status, VQP_OK);
    CU_ASSERT_EQUAL_FATAL(root->kind, VQP_PICKLE_TUPLE);
    CU_ASSERT_EQUAL_FATAL(root->n, 19);
    static const int64_t ints[] = {255, 65535, -1, 0, -128, INT64_MAX};
    struct vqp_pickle_value *const *v = root->v.items;
    for (int i = 0; i < 6; i++) {
        CU_ASSERT_EQUAL(v[i]->kind, VQP_PICKLE_INT);
        CU_ASSERT_EQUAL(v[i]->v.integer, ints[i]);
    }
    CU_ASSERT_EQUAL(v[6]->kind, VQP_PICKLE_NONE);
    CU_ASSERT(v[7]->kind == VQP_PICKLE_BOOL && v[7]->v.integer == 1);
    CU_ASSERT(v[8]->kind == VQP_PICKLE_BOOL && v[8]->v.integer == 0);
    CU_ASSERT_EQUAL(v[9]->kind, VQP_PICKLE_FLOAT);
    CU_ASSERT(v[10]->kind == VQP_PICKLE_TEXT && v[10]->n == 3 && !memcmp(v[10]->v.text, "\xC3\xA9t", 3));
    CU_ASSERT(v[11]->kind == VQP_PICKLE_TUPLE && v[11]->n == 0);
    CU_ASSERT(v[12]->kind == VQP_PICKLE_LIST && v[12]->n == 2 && v[12]->v.items[1]->v.integer == 2);
    CU_ASSERT_FATAL(v[13]->kind == VQP_PICKLE_DICT && v[13]->n == 4);
    CU_ASSERT_PTR_EQUAL(v[13]->v.items[1], v[12]); /* the memo holds references */
    CU_ASSERT_PTR_EQUAL(v[14], v[13]);
    CU_ASSERT_EQUAL(v[15]->kind, VQP_PICKLE_OTHER);
    CU_ASSERT(v[16]->n == 1 && v[17]->n == 2 && v[18]->n == 3 && v[18]->v.items[2]->v.integer == 3);
    vqp_arena_free(&a);
    free(block);
}

static void many_items(void)
{
    struct vqp_arena a = {0};
    struct vqp_pickle_value *root = NULL;
    struct vqp_error err;
    void *block;
    start();
    RAW("](");
    for (int i = 0; i < 100; i++) {
        put(&b, "K", 1);
        put_number(&b, (uint64_t)i, 1);
    }
    RAW("eK\x64"
        "a.");
    CU_ASSERT_EQUAL_FATAL(read_it(&a, &root, &err, &block), VQP_OK);
    CU_ASSERT_EQUAL_FATAL(root->n, 101);
    for (int i = 0; i <= 100; i++)
        CU_ASSERT_EQUAL(root->v.items[i]->v.integer, i);
    vqp_arena_free(&a);
    free(block);
}

static void tensors(void)
{
    struct vqp_arena a = {0};
    struct vqp_pickle_value *root = NULL;
    struct vqp_error err = {0};
    void *block;
    start();
    put_global(&b, "torch._utils _rebuild_parameter");
    put_tensor(&b, &(struct tensor_spec){"BFloat16Storage", "17", 40, 5, 2, {3, 4}, {4, 1}});
    RAW("\x88");
    put_global(&b, "collections OrderedDict");
    RAW(")R\x87R.");
    vqp_status status = read_it(&a, &root, &err, &block);
    if (status)
        printf("\n    %s\n", err.msg);
    CU_ASSERT_EQUAL_FATAL(status, VQP_OK);
    CU_ASSERT_EQUAL_FATAL(root->kind, VQP_PICKLE_TENSOR);
    const struct vqp_pickle_tensor *t = root->v.tensor;
    CU_ASSERT(t->rank == 2 && t->offset == 5 && t->size[1] == 4 && t->stride[0] == 4);
    CU_ASSERT_STRING_EQUAL(t->storage->dtype, "BF16");
    CU_ASSERT(t->storage->numel == 40 && t->storage->key_bytes == 2 && !memcmp(t->storage->key, "17", 2));
    vqp_arena_free(&a);
    free(block);
}

/* Rows 26 and 27. */
static void names_and_operations(void)
{
    static const char *const names[] = {"os system",
                                        "builtins eval",
                                        "posix system",
                                        "torch load",
                                        "torch.storage UntypedStorage",
                                        "builtins getattr",
                                        "torch._utils _rebuild_tensor",
                                        "collections Counter",
                                        "torch floatStorage",
                                        "numpy.core.multiarray scalar"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char dotted[80];
        snprintf(dotted, sizeof dotted, "'%s'", names[i]);
        *strchr(dotted, ' ') = '.';
        start();
        put_global(&b, names[i]);
        put_text(&b, "rm -rf /");
        RAW("\x85R.");
        refused(dotted);
        CU_ASSERT_EQUAL(b.at[2], 'c');
    }
    for (unsigned op = 0; op < 256; op++) {
        static const unsigned char known[] = "(NJKMGXc)]}taesuqrhjQRb.\x80\x88\x89\x8A\x85\x86\x87";
        char says[40];
        if (memchr(known, (int)op, sizeof known - 1))
            continue;
        snprintf(says, sizeof says, "byte 3: operation 0x%02x", op);
        start();
        RAW("N");
        put_number(&b, op, 1);
        RAW("\x04\x00\x00\x00.............");
        refused(says);
    }
}

/* Row 28, and what else does not hold together. */
static void broken(void)
{
    static const struct {
        const char *text;
        size_t n;
        const char *says;
    } rows[] = {
#define ROW(text, says) {text, sizeof(text) - 1, says}
        ROW("", "byte 2: the end of the pickle is missing"),
        ROW("N", "the end of the pickle is missing"),
        ROW(".", "0 values on the stack"),
        ROW("NN.", "2 values on the stack"),
        ROW("(.", "1 values on the stack"),
        ROW("N.N", "1 bytes lie behind the end"),
        ROW("N.\x80\x02N.", "bytes lie behind the end"),
        ROW("N\x80\x02.", "a second pickle"),
        ROW("t.", "needs a mark"),
        ROW("Nt.", "needs a mark"),
        ROW("e.", "needs a mark"),
        ROW("u.", "needs a mark"),
        ROW("(Ne.", "takes more from the stack"),
        ROW("N(Ne.", "appends to what is no list"),
        ROW("}(Ne.", "appends to what is no list"),
        ROW("](NNu.", "sets an item of what is no dict"),
        ROW("NNNs.", "sets an item of what is no dict"),
        ROW("}(Nu.", "a key without a value"),
        ROW("}(NNu.", "neither text nor a whole number"),
        ROW("})Ns.", "neither text nor a whole number"),
        ROW("a.", "takes more from the stack"),
        ROW("]a.", "takes more from the stack"),
        ROW("s.", "takes more from the stack"),
        ROW("](a.", "takes a mark for a value"),
        ROW("(\x85.", "takes a mark for a value"),
        ROW("\x85.", "takes more from the stack"),
        ROW("NN\x87.", "takes more from the stack"),
        ROW("q\x00.", "takes more from the stack"),
        ROW("(q\x00.", "takes a mark for a value"),
        ROW("h\x00.", "memo entry 0 was never set"),
        ROW("Nq\x01h\x02.", "memo entry 2 was never set"),
        ROW("j\xFF\xFF\xFF\xFF.", "memo entry 4294967295 was never set"),
        ROW("Nr\xFF\xFF\xFF\xFF.", "memo entry 4294967295; fewer"),
        ROW("K", "needs 1 bytes, and 0 are left"),
        ROW("M\x01", "needs 2 bytes, and 1 are left"),
        ROW("G1234567", "needs 8 bytes"),
        ROW("\x8A\x09"
            "123456789.",
            "a number of 9 bytes"),
        ROW("\x8A\x05"
            "1234",
            "needs 5 bytes"),
        ROW("X\x05\x00\x00\x00"
            "abcd",
            "needs 5 bytes"),
        ROW("X\xFF\xFF\xFF\xFF"
            "abcd.",
            "a text of 4294967295 bytes"),
        ROW("X\x02\x00\x00\x00\xFF\xFE.", "not UTF-8"),
        ROW("X\x01\x00\x00\x00\x00.", "holds a NUL"),
        ROW("ctorch", "a name that does not end"),
        ROW("ctorch\nFloatStorage", "a name that does not end"),
        ROW("Q.", "takes more from the stack"),
        ROW("NQ.", "no storage of torch's"),
        ROW(")Q.", "no storage of torch's"),
        ROW("(NNNNNtQ.", "no storage of torch's"),
        ROW("N)R.", "calls what is no function"),
        ROW(")R.", "takes more from the stack"),
        ROW("ccollections\nOrderedDict\nNR.", "calls what is no function"),
        ROW("ccollections\nOrderedDict\nN\x85R.", "'collections.OrderedDict' with arguments"),
        ROW("ctorch\nFloatStorage\n)R.", "'torch.FloatStorage' with arguments"),
        ROW("ctorch._utils\n_rebuild_tensor_v2\n)R.", "a tensor with arguments"),
        ROW("ctorch._utils\n_rebuild_parameter\nNNN\x87R.", "with arguments that torch does not write"),
        ROW("ctorch\nSize\n)R.", "with arguments"),
        ROW("ctorch\ndevice\n)R.", "with arguments"),
        ROW("}}b.", "no OrderedDict"),
        ROW("NNb.", "no OrderedDict"),
        ROW("ccollections\nOrderedDict\n)RNb.", "no OrderedDict"),
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        start();
        put(&b, rows[i].text, rows[i].n);
        refused(rows[i].says);
    }
    for (unsigned char protocol = 0; protocol < 6; protocol++) {
        start();
        b.at[1] = protocol;
        RAW("N.");
        if (protocol != 2)
            refused("pickle protocol");
    }
    b.n = 0;
    RAW("(dp0\n.");
    refused("byte 0: no pickle begins like this");
    b.n = 0;
    refused("byte 0: the end of the pickle is missing");
}

static void storages_and_tensors(void)
{
    static const struct {
        struct tensor_spec t;
        const char *says;
    } rows[] = {
        {{"FloatStorage", "0", -1, 0, 1, {1}, {1}}, "no storage of torch's"},
        {{"FloatStorage", "0", 1, -1, 1, {1}, {1}}, "a tensor with arguments"},
        {{"FloatStorage", "0", 1, 0, 1, {-1}, {1}}, "no 1 numbers of 0 or more"},
        {{"FloatStorage", "0", 1, 0, 1, {1}, {-1}}, "no 1 numbers of 0 or more"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        start();
        put_tensor(&b, &rows[i].t);
        RAW(".");
        refused(rows[i].says);
    }
    start();
    put_tensor(&b, &(struct tensor_spec){"FloatStorage", "0", 1, 0, 8, {1, 1, 1, 1, 1, 1, 1, 1}, {0}});
    struct vqp_arena a = {0};
    struct vqp_pickle_value *root;
    struct vqp_error err;
    void *block;
    RAW(".");
    CU_ASSERT_EQUAL(read_it(&a, &root, &err, &block), VQP_OK);
    vqp_arena_free(&a);
    free(block);
}

/* A valid pickle, cut anywhere and with any bit flipped: an answer each time. */
static void cut_and_flipped(void)
{
    start();
    RAW("}q\x00(");
    put_text(&b, "a");
    put_tensor(&b, &(struct tensor_spec){"HalfStorage", "0", 12, 0, 2, {3, 4}, {4, 1}});
    put_text(&b, "b");
    RAW("](K\x01K\x02"
        "eu.");
    struct bytes whole = b;
    unsigned accepted = 0;
    for (size_t n = 0; n < whole.n; n++) {
        struct vqp_arena a = {0};
        struct vqp_pickle_value *root;
        struct vqp_error err;
        void *block;
        b.n = n;
        accepted += read_it(&a, &root, &err, &block) == VQP_OK;
        vqp_arena_free(&a);
        free(block);
    }
    CU_ASSERT_EQUAL(accepted, 0);
    for (size_t at = 0; at < whole.n * 8; at++) {
        struct vqp_arena a = {0};
        struct vqp_pickle_value *root;
        struct vqp_error err = {0};
        void *block;
        b = whole;
        b.at[at / 8] ^= (unsigned char)(1 << at % 8);
        vqp_status status = read_it(&a, &root, &err, &block);
        CU_ASSERT(status == VQP_OK || status == VQP_E_FORMAT);
        vqp_arena_free(&a);
        free(block);
    }
}

static long peak_kb(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

static vqp_status read_long(unsigned char *data, size_t n, struct vqp_error *err)
{
    struct vqp_arena a = {0};
    struct vqp_pickle_value *root;
    vqp_status status = vqp_pickle_read("f.bin: data.pkl", data, n, &a, &root, err);
    vqp_arena_free(&a);
    return status;
}

/* Row 30: what costs the writer little must not cost the reader much. */
static void bombs(void)
{
    struct vqp_error err = {0};
    size_t n = 64 << 20;
    long before = peak_kb();
    struct timespec t0, t1;
    clock_gettime(CLOCK_MONOTONIC, &t0);
    unsigned char *data = malloc(n);
    static const char ops[] = "N])}(\x88";
    for (size_t i = 0; i < sizeof ops - 1; i++) {
        memset(data, ops[i], n);
        memcpy(data, "\x80\x02", 2);
        CU_ASSERT_EQUAL(read_long(data, n, &err), VQP_E_FORMAT);
        CHECK_STR_HAS(err.msg, "more than 1000000 operations");
    }
    free(data);
    start();
    RAW("]()q\x00"); /* t = (t, t), forty times: 2^40 leaves, none of them made */
    for (int i = 0; i < 40; i++)
        RAW("h\x00h\x00\x86q\x00");
    RAW("e.");
    struct vqp_arena a = {0};
    struct vqp_pickle_value *root;
    void *block;
    CU_ASSERT_EQUAL(read_it(&a, &root, &err, &block), VQP_OK);
    vqp_arena_free(&a);
    free(block);
    clock_gettime(CLOCK_MONOTONIC, &t1);
    CU_ASSERT(t1.tv_sec - t0.tv_sec < 10);
#ifndef __SANITIZE_ADDRESS__                                  /* which keeps what was freed */
    CU_ASSERT(peak_kb() - before < (64 << 10) + (100 << 10)); /* the data, and less than 100 MB */
#else
    (void)before;
#endif
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"reads every kind of value", values},
        {"grows lists", many_items},
        {"reads tensors and parameters", tensors},
        {"refuses every other name and operation, and says which", names_and_operations},
        {"refuses what does not hold together", broken},
        {"refuses storages and tensors that cannot be", storages_and_tensors},
        {"answers to every cut and flipped bit", cut_and_flipped},
        {"bounds time and memory", bombs},
    };
    return RUN_CASES("pickle", cases);
}
