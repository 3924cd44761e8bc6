#include "hub.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MAX_ANSWER = 16 << 20,
    MAX_FILES = 10000,
    TRIES = 5
};

static int hexadecimal(const char *s, size_t n)
{
    return s && strlen(s) == n && strspn(s, "0123456789abcdef") == n;
}

/* What may become a file below the snapshot. */
static int name_good(const char *s)
{
    if (!*s || *s == '/' || strlen(s) > 512)
        return 0;
    for (const char *part = s; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL) {
        size_t n = strcspn(part, "/");
        if (n == 0 || (n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
            return 0;
    }
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f || *s == '\\')
            return 0;
    return 1;
}

static vqp_status one_file(const json_t *sibling, struct hub_file *out, struct vqp_error *err)
{
    const json_t *lfs = json_object_get(sibling, "lfs"), *size = json_object_get(lfs ? lfs : sibling, "size");
    const char *name = json_string_value(json_object_get(sibling, "rfilename")),
               *hash = json_string_value(lfs ? json_object_get(lfs, "sha256") : json_object_get(sibling, "blobId"));
    if (!name || !name_good(name))
        return vqp_fail(err, VQP_E_FORMAT,
                        "the hub lists a file that may not be written: '%.200s'; pull from another place",
                        name ? name : "(no name)");
    if (!hexadecimal(hash, lfs ? 64 : 40) || !json_is_integer(size) || json_integer_value(size) < 0)
        return vqp_fail(err, VQP_E_FORMAT,
                        "the hub gives no size and hash of %.200s, so it could not be checked; pull from another place",
                        name);
    out->size = (uint64_t)json_integer_value(size);
    memcpy(out->hash, hash, strlen(hash) + 1);
    out->name = strdup(name);
    return out->name ? VQP_OK : vqp_fail(err, VQP_E_NOMEM, "out of memory; free some");
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct hub_file *)a)->name, ((const struct hub_file *)b)->name);
}

static vqp_status from_json(const json_t *root, struct hub_listing *out, struct vqp_error *err)
{
    const char *commit = json_string_value(json_object_get(root, "sha"));
    const json_t *siblings = json_object_get(root, "siblings");
    size_t n = json_array_size(siblings);
    if (!hexadecimal(commit, 40) || !json_is_array(siblings))
        return vqp_fail(err, VQP_E_FORMAT, "the hub's answer names no commit and no files; check HF_ENDPOINT");
    if (n == 0 || n > MAX_FILES)
        return vqp_fail(err, VQP_E_FORMAT, "the hub lists %zu files, expected 1 to %d; check the name", n, MAX_FILES);
    memcpy(out->commit, commit, sizeof out->commit);
    if (!(out->files = calloc(n, sizeof *out->files)))
        return vqp_fail(err, VQP_E_NOMEM, "out of memory; free some");
    for (size_t i = 0; i < n; i++) {
        vqp_status st = one_file(json_array_get(siblings, i), &out->files[out->n], err);
        if (st)
            return st;
        out->n++;
    }
    qsort(out->files, n, sizeof *out->files, by_name);
    for (size_t i = 1; i < n; i++)
        if (strcmp(out->files[i - 1].name, out->files[i].name) == 0)
            return vqp_fail(err, VQP_E_FORMAT, "the hub lists %.200s twice; pull from another place",
                            out->files[i].name);
    return VQP_OK;
}

vqp_status hub_list_parse(const char *json, size_t n, struct hub_listing *out, struct vqp_error *err)
{
    *out = (struct hub_listing){0};
    json_error_t why;
    json_t *root = json_loadb(json, n, JSON_REJECT_DUPLICATES, &why);
    vqp_status st = root ? from_json(root, out, err)
                         : vqp_fail(err, VQP_E_FORMAT, "the hub's answer is no JSON (byte %d: %s); check HF_ENDPOINT",
                                    why.position, why.text);
    json_decref(root);
    if (st)
        hub_listing_free(out);
    return st;
}

void hub_listing_free(struct hub_listing *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->files[i].name);
    free(l->files);
    *l = (struct hub_listing){0};
}

struct answer {
    char *text;
    size_t n;
};

static size_t collect(char *data, size_t size, size_t count, void *ctx)
{
    struct answer *a = ctx;
    size_t n = size * count;
    char *grown = n <= MAX_ANSWER - a->n ? realloc(a->text, a->n + n + 1) : NULL;
    if (!grown)
        return 0;
    memcpy(grown + a->n, data, n);
    *a = (struct answer){grown, a->n + n};
    return n;
}

static vqp_status ask(const struct hub *hub, const char *what, const char *url, struct answer *a, struct vqp_error *err)
{
    for (unsigned try = 1;; try++) {
        struct curl_slist *headers;
        long status = 0;
        CURL *easy = hub_request(hub, url, &headers);
        if (!easy)
            return vqp_fail(err, VQP_E_NOMEM, "out of memory; free some");
        a->n = 0;
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, collect);
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, a);
        curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
        CURLcode code = curl_easy_perform(easy);
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_cleanup(easy);
        curl_slist_free_all(headers);
        if (code == CURLE_OK && a->text)
            return VQP_OK;
        if (try == TRIES || !hub_transient(code, status))
            return hub_refused(hub, what, code, status, err);
        usleep(100000u << try);
    }
}

vqp_status hub_list(const struct hub *hub, const char *repository, const char *revision, struct hub_listing *out,
                    struct vqp_error *err)
{
    char url[1600], what[320];
    struct answer a = {0};
    char *escaped = curl_easy_escape(NULL, revision, 0);
    if (!escaped)
        return vqp_fail(err, VQP_E_NOMEM, "out of memory; free some");
    snprintf(url, sizeof url, "%s/api/models/%s/revision/%s?blobs=true", hub->endpoint, repository, escaped);
    snprintf(what, sizeof what, "%.120s at revision %.120s", repository, revision);
    curl_free(escaped);
    vqp_status st = ask(hub, what, url, &a, err);
    if (!st)
        st = hub_list_parse(a.text, a.n, out, err);
    free(a.text);
    return st;
}
