#include "hub.h"
#include <stdlib.h>
#include <string.h>

static const char *env(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* out = folder + tail; 0 where it does not fit. */
static int join(char *out, size_t n, const char *folder, const char *tail)
{
    size_t front = strlen(folder), back = strlen(tail);
    if (front >= n || back >= n - front)
        return 0;
    stpcpy(stpcpy(out, folder), tail);
    return 1;
}

/* Where the hub's own clients keep things. */
static int home(char *out, size_t n)
{
    const char *dir = env("HF_HOME");
    if (dir)
        return join(out, n, dir, "");
    if ((dir = env("XDG_CACHE_HOME")))
        return join(out, n, dir, "/huggingface");
    return (dir = env("HOME")) && join(out, n, dir, "/.cache/huggingface");
}

/* One line of printable characters: anything else would end up in a header. */
static int token_good(const char *s)
{
    for (; *s; s++)
        if (*s <= ' ' || *s > '~')
            return 0;
    return 1;
}

static vqp_status read_token(struct hub *out, const char *home_dir, struct vqp_error *err)
{
    char path[600];
    const char *given = env("HF_TOKEN") ? env("HF_TOKEN") : env("HUGGING_FACE_HUB_TOKEN");
    if (given) {
        if (!join(out->token, sizeof out->token, given, ""))
            return vqp_fail(err, VQP_E_ARG, "HF_TOKEN is longer than any token; correct it");
    } else {
        const char *file = env("HF_TOKEN_PATH");
        if (!join(path, sizeof path, file ? file : home_dir, file ? "" : "/token"))
            return VQP_OK;
        FILE *f = fopen(path, "re");
        if (!f)
            return VQP_OK;
        if (!fgets(out->token, sizeof out->token, f))
            out->token[0] = 0;
        fclose(f);
        out->token[strcspn(out->token, " \t\r\n")] = 0;
    }
    return token_good(out->token)
               ? VQP_OK
               : vqp_fail(err, VQP_E_ARG,
                          "the access token (HF_TOKEN or its file) has characters that no token has; correct it");
}

static int local(const char *endpoint)
{
    static const char *const hosts[] = {"http://127.", "http://localhost", "http://[::1]"};
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        if (strncmp(endpoint, hosts[i], strlen(hosts[i])) == 0)
            return 1;
    return 0;
}

vqp_status hub_environment(struct hub *out, struct vqp_error *err)
{
    char home_dir[512] = "";
    *out = (struct hub){.timeout = 30};
    const char *endpoint = env("HF_ENDPOINT") ? env("HF_ENDPOINT") : "https://huggingface.co";
    if (!join(out->endpoint, sizeof out->endpoint, endpoint, "") ||
        (strncmp(endpoint, "https://", 8) && strncmp(endpoint, "http://", 7)))
        return vqp_fail(err, VQP_E_ARG, "HF_ENDPOINT '%.200s' is no http:// or https:// address; correct it", endpoint);
    for (size_t n = strlen(out->endpoint); n && out->endpoint[n - 1] == '/'; n--)
        out->endpoint[n - 1] = 0;
    int has_home = home(home_dir, sizeof home_dir);
    const char *cache = env("HF_HUB_CACHE") ? env("HF_HUB_CACHE") : env("HUGGINGFACE_HUB_CACHE");
    int fits = cache ? join(out->cache, sizeof out->cache, cache, "") : has_home;
    if (!cache && has_home)
        fits = join(out->cache, sizeof out->cache, home_dir, "/hub");
    if (!fits)
        return vqp_fail(err, VQP_E_ARG, "no folder for the cache: set HF_HUB_CACHE, HF_HOME or HOME");
    const char *timeout = env("HF_HUB_DOWNLOAD_TIMEOUT");
    if (timeout) {
        char *end;
        out->timeout = strtol(timeout, &end, 10);
        if (*end || out->timeout < 1 || out->timeout > 3600)
            return vqp_fail(err, VQP_E_ARG, "HF_HUB_DOWNLOAD_TIMEOUT '%.40s' is no number of seconds from 1 to 3600",
                            timeout);
    }
    static const char *const bundles[] = {"CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"};
    for (size_t i = 0; i < sizeof bundles / sizeof *bundles && !out->ca; i++)
        out->ca = env(bundles[i]);
    vqp_status st = read_token(out, home_dir, err);
    if (!st && out->token[0] && strncmp(out->endpoint, "http://", 7) == 0 && !local(out->endpoint))
        return vqp_fail(
            err, VQP_E_ARG,
            "HF_ENDPOINT %.200s has no encryption, so the token is not sent there; use https:// or unset HF_TOKEN",
            out->endpoint);
    return st;
}
