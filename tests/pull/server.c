#include "server.h"
#include <arpa/inet.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void server_hash(struct served *f)
{
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    char header[40];
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    EVP_DigestInit_ex(c, f->lfs ? EVP_sha256() : EVP_sha1(), NULL);
    if (!f->lfs)
        EVP_DigestUpdate(c, header, (size_t)snprintf(header, sizeof header, "blob %zu", f->n) + 1);
    EVP_DigestUpdate(c, f->data, f->n);
    EVP_DigestFinal_ex(c, raw, &n);
    EVP_MD_CTX_free(c);
    for (unsigned i = 0; i < n; i++)
        snprintf(f->hash + 2 * i, 3, "%02x", raw[i]);
}

static int put(int fd, const char *data, size_t n)
{
    while (n) {
        ssize_t k = send(fd, data, n, MSG_NOSIGNAL);
        if (k <= 0)
            return 0;
        data += k;
        n -= (size_t)k;
    }
    return 1;
}

static void answer(int fd, int status, const char *headers, const char *body, size_t n)
{
    char head[1024];
    int k = snprintf(head, sizeof head, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nConnection: close\r\n%s\r\n", status,
                     n, headers);
    if (put(fd, head, (size_t)k))
        put(fd, body, n);
}

static void send_listing(struct server *s, int fd)
{
    char *text = NULL;
    size_t n = 0;
    s->listings++;
    FILE *f = open_memstream(&text, &n);
    fprintf(f, "{\"id\":\"someone/model\",\"sha\":\"" SERVER_COMMIT "\",\"siblings\":[");
    for (size_t i = 0; i < s->n_files; i++) {
        struct served *v = &s->files[i];
        fprintf(f, "%s{\"rfilename\":\"%s\",\"size\":%zu,\"blobId\":\"%s\"", i ? "," : "", v->name, v->n,
                v->lfs ? "00000000000000000000000000000000000000aa" : v->hash);
        if (v->lfs)
            fprintf(f, ",\"lfs\":{\"sha256\":\"%s\",\"size\":%zu,\"pointerSize\":134}", v->hash, v->n);
        fprintf(f, "}");
    }
    fprintf(f, "]}");
    fclose(f);
    if (s->listing)
        answer(fd, 200, "Content-Type: application/json\r\n", s->listing, strlen(s->listing));
    else
        answer(fd, 200, "Content-Type: application/json\r\n", text, n);
    free(text);
}

static void send_body(struct server *s, int fd, const struct served *v, const char *request)
{
    char head[512];
    const char *range = strcasestr(request, "\nrange: bytes=");
    size_t from = range && !s->no_ranges ? strtoul(range + 14, NULL, 10) : 0, total = v->n + (s->longer ? 1 : 0);
    char *copy = malloc(total + 1);
    s->bodies++;
    s->ranged += range != NULL;
    memcpy(copy, v->data, v->n);
    copy[v->n] = 'x';
    if (s->corrupt)
        copy[v->n - 1] ^= 1;
    if (from > total)
        from = total;
    size_t n = total - from, most = s->cut_after && s->cut_after < n ? s->cut_after : n;
    int k = snprintf(head, sizeof head, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nConnection: close\r\n",
                     from ? 206 : 200, n);
    if (from)
        k += snprintf(head + k, sizeof head - (size_t)k, "Content-Range: bytes %zu-%zu/%zu\r\n",
                      from - (s->wrong_range ? 1 : 0), total - 1, total);
    snprintf(head + k, sizeof head - (size_t)k, "\r\n");
    int stalls = s->stall_after && atomic_fetch_sub(&s->stalls, 1) > 0;
    if (stalls && s->stall_after < most)
        most = s->stall_after;
    if (put(fd, head, strlen(head))) {
        size_t at = 0, step = s->slow ? s->slow : most;
        while (at < most) {
            size_t part = most - at < step ? most - at : step;
            if (!put(fd, copy + from + at, part))
                break;
            at += part;
            s->sent += part;
            if (s->slow)
                usleep(10000);
        }
    }
    free(copy);
    char end;
    if (stalls) /* until the other side gives up */
        while (recv(fd, &end, 1, 0) > 0)
            ;
}

static void handle(struct server *s, int fd)
{
    char request[8192], path[1024], headers[1200];
    size_t n = 0;
    while (n < sizeof request - 1) {
        ssize_t k = recv(fd, request + n, sizeof request - 1 - n, 0);
        if (k <= 0)
            return;
        n += (size_t)k;
        request[n] = 0;
        if (strstr(request, "\r\n\r\n"))
            break;
    }
    if (sscanf(request, "GET %1023s", path) != 1)
        return;
    int cdn = strncmp(path, "/cdn/", 5) == 0, token = strcasestr(request, "\nauthorization: bearer secret") != NULL;
    s->token_to_hub += token && !cdn;
    s->token_elsewhere += token && cdn;
    if (s->refusal && atomic_fetch_sub(&s->refusals, 1) > 0) {
        answer(fd, s->refusal, "", "no\n", 3);
        return;
    }
    if (strcmp(path, "/api/models/someone/model/revision/main?blobs=true") == 0) {
        send_listing(s, fd);
        return;
    }
    const char *prefix = cdn ? "/cdn/" : "/someone/model/resolve/" SERVER_COMMIT "/";
    for (size_t i = 0; i < s->n_files; i++) {
        if (strncmp(path, prefix, strlen(prefix)) || strcmp(path + strlen(prefix), s->files[i].name))
            continue;
        if (!s->redirect || cdn) {
            send_body(s, fd, &s->files[i], request);
        } else {
            snprintf(headers, sizeof headers, "Location: http://localhost:%d/cdn/%s\r\n", s->port, s->files[i].name);
            answer(fd, 302, headers, "", 0);
        }
        return;
    }
    answer(fd, 404, "", "none\n", 5);
}

struct connection {
    struct server *server;
    int fd;
};

static void *serve_one(void *ctx)
{
    struct connection c = *(struct connection *)ctx;
    free(ctx);
    handle(c.server, c.fd);
    shutdown(c.fd, SHUT_WR);
    close(c.fd);
    return NULL;
}

static void *serve(void *ctx)
{
    struct server *s = ctx;
    for (;;) {
        int fd = accept(s->socket, NULL, NULL);
        if (fd < 0)
            return NULL;
        struct connection *c = malloc(sizeof *c);
        pthread_t thread;
        *c = (struct connection){s, fd};
        if (pthread_create(&thread, NULL, serve_one, c)) {
            free(c);
            close(fd);
        } else {
            pthread_detach(thread);
        }
    }
}

int server_start(struct server *s)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    pthread_t thread;
    for (size_t i = 0; i < s->n_files; i++)
        server_hash(&s->files[i]);
    s->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->socket < 0 || bind(s->socket, (struct sockaddr *)&a, sizeof a) || listen(s->socket, 16) ||
        getsockname(s->socket, (struct sockaddr *)&a, &n) || pthread_create(&thread, NULL, serve, s))
        return -1;
    pthread_detach(thread);
    s->port = ntohs(a.sin_port);
    return 0;
}

void server_stop(struct server *s)
{
    shutdown(s->socket, SHUT_RDWR);
    close(s->socket);
}
