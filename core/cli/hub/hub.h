/* Model repositories on a hub that speaks Hugging Face's HTTP API, and the cache folder that its own clients use:
 *
 *     CACHE/models--OWNER--NAME/refs/REVISION      the commit that the revision named when it was last pulled
 *     CACHE/models--OWNER--NAME/blobs/HASH         contents, by their SHA-256 or git's SHA-1; HASH.incomplete while on the way
 *     CACHE/models--OWNER--NAME/snapshots/COMMIT/  links into blobs under the files' own names
 *
 * A blob has its name only when size and hash are right; snapshot and ref are made when every blob is there. */
#ifndef VQP_CLI_HUB_H
#define VQP_CLI_HUB_H
#include <curl/curl.h>
#include <vqpipe/base.h>

/* ---- environment.c ---- */

struct hub {
    char endpoint[512]; /* HF_ENDPOINT, else https://huggingface.co; no slash at its end */
    char cache
        [512]; /* HF_HUB_CACHE, else HF_HOME/hub, else XDG_CACHE_HOME/huggingface/hub, else ~/.cache/huggingface/hub */
    char token
        [512]; /* HF_TOKEN, else HUGGING_FACE_HUB_TOKEN, else the file HF_TOKEN_PATH, else HF_HOME/token; "": none */
    const char *ca; /* CURL_CA_BUNDLE, REQUESTS_CA_BUNDLE or SSL_CERT_FILE; NULL: the system's */
    long timeout; /* seconds without a byte after which a connection counts as dead: HF_HUB_DOWNLOAD_TIMEOUT, else 30 */
};
vqp_status hub_environment(struct hub *out, struct vqp_error *err);

/* ---- http.c ---- */

/* A handle for one URL with everything that all requests share: proxy and certificates by the environment, the token, few redirects, which
 * take it to no other host, and no protocol but HTTP. *headers is freed after the handle. NULL: out of memory. */
CURL *hub_request(const struct hub *hub, const char *url, struct curl_slist **headers);
/* The sentence for a request that did not succeed. `status` is 0 where no answer came. */
vqp_status hub_refused(const struct hub *hub, const char *what, CURLcode code, long status, struct vqp_error *err);
/* Whether trying again may help. */
int hub_transient(CURLcode code, long status);

/* ---- listing.c ---- */

struct hub_file {
    char *name; /* as in the repository: "transformer/config.json"; relative, no "..", no control characters */
    uint64_t size;
    char hash[65];   /* hexadecimal: 64 digits SHA-256, 40 digits the SHA-1 of a git blob */
    uint32_t wanted; /* hub_choose */
};
struct hub_listing {
    char commit[41];
    struct hub_file *files; /* by name */
    size_t n;
};
/* The files of a revision (a branch, tag, commit or "refs/pr/1"). */
vqp_status hub_list(const struct hub *hub, const char *repository, const char *revision, struct hub_listing *out,
                    struct vqp_error *err);
/* The same from the answer's text. */
vqp_status hub_list_parse(const char *json, size_t n, struct hub_listing *out, struct vqp_error *err);
void hub_listing_free(struct hub_listing *l);

/* ---- choose.c ---- */

/* Marks what a run reads: texts (.json, .txt, .model, .yaml), and of each folder's weights the first there is of these: `variant` (may be
 * NULL) as .safetensors, as .bin; .safetensors, .fp16.safetensors, .bin, .fp16.bin; of each a single file before shards. Where there is no
 * model_index.json (an original checkpoint) every file of weights. */
void hub_choose(struct hub_listing *l, const char *variant);

/* ---- cache.c ---- */

/* "CACHE/models--OWNER--NAME", made with its folders. */
vqp_status hub_cache_open(const struct hub *hub, const char *repository, char *dir, size_t n, struct vqp_error *err);
/* Makes the folders above a file that do not exist yet. */
vqp_status hub_make_parents(const char *path, struct vqp_error *err);
/* The path of a blob under its final name; 1 where it is there whole. */
int hub_blob(const char *dir, const struct hub_file *f, char *path, size_t n);
/* Links every wanted file into the snapshot and writes the ref: when all blobs are there. */
vqp_status hub_cache_publish(const char *dir, const char *revision, const struct hub_listing *l, struct vqp_error *err);

/* ---- download.c ---- */

struct hub_progress {
    uint64_t total, done, fetched; /* bytes: wanted; there already or arrived; arrived now */
    uint32_t files;                /* that were fetched, wholly or their rest */
    void (*show)(void *ctx, const struct hub_progress *p);
    void *ctx;
};
/* Brings every wanted blob that is not there, four at a time; goes on where an earlier try ended; checks size and hash. */
vqp_status hub_download(const struct hub *hub, const char *repository, const char *dir, const struct hub_listing *l,
                        struct hub_progress *progress, struct vqp_error *err);

#endif
