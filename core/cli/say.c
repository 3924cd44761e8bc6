#include "say.h"
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio_ext.h>
#include <string.h>
#include <unistd.h>
#include <vqpipe/host.h>
#include <vqpipe/vqpipe.h>

/* Log messages may come from any thread while the bar is on the line. */
static atomic_int bar_shown;

void vqp_say_bar(const char *line)
{
    if (atomic_exchange(&bar_shown, line != NULL) || line)
        fprintf(stderr, "\r%s\033[K", line ? line : "");
}

__attribute__((format(printf, 2, 0))) static void say_line(const char *prefix, const char *fmt, va_list ap)
{
    char text[2048], line[sizeof text + 64];
    vsnprintf(text, sizeof text, fmt, ap);
    size_t n = (size_t)snprintf(line, sizeof line, "vqpipe: %s", prefix);
    for (const char *s = text; *s && n < sizeof line - 6; s++) {
        unsigned char c = (unsigned char)*s;
        if (c < 0x20 || c == 0x7f)
            n += (size_t)snprintf(line + n, sizeof line - n, "\\x%02x", c);
        else
            line[n++] = *s;
    }
    line[n++] = '\n';
    vqp_say_bar(NULL);
    fwrite(line, 1, n, stderr);
}

void vqp_say(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say_line("", fmt, ap);
    va_end(ap);
}

int vqp_say_usage(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say_line("", fmt, ap);
    va_end(ap);
    return vqpipe_exit_code(VQP_E_ARG);
}

int vqp_say_error(vqp_status status, const struct vqp_error *err)
{
    vqp_say("%s", err->msg);
    return vqpipe_exit_code(status);
}

int vqp_say_nomem(void)
{
    vqp_say("out of memory; draw fewer pictures at once or free some");
    return vqpipe_exit_code(VQP_E_NOMEM);
}

__attribute__((format(printf, 2, 3))) static void say_prefixed(const char *prefix, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say_line(prefix, fmt, ap);
    va_end(ap);
}

void vqp_say_log(void *ctx, int32_t level, const char *msg)
{
    (void)ctx;
    int bad = level == VQP_LOG_ERROR || level == VQP_LOG_MISUSE;
    say_prefixed(bad ? "error: " : level == VQP_LOG_WARN ? "warning: " : "", "%s", msg);
}

int vqp_stdout_failed(const char *why)
{
    struct pollfd p = {.fd = STDOUT_FILENO, .events = POLLOUT};
    int reader_left = poll(&p, 1, 0) == 1 && (p.revents & POLLERR);
    if (!reader_left)
        vqp_say("stdout: %s; the output is incomplete", why);
    /* What could not be written is not tried again. */
    __fpurge(stdout);
    clearerr(stdout);
    return vqpipe_exit_code(VQP_E_OUTPUT);
}

int vqp_stdout_finish(void)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    return vqp_stdout_failed(errno ? strerror(errno) : "cannot be written to");
}
