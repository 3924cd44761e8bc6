#include "check.h"
#include "scratch.h"
#include "weights.h"
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <time.h>

static struct vqp_weight_cache *cache;

/* NAME/model.safetensors (or another file name) in the scratch folder; returns the folder. */
static const char *write_model(const char *name, const char *file, const char *header, const void *data, size_t n)
{
    char path[200], *bytes = malloc(8 + strlen(header) + n);
    size_t length = strlen(header);
    mkdir(scratch(name), 0755);
    for (int i = 0; i < 8; i++)
        bytes[i] = (char)(length >> (8 * i));
    memcpy(bytes + 8, header, length);
    memcpy(bytes + 8 + length, data, n);
    snprintf(path, sizeof path, "%s/%s", name, file);
    scratch_write(path, bytes, 8 + length + n);
    free(bytes);
    return scratch(name);
}

/* The spaces align the data to 8 bytes, so that it is used where it is mapped. */
static const char *small_model(const char *name)
{
    static const float data[] = {1, 2, 3};
    char header[193];
    snprintf(header, sizeof header, "%-192s",
             "{\"w.2\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
             "\"w.10\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]},"
             "\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}");
    return write_model(name, "model.safetensors", header, data, sizeof data);
}

/* Opening fails with `status`, names the file or folder and `part`, and leaks no descriptor. */
static void refused(const char *dir, vqp_status status, const char *part)
{
    struct vqp_weights *w = NULL;
    struct vqp_error err = {0};
    unsigned before = open_files();
    CU_ASSERT_EQUAL(vqp_weights_open(cache, dir, NULL, &w, &err), status);
    CU_ASSERT_EQUAL(err.code, status);
    CU_ASSERT_PTR_NULL(w);
    CHECK_STR_HAS(err.msg, dir);
    CHECK_STR_HAS(err.msg, part);
    CU_ASSERT_EQUAL(open_files(), before);
}

static void missing(void)
{
    refused(scratch("nowhere"), VQP_E_IO, "No such file or directory");
    mkdir(scratch("hollow"), 0755);
    refused(scratch("hollow"), VQP_E_IO, "holds no weights: neither diffusion_pytorch_model, model nor pytorch_model");
    refused(scratch_write("plain", "x", 1), VQP_E_FORMAT, "has 1 bytes, a safetensors file has at least 8");
    mkdir(scratch("dangling"), 0755);
    CU_ASSERT_EQUAL(symlink("/nonexistent/file", scratch("dangling/model.safetensors")), 0);
    refused(scratch("dangling"), VQP_E_IO, "model.safetensors: cannot be opened: No such file");
}

/* A FIFO without a writer blocks whoever opens it plainly: the test would hang. */
static void not_regular(void)
{
    mkdir(scratch("fifo"), 0755);
    CU_ASSERT_EQUAL(mkfifo(scratch("fifo/model.safetensors"), 0644), 0);
    refused(scratch("fifo"), VQP_E_IO, "model.safetensors: is a device, pipe or socket");
    mkdir(scratch("folder"), 0755);
    mkdir(scratch("folder/diffusion_pytorch_model.safetensors"), 0755);
    refused(scratch("folder"), VQP_E_IO, "diffusion_pytorch_model.safetensors: is a folder");
    mkdir(scratch("device"), 0755);
    CU_ASSERT_EQUAL(symlink("/dev/zero", scratch("device/model.safetensors")), 0);
    refused(scratch("device"), VQP_E_IO, "is a device, pipe or socket");
}

static void unreadable(void)
{
    const char *dir = small_model("secret");
    char path[200];
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    CU_ASSERT_EQUAL(chmod(path, 0), 0);
    if (getuid() == 0 && seteuid(65534))
        SKIP("root reads everything and cannot step down");
    refused(dir, VQP_E_IO, "model.safetensors: cannot be opened: Permission denied");
    if (getuid() == 0 && seteuid(0))
        exit(2);
}

static void malformed(void)
{
    mkdir(scratch("empty"), 0755);
    scratch_write("empty/model.safetensors", "", 0);
    refused(scratch("empty"), VQP_E_FORMAT, "model.safetensors: has 0 bytes, a safetensors file has at least 8");
    refused(write_model("cut", "model.safetensors", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
                        "1234567", 7),
            VQP_E_FORMAT, "tensor \"a\": ends at byte 8 of the data, the file has 7");
    mkdir(scratch("zip"), 0755);
    scratch_write("zip/model.safetensors", "PK\3\4\24\0\0\0\0\0\0\0", 12); /* a torch file under the wrong name */
    refused(scratch("zip"), VQP_E_FORMAT, "no end record closes the archive");
}

/* Row 39, and what else people end up with under a model file's name. */
static void something_else(void)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *says;
    } rows[] = {
        {"\x80\x02\x8A\x0A\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19.\x80\x02M\xE9\x03.", 21, "a torch older than 1.6"},
        {"\x80\x04K\x01.", 5, "a bare pickle"},
        {"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", 57, "a pointer of Git LFS"},
        {"<!DOCTYPE html>", 15, "a web page"},
        {"GGUF\3\0\0\0", 8, "a GGUF file"},
        {"\x1F\x8B\x08\0\0\0\0\0\0\0", 10, "is compressed"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mkdir(scratch("else"), 0755);
        scratch_write("else/pytorch_model.bin", rows[i].bytes, rows[i].n);
        refused(scratch("else"), VQP_E_FORMAT, rows[i].says);
    }
    refused(VQP_SOURCE_DIR "/tests/unit/samples/legacy.pth", VQP_E_FORMAT, "a torch older than 1.6");
    char tar[512] = "pickle";
    memcpy(tar + 257, "ustar", 5);
    scratch_write("else/pytorch_model.bin", tar, sizeof tar);
    refused(scratch("else"), VQP_E_FORMAT, "a torch older than 0.1.10");
    /* The other way round: safetensors under PyTorch's name, with a header whose length begins like gzip. */
    struct vqp_weights *w;
    struct vqp_error err;
    size_t length = 0x8B1F;
    char *header = malloc(length + 1);
    snprintf(header, length + 1, "%-*s", (int)length,
             "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}");
    write_model("renamed", "diffusion_pytorch_model.bin", header, "x", 1);
    free(header);
    CU_ASSERT_EQUAL_FATAL(vqp_weights_open(cache, scratch("renamed"), NULL, &w, &err), VQP_OK);
    CU_ASSERT_EQUAL(vqp_weights_count(w), 1);
    vqp_weights_close(cache, w);
}

static void pytorch_file(void)
{
    struct vqp_weights *w, *again;
    struct vqp_error err;
    static const char path[] = VQP_SOURCE_DIR "/tests/unit/samples/nested.pth";
    CU_ASSERT_EQUAL_FATAL(vqp_weights_open(cache, path, NULL, &w, &err), VQP_OK);
    CU_ASSERT_EQUAL(vqp_weights_open(cache, path, NULL, &again, &err), VQP_OK);
    CU_ASSERT_PTR_EQUAL(w, again);
    vqp_weights_close(cache, again);
    const struct vqp_tensor *t = vqp_weights_find(w, "transposed");
    CU_ASSERT_PTR_NOT_NULL_FATAL(t);
    CU_ASSERT_EQUAL(vqp_weights_check_finite(w, t, &err), VQP_OK);
    CU_ASSERT_PTR_NOT_NULL_FATAL(t->data);
    CU_ASSERT_EQUAL(((const float *)t->data)[1], 6.0f);
    t = vqp_weights_find(w, "model.weight");
    CU_ASSERT_EQUAL(vqp_weights_ready(w, t, &err), VQP_OK);
    vqp_weights_drop(w, t);
    CU_ASSERT_EQUAL(((const float *)t->data)[5], 5.0f); /* read from the file again */
    vqp_weights_close(cache, w);
}

static void shard(const char *file, const char *tensor, float value)
{
    char header[200];
    snprintf(header, sizeof header, "{\"%s\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", tensor);
    write_model("shards", file, header, &value, 4);
}

static void shards(void)
{
    static const char map[] = "{\"weight_map\":{\"b\":\"1.safetensors\",\"a\":\"2.safetensors\"}}";
    struct vqp_weights *w, *again;
    struct vqp_error err;
    uint64_t bytes;
    shard("1.safetensors", "b", 1);
    shard("2.safetensors", "a", 2);
    scratch_write("shards/model.safetensors.index.json", map, strlen(map));
    CU_ASSERT_EQUAL_FATAL(vqp_weights_open(cache, scratch("shards"), NULL, &w, &err), VQP_OK);
    CU_ASSERT_EQUAL(vqp_weights_open(cache, scratch("shards"), NULL, &again, &err), VQP_OK);
    CU_ASSERT_PTR_EQUAL(w, again);
    vqp_weights_close(cache, again);
    CHECK_STR_HAS(vqp_weights_file(w), "shards/model.safetensors.index.json");
    CHECK_STR_HAS(vqp_weights_part(w, 1, &bytes), "shards/2.safetensors");
    CU_ASSERT_PTR_NULL(vqp_weights_part(w, 2, &bytes));
    CU_ASSERT_EQUAL(vqp_weights_count(w), 2);
    CU_ASSERT_STRING_EQUAL(vqp_weights_at(w, 0)->name, "a");
    CU_ASSERT_EQUAL(*(const float *)vqp_weights_find(w, "a")->data, 2.0f);
    CU_ASSERT_EQUAL(*(const float *)vqp_weights_find(w, "b")->data, 1.0f);
    vqp_weights_close(cache, w);
    shard("2.safetensors", "a", NAN);
    CU_ASSERT_EQUAL_FATAL(vqp_weights_open(cache, scratch("shards"), NULL, &w, &err), VQP_OK);
    CU_ASSERT_EQUAL(vqp_weights_check_finite(w, vqp_weights_find(w, "a"), &err), VQP_E_FORMAT);
    CHECK_STR_HAS(err.msg, "shards/2.safetensors: tensor \"a\" has NaN"); /* the file, not the index */
    vqp_weights_close(cache, w);
    shard("2.safetensors", "b", 2);
    refused(scratch("shards"), VQP_E_FORMAT, "tensor \"b\" is in two of its files");
    shard("2.safetensors", "c", 2);
    refused(scratch("shards"), VQP_E_FORMAT, "tensor \"a\" is not in ");
    CU_ASSERT_EQUAL(remove(scratch("shards/2.safetensors")), 0);
    refused(scratch("shards"), VQP_E_IO, "2.safetensors: cannot be opened");
}

static void look_up(void)
{
    struct vqp_weights *w;
    struct vqp_error err;
    const char *dir = small_model("lookup");
    CU_ASSERT_EQUAL_FATAL(vqp_weights_open(cache, dir, NULL, &w, &err), VQP_OK);
    CHECK_STR_HAS(vqp_weights_file(w), "lookup/model.safetensors");
    CU_ASSERT_EQUAL(vqp_weights_count(w), 3);
    CU_ASSERT_STRING_EQUAL(vqp_weights_at(w, 0)->name, "w");
    CU_ASSERT_STRING_EQUAL(vqp_weights_at(w, 1)->name, "w.10");
    CU_ASSERT_STRING_EQUAL(vqp_weights_at(w, 2)->name, "w.2");
    CU_ASSERT_PTR_NULL(vqp_weights_at(w, 3));
    CU_ASSERT_EQUAL(*(const float *)vqp_weights_find(w, "w.2")->data, 1.0f);
    CU_ASSERT_EQUAL(*(const float *)vqp_weights_find(w, "w.10")->data, 2.0f);
    CU_ASSERT_EQUAL(*(const float *)vqp_weights_find(w, "w")->data, 3.0f);
    CU_ASSERT_PTR_NULL(vqp_weights_find(w, "w."));
    CU_ASSERT_PTR_NULL(vqp_weights_find(w, ""));
    vqp_weights_close(cache, w);
}

static void preferred_name(void)
{
    static const char header[] = "{\"%s\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}";
    char text[200];
    struct vqp_weights *w;
    struct vqp_error err;
    snprintf(text, sizeof text, header, "second");
    write_model("both", "model.safetensors", text, "x", 1);
    snprintf(text, sizeof text, header, "first");
    const char *dir = write_model("both", "diffusion_pytorch_model.safetensors", text, "x", 1);
    CU_ASSERT_EQUAL_FATAL(vqp_weights_open(cache, dir, NULL, &w, &err), VQP_OK);
    CU_ASSERT_PTR_NOT_NULL(vqp_weights_find(w, "first"));
    vqp_weights_close(cache, w);
}

struct unmapped {
    unsigned calls, wrong;
    const void *expected[3];
};

static void on_unmap(void *ctx, const void *data)
{
    struct unmapped *u = ctx;
    volatile char readable = *(const char *)data; /* still mapped during the call */
    (void)readable;
    u->wrong += u->calls >= 3 || u->expected[u->calls] != data;
    u->calls++;
}

static void shared(void)
{
    struct vqp_weights *a, *b, *c;
    struct vqp_error err;
    struct unmapped seen = {0};
    const char *dir = small_model("shared");
    CU_ASSERT_EQUAL(symlink(dir, scratch("alias")), 0);
    vqp_weight_cache_on_unmap(cache, on_unmap, &seen);
    CU_ASSERT_EQUAL_FATAL(vqp_weights_open(cache, dir, NULL, &a, &err), VQP_OK);
    CU_ASSERT_EQUAL_FATAL(vqp_weights_open(cache, dir, NULL, &b, &err), VQP_OK);
    CU_ASSERT_EQUAL_FATAL(vqp_weights_open(cache, scratch("alias"), NULL, &c, &err), VQP_OK);
    CU_ASSERT(a == b && b == c);
    for (uint32_t i = 0; i < 3; i++)
        seen.expected[i] = vqp_weights_at(a, i)->data;
    vqp_weights_close(cache, a);
    vqp_weights_close(cache, b);
    CU_ASSERT_EQUAL(seen.calls, 0);
    CU_ASSERT_EQUAL(*(const float *)vqp_weights_find(c, "w")->data, 3.0f);
    vqp_weights_close(cache, c);
    CU_ASSERT_EQUAL(seen.calls, 3);
    CU_ASSERT_EQUAL(seen.wrong, 0);
    vqp_weight_cache_on_unmap(cache, NULL, NULL);
    vqp_weights_close(cache, NULL);
}

static void changed_file(void)
{
    struct vqp_weights *old, *new;
    struct vqp_error err;
    struct timespec times[2] = {{1000, 1}, {1000, 2}};
    char path[200];
    const char *dir = small_model("changed");
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    CU_ASSERT_EQUAL_FATAL(vqp_weights_open(cache, dir, NULL, &old, &err), VQP_OK);
    CU_ASSERT_EQUAL(utimensat(AT_FDCWD, path, times, 0), 0);
    CU_ASSERT_EQUAL_FATAL(vqp_weights_open(cache, dir, NULL, &new, &err), VQP_OK);
    CU_ASSERT_PTR_NOT_EQUAL(old, new);
    vqp_weights_close(cache, old);
    times[1].tv_nsec = 3; /* one nanosecond is enough */
    CU_ASSERT_EQUAL(utimensat(AT_FDCWD, path, times, 0), 0);
    CU_ASSERT_EQUAL_FATAL(vqp_weights_open(cache, dir, NULL, &old, &err), VQP_OK);
    CU_ASSERT_PTR_NOT_EQUAL(old, new);
    vqp_weights_close(cache, old);
    vqp_weights_close(cache, new);
}

enum {
    LONG = 10000 /* elements: more than two blocks of the scan */
};

/* Element `at` of a tensor of LONG elements of `width` bytes is `bits`, the rest 1.5. */
static void scan(const char *dtype, size_t width, uint32_t ordinary, uint32_t bits, uint32_t at, const char *part)
{
    char header[200], expected[80], *data = malloc(LONG * width);
    struct vqp_weights *w;
    struct vqp_error err = {0};
    for (size_t i = 0; i < LONG; i++)
        memcpy(data + i * width, i == at ? &bits : &ordinary, width);
    snprintf(header, sizeof header, "{\"layer.w\":{\"dtype\":\"%s\",\"shape\":[%d],\"data_offsets\":[0,%zu]}}", dtype,
             LONG, LONG * width);
    const char *dir = write_model("scan", "model.safetensors", header, data, LONG * width);
    free(data);
    CU_ASSERT_EQUAL_FATAL(vqp_weights_open(cache, dir, NULL, &w, &err), VQP_OK);
    vqp_status status = vqp_weights_check_finite(w, vqp_weights_at(w, 0), &err);
    CU_ASSERT_EQUAL(status, part ? VQP_E_FORMAT : VQP_OK);
    CU_ASSERT_EQUAL(vqp_weights_check_finite(w, vqp_weights_at(w, 0), &err), status);
    if (part) {
        snprintf(expected, sizeof expected, "tensor \"layer.w\" has %s at element %u", part, at);
        CHECK_STR_HAS(err.msg, "scan/model.safetensors");
        CHECK_STR_HAS(err.msg, expected);
    }
    vqp_weights_close(cache, w);
}

static void nonfinite(void)
{
    static const uint32_t places[] = {0, 1, 4095, 4096, 8191, LONG - 1};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        scan("F32", 4, 0x3FC00000, 0x7F800000, places[i], "an infinity");
        scan("F16", 2, 0x3E00, 0x7C01, places[i], "NaN");
        scan("BF16", 2, 0x3FC0, 0xFF80, places[i], "an infinity");
    }
    scan("F32", 4, 0x3FC00000, 0xFF800000, 7, "an infinity");
    scan("F32", 4, 0x3FC00000, 0x7F800001, 7, "NaN");
    scan("F32", 4, 0x3FC00000, 0xFFC00000, 7, "NaN");
    scan("F32", 4, 0x3FC00000, 0x7F7FFFFF, 7, NULL); /* the largest finite ones */
    scan("F32", 4, 0x3FC00000, 0xFF7FFFFF, 7, NULL);
    scan("F32", 4, 0x3FC00000, 0x00000001, 7, NULL);
    scan("F16", 2, 0x3E00, 0xFC00, 7, "an infinity");
    scan("F16", 2, 0x3E00, 0xFE00, 7, "NaN");
    scan("F16", 2, 0x3E00, 0x7BFF, 7, NULL);
    scan("F16", 2, 0x3E00, 0xFBFF, 7, NULL);
    scan("BF16", 2, 0x3FC0, 0x7FC0, 7, "NaN");
    scan("BF16", 2, 0x3FC0, 0x7F7F, 7, NULL);
    scan("I32", 4, 0x7F800000, 0x7F800000, 7, NULL); /* integers are not looked at */
    scan("U32", 4, 0x7F800000, 0x7F800000, 7, NULL);
    scan("U8", 1, 0xFF, 0xFF, 7, NULL);
}

/* A second look reads nothing: the file is spoilt in between, behind the mapping. */
static void remembered(void)
{
    struct vqp_weights *w;
    struct vqp_error err = {0};
    char path[200];
    static const uint32_t nan = 0x7FC00000;
    const char *dir = small_model("remembered");
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    CU_ASSERT_EQUAL_FATAL(vqp_weights_open(cache, dir, NULL, &w, &err), VQP_OK);
    const struct vqp_tensor *last = vqp_weights_find(w, "w"), *first = vqp_weights_find(w, "w.2");
    CU_ASSERT_EQUAL(vqp_weights_check_finite(w, last, &err), VQP_OK);
    struct stat st;
    int fd = open(path, O_RDWR);
    CU_ASSERT_EQUAL(fstat(fd, &st), 0);
    CU_ASSERT_EQUAL(pwrite(fd, &nan, 4, st.st_size - 4), 4);
    CU_ASSERT_EQUAL(pwrite(fd, &nan, 4, st.st_size - 12), 4);
    close(fd);
    CU_ASSERT_EQUAL(vqp_weights_check_finite(w, last, &err), VQP_OK);
    CU_ASSERT_EQUAL(*(const uint32_t *)first->data, nan);                    /* the mapping shows the change */
    CU_ASSERT_EQUAL(vqp_weights_check_finite(w, first, &err), VQP_E_FORMAT); /* each tensor for itself */
    vqp_weights_close(cache, w);
}

/* Bytes of this process's memory that are there now. */
static uint64_t resident(void)
{
    unsigned long long pages = 0, all = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    CU_ASSERT_EQUAL(f ? fscanf(f, "%llu %llu", &all, &pages) : 0, 2);
    if (f)
        fclose(f);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void drops(void)
{
    enum {
        N = 8 << 20
    };
    char *ones = malloc(N), header[129];
    memset(ones, 1, N);
    snprintf(header, sizeof header, "%-128s",
             "{\"w\":{\"dtype\":\"U8\",\"shape\":[8388608],\"data_offsets\":[0,8388608]}}");
    const char *dir = write_model("large", "model.safetensors", header, ones, N);
    struct vqp_weights *w = NULL;
    struct vqp_error err = {0};
    CU_ASSERT_EQUAL_FATAL(vqp_weights_open(cache, dir, NULL, &w, &err), VQP_OK);
    const struct vqp_tensor *t = vqp_weights_find(w, "w");
    CU_ASSERT_EQUAL(memcmp(t->data, ones, N), 0);
    uint64_t before = resident();
    vqp_weight_cache_drop(cache, (const char *)t->data + N - 1);
    CU_ASSERT(resident() + N * 3 / 4 < before);
    CU_ASSERT_EQUAL(memcmp(t->data, ones, N), 0);
    vqp_weight_cache_drop(cache, ones); /* no tensor's */
    CU_ASSERT_EQUAL(ones[N / 2], 1);
    vqp_weights_close(cache, w);
    free(ones);
}

static void *open_and_close(void *arg)
{
    uintptr_t failures = 0;
    for (int i = 0; i < 300; i++) {
        struct vqp_weights *w = NULL;
        struct vqp_error err;
        if (vqp_weights_open(cache, arg, NULL, &w, &err)) {
            failures++;
            continue;
        }
        failures += vqp_weights_check_finite(w, vqp_weights_at(w, 0), &err) != VQP_OK;
        failures += *(const float *)vqp_weights_find(w, "w.10")->data != 2.0f;
        vqp_weights_close(cache, w);
    }
    return (void *)failures;
}

static void many_threads(void)
{
    pthread_t threads[4];
    char dir[200];
    unsigned before = open_files();
    snprintf(dir, sizeof dir, "%s", small_model("threads"));
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, open_and_close, dir);
    for (int i = 0; i < 4; i++) {
        void *failures = NULL;
        pthread_join(threads[i], &failures);
        CU_ASSERT_PTR_NULL(failures);
    }
    CU_ASSERT_EQUAL(open_files(), before);
}

static void real_model(void)
{
    struct vqp_weights *w;
    struct vqp_error err;
    static const char dir[] = VQP_SHARED_DIR "/models/postcards/transformer";
    if (access(dir, R_OK))
        SKIP("%s is not there", dir);
    CU_ASSERT_EQUAL_FATAL(vqp_weights_open(cache, dir, NULL, &w, &err), VQP_OK);
    CU_ASSERT_EQUAL(vqp_weights_count(w), 231);
    const struct vqp_tensor *t = vqp_weights_find(w, "latent_image_embedding.emb.weight");
    CU_ASSERT_PTR_NOT_NULL_FATAL(t);
    CU_ASSERT_EQUAL(t->dtype, VQP_F16);
    CU_ASSERT(t->shape.rank == 2 && t->shape.dim[0] == 513 && t->shape.dim[1] == 192 && t->bytes == 196992);
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (uint32_t i = 0; i < vqp_weights_count(w); i++)
        CU_ASSERT_EQUAL(vqp_weights_check_finite(w, vqp_weights_at(w, i), &err), VQP_OK);
    clock_gettime(CLOCK_MONOTONIC, &b);
    printf("(scanned in %.1f ms) ", (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) * 1e-6);
    vqp_weights_close(cache, w);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"names what is missing", missing},
        {"refuses pipes, folders and devices without blocking", not_regular},
        {"refuses an unreadable file with errno's text", unreadable},
        {"refuses malformed files", malformed},
        {"says what a file is that is no model file", something_else},
        {"opens a PyTorch file", pytorch_file},
        {"opens shards as one, and refuses those that do not fit together", shards},
        {"finds tensors by name and lists them in order", look_up},
        {"prefers diffusion_pytorch_model.safetensors", preferred_name},
        {"maps a file once and unmaps it at the last close", shared},
        {"maps a changed file anew", changed_file},
        {"finds the first NaN or infinity, and only those", nonfinite},
        {"scans a tensor once", remembered},
        {"gives memory back, and reads it again", drops},
        {"serves threads at once", many_threads},
        {"opens a real model", real_model},
    };
    struct vqp_error err;
    scratch_begin();
    if (vqp_weight_cache_create(&cache, &err))
        return 2;
    int failed = RUN_CASES("weights", cases);
    vqp_weight_cache_destroy(cache);
    vqp_weight_cache_destroy(NULL);
    return failed;
}
