#include "clock.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double read_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double vqp_seconds(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

/* Field 22 of /proc/self/stat, in seconds since boot, cut off to a tick; negative where it cannot be read. */
static double start_tick(double tick)
{
    char text[1024];
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = 0;
    char *s = strrchr(text, ')'); /* a program's name may hold spaces */
    for (int field = 2; s && field < 22; field++)
        s = strchr(s + 1, ' ');
    return s ? tick * (double)strtoull(s + 1, NULL, 10) : -1;
}

/* The kernel keeps the start in ticks of 10 ms. Within that tick the time this one thread has computed tells it better. */
double vqp_process_start(void)
{
    long hz = sysconf(_SC_CLK_TCK);
    double now = vqp_seconds(), boot = read_clock(CLOCK_BOOTTIME), computed = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    double tick = 1.0 / (double)(hz > 0 ? hz : 100), at = start_tick(tick), age = computed;
    if (at >= 0 && age > boot - at)
        age = boot - at;
    if (at >= 0 && age < boot - at - tick)
        age = boot - at - tick;
    return now - age;
}
