#include "threads.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    MAX_THREADS = 1024,
    CHUNKS_PER_THREAD = 16 /* small enough that an unlucky thread does not keep the others waiting */
};

struct vqp_pool {
    pthread_mutex_t turn; /* held by the one caller whose job is running */
    pthread_mutex_t lock; /* guards what follows, but for next */
    pthread_cond_t start, done;
    void (*fn)(void *ctx, uint32_t i);
    void *ctx;
    uint32_t n, chunk;
    _Atomic uint64_t next; /* 64 bits: threads may overshoot n without wrapping */
    uint64_t generation;   /* of the job, so that no worker joins one twice */
    uint32_t open, active; /* may workers join; how many have */
    uint32_t stop, n_workers;
    pthread_t workers[];
};

static _Thread_local int inside;

static void work(struct vqp_pool *p)
{
    for (;;) {
        uint64_t i = atomic_fetch_add_explicit(&p->next, p->chunk, memory_order_relaxed);
        if (i >= p->n)
            return;
        uint64_t end = i + p->chunk < p->n ? i + p->chunk : p->n;
        for (; i < end; i++)
            p->fn(p->ctx, (uint32_t)i);
    }
}

static void *worker(void *arg)
{
    struct vqp_pool *p = arg;
    uint64_t seen = 0;
    inside = 1;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (!p->stop && (!p->open || seen == p->generation))
            pthread_cond_wait(&p->start, &p->lock);
        if (p->stop)
            break;
        seen = p->generation;
        p->active++;
        pthread_mutex_unlock(&p->lock);
        work(p);
        pthread_mutex_lock(&p->lock);
        if (--p->active == 0)
            pthread_cond_signal(&p->done);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static uint32_t processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return (uint32_t)CPU_COUNT(&set);
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (uint32_t)n : 1;
}

struct vqp_pool *vqp_pool_create(uint32_t threads)
{
    if (threads == 0)
        threads = processors();
    if (threads > MAX_THREADS)
        threads = MAX_THREADS;
    struct vqp_pool *p = calloc(1, sizeof *p + (threads - 1) * sizeof p->workers[0]);
    if (!p)
        return NULL;
    pthread_mutex_init(&p->turn, NULL);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->start, NULL);
    pthread_cond_init(&p->done, NULL);

    /* Workers take no signals from outside: those belong to the program's own threads. */
    sigset_t blocked, before;
    sigfillset(&blocked);
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        sigdelset(&blocked, own[i]);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    while (p->n_workers < threads - 1 && !pthread_create(&p->workers[p->n_workers], NULL, worker, p))
        p->n_workers++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return p;
}

void vqp_pool_destroy(struct vqp_pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stop = 1;
    pthread_cond_broadcast(&p->start);
    pthread_mutex_unlock(&p->lock);
    for (uint32_t i = 0; i < p->n_workers; i++)
        pthread_join(p->workers[i], NULL);
    pthread_cond_destroy(&p->done);
    pthread_cond_destroy(&p->start);
    pthread_mutex_destroy(&p->lock);
    pthread_mutex_destroy(&p->turn);
    free(p);
}

uint32_t vqp_pool_threads(const struct vqp_pool *p)
{
    return p->n_workers + 1;
}

void vqp_pool_for(struct vqp_pool *p, uint32_t n, void (*fn)(void *ctx, uint32_t i), void *ctx)
{
    if (n <= 1 || inside || p->n_workers == 0) {
        for (uint32_t i = 0; i < n; i++)
            fn(ctx, i);
        return;
    }
    pthread_mutex_lock(&p->turn);
    pthread_mutex_lock(&p->lock);
    p->fn = fn;
    p->ctx = ctx;
    p->n = n;
    p->chunk = n / (vqp_pool_threads(p) * CHUNKS_PER_THREAD) + 1;
    atomic_store_explicit(&p->next, 0, memory_order_relaxed);
    p->generation++;
    p->open = 1;
    pthread_cond_broadcast(&p->start);
    pthread_mutex_unlock(&p->lock);

    inside = 1;
    work(p);
    inside = 0;

    /* A worker that has not woken by now is not waited for. */
    pthread_mutex_lock(&p->lock);
    p->open = 0;
    while (p->active)
        pthread_cond_wait(&p->done, &p->lock);
    pthread_mutex_unlock(&p->lock);
    pthread_mutex_unlock(&p->turn);
}
