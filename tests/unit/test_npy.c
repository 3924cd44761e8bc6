#include "check.h"
#include "npy.h"
#include "scratch.h"

/* Version 1.0 with that header, padded as NumPy pads it, and n bytes behind it. */
static const char *write_npy(const char *name, const char *header, const void *data, size_t n)
{
    char bytes[1024];
    size_t total = (10 + strlen(header) + 1 + 63) / 64 * 64;
    memset(bytes, ' ', total);
    memcpy(bytes, "\x93NUMPY\1\0", 8);
    bytes[8] = (char)((total - 10) & 0xFF);
    bytes[9] = (char)((total - 10) >> 8);
    memcpy(bytes + 10, header, strlen(header));
    bytes[total - 1] = '\n';
    memcpy(bytes + total, data, n);
    return scratch_write(name, bytes, total + n);
}

static void refused(const char *path, uint32_t dtype, const char *part)
{
    struct vqp_shape shape;
    void *data = NULL;
    struct vqp_error err = {0};
    unsigned before = open_files();
    CU_ASSERT_EQUAL(vqp_npy_load(path, dtype, VQP_E_ARG, &shape, &data, &err), VQP_E_ARG);
    CU_ASSERT_EQUAL(err.code, VQP_E_ARG);
    CU_ASSERT_PTR_NULL(data);
    CHECK_STR_HAS(err.msg, path);
    CHECK_STR_HAS(err.msg, part);
    CU_ASSERT_EQUAL(open_files(), before);
}

/* Byte for byte what numpy.save of version 1.x writes for numpy.array([[1, 2, 3], [-4, 5, 6]], dtype='<i4'). */
static void known_bytes(void)
{
    static const int32_t values[] = {1, 2, 3, -4, 5, 6};
    const struct vqp_shape s = vqp_shape2(2, 3);
    struct vqp_error err;
    size_t n = 0;
    CU_ASSERT_EQUAL_FATAL(vqp_npy_save(scratch("known.npy"), VQP_I32, &s, values, &err), VQP_OK);
    char *bytes = scratch_read(scratch("known.npy"), &n);
    CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
    CU_ASSERT_EQUAL_FATAL(n, 128 + 24);
    CU_ASSERT_EQUAL(memcmp(bytes, "\x93NUMPY\1\0\x76\0", 10), 0);
    static const char header[] = "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }";
    CU_ASSERT_EQUAL(memcmp(bytes + 10, header, sizeof header - 1), 0);
    for (size_t i = 10 + sizeof header - 1; i < 127; i++)
        CU_ASSERT_EQUAL(bytes[i], ' ');
    CU_ASSERT_EQUAL(bytes[127], '\n');
    CU_ASSERT_EQUAL(memcmp(bytes + 128, values, 24), 0);
    free(bytes);
}

static void round_trip(void)
{
    static const float values[24] = {0.0f, -1.5f, 3e38f, 1e-42f, 5};
    const struct vqp_shape shapes[] = {
        {0}, vqp_shape1(24), vqp_shape2(0, 7), vqp_shape4(1, 2, 3, 4), {6, 0, {1, 2, 1, 3, 1, 4}}};
    static const uint64_t counts[] = {1, 24, 0, 24, 24};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct vqp_shape s;
        void *data = NULL;
        struct vqp_error err;
        const char *path = scratch("trip.npy");
        CU_ASSERT_EQUAL_FATAL(vqp_npy_save(path, VQP_F32, &shapes[i], values, &err), VQP_OK);
        CU_ASSERT_EQUAL_FATAL(vqp_npy_load(path, VQP_F32, VQP_E_ARG, &s, &data, &err), VQP_OK);
        CU_ASSERT_EQUAL(s.rank, shapes[i].rank);
        CU_ASSERT_EQUAL(memcmp(s.dim, shapes[i].dim, s.rank * sizeof *s.dim), 0);
        CU_ASSERT_EQUAL(memcmp(data, values, counts[i] * 4), 0);
        free(data);
    }
}

static void accepted_forms(void)
{
    static const int32_t ints[] = {7, -8};
    static const int64_t wide[] = {INT32_MAX, INT32_MIN};
    static const int16_t narrow[] = {-32768, 32767};
    static const struct {
        const char *header;
        const void *data;
        size_t n;
        int32_t a, b;
    } rows[] = {
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }", ints, 8, 7, -8},
        {"{'shape': (2,), 'fortran_order': False, 'descr': '<i4'}", ints, 8, 7, -8},
        {"{\"descr\":\"<i4\",\"fortran_order\":False,\"shape\":(2,)}", ints, 8, 7, -8},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (1, 2), }", ints, 8, 7, -8},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (1,2,), }", ints, 8, 7, -8},
        {"{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }", wide, 16, INT32_MAX, INT32_MIN},
        {"{'descr': '<i2', 'fortran_order': False, 'shape': (2,), }", narrow, 4, -32768, 32767},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct vqp_shape s;
        void *data = NULL;
        struct vqp_error err = {0};
        const char *path = write_npy("form.npy", rows[i].header, rows[i].data, rows[i].n);
        CU_ASSERT_EQUAL(vqp_npy_load(path, VQP_I32, VQP_E_ARG, &s, &data, &err), VQP_OK);
        if (!data) {
            printf("\n    %s: %s\n", rows[i].header, err.msg);
            continue;
        }
        CU_ASSERT_EQUAL(s.dim[s.rank - 1], 2);
        CU_ASSERT_EQUAL(((const int32_t *)data)[0], rows[i].a);
        CU_ASSERT_EQUAL(((const int32_t *)data)[1], rows[i].b);
        free(data);
    }
}

static void later_versions(void)
{
    static const char header[] = "{'descr': '<i4', 'fortran_order': False, 'shape': (), }\n";
    for (char version = 2; version <= 3; version++) {
        char bytes[200] = "\x93NUMPY";
        struct vqp_shape s;
        void *data = NULL;
        struct vqp_error err;
        bytes[6] = version;
        bytes[8] = (char)(sizeof header - 1);
        memcpy(bytes + 12, header, sizeof header - 1);
        memcpy(bytes + 12 + sizeof header - 1, &(int32_t){-3}, 4);
        const char *path = scratch_write("later.npy", bytes, 12 + sizeof header - 1 + 4);
        CU_ASSERT_EQUAL_FATAL(vqp_npy_load(path, VQP_I32, VQP_E_ARG, &s, &data, &err), VQP_OK);
        CU_ASSERT(s.rank == 0 && *(const int32_t *)data == -3);
        free(data);
    }
}

#define ARRAY(descr, order, shape) "{'descr': " descr ", 'fortran_order': " order ", 'shape': " shape ", }"

static void bad_headers(void)
{
    static const int32_t ints[] = {7, -8};
    static const struct {
        const char *header, *part;
    } rows[] = {
        {ARRAY("'>i4'", "False", "(2,)"), "holds '>i4', expected '<i4'"},
        {ARRAY("'<f4'", "False", "(2,)"), "holds '<f4', expected '<i4'"},
        {ARRAY("'<u4'", "False", "(2,)"), "holds '<u4'"},
        {ARRAY("'|O'", "False", "(2,)"), "holds '|O'"},
        {ARRAY("''", "False", "(2,)"), "holds ''"},
        {ARRAY("[('a', '<i4')]", "False", "(2,)"), "'descr' is no simple type"},
        {ARRAY("'<i4 and much more text'", "False", "(2,)"), "'descr' is no simple type"},
        {ARRAY("'<i4'", "True", "(2,)"), "Fortran order"},
        {ARRAY("'<i4'", "0", "(2,)"), "Fortran order"},
        {ARRAY("'<i4'", "False", "(3,)"), "holds 8 bytes of data, its shape and type need 12"},
        {ARRAY("'<i4'", "False", "(1,)"), "holds 8 bytes of data, its shape and type need 4"},
        {ARRAY("'<i4'", "False", "()"), "its shape and type need 4"},
        {ARRAY("'<i4'", "False", "(-2,)"), "'shape' is malformed"},
        {ARRAY("'<i4'", "False", "(2)"), "'shape' is malformed"},
        {ARRAY("'<i4'", "False", "2"), "'shape' is malformed"},
        {ARRAY("'<i4'", "False", "(2.0,)"), "'shape' is malformed"},
        {ARRAY("'<i4'", "False", "(,)"), "'shape' is malformed"},
        {ARRAY("'<i4'", "False", "(1 2)"), "'shape' is malformed"},
        {ARRAY("'<i4'", "False", "(2,"), "malformed"},
        {ARRAY("'<i4'", "False", "(1,1,1,1,1,1,2)"), "more than 6 dimensions"},
        {ARRAY("'<i4'", "False", "(9223372036854775808,)"), "'shape' is malformed"},
        {ARRAY("'<i4'", "False", "(4611686018427387906,)"), "more bytes than 64 bits"},
        {ARRAY("'<i4'", "False", "(4294967296, 4294967296)"), "more bytes than 64 bits"},
        {"", "is no dictionary"},
        {"[]", "is no dictionary"},
        {"{}", "lacks"},
        {"{'descr': '<i4', 'shape': (2,)}", "lacks"},
        {"{'descr': '<i4', 'descr': '<i4', 'fortran_order': False, 'shape': (2,)}", "unknown or repeated key"},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (2,), 'x': 1}", "unknown or repeated key"},
        {"{'descr': '<i4' 'fortran_order': False, 'shape': (2,)}", "malformed"},
        {"{'descr", "malformed"},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (2,), } junk", "behind the dictionary"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        refused(write_npy("bad.npy", rows[i].header, ints, 8), VQP_I32, rows[i].part);
    refused(write_npy("bad.npy", ARRAY("'<f8'", "False", "(1,)"), ints, 8), VQP_F32, "holds '<f8', expected '<f4'");
    refused(write_npy("bad.npy", ARRAY("'<i4'", "False", "(2,)"), ints, 8), VQP_F32, "holds '<i4', expected '<f4'");
}

static void values_that_do_not_fit(void)
{
    static const int64_t high[] = {0, 1, (int64_t)INT32_MAX + 1}, low[] = {(int64_t)INT32_MIN - 1, 0, 0};
    refused(write_npy("high.npy", ARRAY("'<i8'", "False", "(3,)"), high, 24), VQP_I32, "value 2 does not fit");
    refused(write_npy("low.npy", ARRAY("'<i8'", "False", "(3,)"), low, 24), VQP_I32, "value 0 does not fit");
}

static void bad_files(void)
{
    static const char big[] = "\x93NUMPY\2\0\1\0\1\0";
    refused(scratch("none.npy"), VQP_I32, "No such file or directory");
    refused(scratch_dir, VQP_I32, "is a folder");
    CU_ASSERT_EQUAL(mkfifo(scratch("pipe.npy"), 0644), 0);
    refused(scratch("pipe.npy"), VQP_I32, "device, pipe or socket");
    refused(scratch_write("empty.npy", "", 0), VQP_I32, "too short");
    refused(scratch_write("text.npy", "1 2 3 4 5 6 7 8", 15), VQP_I32, "is no .npy file");
    refused(scratch_write("v4.npy", "\x93NUMPY\4\0\0\0\0\0\0", 13), VQP_I32, "unknown version");
    refused(scratch_write("v11.npy", "\x93NUMPY\1\1\0\0\0\0\0", 13), VQP_I32, "unknown version");
    refused(scratch_write("big.npy", big, 12), VQP_I32, "more than 65536 bytes");
    refused(scratch_write("short.npy", "\x93NUMPY\1\0\xFF\0{}", 12), VQP_I32, "cut short in its header");
}

/* Cut at every byte: refused. Each byte changed: refused, or data of the shape that it says. */
static void sweeps(void)
{
    static const int32_t values[] = {1, 2, 3, 4, 5, 6};
    const struct vqp_shape shape = vqp_shape2(2, 3);
    struct vqp_error err;
    size_t n = 0;
    CU_ASSERT_EQUAL_FATAL(vqp_npy_save(scratch("whole.npy"), VQP_I32, &shape, values, &err), VQP_OK);
    char *whole = scratch_read(scratch("whole.npy"), &n);
    CU_ASSERT_PTR_NOT_NULL_FATAL(whole);
    for (size_t cut = 0; cut < n; cut++)
        refused(scratch_write("cut.npy", whole, cut), VQP_I32, "");
    for (size_t at = 0; at < n; at++) {
        char was = whole[at];
        for (unsigned bit = 0; bit < 8; bit++) {
            struct vqp_shape s;
            void *data = NULL;
            whole[at] = (char)(was ^ (char)(1u << bit));
            const char *path = scratch_write("changed.npy", whole, n);
            vqp_status status = vqp_npy_load(path, VQP_I32, VQP_E_ARG, &s, &data, &err);
            CU_ASSERT(status == VQP_OK || status == VQP_E_ARG);
            CU_ASSERT_EQUAL(status == VQP_OK, data != NULL);
            if (at >= 128)
                CU_ASSERT_EQUAL(status, VQP_OK);
            free(data);
        }
        whole[at] = was;
    }
    free(whole);
}

static void write_errors(void)
{
    static const int32_t value = 1;
    struct vqp_shape s = vqp_shape1(1);
    struct vqp_error err = {0};
    FILE *f = fopen("/dev/full", "wb");
    if (!f)
        SKIP("no /dev/full");
    CU_ASSERT_EQUAL(vqp_npy_write(f, VQP_I32, &s, &value, &err), VQP_E_OUTPUT);
    CHECK_STR_HAS(err.msg, "No space left on device");
    fclose(f);
    CU_ASSERT_EQUAL(vqp_npy_save(scratch("nowhere/x.npy"), VQP_I32, &s, &value, &err), VQP_E_OUTPUT);
    CHECK_STR_HAS(err.msg, "nowhere/x.npy: ");
    CU_ASSERT_EQUAL(vqp_npy_save(scratch("x.npy"), VQP_F16, &s, &value, &err), VQP_E_INTERNAL);
    CU_ASSERT_NOT_EQUAL(access(scratch("x.npy"), F_OK), 0);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"writes what NumPy writes", known_bytes},
        {"reads what it wrote, from rank 0 to 6 and empty", round_trip},
        {"reads int64 and int16, any key order, either quote", accepted_forms},
        {"reads versions 2.0 and 3.0", later_versions},
        {"refuses other types, orders, shapes and sizes", bad_headers},
        {"refuses values that do not fit, by index", values_that_do_not_fit},
        {"refuses what is no .npy file", bad_files},
        {"survives a file cut or changed at any byte", sweeps},
        {"reports what cannot be written", write_errors},
    };
    scratch_begin();
    return RUN_CASES("npy", cases);
}
