#include "commands.h"
#include "job.h"
#include "say.h"
#include "text.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- a component's options -------------------------------------------------------------------------------------- */

static const char *type_name(uint32_t type)
{
    static const char *const names[] = {
        [VQP_OPT_INT] = "int",   [VQP_OPT_FLOAT] = "float",   [VQP_OPT_BOOL] = "bool", [VQP_OPT_STRING] = "string",
        [VQP_OPT_PATH] = "path", [VQP_OPT_CHOICE] = "choice", [VQP_OPT_INTS] = "ints", [VQP_OPT_STRINGS] = "strings",
    };
    return type && type < sizeof names / sizeof *names ? names[type] : "unknown";
}

/* Options, or NULL. */
static const struct vqp_option *options_of(const struct vqp_component *c)
{
    return VQP_HAS(c, opts) ? c->opts : NULL; /* NOLINT(bugprone-sizeof-expression): the pointer's size is meant */
}

static void print_option(const struct vqp_option *o)
{
    char range[64] = "", def[64] = "";
    if (o->min < o->max)
        snprintf(range, sizeof range, "%.10g..%.10g", o->min, o->max);
    if (o->flags & VQP_OPT_REQUIRED)
        snprintf(def, sizeof def, "required");
    else
        snprintf(def, sizeof def, "%s", o->def ? o->def : "-");
    printf("  %-24s %-8s %-20s %-12s %s%s\n", o->name, type_name(o->type), range, def, o->help ? o->help : "",
           o->flags & VQP_OPT_CONFIG ? " (also from the model's config)" : "");
    if (o->choices)
        printf("  %-24s one of %s\n", "", o->choices);
}

static void print_component(const struct vqp_component *c)
{
    printf("%s %s: %s\n", vqp_interface_name(c->iface), c->name, c->summary);
    const struct vqp_option *o = options_of(c);
    if (!o || !o->name)
        printf("  no options of its own\n");
    else
        printf("  %-24s %-8s %-20s %-12s %s\n", "OPTION", "TYPE", "RANGE", "DEFAULT", "MEANING");
    for (; o && o->name; o++)
        print_option(o);
}

static void json_choices(const char *choices)
{
    printf("[");
    for (const char *s = choices ? choices : ""; *s;) {
        size_t n = strcspn(s, "|");
        char word[256];
        snprintf(word, sizeof word, "%.*s", (int)n, s);
        printf("%s", s == choices ? "" : ",");
        vqp_json_string(stdout, word);
        s += n + (s[n] == '|');
    }
    printf("]");
}

static void json_option(const struct vqp_option *o)
{
    printf("{\"name\":");
    vqp_json_string(stdout, o->name);
    printf(",\"type\":\"%s\",\"required\":%s,\"from_config\":%s", type_name(o->type),
           o->flags & VQP_OPT_REQUIRED ? "true" : "false", o->flags & VQP_OPT_CONFIG ? "true" : "false");
    if (o->min < o->max)
        printf(",\"min\":%.17g,\"max\":%.17g", o->min, o->max);
    printf(",\"default\":");
    vqp_json_string(stdout, o->def);
    printf(",\"choices\":");
    json_choices(o->choices);
    printf(",\"help\":");
    vqp_json_string(stdout, o->help);
    printf("}");
}

static void json_component(const struct vqp_component *c)
{
    printf("{\"interface\":\"%s\",\"name\":", vqp_interface_name(c->iface));
    vqp_json_string(stdout, c->name);
    printf(",\"summary\":");
    vqp_json_string(stdout, c->summary);
    printf(",\"options\":[");
    for (const struct vqp_option *o = options_of(c), *first = o; o && o->name; o++) {
        printf("%s", o == first ? "" : ",");
        json_option(o);
    }
    printf("]}");
}

static void json_plugin(const struct vqp_plugin *p, const char *path)
{
    printf("{\"id\":");
    vqp_json_string(stdout, p->id);
    printf(",\"version\":");
    vqp_json_string(stdout, p->version);
    printf(",\"license\":");
    vqp_json_string(stdout, p->license);
    printf(",\"path\":");
    vqp_json_string(stdout, path);
    printf("}");
}

/* ---- finding what was named ------------------------------------------------------------------------------------- */

struct search {
    const struct vqp_component *component; /* whose plugin is looked for */
    const char *path;                      /* or which file */
    const char *name;                      /* or which plugin id, and the nearest name to this */
    struct vqpipe_plugin_info found;       /* path NULL: not found */
    const char *nearest;
    size_t distance;
};

static void visit(void *user, const struct vqpipe_plugin_info *info)
{
    struct search *s = user;
    const struct vqp_plugin *p = info->plugin;
    if (s->path ? strcmp(s->path, info->path) == 0 : p && !s->component && !s->found.path && !strcmp(s->name, p->id))
        s->found = *info;
    for (const struct vqp_component *const *c = p ? p->components : NULL; c && *c; c++) {
        if (*c == s->component)
            s->found = *info;
        if (s->name)
            vqp_nearer(s->name, (*c)->name, &s->nearest, &s->distance);
    }
    if (s->name && p)
        vqp_nearer(s->name, p->id, &s->nearest, &s->distance);
}

static int print_found_plugin(const struct vqp_args *args, const struct vqpipe_plugin_info *found)
{
    const struct vqp_plugin *p = found->plugin;
    int json = vqp_args_count(args, OPT_JSON) > 0;
    if (json) {
        printf("{\"plugin\":");
        json_plugin(p, found->path);
        printf(",\"components\":[");
    } else {
        printf("%s %s (%s), %s\n", p->id, p->version, p->license, found->path);
    }
    for (const struct vqp_component *const *c = p->components; *c; c++) {
        printf("%s", c == p->components ? "" : json ? "," : "\n");
        if (json)
            json_component(*c);
        else
            print_component(*c);
    }
    printf("%s", json ? "]}\n" : "");
    return 0;
}

/* A component, else a plugin by its id. */
static int inspect_name(const struct vqp_args *args, vqpipe_context *ctx)
{
    struct search s = {.component = vqpipe_find_component(ctx, args->operand), .name = args->operand};
    vqpipe_each_plugin(ctx, visit, &s);
    if (!s.component && s.found.path)
        return print_found_plugin(args, &s.found);
    if (!s.component) {
        if (s.nearest)
            vqp_say("no component or plugin is called '%s'; did you mean '%s'?", args->operand, s.nearest);
        else
            vqp_say("no component or plugin is called '%s'; vqpipe plugins lists them", args->operand);
        return vqpipe_exit_code(VQP_E_PLUGIN);
    }
    const struct vqp_plugin *p = s.found.plugin;
    if (vqp_args_count(args, OPT_JSON)) {
        printf("{\"component\":");
        json_component(s.component);
        if (p) {
            printf(",\"plugin\":");
            json_plugin(p, s.found.path);
        }
        printf("}\n");
        return 0;
    }
    print_component(s.component);
    for (const struct vqp_component *const *c = p ? p->components : NULL; c && *c; c++)
        if (*c != s.component && strcmp((*c)->name, s.component->name) == 0) /* of another interface */
            print_component(*c);
    if (p)
        printf("from %s %s, %s\n", p->id, p->version, s.found.path);
    return 0;
}

static int inspect_plugin(const struct vqp_args *args, vqpipe_context *ctx, const char *path)
{
    struct search s = {.path = path};
    vqpipe_each_plugin(ctx, visit, &s);
    if (!s.found.plugin) {
        vqp_say("%s: %s", path, s.found.reason ? s.found.reason : "is no plugin; vqpipe plugins lists those found");
        return vqpipe_exit_code(VQP_E_PLUGIN);
    }
    return print_found_plugin(args, &s.found);
}

/* A file by its path: its folder is searched first, so that it is met whatever the search path is. */
static int inspect_file(const struct vqp_args *args)
{
    char path[PATH_MAX], dir[PATH_MAX];
    if (!realpath(args->operand, path)) {
        vqp_say("%s: %s; give the path of a plugin", args->operand, strerror(errno));
        return vqpipe_exit_code(VQP_E_PLUGIN);
    }
    strcpy(dir, path);
    char *slash = strrchr(dir, '/');
    slash[slash == dir] = 0;
    struct vqp_job job = {0};
    int code = vqp_job_context(args, dir, &job);
    if (!code)
        code = inspect_plugin(args, job.ctx, path);
    vqp_job_close(&job);
    return code;
}

static int inspect_pipeline(const struct vqp_args *args)
{
    struct vqp_job job = {0};
    struct vqp_error err = {0};
    vqp_status status = VQP_OK;
    int code = vqp_job_load(args, &job);
    if (!code && vqp_args_count(args, OPT_JSON))
        status = vqpipe_print_json(job.pipe, stdout, &err);
    else if (!code && !(status = vqpipe_print_settings(job.pipe, stdout, &err)))
        status = vqpipe_print_summary(job.pipe, stdout, &err);
    if (status)
        code = vqp_say_error(status, &err);
    vqp_job_close(&job);
    return code;
}

int vqp_cmd_inspect(const struct vqp_args *args)
{
    const char *what = args->operand;
    if (vqp_ends_with(what, ".so"))
        return inspect_file(args);
    if (vqp_ends_with(what, ".png"))
        return vqp_cmd_inspect_picture(args);
    if (vqp_ends_with(what, ".yaml") || vqp_ends_with(what, ".yml") || strchr(what, '/'))
        return inspect_pipeline(args);
    struct vqp_job job = {0};
    int code = vqp_job_context(args, NULL, &job);
    if (!code)
        code = inspect_name(args, job.ctx);
    vqp_job_close(&job);
    return code;
}
