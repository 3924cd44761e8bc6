#include "check.h"
#include "pytorch.h"
#include "scratch.h"
#include "torch_file.h"

static struct bytes pickle; /* of the file that is being made */
static float numbers[64];

static void begin(void)
{
    pickle.n = 0;
    put(&pickle, "\x80\x02}(", 4);
}

#define RAW(text) put(&pickle, text, sizeof(text) - 1)

/* {"t": tensor} over storage 0 of `bytes` bytes. */
static struct zip file_of(const struct tensor_spec *t, size_t bytes)
{
    struct zip z = {0};
    begin();
    put_text(&pickle, "t");
    put_tensor(&pickle, t);
    RAW("u.");
    zip_add(&z, "a/data.pkl", pickle.at, pickle.n);
    zip_add(&z, "a/data/0", numbers, bytes);
    zip_finish(&z);
    return z;
}

/* The pickle as it stands, and the one storage. */
static struct zip file_with(size_t bytes)
{
    struct zip z = {0};
    zip_add(&z, "a/data.pkl", pickle.at, pickle.n);
    zip_add(&z, "a/data/0", numbers, bytes);
    zip_finish(&z);
    return z;
}

/* In a block of its own size and aligned as a mapping is. */
struct opened {
    struct vqp_pytorch p;
    struct vqp_error err;
    void *block;
    vqp_status status;
};

static void *block_of(const void *data, size_t n)
{
    void *block = NULL;
    if (posix_memalign(&block, 4096, n ? n : 1))
        exit(2);
    memcpy(block, data, n);
    return block;
}

static void open_bytes(struct opened *o, const void *data, size_t n)
{
    *o = (struct opened){.block = block_of(data, n)};
    o->status = vqp_pytorch_parse("file.bin", o->block, n, &o->p, &o->err);
    CU_ASSERT(o->status == VQP_OK || (o->status == VQP_E_FORMAT && o->err.code == VQP_E_FORMAT));
}

static void close_it(struct opened *o)
{
    if (!o->status)
        vqp_pytorch_free(&o->p);
    free(o->block);
}

static void refused(const struct zip *z, const char *part)
{
    struct opened o;
    open_bytes(&o, z->b.at, z->b.n);
    CU_ASSERT_EQUAL(o.status, VQP_E_FORMAT);
    CHECK_STR_HAS(o.status ? o.err.msg : "accepted", part);
    if (o.status)
        CHECK_STR_HAS(o.err.msg, "file.bin: ");
    close_it(&o);
}

static struct vqp_tensor *named(struct opened *o, const char *name)
{
    for (uint32_t i = 0; i < o->p.count; i++)
        if (!strcmp(o->p.tensors[i].name, name))
            return &o->p.tensors[i];
    printf("\n    no tensor %s\n", name);
    CU_FAIL_FATAL("a tensor is missing");
    return NULL;
}

/* A float tensor's n values, made ready. */
static void holds(struct opened *o, const char *name, const float *want, size_t n)
{
    struct vqp_tensor *t = named(o, name);
    CU_ASSERT_EQUAL(vqp_pytorch_ready("file.bin", &o->p, t, &o->err), VQP_OK);
    CU_ASSERT_EQUAL_FATAL(t->bytes, n * sizeof *want);
    CU_ASSERT_EQUAL(memcmp(t->data, want, t->bytes), 0);
}

/* ---- files that torch wrote ------------------------------------------------------------------------------------- */

static char *sample(const char *name, size_t *n)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/tests/unit/samples/%s", VQP_SOURCE_DIR, name);
    char *data = scratch_read(path, n);
    if (!data)
        CU_FAIL_FATAL("a sample is missing");
    return data;
}

static void nested_checkpoint(void)
{
    static const char *const names[] = {"bf16",      "columns",    "empty",        "f16",
                                        "i64",       "model.bias", "model.weight", "optimizer.state.0.exp_avg",
                                        "parameter", "rows",       "scalar",       "transposed"};
    size_t n;
    char *data = sample("nested.pth", &n);
    struct opened o;
    open_bytes(&o, data, n);
    CU_ASSERT_EQUAL_FATAL(o.status, VQP_OK);
    CU_ASSERT_EQUAL_FATAL(o.p.count, sizeof names / sizeof *names);
    for (uint32_t i = 0; i < o.p.count; i++)
        CU_ASSERT_STRING_EQUAL(o.p.tensors[i].name, names[i]);
    holds(&o, "model.weight", (float[]){0, 1, 2, 3, 4, 5}, 6);
    holds(&o, "model.bias", (float[]){0.5f, -0.5f}, 2);
    holds(&o, "parameter", (float[]){1.5f, 2.5f}, 2);
    holds(&o, "scalar", (float[]){3}, 1);
    holds(&o, "rows", (float[]){6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17}, 12);
    CU_ASSERT_PTR_NULL(named(&o, "columns")->data); /* not before it is asked for */
    holds(&o, "columns", (float[]){2, 3, 8, 9, 14, 15, 20, 21}, 8);
    float turned[24];
    for (int i = 0; i < 24; i++)
        turned[i] = (float)(i % 4 * 6 + i / 4);
    holds(&o, "transposed", turned, 24);
    const struct vqp_tensor *t = named(&o, "transposed");
    CU_ASSERT(t->shape.rank == 2 && t->shape.dim[0] == 6 && t->shape.dim[1] == 4 && t->dtype == VQP_F32);
    CU_ASSERT(named(&o, "scalar")->shape.rank == 0 && named(&o, "empty")->bytes == 0);
    CU_ASSERT(named(&o, "bf16")->dtype == VQP_BF16 && ((const uint16_t *)named(&o, "bf16")->data)[3] == 0x4040);
    CU_ASSERT(named(&o, "f16")->dtype == VQP_F16 && ((const uint16_t *)named(&o, "f16")->data)[3] == 0x4200);
    CU_ASSERT(named(&o, "i64")->dtype == 0 && !strcmp(named(&o, "i64")->file_dtype, "I64"));
    const char *begin_of = o.block, *at = named(&o, "model.weight")->data;
    CU_ASSERT(at > begin_of && at < begin_of + n && (at - begin_of) % 64 == 0); /* where it lies in the file */
    close_it(&o);
    free(data);
}

static void state_dict(void)
{
    size_t n;
    char *data = sample("module.bin", &n);
    struct opened o;
    open_bytes(&o, data, n);
    CU_ASSERT_EQUAL_FATAL(o.status, VQP_OK);
    CU_ASSERT_EQUAL(o.p.count, 2);
    holds(&o, "weight", (float[]){0, 1, 2, 3, 4, 5}, 6);
    close_it(&o);
    free(data);
}

/* Whatever is cut off or flipped: an error now or when a tensor is used, or every tensor as it was. */
static void cut_and_flipped(void)
{
    size_t n;
    char *data = sample("module.bin", &n);
    unsigned accepted = 0, changed = 0;
    for (size_t k = 0; k < n; k++) {
        struct opened o;
        open_bytes(&o, data, k);
        accepted += !o.status;
        close_it(&o);
    }
    CU_ASSERT_EQUAL(accepted, 0);
    for (size_t bit = 0; bit < n * 8; bit++) {
        struct opened o;
        data[bit / 8] = (char)(data[bit / 8] ^ 1 << bit % 8);
        open_bytes(&o, data, n);
        if (!o.status) {
            static const float weight[] = {0, 1, 2, 3, 4, 5}, bias[] = {0.5f, -0.5f};
            int same = o.p.count == 2 && !strcmp(o.p.tensors[0].name, "bias") &&
                       !strcmp(o.p.tensors[1].name, "weight") && o.p.tensors[0].bytes == sizeof bias &&
                       o.p.tensors[1].bytes == sizeof weight;
            for (uint32_t i = 0; same && i < 2; i++)
                if (!vqp_pytorch_ready("file.bin", &o.p, &o.p.tensors[i], &o.err))
                    same = !memcmp(o.p.tensors[i].data, i ? weight : bias, o.p.tensors[i].bytes);
            changed += !same;
        }
        close_it(&o);
        data[bit / 8] = (char)(data[bit / 8] ^ 1 << bit % 8);
    }
    CU_ASSERT_EQUAL(changed, 0);
    free(data);
}

/* ---- files that nobody's torch wrote ---------------------------------------------------------------------------- */

/* Rows 31 and 32. */
static void places(void)
{
    static const struct {
        struct tensor_spec t;
        size_t bytes;
        const char *says; /* NULL: sound */
    } rows[] = {
        {{"FloatStorage", "0", 12, 0, 2, {3, 4}, {4, 1}}, 48, NULL},
        {{"FloatStorage", "0", 12, 0, 2, {3, 4}, {4, 1}}, 44, "should hold 12 elements of F32, but has 44 bytes"},
        {{"FloatStorage", "0", 12, 0, 2, {3, 4}, {4, 1}}, 52, "should hold 12 elements"},
        {{"HalfStorage", "0", 24, 0, 2, {3, 4}, {4, 1}}, 48, NULL},
        {{"DoubleStorage", "0", 12, 0, 1, {12}, {1}}, 48, "should hold 12 elements of F64"},
        {{"FloatStorage", "0", INT64_MAX, 0, 1, {1}, {1}}, 48, "should hold 9223372036854775807"},
        {{"FloatStorage", "0", (int64_t)1 << 62, 0, 1, {1}, {1}}, 0, "should hold"}, /* 2^64 bytes: 0 */
        {{"FloatStorage", "1", 12, 0, 1, {12}, {1}}, 48, "its storage \"1\" is not in the archive"},
        {{"FloatStorage", "../data/0", 12, 0, 1, {12}, {1}}, 48, "is not in the archive"},
        {{"FloatStorage", "0", 12, 1, 2, {3, 4}, {4, 1}}, 48, "reaches to element 12 of a storage of 12"},
        {{"FloatStorage", "0", 12, 12, 1, {1}, {1}}, 48, "reaches to element 12"},
        {{"FloatStorage", "0", 12, 12, 1, {0}, {1}}, 48, NULL},
        {{"FloatStorage", "0", 12, 13, 1, {0}, {1}}, 48, "reaches to element 13"},
        {{"FloatStorage", "0", 12, INT64_MAX, 1, {1}, {1}}, 48, "reaches to element"},
        {{"FloatStorage", "0", 12, 0, 1, {2}, {12}}, 48, "reaches to element 12"},
        {{"FloatStorage", "0", 12, 0, 1, {2}, {INT64_MAX}}, 48, "reaches to element"},
        {{"FloatStorage", "0", 12, 0, 1, {5}, {(int64_t)1 << 62}}, 48, "more elements than 64 bits"},
        {{"FloatStorage", "0", 12, 0, 2, {INT64_MAX, INT64_MAX}, {0, 0}}, 48, "more elements than 64 bits"},
        {{"FloatStorage", "0", 12, 0, 2, {(int64_t)1 << 32, (int64_t)1 << 32}, {0, 0}}, 48, "more elements than"},
        {{"FloatStorage", "0", 12, 0, 1, {12}, {0}}, 48, "elements that share their place"},
        {{"FloatStorage", "0", 12, 0, 1, {(int64_t)1 << 40}, {0}}, 48, "elements that share their place"},
        {{"FloatStorage", "0", 12, 0, 2, {3, 4}, {3, 1}}, 48, "elements that share their place"},
        {{"FloatStorage", "0", 12, 0, 2, {2, 2}, {2, 2}}, 48, "elements that share their place"},
        {{"FloatStorage", "0", 12, 0, 3, {2, 3, 2}, {1, 2, 6}}, 48, NULL},
        {{"FloatStorage", "0", 12, 0, 3, {1, 12, 1}, {77, 1, 99}}, 48, NULL}, /* strides of ones mean nothing */
        {{"FloatStorage", "0", 12, 0, 0, {0}, {0}}, 48, NULL},
        {{"FloatStorage", "0", 0, 0, 0, {0}, {0}}, 0, "reaches to element 0 of a storage of 0"},
        {{"FloatStorage", "0", 0, 0, 2, {0, 5}, {5, 1}}, 0, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct zip z = file_of(&rows[i].t, rows[i].bytes);
        struct opened o;
        if (rows[i].says) {
            refused(&z, rows[i].says);
            continue;
        }
        open_bytes(&o, z.b.at, z.b.n);
        CU_ASSERT_EQUAL(o.status, VQP_OK);
        if (o.status)
            printf("\n    row %zu: %s\n", i, o.err.msg);
        else
            CU_ASSERT_EQUAL(vqp_pytorch_ready("file.bin", &o.p, &o.p.tensors[0], &o.err), VQP_OK);
        close_it(&o);
    }
}

static void gathers(void)
{
    struct zip z = file_of(&(struct tensor_spec){"FloatStorage", "0", 60, 1, 3, {2, 3, 2}, {1, 12, 5}}, 240);
    struct opened o;
    float want[12];
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++)
            for (int k = 0; k < 2; k++)
                want[i * 6 + j * 2 + k] = numbers[1 + i + 12 * j + 5 * k];
    open_bytes(&o, z.b.at, z.b.n);
    CU_ASSERT_EQUAL_FATAL(o.status, VQP_OK);
    holds(&o, "t", want, 12);
    const void *first = o.p.tensors[0].data;
    holds(&o, "t", want, 12);
    CU_ASSERT_PTR_EQUAL(o.p.tensors[0].data, first); /* once */
    close_it(&o);
}

/* A file whose storages do not lie at multiples of their element size. */
static void misaligned(void)
{
    struct zip z = {0};
    begin();
    put_text(&pickle, "t");
    put_tensor(&pickle, &(struct tensor_spec){"FloatStorage", "0", 12, 2, 2, {2, 5}, {5, 1}});
    RAW("u.");
    zip_add(&z, "a/data.pkl", pickle.at, pickle.n);
    zip_add(&z, "a/data/0", numbers, 48);
    zip_finish(&z);
    for (size_t shift = 0; shift < 4; shift++) {
        struct vqp_pytorch p;
        struct vqp_error err = {0};
        unsigned char *block = block_of(z.b.at, z.b.n + 8);
        memmove(block + shift, block, z.b.n);
        CU_ASSERT_EQUAL_FATAL(vqp_pytorch_parse("file.bin", block + shift, z.b.n, &p, &err), VQP_OK);
        CU_ASSERT_EQUAL(vqp_pytorch_ready("file.bin", &p, &p.tensors[0], &err), VQP_OK);
        CU_ASSERT_EQUAL((uintptr_t)p.tensors[0].data % 4, 0);
        CU_ASSERT_EQUAL(memcmp(p.tensors[0].data, numbers + 2, 40), 0);
        vqp_pytorch_free(&p);
        free(block);
    }
}

/* Row 33. */
static void shared_storage(void)
{
    struct opened o;
    begin();
    put_text(&pickle, "a");
    put_tensor(&pickle, &(struct tensor_spec){"FloatStorage", "0", 12, 0, 1, {12}, {1}});
    put_text(&pickle, "b");
    put_tensor(&pickle, &(struct tensor_spec){"FloatStorage", "0", 12, 4, 1, {8}, {1}});
    RAW("u.");
    struct zip z = file_with(48);
    open_bytes(&o, z.b.at, z.b.n);
    CU_ASSERT_EQUAL_FATAL(o.status, VQP_OK);
    holds(&o, "a", numbers, 12);
    holds(&o, "b", numbers + 4, 8);
    CU_ASSERT_PTR_EQUAL((const float *)o.p.tensors[0].data + 4, o.p.tensors[1].data);
    close_it(&o);
}

/* Rows 29 and 30, and names. */
static void structures(void)
{
    static const struct tensor_spec t = {"FloatStorage", "0", 12, 0, 1, {12}, {1}};
    struct zip z;
    begin();
    pickle.n = 2; /* l = []; l.append(l) */
    RAW("}X\x01\x00\x00\x00"
        "a]q\x01h\x01"
        "as.");
    z = file_with(48);
    refused(&z, "tensor \"a.0\": a list that contains itself");
    pickle.n = 2;
    RAW("}q\x01X\x01\x00\x00\x00"
        "ah\x01s.");
    z = file_with(48);
    refused(&z, "tensor \"a\": a dict that contains itself");
    pickle.n = 2; /* a tuple around a list that holds the tuple */
    RAW("}X\x01\x00\x00\x00"
        "a]q\x01h\x01\x85q\x02"
        "as.");
    z = file_with(48);
    refused(&z, "contains itself");

    pickle.n = 2; /* 2^40 leaves */
    RAW("}X\x01\x00\x00\x00"
        "a]()q\x00");
    for (int i = 0; i < 40; i++)
        RAW("h\x00h\x00\x86q\x00");
    RAW("es.");
    z = file_with(48);
    refused(&z, "more than 1000000 values");

    pickle.n = 2;
    RAW("}(X\x01\x00\x00\x00"
        "a");
    for (int i = 0; i < 70; i++)
        RAW("]");
    for (int i = 0; i < 69; i++)
        RAW("a");
    RAW("u.");
    z = file_with(48);
    refused(&z, "is nested deeper than 64");

    begin(); /* two ways to one name */
    put_text(&pickle, "a.b");
    put_tensor(&pickle, &t);
    put_text(&pickle, "a");
    RAW("}");
    put_text(&pickle, "b");
    put_tensor(&pickle, &t);
    RAW("su.");
    z = file_with(48);
    refused(&z, "tensor \"a.b\": is there twice");

    begin();
    char name[1100];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    put_text(&pickle, name);
    put_tensor(&pickle, &t);
    RAW("u.");
    z = file_with(48);
    refused(&z, "longer than 1024 bytes");

    pickle.n = 2;
    RAW("].");
    z = file_with(48);
    refused(&z, "holds no dict of tensors");
}

static void one_tensor(void)
{
    static const struct tensor_spec t = {"FloatStorage", "0", 12, 0, 1, {12}, {1}};
    struct opened o;
    begin();
    pickle.n = 2;
    put_tensor(&pickle, &t);
    RAW(".");
    struct zip z = file_with(48);
    open_bytes(&o, z.b.at, z.b.n);
    CU_ASSERT_EQUAL(o.status, VQP_OK);
    if (!o.status) {
        CU_ASSERT_EQUAL_FATAL(o.p.count, 1);
        CU_ASSERT_STRING_EQUAL(o.p.tensors[0].name, "tensor");
        CU_ASSERT_EQUAL(o.p.tensors[0].bytes, 48);
    }
    close_it(&o);
}

static void archives(void)
{
    static const struct tensor_spec t = {"FloatStorage", "0", 12, 0, 1, {12}, {1}};
    struct zip z = {0};
    zip_add(&z, "a/data/0", numbers, 48);
    zip_finish(&z);
    refused(&z, "a zip archive without data.pkl");
    z = file_of(&t, 48);
    z.count = 2;
    z.b.n = z.directory;
    zip_add(&z, "b/data.pkl", pickle.at, pickle.n);
    zip_finish(&z);
    refused(&z, "holds two data.pkl");
    z = file_of(&t, 48);
    z.b.n = z.directory;
    zip_add(&z, "a/byteorder", "big", 3);
    zip_finish(&z);
    refused(&z, "little-endian");
    z = file_of(&t, 48);
    z.b.at[z.entry[0].data + 5] ^= 1;
    refused(&z, "entry \"a/data.pkl\": its CRC-32 is");
    z = file_of(&t, 48); /* an import is named before anything else happens */
    begin();
    put_global(&pickle, "posix system");
    put_text(&pickle, "touch /tmp/was-here");
    RAW("\x85R.");
    z = file_with(48);
    refused(&z, "it asks for 'posix.system'");
}

/* Row 38; and what nothing uses is not read. */
static void damaged(void)
{
    struct opened o;
    begin();
    put_text(&pickle, "used");
    put_tensor(&pickle, &(struct tensor_spec){"FloatStorage", "0", 12, 0, 1, {12}, {1}});
    put_text(&pickle, "unused");
    put_tensor(&pickle, &(struct tensor_spec){"FloatStorage", "1", 12, 0, 1, {12}, {1}});
    RAW("u.");
    struct zip z = file_with(48);
    z.b.n = z.directory;
    zip_add(&z, "a/data/1", numbers, 48);
    zip_finish(&z);
    z.b.at[z.entry[2].data + 47] ^= 0x80;
    open_bytes(&o, z.b.at, z.b.n);
    CU_ASSERT_EQUAL_FATAL(o.status, VQP_OK);
    holds(&o, "used", numbers, 12);
    CU_ASSERT_EQUAL(vqp_pytorch_ready("file.bin", &o.p, named(&o, "unused"), &o.err), VQP_E_FORMAT);
    CHECK_STR_HAS(o.err.msg, "file.bin: entry \"a/data/1\": its CRC-32 is");
    close_it(&o);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"reads a nested checkpoint that torch wrote", nested_checkpoint},
        {"reads a module's state_dict that torch wrote", state_dict},
        {"no cut and no flipped bit changes a tensor unnoticed", cut_and_flipped},
        {"checks the place of every tensor in its storage", places},
        {"puts strided tensors in order, once", gathers},
        {"copies what is not aligned", misaligned},
        {"lets tensors share a storage", shared_storage},
        {"refuses loops, bombs and clashing names", structures},
        {"takes a file that is one tensor", one_tensor},
        {"refuses archives that are no checkpoint", archives},
        {"compares the CRC of what is used, and of nothing else", damaged},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        numbers[i] = (float)i * 0.25f - 3;
    return RUN_CASES("pytorch", cases);
}
