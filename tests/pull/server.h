/* A hub on the loopback, in threads of the test program: the listing of a model's files, and the files, with ranges and every fault there is. */
#ifndef VQP_TESTS_PULL_SERVER_H
#define VQP_TESTS_PULL_SERVER_H
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct served {
    const char *name;
    const char *data;
    size_t n;
    int lfs;       /* known by its SHA-256, else by git's SHA-1 */
    char hash[65]; /* server_start fills it */
};
struct server {
    struct served *files;
    size_t n_files;
    const char *listing; /* sent instead of the true one */
    /* what goes wrong, with files alone */
    int redirect;               /* to another host name, under /cdn/ */
    size_t cut_after;           /* every answer ends after so many bytes */
    int no_ranges, wrong_range; /* Range is ignored; the answer begins elsewhere than asked */
    size_t stall_after;         /* the first answers send so many bytes, then nothing */
    atomic_int stalls;          /* how many do */
    int corrupt;                /* the last byte is another */
    int longer;                 /* one byte more than the listing says */
    atomic_int refusals;        /* how many requests of any kind get `refusal` */
    int refusal;                /* HTTP status */
    size_t slow;                /* bytes every 10 ms */
    /* what happened */
    atomic_int listings, bodies, ranged, token_to_hub, token_elsewhere;
    atomic_size_t sent; /* bytes of bodies */
    int port, socket;
};
/* 0 where it listens on 127.0.0.1:port. It serves until the process ends, or server_stop. */
int server_start(struct server *s);
void server_stop(struct server *s);
void server_hash(struct served *f);

#define SERVER_COMMIT "0123456789abcdef0123456789abcdef01234567"

#endif
