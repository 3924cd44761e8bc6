#include "probe.h"
#include "registry.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    SLICE_MS = 20
};

/* ---- the child -------------------------------------------------------------------------------------------------- */

/* The first exit handler to run: those of the host are not the child's to run. */
static void leave(int status, void *unused)
{
    (void)unused;
    _exit(status);
}

static void be_expendable(void)
{
    static const int deadly[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS, SIGTERM, SIGINT, SIGCHLD};
    sigset_t none;
    for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++)
        signal(deadly[i], SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    on_exit(leave, NULL);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
        dup2(null, fd);
}

_Noreturn static void child(const char *path, int done)
{
    const struct vqp_plugin *plugin;
    be_expendable();
    vqp_loader_open(path, &plugin, NULL);
    _exit(write(done, "", 1) == 1 ? 0 : 1);
}

/* ---- this process ----------------------------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

enum end {
    DONE,
    ENDED,
    LATE
};
/* A process that the plugin starts may hold the pipe open after the child's end, so that both are watched. */
static enum end wait_for(pid_t pid, int done, uint32_t ms, int *status)
{
    int64_t until = now_ms() + ms;
    int open = 1;
    for (;;) {
        char byte;
        struct pollfd p = {.fd = open ? done : -1, .events = POLLIN};
        if (poll(&p, 1, SLICE_MS) > 0) {
            if (read(done, &byte, 1) == 1)
                return DONE;
            open = 0;
        }
        if (waitpid(pid, status, WNOHANG) == pid)
            return read(done, &byte, 1) == 1 ? DONE : ENDED;
        if (now_ms() >= until)
            return LATE;
    }
}

static vqp_status ended(int status, struct vqp_error *err)
{
    if (WIFSIGNALED(status))
        return vqp_fail(err, VQP_E_PLUGIN,
                        "crashes while it is loaded: signal %d (%s); it was tried in a child process", WTERMSIG(status),
                        strsignal(WTERMSIG(status)));
    return vqp_fail(err, VQP_E_PLUGIN,
                    "ends the process with exit code %d while it is loaded; it was tried in a child process",
                    WEXITSTATUS(status));
}

vqp_status vqp_probe(const char *path, uint32_t ms, struct vqp_error *err)
{
    int done[2], status = 0;
    if (pipe2(done, O_CLOEXEC))
        return vqp_fail(err, VQP_E_PLUGIN, "cannot be tried in a child process: %s", strerror(errno));
    fcntl(done[0], F_SETFL, O_NONBLOCK);
    pid_t pid = fork();
    if (pid == 0)
        child(path, done[1]);
    int why = errno;
    close(done[1]);
    if (pid < 0) {
        close(done[0]);
        return vqp_fail(err, VQP_E_PLUGIN, "cannot be tried in a child process: %s", strerror(why));
    }
    setpgid(pid, pid); /* here too, whichever comes first */
    enum end end = wait_for(pid, done[0], ms, &status);
    close(done[0]);
    kill(-pid, SIGKILL); /* and what it started */
    if (end != ENDED)
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    if (end == DONE)
        return VQP_OK;
    if (end == ENDED)
        return ended(status, err);
    return vqp_fail(err, VQP_E_PLUGIN,
                    "is not loaded after %g seconds; it was tried in a child process, which was killed", ms / 1000.0);
}
