#include "process_state.h"
#include "text.h"
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- standard output -------------------------------------------------------------------------------------------- */

/* A picture or JSON may be about to go there. What the program itself has buffered goes out first. */
static void catch_output(struct vqp_process_state *s)
{
    fflush(stdout);
    s->caught = memfd_create("stdout", MFD_CLOEXEC);
    s->out = s->caught < 0 ? -1 : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (s->out >= 0 && dup2(s->caught, STDOUT_FILENO) >= 0)
        return;
    if (s->out >= 0)
        close(s->out);
    if (s->caught >= 0)
        close(s->caught);
    s->out = s->caught = -1;
}

static void release_output(struct vqp_process_state *s, char *buf, size_t room)
{
    char text[40], quoted[2 * sizeof text];
    struct stat st;
    if (s->out < 0)
        return;
    fflush(stdout);
    dup2(s->out, STDOUT_FILENO);
    ssize_t n = fstat(s->caught, &st) || !st.st_size ? 0 : pread(s->caught, text, sizeof text, 0);
    if (n > 0)
        snprintf(buf, room, ", standard output (%lld bytes dropped: %s%s)", (long long)st.st_size,
                 vqp_quote(text, (size_t)n, quoted, sizeof quoted), st.st_size > n ? "..." : "");
    close(s->out);
    close(s->caught);
}

/* ---- the rest --------------------------------------------------------------------------------------------------- */

int vqp_process_state_save(struct vqp_process_state *s)
{
    const char *locale = setlocale(LC_ALL, NULL);
    s->locale = locale ? strdup(locale) : NULL;
    if (!s->locale)
        return -1;
    s->cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    pthread_sigmask(SIG_SETMASK, NULL, &s->mask);
    fegetenv(&s->fp);
    catch_output(s);
    return 0;
}

static int same_folder(int a, int b)
{
    struct stat x, y;
    return !fstat(a, &x) && !fstat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Rounding, denormals and traps, without the flags that any arithmetic raises. */
static int same_fp(const fenv_t *a, const fenv_t *b)
{
#if defined __x86_64__
    return a->__control_word == b->__control_word && !((a->__mxcsr ^ b->__mxcsr) & ~0x3Fu);
#elif defined __aarch64__
    return a->__fpcr == b->__fpcr;
#else
    return !memcmp(a, b, sizeof *a);
#endif
}

static int same_mask(const sigset_t *a, const sigset_t *b)
{
    for (int i = 1; i <= SIGRTMAX; i++)
        if (sigismember(a, i) != sigismember(b, i))
            return 0;
    return 1;
}

void vqp_process_state_restore(struct vqp_process_state *s, char *buf)
{
    char output[VQP_STATE_TEXT / 2] = "";
    release_output(s, output, sizeof output);
    const char *locale = setlocale(LC_ALL, NULL);
    int cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    sigset_t mask;
    fenv_t fp;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    fegetenv(&fp);
    const char *locale_changed = !locale || strcmp(locale, s->locale) ? ", the locale" : "";
    const char *cwd_changed = s->cwd >= 0 && !same_folder(cwd, s->cwd) ? ", the current folder" : "";
    const char *mask_changed = same_mask(&mask, &s->mask) ? "" : ", the signal mask";
    const char *fp_changed = same_fp(&fp, &s->fp) ? "" : ", the floating-point mode";
    if (*locale_changed)
        setlocale(LC_ALL, s->locale);
    if (*cwd_changed && fchdir(s->cwd))
        cwd_changed = ", the current folder (which cannot be put back)";
    pthread_sigmask(SIG_SETMASK, &s->mask, NULL);
    fesetenv(&s->fp);
    char all[VQP_STATE_TEXT + 2];
    snprintf(all, sizeof all, "%s%s%s%s%s", locale_changed, cwd_changed, mask_changed, fp_changed, output);
    strcpy(buf, *all ? all + 2 : "");
    free(s->locale);
    if (s->cwd >= 0)
        close(s->cwd);
    if (cwd >= 0)
        close(cwd);
}
