/* A folder for one test program's files, removed at its end. */
#ifndef VQP_TESTS_SCRATCH_H
#define VQP_TESTS_SCRATCH_H
#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch_dir[] = "/tmp/vqpipe-test-XXXXXX";

static int scratch_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void scratch_end(void)
{
    nftw(scratch_dir, scratch_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void scratch_begin(void)
{
    if (!mkdtemp(scratch_dir) || chmod(scratch_dir, 0755)) {
        perror(scratch_dir);
        exit(2);
    }
    atexit(scratch_end);
}

/* The path of `name` there; valid until the eighth call after it. */
static inline const char *scratch(const char *name)
{
    static char paths[8][4096];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", scratch_dir, name);
    return path;
}

static inline const char *scratch_write(const char *name, const void *data, size_t n)
{
    const char *path = scratch(name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, n, f) != n || fclose(f)) {
        perror(path);
        exit(2);
    }
    return path;
}

/* The whole file in memory to be freed; NULL where there is none. */
static inline char *scratch_read(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    char *data = malloc(1 << 20);
    *n = data ? fread(data, 1, (1 << 20) - 1, f) : 0;
    if (data)
        data[*n] = 0;
    fclose(f);
    return data;
}

static inline unsigned count_entries(const char *dir)
{
    unsigned n = 0;
    DIR *d = opendir(dir);
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

/* How many descriptors this process has open: equal before and after what must not leak any. */
static inline unsigned open_files(void)
{
    return count_entries("/proc/self/fd");
}

#endif
