#include "commands.h"
#include "job.h"
#include "text.h"
#include <inttypes.h>

/* "cpu", "vulkan:1" where a number chooses among several. */
static void print_device(void *user, const struct vqpipe_device *d)
{
    char name[96], memory[32] = "-";
    uint32_t *count = user;
    ++*count;
    snprintf(name, sizeof name, d->name ? "%s:%u" : "%s", d->backend, d->index);
    if (d->memory_bytes)
        snprintf(memory, sizeof memory, "%.1f GB", (double)d->memory_bytes / 1e9);
    printf("%-16s %-8s %10s  %s%s%s\n", name, d->usable ? "usable" : "no", memory, d->name ? d->name : "",
           d->driver ? "; " : "", d->driver ? d->driver : "");
    if (d->reason)
        printf("%-16s %s\n", "", d->reason);
}

static void json_device(void *user, const struct vqpipe_device *d)
{
    uint32_t *count = user;
    printf("%s{\"backend\":", (*count)++ ? "," : "");
    vqp_json_string(stdout, d->backend);
    printf(",\"index\":%u,\"name\":", d->index);
    vqp_json_string(stdout, d->name);
    printf(",\"driver\":");
    vqp_json_string(stdout, d->driver);
    printf(",\"uuid\":");
    vqp_json_string(stdout, d->uuid);
    printf(",\"memory_bytes\":%" PRIu64 ",\"max_buffer_bytes\":%" PRIu64 ",\"host\":%s,\"usable\":%s,\"reason\":",
           d->memory_bytes, d->max_buffer_bytes, d->is_host ? "true" : "false", d->usable ? "true" : "false");
    vqp_json_string(stdout, d->reason);
    printf("}");
}

int vqp_cmd_devices(const struct vqp_args *args)
{
    struct vqp_job job = {0};
    uint32_t count = 0;
    int code = vqp_job_context(args, NULL, &job);
    if (!code && vqp_args_count(args, OPT_JSON)) {
        printf("{\"devices\":[");
        vqpipe_each_device(job.ctx, json_device, &count);
        printf("]}\n");
    } else if (!code) {
        printf("%-16s %-8s %10s  %s\n", "BACKEND:DEVICE", "USABLE", "MEMORY", "NAME; DRIVER");
        vqpipe_each_device(job.ctx, print_device, &count);
        if (!count)
            printf("none: no backend plugin was found; name a folder with --plugin-path\n");
    }
    vqp_job_close(&job);
    return code;
}
