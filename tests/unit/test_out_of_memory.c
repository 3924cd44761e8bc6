/* Every allocation of the file services fails in turn, jansson's and libpng's too: each time the status is VQP_E_NOMEM, or
 * VQP_OK where the C library does without (a stream's buffer), and what was allocated has been freed. The C library's allocator is replaced for that, which sanitizers do not allow. */
#include "check.h"
#include "json.h"
#include "npy.h"
#include "outfile.h"
#include "png_read.h"
#include "png_write.h"
#include "scratch.h"
#include "threads.h"
#include "weights.h"
#include <errno.h>

#ifdef __has_feature
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static int armed;
static long until_failure, live; /* allocations before the one that fails; blocks not freed */

#if SANITIZED || !defined(__GLIBC__)
static const int replaced = 0;
#else
static const int replaced = 1;
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void __libc_free(void *p);

static int fails(void)
{
    if (!armed || until_failure-- != 0)
        return 0;
    errno = ENOMEM;
    return 1;
}

VQP_EXPORT void *malloc(size_t n)
{
    void *p = fails() ? NULL : __libc_malloc(n);
    live += armed && p;
    return p;
}

VQP_EXPORT void *calloc(size_t n, size_t size)
{
    void *p = fails() ? NULL : __libc_calloc(n, size);
    live += armed && p;
    return p;
}

VQP_EXPORT void *realloc(void *old, size_t n)
{
    void *p = fails() ? NULL : __libc_realloc(old, n);
    live += armed && p && !old;
    return p;
}

VQP_EXPORT void free(void *p)
{
    live -= armed && p;
    __libc_free(p);
}
#endif

static void each_failure(vqp_status (*task)(struct vqp_error *err))
{
    struct vqp_error err;
    if (!replaced)
        SKIP("the allocator cannot be replaced here");
    CU_ASSERT_EQUAL_FATAL(task(&err), VQP_OK); /* what libraries keep from their first use is there now */
    unsigned refusals = 0;
    for (long n = 0;; n++) {
        until_failure = n;
        live = 0;
        armed = 1;
        vqp_status status = task(&err);
        armed = 0;
        CU_ASSERT_EQUAL(live, 0);
        if (until_failure >= 0) { /* fewer allocations than that */
            CU_ASSERT_EQUAL(status, VQP_OK);
            CU_ASSERT(refusals > 0);
            return;
        }
        refusals += status == VQP_E_NOMEM;
        CU_ASSERT(status == VQP_E_NOMEM || status == VQP_OK);
        if (status && status != VQP_E_NOMEM)
            printf("\n    allocation %ld: status %d, %s\n", n, (int)status, err.msg);
    }
}

static vqp_status open_weights(struct vqp_error *err)
{
    struct vqp_weight_cache *c;
    struct vqp_weights *w;
    vqp_status status = vqp_weight_cache_create(&c, err);
    if (status)
        return status;
    status = vqp_weights_open(c, scratch_dir, NULL, &w, err);
    if (!status)
        vqp_weights_close(c, w);
    vqp_weight_cache_destroy(c);
    return status;
}

static vqp_status load_json(struct vqp_error *err)
{
    json_t *root;
    vqp_status status = vqp_json_load(scratch("config.json"), &root, err);
    if (!status)
        json_decref(root);
    return status;
}

static vqp_status save_npy(struct vqp_error *err)
{
    static const int32_t values[6] = {1, 2, 3, 4, 5, 6};
    const struct vqp_shape s = vqp_shape2(2, 3);
    return vqp_npy_save(scratch("a.npy"), VQP_I32, &s, values, err);
}

static vqp_status load_npy(struct vqp_error *err)
{
    struct vqp_shape s;
    void *data;
    vqp_status status = vqp_npy_load(scratch("wide.npy"), VQP_I32, VQP_E_ARG, &s, &data, err);
    if (!status)
        free(data);
    return status;
}

static vqp_status save_png(struct vqp_error *err)
{
    static const uint8_t rgb[16 * 16 * 3];
    static const struct vqp_png_text text[] = {{"prompt", "a house"}, {"price", "\xE2\x82\xAC"}};
    struct vqp_outfile o;
    vqp_status status = vqp_outfile_check(scratch("a.png"), err);
    if (!status)
        status = vqp_outfile_open(&o, scratch("a.png"), err);
    if (status)
        return status;
    status = vqp_png_write(o.f, rgb, 16, 16, 2, text, 2, err);
    if (!status)
        return vqp_outfile_commit(&o, err);
    vqp_outfile_abort(&o);
    return status;
}

static vqp_status read_png(struct vqp_error *err)
{
    struct vqp_arena a = {0};
    struct vqp_png_texts texts;
    vqp_status status = vqp_png_read_texts(&a, scratch("a.png"), &texts, err);
    vqp_arena_free(&a);
    return status;
}

static vqp_status make_pool(struct vqp_error *err)
{
    struct vqp_pool *p = vqp_pool_create(1);
    if (!p)
        return vqp_fail(err, VQP_E_NOMEM, "no pool");
    vqp_pool_destroy(p);
    return VQP_OK;
}

static void weights(void)
{
    each_failure(open_weights);
}

static void json(void)
{
    each_failure(load_json);
}

static void npy(void)
{
    each_failure(save_npy);
    each_failure(load_npy);
}

static void png(void)
{
    unsigned entries = count_entries(scratch_dir);
    each_failure(save_png);
    each_failure(read_png);
    CU_ASSERT(count_entries(scratch_dir) <= entries + 1); /* the picture, and no temporaries */
}

static void pool(void)
{
    each_failure(make_pool);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"model folders", weights}, {"JSON", json}, {".npy files", npy}, {"PNG files", png}, {"thread pools", pool},
    };
    /* The length of the header makes the parser copy the data, too. */
    static const char model[] = "\x52\0\0\0\0\0\0\0{\"__metadata__\":{\"a\":\"b\"},"
                                "\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}   \0\0\0\0";
    static const char config[] = "{\"a\": [1, 2.5, \"text\"], \"b\": {\"c\": null}}";
    static const char wide[] =
        "\x93NUMPY\1\0\x3B\0{'descr': '<i8', 'fortran_order': False, 'shape': (1,)}   \n\1\0\0\0\0\0\0";
    scratch_begin();
    scratch_write("model.safetensors", model, sizeof model - 1);
    scratch_write("config.json", config, sizeof config - 1);
    scratch_write("wide.npy", wide, sizeof wide);
    return RUN_CASES("out of memory", cases);
}
