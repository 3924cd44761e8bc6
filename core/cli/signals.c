#include "signals.h"
#include <signal.h>
#include <unistd.h>

static vqpipe *volatile running;
static volatile sig_atomic_t caught, is_polled;

/* First signal while drawing: the run stops and frees everything. Any other: files being written go, and so do we. */
static void on_signal(int sig)
{
    vqpipe *pipe = running;
    if ((pipe || is_polled) && !caught) {
        caught = sig;
        if (pipe)
            vqpipe_cancel(pipe);
        return;
    }
    vqpipe_emergency_cleanup();
    _exit(128 + sig);
}

void vqp_signals_catch(void)
{
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&sa.sa_mask);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
}

void vqp_signals_running(vqpipe *pipe)
{
    running = pipe;
}

int vqp_signals_code(void)
{
    return caught ? 128 + caught : 0;
}

void vqp_signals_polled(int polled)
{
    is_polled = polled;
}
