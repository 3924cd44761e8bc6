/* The command line against the server: whatever it does, the cache holds whole files or none. */
#include "check.h"
#include "server.h"
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    BIG = 300000
};
static char big[BIG], other[BIG / 3];
static char dir[64]; /* HF_HOME */

#define MODEL "models--someone--model"

static struct served *files(void)
{
    static struct served f[] = {{"model_index.json", "{\"_class_name\":\"VQDiffusionPipeline\"}", 38, 0, ""},
                                {"transformer/config.json", "{}", 2, 0, ""},
                                {"transformer/diffusion_pytorch_model.safetensors", big, BIG, 1, ""},
                                {"transformer/diffusion_pytorch_model.fp16.safetensors", other, sizeof other, 1, ""},
                                {"transformer/diffusion_pytorch_model.bin", other, sizeof other, 1, ""},
                                {"vqvae/empty.txt", "", 0, 0, ""},
                                {"vqvae/same.json", "{}", 2, 0, ""},
                                {"picture.png", "png", 3, 1, ""}};
    for (int i = 0; i < BIG; i++)
        big[i] = (char)((unsigned)i * 2654435761u >> 13);
    for (size_t i = 0; i < sizeof other; i++)
        other[i] = (char)(i * 40503u >> 7);
    return f;
}

static struct server *start(void)
{
    static struct server servers[32]; /* threads may outlive the case */
    static int used;
    CU_ASSERT_TRUE_FATAL(used < 32);
    struct server *s = &servers[used++];
    s->files = files();
    s->n_files = 8;
    CU_ASSERT_EQUAL_FATAL(server_start(s), 0);
    snprintf(dir, sizeof dir, "/tmp/vqp-pull-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    return s;
}

static void stop(struct server *s)
{
    char command[128];
    server_stop(s);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    CU_ASSERT_EQUAL(system(command), 0);
}

static const char *text_of(const char *name)
{
    static char text[4096];
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f)
        fclose(f);
    text[n] = 0;
    return text;
}

static int pull(struct server *s, const char *before, const char *flags)
{
    char command[1024];
    snprintf(command, sizeof command,
             "HF_ENDPOINT=http://127.0.0.1:%d HF_HOME=%s HF_TOKEN=secret HF_HUB_DOWNLOAD_TIMEOUT=1 NO_PROXY=* %s "
             "'" VQP_BUILD_DIR "/bin/vqpipe' pull someone/model %s >%s/stdout 2>%s/stderr",
             s->port, dir, before, flags, dir, dir);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int count(const char *find)
{
    char command[256];
    int n = -1;
    snprintf(command, sizeof command, "cd %s && find . %s 2>/dev/null | wc -l", dir, find);
    FILE *f = popen(command, "r");
    if (!f || fscanf(f, "%d", &n) != 1)
        n = -1;
    if (f)
        pclose(f);
    return n;
}

static int holds(const char *name, const char *data, size_t n)
{
    char path[512];
    snprintf(path, sizeof path, "%s/hub/" MODEL "/snapshots/" SERVER_COMMIT "/%s", dir, name);
    FILE *f = fopen(path, "r");
    if (!f)
        return 0;
    char *got = malloc(n + 2);
    int good = fread(got, 1, n + 2, f) == n && memcmp(got, data, n) == 0;
    fclose(f);
    free(got);
    return good;
}

/* Everything is there, and nothing besides. */
static void check_whole(void)
{
    CU_ASSERT_TRUE(holds("transformer/diffusion_pytorch_model.safetensors", big, BIG));
    CU_ASSERT_TRUE(holds("model_index.json", files()[0].data, 38));
    CU_ASSERT_TRUE(holds("vqvae/same.json", "{}", 2));
    CU_ASSERT_TRUE(holds("vqvae/empty.txt", "", 0));
    CU_ASSERT_EQUAL(count("-path '*/snapshots/*' -type l"), 5);
    CU_ASSERT_EQUAL(count("-path '*/blobs/*' -type f"), 4);
    CU_ASSERT_EQUAL(count("-name '*.incomplete' -o -name '*.tmp.*'"), 0);
    CU_ASSERT_STRING_EQUAL(text_of("hub/" MODEL "/refs/main"), SERVER_COMMIT);
    CHECK_STR_HAS(text_of("stdout"), "/hub/" MODEL "/snapshots/" SERVER_COMMIT "\n");
}

/* No name in the cache stands for something that is not there whole. */
static void check_nothing(void)
{
    char name[200];
    CU_ASSERT_EQUAL(count("-path '*/snapshots/*'"), 0);
    CU_ASSERT_EQUAL(count("-path '*/refs/*'"), 0);
    snprintf(name, sizeof name, "-path '*/blobs/%.64s'", files()[2].hash);
    CU_ASSERT_EQUAL(count(name), 0);
    CU_ASSERT_STRING_EQUAL(text_of("stdout"), "");
}

static void fails(struct server *s, int code, const char *says)
{
    int got = pull(s, "", "-q");
    if (got != code)
        printf("\n    exit code %d, expected %d\n", got, code);
    CU_ASSERT_EQUAL(got, code);
    CHECK_STR_HAS(text_of("stderr"), says);
}

static void pulls_what_a_run_reads(void)
{
    struct server *s = start();
    CU_ASSERT_EQUAL(pull(s, "", "-q"), 0);
    check_whole();
    CU_ASSERT_STRING_EQUAL(text_of("stderr"), "");
    CU_ASSERT_EQUAL(s->bodies, 3); /* equal contents once, an empty file never */
    CU_ASSERT_EQUAL(pull(s, "", "-q --json"), 0);
    CU_ASSERT_EQUAL(s->bodies, 3);
    CU_ASSERT_EQUAL(s->listings, 2);
    CHECK_STR_HAS(text_of("stdout"), "\"downloaded_bytes\":0,\"downloaded_files\":0}");
    stop(s);
}

static void takes_the_variant_asked_for(void)
{
    struct server *s = start();
    CU_ASSERT_EQUAL(pull(s, "", "-q --variant fp16"), 0);
    CU_ASSERT_TRUE(holds("transformer/diffusion_pytorch_model.fp16.safetensors", other, sizeof other));
    CU_ASSERT_FALSE(holds("transformer/diffusion_pytorch_model.safetensors", big, BIG));
    stop(s);
}

static void keeps_the_token_from_other_hosts(void)
{
    struct server *s = start();
    s->redirect = 1;
    CU_ASSERT_EQUAL(pull(s, "", "-q"), 0);
    check_whole();
    CU_ASSERT_EQUAL(s->token_to_hub, 4);
    CU_ASSERT_EQUAL(s->token_elsewhere, 0);
    stop(s);
}

static void goes_on_after_a_cut(void)
{
    struct server *s = start();
    s->cut_after = 70000;
    CU_ASSERT_EQUAL(pull(s, "", "-q"), 0);
    check_whole();
    CU_ASSERT_EQUAL(s->ranged, 4);
    CU_ASSERT_EQUAL(s->sent, BIG + 38 + 2);
    stop(s);
}

static void gives_up_where_nothing_new_comes(void)
{
    struct server *s = start();
    s->cut_after = 70000;
    s->no_ranges = 1; /* so that every try begins anew and none ends */
    fails(s, 3, "transformer/diffusion_pytorch_model.safetensors");
    check_nothing();
    CU_ASSERT_TRUE(s->bodies <= 16);
    s->cut_after = 0;
    CU_ASSERT_EQUAL(pull(s, "", "-q"), 0);
    check_whole();
    stop(s);
}

static void goes_on_after_a_stall(void)
{
    struct server *s = start();
    s->stall_after = 100000;
    s->stalls = 1;
    CU_ASSERT_EQUAL(pull(s, "", "-q"), 0);
    check_whole();
    stop(s);
}

static void goes_on_after_a_killed_pull(void)
{
    struct server *s = start();
    s->slow = 10000;
    CU_ASSERT_EQUAL(pull(s, "timeout -s KILL 0.2", "-q"), 137);
    check_nothing();
    CU_ASSERT_EQUAL(count("-name '*.incomplete' -size +0"), 1);
    s->slow = 0;
    CU_ASSERT_EQUAL(pull(s, "", "-q"), 0);
    check_whole();
    CU_ASSERT_TRUE(s->ranged >= 1);
    stop(s);
}

static void starts_again_where_a_range_is_wrong(void)
{
    struct server *s = start();
    s->cut_after = 100000;
    s->wrong_range = 1;
    fails(s, 3, "transformer/diffusion_pytorch_model.safetensors");
    check_nothing();
    stop(s);
}

static void throws_a_wrong_hash_away(void)
{
    struct server *s = start();
    s->corrupt = 1;
    s->files += 2; /* the big one alone */
    s->n_files = 1;
    fails(s, 3, "has another hash than it says");
    check_nothing();
    CU_ASSERT_EQUAL(count("-path '*/blobs/*'"), 0);
    CU_ASSERT_EQUAL(s->bodies, 2);
    s->corrupt = 0;
    s->files -= 2;
    s->n_files = 8;
    CU_ASSERT_EQUAL(pull(s, "", "-q"), 0);
    check_whole();
    stop(s);
}

static void throws_away_what_is_too_long(void)
{
    struct server *s = start();
    s->longer = 1;
    fails(s, 3, "sends more than the");
    check_nothing();
    stop(s);
}

static void tries_again_after_503(void)
{
    struct server *s = start();
    s->refusal = 503;
    s->refusals = 4;
    CU_ASSERT_EQUAL(pull(s, "", "-q"), 0);
    check_whole();
    stop(s);
}

static void says_what_a_refusal_means(void)
{
    struct server *s = start();
    s->refusals = 1000;
    s->refusal = 401;
    fails(s, 3, "the token gives no access");
    CU_ASSERT_EQUAL(pull(s, "HF_TOKEN=", "-q"), 3);
    CHECK_STR_HAS(text_of("stderr"), "set HF_TOKEN");
    s->refusal = 404;
    fails(s, 3, "check owner, name and --revision");
    s->refusal = 503;
    s->refusals = 1000;
    fails(s, 3, "answers 503");
    check_nothing();
    stop(s);
}

static void refuses_a_listing_that_leads_elsewhere(void)
{
    static const char *const names[] = {"../evil", "a/../../evil", "/etc/evil", "a//b", "./a", "a\\\\b", "a\\u0001"};
    char listing[512];
    struct server *s = start();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(listing, sizeof listing,
                 "{\"sha\":\"" SERVER_COMMIT "\",\"siblings\":[{\"rfilename\":\"%s\",\"size\":2,\"blobId\":"
                 "\"00000000000000000000000000000000000000aa\"}]}",
                 names[i]);
        s->listing = listing;
        fails(s, 3, "may not be written");
    }
    s->listing = "{\"sha\":\"" SERVER_COMMIT
                 "\",\"siblings\":[{\"rfilename\":\"a\",\"size\":2,\"blobId\":\"../../../../evil\"}]}";
    fails(s, 3, "gives no size and hash");
    s->listing = "{\"sha\":\"../../evil\",\"siblings\":[]}";
    fails(s, 3, "names no commit");
    s->listing = "<html>";
    fails(s, 3, "is no JSON");
    CU_ASSERT_EQUAL(count("-name '*evil*'"), 0);
    CU_ASSERT_EQUAL(s->bodies, 0);
    stop(s);
}

static void says_where_the_cache_cannot_be_written(void)
{
    char path[128];
    struct server *s = start();
    snprintf(path, sizeof path, "%s/hub", dir);
    FILE *f = fopen(path, "w"); /* a file where the folder should be */
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fclose(f);
    fails(s, 6, "/hub");
    stop(s);
}

static void two_at_once_make_one_whole_cache(void)
{
    char command[2048], one[900];
    struct server *s = start();
    s->slow = 20000;
    snprintf(one, sizeof one,
             "HF_ENDPOINT=http://127.0.0.1:%d HF_HOME=%s NO_PROXY=* '" VQP_BUILD_DIR
             "/bin/vqpipe' pull someone/model -q >%s/stdout",
             s->port, dir, dir);
    snprintf(command, sizeof command, "(%s) & (%s.2) || exit 1; wait $! || exit 1", one, one);
    CU_ASSERT_EQUAL(system(command), 0);
    check_whole();
    CU_ASSERT_EQUAL(s->sent, BIG + 38 + 2);
    stop(s);
}

static void refuses_bad_words(void)
{
    static const char *const lines[] = {
        "a", "a/b/c", "../b", "a/.b", "'a/b c'", "a/b --revision ../x", "a/b --revision ''", "-a/b"};
    char command[512];
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        snprintf(command, sizeof command, "'" VQP_BUILD_DIR "/bin/vqpipe' pull %s 2>/dev/null", lines[i]);
        int status = system(command);
        CU_ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 2);
    }
    CU_ASSERT_EQUAL(WEXITSTATUS(system("HF_ENDPOINT=ftp://x '" VQP_BUILD_DIR "/bin/vqpipe' pull a/b 2>/dev/null")), 2);
    CU_ASSERT_EQUAL(
        WEXITSTATUS(system("HF_TOKEN=t HF_ENDPOINT=http://x '" VQP_BUILD_DIR "/bin/vqpipe' pull a/b 2>/dev/null")), 2);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"pulls what a run reads, and nothing the second time", pulls_what_a_run_reads},
        {"takes the variant asked for", takes_the_variant_asked_for},
        {"follows redirects and keeps the token from other hosts", keeps_the_token_from_other_hosts},
        {"goes on where a connection was cut", goes_on_after_a_cut},
        {"gives up where nothing new comes", gives_up_where_nothing_new_comes},
        {"goes on after a stall", goes_on_after_a_stall},
        {"goes on where a killed pull ended", goes_on_after_a_killed_pull},
        {"takes no range that begins elsewhere", starts_again_where_a_range_is_wrong},
        {"throws away what has a wrong hash", throws_a_wrong_hash_away},
        {"throws away what is too long", throws_away_what_is_too_long},
        {"tries again after 503", tries_again_after_503},
        {"says what a refusal means", says_what_a_refusal_means},
        {"refuses a listing that leads out of the cache", refuses_a_listing_that_leads_elsewhere},
        {"says where the cache cannot be written", says_where_the_cache_cannot_be_written},
        {"two pulls at once make one whole cache", two_at_once_make_one_whole_cache},
        {"refuses bad names, revisions and endpoints", refuses_bad_words},
    };
    return RUN_CASES("pull", cases);
}
