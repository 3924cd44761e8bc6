#include "check.h"
#include "threads.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/resource.h>

static void mark(void *ctx, uint32_t i)
{
    atomic_fetch_add(&((atomic_uint *)ctx)[i], 1);
}

static void each_once(void)
{
    static const uint32_t threads[] = {1, 2, 3, 8}, counts[] = {0, 1, 2, 3, 7, 64, 1000, 4097};
    for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
        struct vqp_pool *p = vqp_pool_create(threads[t]);
        CU_ASSERT_PTR_NOT_NULL_FATAL(p);
        CU_ASSERT_EQUAL(vqp_pool_threads(p), threads[t]);
        for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
            atomic_uint *seen = calloc(counts[k] + 1, sizeof *seen);
            vqp_pool_for(p, counts[k], mark, seen);
            uint32_t wrong = 0;
            for (uint32_t i = 0; i < counts[k]; i++)
                wrong += seen[i] != 1;
            CU_ASSERT_EQUAL(wrong, 0);
            CU_ASSERT_EQUAL(seen[counts[k]], 0);
            free(seen);
        }
        vqp_pool_destroy(p);
    }
}

/* Plain memory, written by the workers and read by the caller: a missing happens-before is an error under ThreadSanitizer. */
static void fill(void *ctx, uint32_t i)
{
    ((uint32_t *)ctx)[i] += i;
}

static void many_small_jobs(void)
{
    uint32_t sums[5] = {0};
    struct vqp_pool *p = vqp_pool_create(4);
    for (int k = 0; k < 5000; k++)
        vqp_pool_for(p, 5, fill, sums);
    for (uint32_t i = 0; i < 5; i++)
        CU_ASSERT_EQUAL(sums[i], 5000 * i);
    vqp_pool_destroy(p);
}

/* Both threads must be at the meeting point at once. */
static void meet(void *ctx, uint32_t i)
{
    (void)i;
    atomic_fetch_add((atomic_int *)ctx, 1);
    while (atomic_load((atomic_int *)ctx) < 2)
        sched_yield();
}

static void works_together(void)
{
    atomic_int arrived = 0;
    struct vqp_pool *p = vqp_pool_create(2);
    vqp_pool_for(p, 2, meet, &arrived);
    CU_ASSERT_EQUAL(arrived, 2);
    vqp_pool_destroy(p);
}

struct nest {
    struct vqp_pool *pool;
    atomic_uint inner, strangers;
};
struct inner {
    struct nest *nest;
    pthread_t self;
};

static void inner(void *ctx, uint32_t i)
{
    struct inner *in = ctx;
    (void)i;
    atomic_fetch_add(&in->nest->inner, 1);
    atomic_fetch_add(&in->nest->strangers, !pthread_equal(pthread_self(), in->self));
}

static void outer(void *ctx, uint32_t i)
{
    (void)i;
    struct inner in = {ctx, pthread_self()};
    vqp_pool_for(in.nest->pool, 50, inner, &in);
}

static void nested(void)
{
    struct nest n = {vqp_pool_create(3), 0, 0};
    vqp_pool_for(n.pool, 20, outer, &n);
    CU_ASSERT_EQUAL(n.inner, 1000);
    CU_ASSERT_EQUAL(n.strangers, 0);
    /* and the calling thread is back to normal */
    atomic_int arrived = 0;
    vqp_pool_for(n.pool, 2, meet, &arrived);
    CU_ASSERT_EQUAL(arrived, 2);
    vqp_pool_destroy(n.pool);
}

struct caller {
    struct vqp_pool *pool;
    uint32_t sums[100];
};

static void *call(void *arg)
{
    struct caller *c = arg;
    for (int k = 0; k < 300; k++)
        vqp_pool_for(c->pool, 100, fill, c->sums);
    return NULL;
}

static void several_callers(void)
{
    struct caller callers[4] = {0};
    pthread_t threads[4];
    struct vqp_pool *p = vqp_pool_create(3);
    for (int i = 0; i < 4; i++) {
        callers[i].pool = p;
        pthread_create(&threads[i], NULL, call, &callers[i]);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        for (uint32_t k = 0; k < 100; k++)
            CU_ASSERT_EQUAL(callers[i].sums[k], 300 * k);
    }
    vqp_pool_destroy(p);
}

static void default_size(void)
{
    cpu_set_t set;
    CU_ASSERT_EQUAL_FATAL(sched_getaffinity(0, sizeof set, &set), 0);
    struct vqp_pool *p = vqp_pool_create(0);
    CU_ASSERT_EQUAL(vqp_pool_threads(p), (uint32_t)CPU_COUNT(&set));
    vqp_pool_destroy(p);

    cpu_set_t one;
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &set))
            CPU_SET(i, &one);
    CU_ASSERT_EQUAL_FATAL(sched_setaffinity(0, sizeof one, &one), 0);
    p = vqp_pool_create(0);
    CU_ASSERT_EQUAL(vqp_pool_threads(p), 1);
    vqp_pool_destroy(p);
    sched_setaffinity(0, sizeof set, &set);
}

/* Stacks of 8 MiB in an address space that has no room for many of them. */
static void creation_fails(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    SKIP("sanitizers need their own address space");
#else
    struct rlimit before, tight;
    char line[64] = "";
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || !fgets(line, sizeof line, f))
        SKIP("no /proc");
    fclose(f);
    getrlimit(RLIMIT_AS, &before);
    tight = before;
    tight.rlim_cur = strtoul(line, NULL, 10) * 4096 + ((rlim_t)64 << 20);
    setrlimit(RLIMIT_AS, &tight);
    struct vqp_pool *p = vqp_pool_create(200);
    setrlimit(RLIMIT_AS, &before);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    CU_ASSERT(vqp_pool_threads(p) >= 1 && vqp_pool_threads(p) < 200);
    atomic_uint seen[100] = {0};
    vqp_pool_for(p, 100, mark, seen);
    for (int i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(seen[i], 1);
    vqp_pool_destroy(p);
#endif
}

static void destroy_null(void)
{
    vqp_pool_destroy(NULL);
    for (int i = 0; i < 50; i++)
        vqp_pool_destroy(vqp_pool_create(3)); /* at once, while workers may not have started */
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"calls every index once, for any count and any threads", each_once},
        {"runs thousands of small jobs one after another", many_small_jobs},
        {"uses two threads at once", works_together},
        {"runs a nested call in its caller alone", nested},
        {"serves several callers in turn", several_callers},
        {"takes as many threads as processors it may use", default_size},
        {"goes on with fewer threads where creation fails", creation_fails},
        {"is destroyed at any time, and from NULL", destroy_null},
    };
    return RUN_CASES("threads", cases);
}
