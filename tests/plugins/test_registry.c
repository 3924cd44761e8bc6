/* Search order, shadowing, doubles and what the messages say. */
#include "check.h"
#include "registry.h"
#include <errno.h>
#include <fcntl.h>
#include <fenv.h>
#include <locale.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DIR_OF(folder) VQP_BUILD_DIR "/tests/plugins/" folder
#define OPEN(...)      open_dirs(0, (const char *const[]){__VA_ARGS__, NULL})
#define PROBE(ms, ...) open_dirs(ms, (const char *const[]){__VA_ARGS__, NULL})

static struct vqp_registry *open_dirs(uint32_t probe_ms, const char *const *dirs)
{
    struct vqp_registry *r = NULL;
    struct vqp_error err = {0};
    uint32_t n = 0;
    while (dirs[n])
        n++;
    CU_ASSERT_EQUAL_FATAL(vqp_registry_create(dirs, n, probe_ms, &r, &err), VQP_OK);
    return r;
}

static const struct vqp_component *find(const struct vqp_registry *r, uint32_t iface, const char *name)
{
    const struct vqp_component *c = NULL;
    const struct vqp_plugin_entry *e = NULL;
    struct vqp_error err = {0};
    CU_ASSERT_EQUAL(vqp_registry_find(r, iface, name, &c, &e, &err), VQP_OK);
    CU_ASSERT_PTR_NOT_NULL(e);
    if (err.msg[0])
        printf("\n    %s\n", err.msg);
    return c;
}

static void not_found(const struct vqp_registry *r, uint32_t iface, const char *name, const char *why)
{
    const struct vqp_component *c = NULL;
    struct vqp_error err = {0};
    CU_ASSERT_EQUAL(vqp_registry_find(r, iface, name, &c, NULL, &err), VQP_E_PLUGIN);
    CU_ASSERT_PTR_NULL(c);
    CHECK_STR_HAS(err.msg, why);
}

static void finds(void)
{
    struct vqp_registry *r = OPEN(DIR_OF("good"), DIR_OF("newer_minor"));
    const struct vqp_component *c = find(r, VQP_IFACE_SCHEDULER, "minimal");
    CU_ASSERT_STRING_EQUAL(c ? c->name : "", "minimal");
    c = find(r, 0, "from-the-future");
    CU_ASSERT_STRING_EQUAL(c ? c->name : "", "from-the-future");
    CU_ASSERT_EQUAL(vqp_registry_count(r), 2);
    CU_ASSERT_EQUAL(vqp_registry_at(r, 1)->dir, 1);
    CU_ASSERT_PTR_NULL(vqp_registry_at(r, 1)->reason);
    CU_ASSERT_PTR_NULL(vqp_registry_at(r, 2));
    vqp_registry_destroy(r);
}

static void absent_folders(void)
{
    struct vqp_registry *r = OPEN("/nowhere/at/all", DIR_OF("good"), DIR_OF("good"), DIR_OF("good/../good"));
    const char *const *dirs;
    CU_ASSERT_EQUAL(vqp_registry_count(r), 1);
    CU_ASSERT_EQUAL(vqp_registry_dirs(r, &dirs), 4);
    CU_ASSERT_STRING_EQUAL(dirs[0], "/nowhere/at/all");
    CU_ASSERT_STRING_EQUAL(dirs[3], dirs[1]);
    CU_ASSERT_PTR_NOT_NULL(find(r, VQP_IFACE_SCHEDULER, "minimal"));
    vqp_registry_destroy(r);

    CU_ASSERT_EQUAL_FATAL(vqp_registry_create(NULL, 0, 0, &r, NULL), VQP_OK);
    not_found(r, VQP_IFACE_BACKEND, "cpu", "no backend is called 'cpu' (searched: no folder)");
    vqp_registry_destroy(r);
    vqp_registry_destroy(NULL);
}

static void suggests(void)
{
    struct vqp_registry *r = OPEN(DIR_OF("good"), DIR_OF("newer_minor"), DIR_OF("null_callback"));
    not_found(r, VQP_IFACE_SCHEDULER, "minimol", "no scheduler is called 'minimol'; did you mean 'minimal'?");
    not_found(r, VQP_IFACE_SCHEDULER, "minimol", DIR_OF("newer_minor"));
    not_found(r, VQP_IFACE_SCHEDULER, "callback",
              "null_callback.so was refused: component 'minimal': mandatory function");
    not_found(r, VQP_IFACE_DENOISER, "minimal", "'minimal' is a scheduler, not a denoiser");
    not_found(r, VQP_IFACE_DENOISER, "a\nb", "no denoiser is called 'a\\x0Ab'");
    vqp_registry_destroy(r);
}

static void shadowing(void)
{
    struct vqp_registry *r = OPEN(DIR_OF("shadowed"), DIR_OF("good"));
    CU_ASSERT_EQUAL_FATAL(vqp_registry_count(r), 2);
    CU_ASSERT_EQUAL(vqp_registry_at(r, 0)->shadowed, 0);
    CU_ASSERT_EQUAL(vqp_registry_at(r, 1)->shadowed, 1);
    CU_ASSERT_EQUAL(vqp_registry_at(r, 1)->status, VQP_OK);
    CHECK_STR_HAS(vqp_registry_at(r, 1)->reason, "shadowed by " DIR_OF("shadowed/minimal.so"));
    const struct vqp_component *c = find(r, VQP_IFACE_SCHEDULER, "minimal");
    CU_ASSERT_PTR_EQUAL(c, vqp_registry_at(r, 0)->plugin->components[0]);
    vqp_registry_destroy(r);

    r = OPEN(DIR_OF("good"), DIR_OF("shadowed")); /* the order decides, not the name */
    CU_ASSERT_EQUAL(vqp_registry_at(r, 0)->shadowed, 0);
    CU_ASSERT_EQUAL(vqp_registry_at(r, 1)->shadowed, 1);
    vqp_registry_destroy(r);
}

static void twins(void)
{
    struct vqp_registry *r = OPEN(DIR_OF("duplicate_id"));
    CU_ASSERT_EQUAL(vqp_registry_count(r), 2);
    not_found(r, VQP_IFACE_SCHEDULER, "minimal", "one.so");
    not_found(r, VQP_IFACE_SCHEDULER, "minimal", "two.so");
    CHECK_STR_HAS(vqp_registry_at(r, 0)->reason, "two.so");
    CHECK_STR_HAS(vqp_registry_at(r, 1)->reason, "one.so");
    CU_ASSERT_EQUAL(vqp_registry_at(r, 0)->doubled, 1);
    CU_ASSERT_EQUAL(vqp_registry_at(r, 1)->doubled, 1);
    vqp_registry_destroy(r);

    r = OPEN(DIR_OF("good"), DIR_OF("duplicate_id")); /* an earlier folder settles it */
    CU_ASSERT_PTR_NOT_NULL(find(r, VQP_IFACE_SCHEDULER, "minimal"));
    vqp_registry_destroy(r);
}

static void one_file_two_names(void)
{
    struct vqp_registry *r = OPEN(DIR_OF("linked"));
    CU_ASSERT_EQUAL_FATAL(vqp_registry_count(r), 2);
    CHECK_STR_HAS(vqp_registry_at(r, 1)->reason, "the same file as");
    CU_ASSERT_PTR_NOT_NULL(find(r, VQP_IFACE_SCHEDULER, "minimal"));
    vqp_registry_destroy(r);
}

static void same_component_name(void)
{
    struct vqp_registry *r = OPEN(DIR_OF("good"), DIR_OF("other_id"));
    CU_ASSERT_EQUAL(vqp_registry_at(r, 1)->shadowed, 0);
    for (uint32_t i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(vqp_registry_at(r, i)->doubled, 1);
        CHECK_STR_HAS(vqp_registry_at(r, i)->reason, "its component 'minimal' is also that of ");
        CHECK_STR_HAS(vqp_registry_at(r, i)->reason, vqp_registry_at(r, 1 - i)->path);
    }
    not_found(r, VQP_IFACE_SCHEDULER, "minimal", "good/good.so");
    not_found(r, VQP_IFACE_SCHEDULER, "minimal", "other_id/other_id.so");
    vqp_registry_destroy(r);
}

static void refused_entries(void)
{
    struct vqp_registry *r = OPEN(DIR_OF("text"), DIR_OF("truncated"), DIR_OF("wrong_major"), DIR_OF("good"));
    static const char *const why[] = {"not an ELF", "truncated", "ABI major 2"};
    CU_ASSERT_EQUAL_FATAL(vqp_registry_count(r), 4);
    for (uint32_t i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(vqp_registry_at(r, i)->status, VQP_E_PLUGIN);
        CU_ASSERT_PTR_NULL(vqp_registry_at(r, i)->plugin);
        CHECK_STR_HAS(vqp_registry_at(r, i)->reason, why[i]);
    }
    CU_ASSERT_PTR_NOT_NULL(find(r, VQP_IFACE_SCHEDULER, "minimal"));
    vqp_registry_destroy(r);
}

static void meddling(void)
{
    char before[4096], after[4096];
    sigset_t mask;
    CU_ASSERT_PTR_NOT_NULL_FATAL(getcwd(before, sizeof before));
    struct vqp_registry *r = OPEN(DIR_OF("meddler"));
    CU_ASSERT_EQUAL(vqp_registry_at(r, 0)->status, VQP_OK);
    const char *reason = vqp_registry_at(r, 0)->reason;
    CU_ASSERT_PTR_NOT_NULL_FATAL(reason);
    CHECK_STR_HAS(reason, "the locale, the current folder, the signal mask, the floating-point mode");
    CU_ASSERT_PTR_NOT_NULL(getcwd(after, sizeof after));
    CU_ASSERT_STRING_EQUAL(after, before);
    CU_ASSERT_STRING_EQUAL(setlocale(LC_ALL, NULL), "C");
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    CU_ASSERT_EQUAL(sigismember(&mask, SIGUSR2), 0);
    CU_ASSERT_EQUAL(fegetround(), FE_TONEAREST);
    CU_ASSERT_PTR_NOT_NULL(find(r, VQP_IFACE_SCHEDULER, "minimal"));
    vqp_registry_destroy(r);
}

/* What a plugin prints goes nowhere near the output of the program, whether through stdio or past it. */
static void printing(void)
{
    char path[] = "/tmp/vqp-registry-XXXXXX", text[64] = "";
    int file = mkstemp(path), out = dup(STDOUT_FILENO);
    CU_ASSERT_FATAL(file >= 0 && out >= 0);
    fflush(stdout);
    dup2(file, STDOUT_FILENO);
    printf("before ");
    struct vqp_registry *r = OPEN(DIR_OF("print_at_load"));
    printf("after");
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    CU_ASSERT_TRUE(pread(file, text, sizeof text - 1, 0) > 0);
    CU_ASSERT_STRING_EQUAL(text, "before after");
    CU_ASSERT_EQUAL(vqp_registry_at(r, 0)->status, VQP_OK);
    CHECK_STR_HAS(vqp_registry_at(r, 0)->reason, "standard output (19 bytes dropped: ");
    CHECK_STR_HAS(vqp_registry_at(r, 0)->reason, "hello \"\\x1B[31m\\x0A");
    vqp_registry_destroy(r);
    close(file);
    close(out);
    unlink(path);
}

/* A closed standard output stays closed. */
static void no_output(void)
{
    int out = dup(STDOUT_FILENO);
    fflush(stdout);
    close(STDOUT_FILENO);
    struct vqp_registry *r = OPEN(DIR_OF("good"));
    int closed = fcntl(STDOUT_FILENO, F_GETFD) < 0;
    clearerr(stdout);
    dup2(out, STDOUT_FILENO);
    close(out);
    CU_ASSERT_TRUE(closed);
    CU_ASSERT_EQUAL(vqp_registry_at(r, 0)->status, VQP_OK);
    vqp_registry_destroy(r);
}

static void refused_by_probe(struct vqp_registry *r, uint32_t i, const char *why)
{
    const struct vqp_plugin_entry *e = vqp_registry_at(r, i);
    CU_ASSERT_PTR_NOT_NULL_FATAL(e);
    CU_ASSERT_EQUAL(e->status, VQP_E_PLUGIN);
    CU_ASSERT_PTR_NULL(e->plugin);
    CHECK_STR_HAS(e->reason, why);
}

static void probing(void)
{
    struct vqp_registry *r = PROBE(5000, DIR_OF("crash_at_load"), DIR_OF("abort_at_load"), DIR_OF("exit_at_load"),
                                   DIR_OF("wild_table"), DIR_OF("truncated"), DIR_OF("good"));
    refused_by_probe(r, 0, "crashes while it is loaded: signal 11");
    refused_by_probe(r, 1, "crashes while it is loaded: signal 6");
    refused_by_probe(r, 2, "ends the process with exit code 0 while it is loaded");
    refused_by_probe(r, 3, "crashes while it is loaded: signal 11");
    refused_by_probe(r, 4, "truncated ELF file"); /* the ordinary verdict */
    CU_ASSERT_EQUAL(vqp_registry_at(r, 5)->status, VQP_OK);
    CU_ASSERT_PTR_NULL(vqp_registry_at(r, 5)->reason);
    CU_ASSERT_PTR_NOT_NULL(find(r, VQP_IFACE_SCHEDULER, "minimal"));
    vqp_registry_destroy(r);
}

/* Alive or a zombie. */
static int children_left(void)
{
    return waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD;
}

static void probing_ends(void)
{
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    struct vqp_registry *r = PROBE(300, DIR_OF("hang_at_load"), DIR_OF("good"));
    clock_gettime(CLOCK_MONOTONIC, &end);
    refused_by_probe(r, 0, "is not loaded after 0.3 seconds");
    CU_ASSERT_PTR_NOT_NULL(find(r, VQP_IFACE_SCHEDULER, "minimal"));
    CU_ASSERT_TRUE(end.tv_sec - begin.tv_sec < 30);
    CU_ASSERT_EQUAL(children_left(), 0);
    vqp_registry_destroy(r);
}

static void interface_names(void)
{
    CU_ASSERT_STRING_EQUAL(vqp_iface_name(VQP_IFACE_TOKENIZER), "tokenizer");
    CU_ASSERT_STRING_EQUAL(vqp_iface_name(VQP_IFACE_VQ_DECODER), "vq_decoder");
    CU_ASSERT_STRING_EQUAL(vqp_iface_name(VQP_IFACE_BACKEND), "backend");
    CU_ASSERT_STRING_EQUAL(vqp_iface_name(0), "component");
    CU_ASSERT_STRING_EQUAL(vqp_iface_name(77), "component");
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"finds components by name and interface", finds},
        {"skips folders that are absent or given twice", absent_folders},
        {"suggests the nearest name, the refused file and the right interface", suggests},
        {"lets the first folder win and lists the other as shadowed", shadowing},
        {"refuses two files with one id in one folder when they are used", twins},
        {"counts a link to a plugin beside it once", one_file_two_names},
        {"refuses a component name that two plugins have", same_component_name},
        {"keeps refused files with their reason", refused_entries},
        {"puts back what a plugin changes while loading, and says so", meddling},
        {"keeps what a plugin prints out of the output, and says so", printing},
        {"works without a standard output", no_output},
        {"probing survives plugins that crash or end the process", probing},
        {"probing ends what does not come back, and what that started", probing_ends},
        {"names the interfaces", interface_names},
    };
    return RUN_CASES("plugins_registry", cases);
}
