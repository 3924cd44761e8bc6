#include "commands.h"
#include "job.h"
#include "text.h"
#include <unistd.h>

const char *vqp_interface_name(uint32_t iface)
{
    static const char *const names[] = {
        [VQP_IFACE_TOKENIZER] = "tokenizer",   [VQP_IFACE_TEXT_ENCODER] = "text_encoder",
        [VQP_IFACE_DENOISER] = "denoiser",     [VQP_IFACE_SCHEDULER] = "scheduler",
        [VQP_IFACE_VQ_DECODER] = "vq_decoder", [VQP_IFACE_BACKEND] = "backend",
    };
    return iface && iface < sizeof names / sizeof *names ? names[iface] : "unknown interface";
}

static const char *state_of(const struct vqpipe_plugin_info *info)
{
    return info->status ? "refused" : info->shadowed ? "shadowed" : info->doubled ? "doubled" : "ok";
}

static void count_bad(void *user, const struct vqpipe_plugin_info *info)
{
    uint32_t *bad = user;
    *bad += info->status || info->doubled;
}

static void print_plugin(void *user, const struct vqpipe_plugin_info *info)
{
    uint32_t *count = user;
    const struct vqp_plugin *p = info->plugin;
    ++*count;
    printf("%-9s %-36s %-9s %s\n", state_of(info), p ? p->id : "-", p ? p->version : "-", info->path);
    if (info->reason)
        printf("          %s\n", info->reason);
    for (const struct vqp_component *const *c = p ? p->components : NULL; c && *c; c++)
        printf("          %-12s %-26s %s\n", vqp_interface_name((*c)->iface), (*c)->name, (*c)->summary);
}

static void print_table(vqpipe_context *ctx)
{
    uint32_t count = 0;
    const char *dir;
    for (uint32_t i = 0; (dir = vqpipe_plugin_dir(ctx, i)); i++)
        printf("searched: %s%s\n", dir, access(dir, F_OK) ? " (not there)" : "");
    printf("\n%-9s %-36s %-9s %s\n", "STATE", "PLUGIN", "VERSION", "FILE, AND WHAT IT OFFERS");
    vqpipe_each_plugin(ctx, print_plugin, &count);
    if (!count)
        printf("none: no *.so in these folders; name one with --plugin-path\n");
}

static void json_plugin(void *user, const struct vqpipe_plugin_info *info)
{
    uint32_t *count = user;
    const struct vqp_plugin *p = info->plugin;
    printf("%s{\"state\":\"%s\",\"path\":", (*count)++ ? "," : "", state_of(info));
    vqp_json_string(stdout, info->path);
    printf(",\"reason\":");
    vqp_json_string(stdout, info->reason);
    printf(",\"id\":");
    vqp_json_string(stdout, p ? p->id : NULL);
    printf(",\"version\":");
    vqp_json_string(stdout, p ? p->version : NULL);
    printf(",\"license\":");
    vqp_json_string(stdout, p ? p->license : NULL);
    printf(",\"components\":[");
    for (const struct vqp_component *const *c = p ? p->components : NULL; c && *c; c++) {
        printf("%s{\"interface\":\"%s\",\"name\":", c == p->components ? "" : ",", vqp_interface_name((*c)->iface));
        vqp_json_string(stdout, (*c)->name);
        printf(",\"summary\":");
        vqp_json_string(stdout, (*c)->summary);
        printf("}");
    }
    printf("]}");
}

static void print_json(vqpipe_context *ctx)
{
    uint32_t count = 0;
    const char *dir;
    printf("{\"searched\":[");
    for (uint32_t i = 0; (dir = vqpipe_plugin_dir(ctx, i)); i++) {
        printf("%s", i ? "," : "");
        vqp_json_string(stdout, dir);
    }
    printf("],\"plugins\":[");
    vqpipe_each_plugin(ctx, json_plugin, &count);
    printf("]}\n");
}

/* Looking is no fault: bad files give an exit code only where --probe asks for a verdict. */
int vqp_cmd_plugins(const struct vqp_args *args)
{
    struct vqp_job job = {0};
    uint32_t bad = 0;
    int code = vqp_job_context(args, NULL, &job);
    if (!code && vqp_args_count(args, OPT_JSON))
        print_json(job.ctx);
    else if (!code)
        print_table(job.ctx);
    if (!code && vqp_args_count(args, OPT_PROBE)) {
        vqpipe_each_plugin(job.ctx, count_bad, &bad);
        code = bad ? vqpipe_exit_code(VQP_E_PLUGIN) : 0;
    }
    vqp_job_close(&job);
    return code;
}
