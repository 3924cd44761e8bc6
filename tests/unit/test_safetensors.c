#include "check.h"
#include "safetensors.h"
#include "text.h"
#include <sys/resource.h>
#include <time.h>

/* A file in memory of exactly its own size, so that AddressSanitizer sees a read past its end. */
struct file {
    unsigned char *bytes;
    uint64_t size;
};

static struct file file_of(uint64_t header_length, const char *header, size_t header_bytes, size_t data_bytes)
{
    struct file f = {malloc(8 + header_bytes + data_bytes), 8 + header_bytes + data_bytes};
    for (int i = 0; i < 8; i++)
        f.bytes[i] = (unsigned char)(header_length >> (8 * i));
    memcpy(f.bytes + 8, header, header_bytes);
    for (size_t i = 0; i < data_bytes; i++)
        f.bytes[8 + header_bytes + i] = (unsigned char)i;
    return f;
}

static struct file simple_file(const char *header, size_t data_bytes)
{
    return file_of(strlen(header), header, strlen(header), data_bytes);
}

static vqp_status parse(const struct file *f, struct vqp_safetensors *s, struct vqp_error *err)
{
    memset(err, 0, sizeof *err);
    memset(s, 0xEE, sizeof *s); /* the parser must not rely on it */
    return vqp_safetensors_parse("model.safetensors", f->bytes, f->size, s, err);
}

/* The parser refuses `f` with a one-line sentence that holds the file's name and `part`, and leaves nothing behind. */
static void refused(struct file f, const char *part)
{
    struct vqp_safetensors s;
    struct vqp_error err;
    vqp_status status = parse(&f, &s, &err);
    CU_ASSERT_EQUAL(status, VQP_E_FORMAT);
    CU_ASSERT_EQUAL(err.code, VQP_E_FORMAT);
    CHECK_STR_HAS(err.msg, "model.safetensors: ");
    CHECK_STR_HAS(err.msg, part);
    CU_ASSERT_PTR_NULL(strchr(err.msg, '\n'));
    CU_ASSERT_EQUAL(vqp_utf8_check(err.msg, strlen(err.msg)), strlen(err.msg));
    if (status == VQP_OK)
        vqp_safetensors_free(&s);
    else
        CU_ASSERT(s.count == 0 && s.arena.blocks == NULL);
    free(f.bytes);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static long peak_kb(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

static const char two_tensors[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                                  "\"b\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                                  "\"a\":{\"dtype\":\"BF16\",\"shape\":[4],\"data_offsets\":[24,32]}}   ";

static void valid(void)
{
    struct vqp_safetensors s;
    struct vqp_error err;
    struct file f = simple_file(two_tensors, 32);
    CU_ASSERT_EQUAL_FATAL(parse(&f, &s, &err), VQP_OK);
    CU_ASSERT_EQUAL_FATAL(s.count, 2);
    CU_ASSERT_STRING_EQUAL(s.tensors[0].name, "a");
    CU_ASSERT_STRING_EQUAL(s.tensors[0].file_dtype, "BF16");
    CU_ASSERT_EQUAL(s.tensors[0].dtype, VQP_BF16);
    CU_ASSERT(s.tensors[0].shape.rank == 1 && s.tensors[0].shape.dim[0] == 4);
    CU_ASSERT_EQUAL(s.tensors[0].bytes, 8);
    CU_ASSERT_EQUAL(((const unsigned char *)s.tensors[0].data)[0], 24);
    CU_ASSERT_STRING_EQUAL(s.tensors[1].name, "b");
    CU_ASSERT_EQUAL(s.tensors[1].dtype, VQP_F32);
    CU_ASSERT(s.tensors[1].shape.rank == 2 && s.tensors[1].shape.dim[0] == 2 && s.tensors[1].shape.dim[1] == 3);
    CU_ASSERT_EQUAL(memcmp(s.tensors[1].data, f.bytes + f.size - 32, 24), 0);
    vqp_safetensors_free(&s);
    free(f.bytes);
}

static void every_dtype(void)
{
    static const struct {
        const char *name;
        uint32_t dtype, bytes;
    } rows[] = {{"F32", VQP_F32, 4}, {"F16", VQP_F16, 2}, {"BF16", VQP_BF16, 2}, {"I32", VQP_I32, 4},
                {"U8", VQP_U8, 1},   {"F64", 0, 8},       {"I64", 0, 8},         {"I16", 0, 2},
                {"I8", VQP_Q8_0, 1}, {"U16", 0, 2},       {"U32", 0, 4},         {"U64", 0, 8},
                {"BOOL", 0, 1},      {"F8_E4M3", 0, 1},   {"F8_E5M2", 0, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char header[200];
        struct vqp_safetensors s;
        struct vqp_error err;
        snprintf(header, sizeof header, "{\"t\":{\"dtype\":\"%s\",\"shape\":[3],\"data_offsets\":[0,%u]}}",
                 rows[i].name, 3 * rows[i].bytes);
        struct file f = simple_file(header, 3 * rows[i].bytes);
        CU_ASSERT_EQUAL_FATAL(parse(&f, &s, &err), VQP_OK);
        CU_ASSERT_EQUAL(s.tensors[0].dtype, rows[i].dtype);
        CU_ASSERT_STRING_EQUAL(s.tensors[0].file_dtype, rows[i].name);
        vqp_safetensors_free(&s);
        free(f.bytes);
        snprintf(header, sizeof header, "{\"t\":{\"dtype\":\"%s\",\"shape\":[3],\"data_offsets\":[0,%u]}}",
                 rows[i].name, 3 * rows[i].bytes + 1);
        refused(simple_file(header, 3 * rows[i].bytes + 1), "tensor \"t\": has "); /* sizes are checked for all */
    }
}

/* Accepted though odd: what the format allows. */
static void legal_oddities(void)
{
    static const struct {
        const char *header;
        size_t data;
        uint32_t count, rank, dtype;
        uint64_t bytes; /* of the first tensor in name order */
    } rows[] = {
        {"{}", 0, 0, 0, 0, 0},
        {"{}          ", 0, 0, 0, 0, 0},
        {"{\"__metadata__\":{}}", 0, 0, 0, 0, 0},
        {"{\"s\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, 1, 0, VQP_F32, 4},
        {"{\"z\":{\"dtype\":\"F32\",\"shape\":[0,5],\"data_offsets\":[0,0]}}", 0, 1, 2, VQP_F32, 0},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[4,4]},\"b\":{\"dtype\":\"I32\",\"shape\":[1],"
         "\"data_offsets\":[0,4]},\"c\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[4,6]}}",
         6, 3, 1, VQP_F32, 0},
        {"{\"m\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,2],\"data_offsets\":[0,8]}}", 8, 1, 6, VQP_F32, 8},
        {"{\"m\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,2],\"data_offsets\":[0,8]}}", 8, 1, 0, 0, 8},
        {"{\"m\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,2],\"data_offsets\":[0,8]}}", 8, 1, 0, 0, 8},
        {"{\n\t\"m\":{\"shape\":[2],\"data_offsets\":[0,2],\"dtype\":\"U8\"}}", 2, 1, 1, VQP_U8, 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct vqp_safetensors s;
        struct vqp_error err;
        struct file f = simple_file(rows[i].header, rows[i].data);
        vqp_status status = parse(&f, &s, &err);
        CU_ASSERT_EQUAL(status, VQP_OK);
        if (status)
            printf("\n    %s: %s\n", rows[i].header, err.msg);
        CU_ASSERT_EQUAL_FATAL(s.count, rows[i].count);
        if (s.count) {
            CU_ASSERT_EQUAL(s.tensors[0].shape.rank, rows[i].rank);
            CU_ASSERT_EQUAL(s.tensors[0].dtype, rows[i].dtype);
            CU_ASSERT_EQUAL(s.tensors[0].bytes, rows[i].bytes);
        }
        vqp_safetensors_free(&s);
        free(f.bytes);
    }
}

static void short_and_long_headers(void)
{
    long before = peak_kb();
    for (size_t n = 0; n < 8; n++) {
        struct file f = simple_file("{}", 0);
        f.size = n;
        refused(f, "a safetensors file has at least 8");
    }
    refused(file_of(3, "{}", 2, 0), "byte 0: a header of 3 bytes, but only 2 follow");
    refused(file_of(100000000, "{}", 2, 0), "but only 2 follow");
    refused(file_of(100000001, "{}", 2, 0), "byte 0: a header of 100000001 bytes, at most 100000000");
    refused(file_of(1ull << 63, "{}", 2, 0), "at most 100000000");
    refused(file_of(UINT64_MAX, "{}", 2, 0), "at most 100000000");
    refused(file_of(UINT64_MAX - 7, "{}", 2, 0), "at most 100000000"); /* 8 more wraps to 0 */
    refused(file_of(0, "{}", 2, 0), "byte 8: the header does not begin with '{'");
    CU_ASSERT(peak_kb() - before < 8 * 1024);
}

#define ENTRY(dtype, shape, offsets)                                                                                   \
    "{\"layer.w\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

/* Headers that are refused, each with 64 bytes of data behind it. */
static void bad_headers(void)
{
    static const struct {
        const char *header, *part;
    } rows[] = {
        /* not the JSON it should be */
        {" {}", "byte 8: the header does not begin with '{'"},
        {"[]", "byte 8: the header does not begin with '{'"},
        {"\xEF\xBB\xBF{}", "byte 8: the header does not begin"},
        {"{\"\xFF\":1}", "byte 10: header: is not UTF-8: byte 0xFF"},
        {"{\"\xC0\x80\":1}", "byte 10: header: is not UTF-8"},
        {"{\"a\":", "byte 12: header: "},
        {"{", "header: "},
        {"{}x", "byte 10: header: "},
        {"{}{}", "byte 10: header: "},
        {"{} x", "byte 11: header: "},
        {"{}\n", "byte 10: header: only spaces may follow the JSON"},
        {"{}\t ", "byte 10: header: only spaces"},
        {"{\"a\":NaN}", "header: "},
        {"{\"a\\u0000b\":1}", "header: "},
        {"{\"a\\ud800\":1}", "header: "},
        {"{'a':1}", "byte 9: header: "},
        {"{\"a\":1,}", "header: "},
        {"{\"a\":{},\"a\":{}}", "duplicate"},
        {"{\"ab\":{},\"\\u0061b\":{}}", "duplicate"},
        {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F16\"}}", "duplicate"},
        {"{\"__metadata__\":[]}", "\"__metadata__\" in its header is no object"},
        {"{\"__metadata__\":{\"format\":1}}", "\"format\" of \"__metadata__\" in its header is no string"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", "duplicate"},
        /* entries */
        {"{\"layer.w\":1}", "tensor \"layer.w\": is not described by an object"},
        {"{\"layer.w\":[]}", "tensor \"layer.w\": is not described by an object"},
        {"{\"layer.w\":{}}", "tensor \"layer.w\": \"dtype\" is missing"},
        {"{\"bad\\u0007\\nname\":{}}", "tensor \"bad\\x07\\x0Aname\": "},
        /* dtypes */
        {ENTRY("\"F128\"", "[16]", "[0,64]"), "tensor \"layer.w\": unknown dtype \"F128\""},
        {ENTRY("\"f16\"", "[16]", "[0,64]"), "tensor \"layer.w\": unknown dtype \"f16\""},
        {ENTRY("\"\"", "[16]", "[0,64]"), "unknown dtype \"\""},
        {ENTRY("7", "[16]", "[0,64]"), "tensor \"layer.w\": \"dtype\" is missing or no string"},
        {ENTRY("null", "[16]", "[0,64]"), "\"dtype\" is missing or no string"},
        /* shapes */
        {ENTRY("\"F32\"", "[4294967296,4294967296]", "[0,64]"), "tensor \"layer.w\": its shape has more bytes than 64"},
        {ENTRY("\"F32\"", "[4294967296,4294967296]", "[0,0]"), "its shape has more bytes than 64"},
        {ENTRY("\"U8\"", "[4294967297,4294967296,16]", "[0,64]"), "its shape has more bytes than 64"},
        {ENTRY("\"F32\"", "[1,1,1,1,1,4294967296,4294967296]", "[0,0]"), "its shape has more bytes than 64"},
        {ENTRY("\"F32\"", "[4611686018427387904]", "[0,0]"), "its shape has more bytes than 64"},
        {ENTRY("\"F64\"", "[2305843009213693952]", "[0,0]"), "its shape has more bytes than 64"},
        {ENTRY("\"F32\"", "[9223372036854775807]", "[0,64]"), "its shape has more bytes than 64"},
        {ENTRY("\"F32\"", "[18446744073709551616]", "[0,64]"), "header: "},
        {ENTRY("\"F32\"", "[-16]", "[0,64]"), "tensor \"layer.w\": dimension 0 of \"shape\" is no integer"},
        {ENTRY("\"F32\"", "[4,-4]", "[0,64]"), "dimension 1 of \"shape\""},
        {ENTRY("\"F32\"", "[-4,-4]", "[0,64]"), "dimension 0 of \"shape\""},
        {ENTRY("\"F32\"", "[16.0]", "[0,64]"), "dimension 0 of \"shape\""},
        {ENTRY("\"F32\"", "[1.5]", "[0,64]"), "dimension 0 of \"shape\""},
        {ENTRY("\"F32\"", "[\"16\"]", "[0,64]"), "dimension 0 of \"shape\""},
        {ENTRY("\"F32\"", "[1e3]", "[0,64]"), "dimension 0 of \"shape\""},
        {ENTRY("\"F32\"", "[null]", "[0,64]"), "dimension 0 of \"shape\""},
        {ENTRY("\"F32\"", "[true]", "[0,64]"), "dimension 0 of \"shape\""},
        {ENTRY("\"F32\"", "[1,1,1,1,1,1,1,1,16]", "[0,64]"), "tensor \"layer.w\": has 9 dimensions"},
        {ENTRY("\"F32\"", "16", "[0,64]"), "\"shape\" is missing or no list"},
        {"{\"layer.w\":{\"dtype\":\"F32\",\"data_offsets\":[0,64]}}", "\"shape\" is missing or no list"},
        /* offsets */
        {ENTRY("\"F32\"", "[16]", "[64,0]"), "tensor \"layer.w\": begins at 64, behind its end at 0"},
        {ENTRY("\"F32\"", "[17]", "[0,68]"), "tensor \"layer.w\": ends at byte 68 of the data, the file has 64"},
        {ENTRY("\"F32\"", "[16]", "[9223372036854775743,9223372036854775807]"), "the file has 64"},
        {ENTRY("\"F32\"", "[16]", "[0.0,64.0]"), "tensor \"layer.w\": \"data_offsets\" is no pair"},
        {ENTRY("\"F32\"", "[16]", "[-64,0]"), "\"data_offsets\" is no pair"},
        {ENTRY("\"F32\"", "[16]", "[0,-64]"), "\"data_offsets\" is no pair"},
        {ENTRY("\"F32\"", "[16]", "[0]"), "\"data_offsets\" is no pair"},
        {ENTRY("\"F32\"", "[16]", "[0,64,64]"), "\"data_offsets\" is no pair"},
        {ENTRY("\"F32\"", "[16]", "{\"a\":0}"), "\"data_offsets\" is no pair"},
        {"{\"layer.w\":{\"dtype\":\"F32\",\"shape\":[16]}}", "\"data_offsets\" is no pair"},
        {ENTRY("\"F32\"", "[15]", "[0,64]"), "tensor \"layer.w\": has 64 bytes, its shape and dtype F32 need 60"},
        {ENTRY("\"F16\"", "[16]", "[0,64]"), "its shape and dtype F16 need 32"},
        {ENTRY("\"F32\"", "[0,16]", "[0,64]"), "its shape and dtype F32 need 0"},
        {ENTRY("\"F32\"", "[]", "[0,64]"), "its shape and dtype F32 need 4"},
        /* tiling */
        {ENTRY("\"F32\"", "[15]", "[0,60]"), "4 bytes lie behind the last tensor, at byte 60 of the data"},
        {ENTRY("\"F32\"", "[15]", "[4,64]"), "tensor \"layer.w\": a hole lies before it"},
        {"{}", "64 bytes lie behind the last tensor"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[40],\"data_offsets\":[0,40]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[32],\"data_offsets\":[32,64]}}",
         "tensor \"b\": overlaps another tensor: it begins at byte 32 of the data, 40 was expected"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[64],\"data_offsets\":[0,64]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[64],\"data_offsets\":[0,64]}}",
         "overlaps another tensor"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[64],\"data_offsets\":[0,64]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[32,32]}}",
         "tensor \"b\": overlaps another tensor"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[30],\"data_offsets\":[0,30]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[32],\"data_offsets\":[32,64]}}",
         "tensor \"b\": a hole lies before it: it begins at byte 32 of the data, 30 was expected"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        refused(simple_file(rows[i].header, 64), rows[i].part);
}

/* Text that is nothing but `count` times `unit`, between two ends. */
static struct file repeated(const char *begin, const char *unit, size_t count, const char *end)
{
    size_t b = strlen(begin), u = strlen(unit), e = strlen(end);
    char *text = malloc(b + u * count + e);
    memcpy(text, begin, b);
    for (size_t i = 0; i < count; i++)
        memcpy(text + b + i * u, unit, u);
    memcpy(text + b + u * count, end, e);
    struct file f = file_of(b + u * count + e, text, b + u * count + e, 0);
    free(text);
    return f;
}

static void json_bombs(void)
{
    long before = peak_kb();
    double start = seconds();
    refused(repeated("{\"a\":", "[", 100000, ""), "is nested more than 32 deep");
    refused(repeated("", "{\"a\":", 100000, "1"), "is nested more than 32 deep");
    refused(repeated("{", "\"a\":0,", 1000001, "\"b\":0}"), "has more than 1000000 keys");
    refused(repeated("{\"a\":[", "0,", 4000001, "0]}"), "has more than 4000000 values");
    refused(repeated("{\"a\":\"", "\\\"[{:,", 200000, "\"}"), "is not described by an object"); /* a string is text */
    CU_ASSERT(seconds() - start < 5); /* some 20 MB of text, sanitizers included */
    CU_ASSERT(peak_kb() - before < 100 * 1024);
}

/* A header of any length, and tensors one byte long before wider ones. */
static void misaligned(void)
{
    for (int pad = 0; pad < 8; pad++) {
        char header[400];
        struct vqp_safetensors s;
        struct vqp_error err;
        snprintf(header, sizeof header,
                 "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
                 "\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[8,9]},"
                 "\"c\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[9,13]},"
                 "\"d\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[13,17]}}%*s",
                 pad, "");
        struct file f = simple_file(header, 17);
        CU_ASSERT_EQUAL_FATAL(parse(&f, &s, &err), VQP_OK);
        CU_ASSERT_EQUAL((uintptr_t)s.tensors[0].data % 4, 0);
        CU_ASSERT_EQUAL((uintptr_t)s.tensors[2].data % 2, 0);
        CU_ASSERT_EQUAL((uintptr_t)s.tensors[3].data % 4, 0);
        CU_ASSERT_EQUAL(((const uint32_t *)s.tensors[0].data)[1], 0x07060504u);
        CU_ASSERT_EQUAL(*(const uint8_t *)s.tensors[1].data, 8);
        CU_ASSERT_EQUAL(((const uint16_t *)s.tensors[2].data)[1], 0x0C0B);
        CU_ASSERT_EQUAL(*(const int32_t *)s.tensors[3].data, 0x100F0E0D);
        vqp_safetensors_free(&s);
        free(f.bytes);
    }
}

static void truncation_sweep(void)
{
    struct file whole = simple_file(two_tensors, 32);
    for (uint64_t n = 0; n < whole.size; n++) {
        struct file cut = {malloc(n + !n), n};
        memcpy(cut.bytes, whole.bytes, n);
        refused(cut, "");
    }
    free(whole.bytes);
}

/* Each byte replaced by each other value: an error or a list whose every byte can be read. */
static void corruption_sweep(void)
{
    struct file f = simple_file(two_tensors, 32);
    unsigned accepted = 0;
    volatile unsigned sum = 0;
    for (uint64_t at = 0; at < f.size; at++) {
        unsigned char was = f.bytes[at];
        for (unsigned value = 0; value < 256; value++) {
            struct vqp_safetensors s;
            struct vqp_error err;
            f.bytes[at] = (unsigned char)value;
            vqp_status status = parse(&f, &s, &err);
            CU_ASSERT(status == VQP_OK || (status == VQP_E_FORMAT && err.msg[0]));
            if (status)
                continue;
            accepted++;
            for (uint32_t i = 0; i < s.count; i++) {
                const unsigned char *data = s.tensors[i].data;
                for (uint64_t k = 0; k < s.tensors[i].bytes; k++)
                    sum += data[k];
                sum += (unsigned)strlen(s.tensors[i].name);
            }
            vqp_safetensors_free(&s);
        }
        f.bytes[at] = was;
    }
    (void)sum;
    CU_ASSERT(accepted >= 32 * 256 && accepted < 256 * f.size / 2);
    free(f.bytes);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"lists a valid file's tensors in name order", valid},
        {"knows every dtype and checks the size of each", every_dtype},
        {"accepts empty files, scalars, empty tensors, high ranks, any order", legal_oddities},
        {"refuses headers shorter or longer than the file before allocating", short_and_long_headers},
        {"refuses malformed headers, entries, dtypes, shapes, offsets, holes, overlaps", bad_headers},
        {"refuses deep and endless JSON in bounded time and memory", json_bombs},
        {"aligns what the file does not", misaligned},
        {"refuses a file cut at any byte", truncation_sweep},
        {"survives any byte changed", corruption_sweep},
    };
    return RUN_CASES("safetensors", cases);
}
