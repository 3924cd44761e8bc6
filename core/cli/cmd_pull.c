#include "commands.h"
#include "progress.h"
#include "say.h"
#include "signals.h"
#include "text.h"
#include <ctype.h>
#include <string.h>

#if !defined(VQP_HAVE_HUB)

int vqp_cmd_pull(const struct vqp_args *args)
{
    (void)args;
    return vqp_say_usage("pull: this vqpipe was built without libcurl and libcrypto; install them and build again, or "
                         "download the folder");
}

#else
#include "hub/hub.h"
#include <limits.h>

/* One part of OWNER/NAME: what the hub allows. */
static int part_good(const char *s, size_t n)
{
    if (n == 0 || n > 96 || *s == '.' || *s == '-')
        return 0;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)s[i]) && !strchr("-._", s[i]))
            return 0;
    return 1;
}

static int repository_good(const char *s)
{
    size_t n = strcspn(s, "/");
    return s[n] == '/' && part_good(s, n) && part_good(s + n + 1, strlen(s + n + 1));
}

/* A name that may become the path of a ref. */
static int revision_good(const char *s)
{
    if (!*s || *s == '/' || *s == '.' || strlen(s) > 200 || strstr(s, "..") || strstr(s, "//") ||
        s[strlen(s) - 1] == '/')
        return 0;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr("-._/", *s))
            return 0;
    return 1;
}

static void show(void *ctx, const struct hub_progress *p)
{
    struct vqp_progress *progress = ctx;
    char text[120];
    snprintf(text, sizeof text, "%.1f of %.1f MB", (double)p->done / 1e6, (double)p->total / 1e6);
    vqp_progress_bytes(progress, p->done, p->total, text);
}

static vqp_status pull(const struct vqp_args *args, const struct hub *hub, const char *revision,
                       struct vqp_progress *bar, struct vqp_error *err)
{
    char dir[PATH_MAX];
    struct hub_listing listing;
    struct hub_progress progress = {.show = show, .ctx = bar};
    vqp_status st = hub_list(hub, args->operand, revision, &listing, err);
    if (st)
        return st;
    hub_choose(&listing, vqp_args_value(args, OPT_VARIANT));
    for (size_t i = 0; i < listing.n && vqp_args_count(args, OPT_VERBOSE); i++)
        if (listing.files[i].wanted)
            vqp_say("%s: %llu bytes", listing.files[i].name, (unsigned long long)listing.files[i].size);
    st = hub_cache_open(hub, args->operand, dir, sizeof dir, err);
    if (!st)
        st = hub_download(hub, args->operand, dir, &listing, &progress, err);
    vqp_progress_end(bar);
    if (!st)
        st = hub_cache_publish(dir, revision, &listing, err);
    if (!st && vqp_args_count(args, OPT_JSON)) {
        printf("{\"path\":");
        char path[PATH_MAX + 64];
        snprintf(path, sizeof path, "%s/snapshots/%s", dir, listing.commit);
        vqp_json_string(stdout, path);
        printf(",\"commit\":\"%s\",\"bytes\":%llu,\"downloaded_bytes\":%llu,\"downloaded_files\":%u}\n", listing.commit,
               (unsigned long long)progress.total, (unsigned long long)progress.fetched, progress.files);
    } else if (!st) {
        printf("%s/snapshots/%s\n", dir, listing.commit);
    }
    hub_listing_free(&listing);
    return st;
}

int vqp_cmd_pull(const struct vqp_args *args)
{
    struct vqp_error err;
    struct hub hub;
    struct vqp_progress bar;
    const char *revision = vqp_args_value(args, OPT_REVISION) ? vqp_args_value(args, OPT_REVISION) : "main";
    if (!repository_good(args->operand))
        return vqp_say_usage("'%s' is no OWNER/NAME of a model; microsoft/vq-diffusion-ithq is one", args->operand);
    if (!revision_good(revision))
        return vqp_say_usage("--revision '%s' is no name of a branch, tag or commit; main is one", revision);
    int code = vqp_progress_init(args, &bar);
    if (code)
        return code;
    vqp_status st = hub_environment(&hub, &err);
    if (st)
        return vqp_say_error(st, &err);
    vqp_signals_catch();
    if (curl_global_init(CURL_GLOBAL_DEFAULT))
        return vqp_say_nomem();
    st = pull(args, &hub, revision, &bar, &err);
    curl_global_cleanup();
    return st ? vqp_say_error(st, &err) : 0;
}
#endif
