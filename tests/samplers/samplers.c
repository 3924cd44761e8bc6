#include "samplers.h"
#include "arena.h"
#include "descriptor.h"
#include "options.h"
#include <dlfcn.h>
#include <math.h>
#include <vqpipe/host.h>

vqp_status sampler_try(const char *name, const char *options, struct sampler *out, struct vqp_error *err)
{
    static const struct vqp_host host = {
        .struct_size = sizeof host, .abi_minor = VQP_ABI_MINOR, .program = &vqp_program_api_table};
    static struct vqp_arena strings;
    char path[512], text[512];
    snprintf(path, sizeof path, VQP_BUILD_DIR "/lib/vqpipe/%s.so", name);
    void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const struct vqp_plugin *plugin = so ? dlsym(so, VQP_PLUGIN_SYMBOL) : NULL;
    if (!plugin) {
        fprintf(stderr, "%s\n", dlerror());
        exit(2);
    }
    uint64_t opts[64] = {0};
    const struct vqp_component *c = plugin->components[0];
    static const char *const not_options[] = {"vqpipe", NULL};
    struct vqp_node *map = NULL;
    int n = snprintf(text, sizeof text, "vqpipe: 1\n%s\n", options ? options : "");
    vqp_status st = vqp_descriptor_parse(&strings, "options", text, (size_t)n, &map, err);
    struct vqp_options_args fill = {
        .owner = name, .map = map, .table = c->opts, .arena = &strings, .core_keys = not_options};
    if (st == VQP_OK)
        st = vqp_options_fill(&fill, opts, c->opts_size, err);
    struct vqp_create_args args = {.struct_size = sizeof args,
                                   .host = &host,
                                   .instance = "scheduler",
                                   .path = "/models/m/scheduler",
                                   .precision = "f32",
                                   .opts = opts};
    *out = (struct sampler){c->v.scheduler, c, NULL};
    if (st == VQP_OK)
        st = c->create(&args, &out->self, err);
    vqp_arena_free(&strings);
    return st;
}

struct sampler sampler_create(const char *name, const char *options)
{
    struct sampler s;
    struct vqp_error err = {0};
    if (sampler_try(name, options, &s, &err)) {
        fprintf(stderr, "%s: %s\n", name, err.msg);
        exit(2);
    }
    return s;
}

void sampler_destroy(struct sampler *s)
{
    s->component->destroy(s->self);
}

int32_t sampler_plan(const struct sampler *s, uint32_t steps, uint32_t timesteps, uint32_t tokens, uint32_t codes,
                     struct vqp_eval *out, uint32_t cap)
{
    struct vqp_error err = {0};
    struct vqp_plan_args args = {.struct_size = sizeof args,
                                 .steps = steps,
                                 .train_steps = timesteps,
                                 .n_tokens = tokens,
                                 .n_codes = codes,
                                 .guidance = 1};
    int32_t n = s->v->plan(s->self, &args, out, cap, &err);
    if (n < 0)
        printf("\n    %s", err.msg);
    return n;
}

struct vqp_step sampler_step(uint32_t batch, vqp_val tokens, vqp_val par, vqp_val eval, vqp_val logp, vqp_val seed)
{
    return (struct vqp_step){.struct_size = sizeof(struct vqp_step),
                             .batch = batch,
                             .tokens = tokens,
                             .par = par,
                             .eval = eval,
                             .logp = logp,
                             .seed = seed,
                             .mask_id = MASK,
                             .grid_h = 1,
                             .grid_w = TOKENS};
}

void state_ids(int state, int32_t x[TOKENS])
{
    for (int n = TOKENS; n-- > 0; state /= CODES + 1)
        x[n] = state % (CODES + 1);
}

int state_of(const int32_t x[TOKENS])
{
    int state = 0;
    for (int n = 0; n < TOKENS; n++)
        state = state * (CODES + 1) + x[n];
    return state;
}

void model_logp(float logp[TOKENS * CODES])
{
    static const double p[TOKENS][CODES] = {{0.55, 0.25, 0.15, 0.05}, {0.1, 0.2, 0.3, 0.4}, {0.02, 0.89, 0.03, 0.06}};
    for (int k = 0; k < TOKENS * CODES; k++)
        logp[k] = (float)log(p[k / CODES][k % CODES]);
}
