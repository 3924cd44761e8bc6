#include "pipeline.h"
#include "installed.h"
#include "model_folder.h"
#include "record.h"
#include "text.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A model folder is run by the descriptor that `vqpipe init` would write for it. */
static vqp_status read_folder(struct vqpipe *p, const char *dir, struct vqp_error *err)
{
    struct vqp_model_folder m;
    vqp_status st = vqp_model_folder_read(dir, &m, err);
    if (st)
        return st;
    const char *what = vqp_arena_printf(&p->src.arena, "vqpipe init %s", dir);
    st = what ? vqp_descriptor_parse(&p->src.arena, what, m.descriptor, strlen(m.descriptor), &p->src.root, err)
              : vqp_fail(err, VQP_E_NOMEM, "pipeline: out of memory");
    vqp_model_folder_free(&m);
    return st;
}

vqp_status vqpipe_describe_model(const char *dir, FILE *f, struct vqp_error *err)
{
    struct vqp_model_folder m;
    vqp_status st = vqp_model_folder_read(dir, &m, err);
    if (st)
        return st;
    fputs(m.descriptor, f);
    vqp_model_folder_free(&m);
    return VQP_OK;
}

vqp_status vqpipe_open(vqpipe_context *ctx, const char *descriptor, vqpipe **out, struct vqp_error *err)
{
    char path[PATH_MAX], installed[PATH_MAX];
    struct stat info;
    struct vqpipe *p = calloc(1, sizeof *p);
    if (!p)
        return vqp_fail(err, VQP_E_NOMEM, "pipeline: out of memory");
    p->ctx = ctx;
    p->stale = VQP_STALE_PARTS;
    vqp_pipe_host_init(&p->host, ctx);
    descriptor = vqp_pipeline_file(descriptor, installed, sizeof installed);
    int is_there = stat(descriptor, &info) == 0;
    int is_model = is_there && (S_ISDIR(info.st_mode) || (S_ISREG(info.st_mode) && vqp_model_is_file(descriptor)));
    vqp_status st =
        is_model ? read_folder(p, descriptor, err) : vqp_descriptor_read(&p->src.arena, descriptor, &p->src.root, err);
    /* One copy stays as written, so that overrides can be told from the file's own keys. */
    if (!st && !(p->src.as_written = vqp_node_copy(&p->src.arena, p->src.root)))
        st = vqp_fail(err, VQP_E_NOMEM, "pipeline: out of memory");
    if (!st && !realpath(descriptor, path))
        st = vqp_fail(err, VQP_E_ARG, "%s: %s", descriptor, strerror(errno));
    if (!st) {
        p->src.given = vqp_arena_strdup(&p->src.arena, descriptor);
        p->src.file = vqp_arena_strdup(&p->src.arena, path);
        if (!is_model)
            *strrchr(path, '/') = 0;
        p->src.dir = vqp_arena_strdup(&p->src.arena, *path ? path : "/");
        if (!p->src.given || !p->src.file || !p->src.dir)
            st = vqp_fail(err, VQP_E_NOMEM, "pipeline: out of memory");
    }
    if (!st && !(st = vqp_settings_read(&p->src, &p->shown, err)))
        *out = p;
    if (st)
        vqpipe_close(p);
    return st;
}

static void unload(struct vqpipe *p)
{
    while (p->sessions) {
        struct vqp_session *s = p->sessions;
        p->sessions = s->next;
        vqp_session_destroy(s);
    }
    vqp_assembly_destroy(p->assembly);
    p->assembly = NULL;
}

void vqpipe_close(vqpipe *pipe)
{
    if (!pipe)
        return;
    unload(pipe);
    vqp_settings_free(&pipe->shown);
    vqp_arena_free(&pipe->src.arena);
    free(pipe->latents);
    free(pipe);
}

void vqpipe_cancel(vqpipe *pipe)
{
    atomic_store(&pipe->host.cancelled, 1);
}

/* ---- keys ------------------------------------------------------------------------------------------------------- */

static void mark_stale(struct vqpipe *p, const char *key)
{
    /* These two decide what is accepted while weights are read. */
    int weights = !strcmp(key, "run.strict") || !strcmp(key, "run.allow_nonfinite");
    int core = (!strncmp(key, "run.", 4) && !weights) || !strncmp(key, "output.", 7) || !strcmp(key, "name");
    if (!core)
        p->stale = VQP_STALE_PARTS;
    else if (p->stale == VQP_CLEAN)
        p->stale = VQP_STALE_SETTINGS;
}

static vqp_status set_node(struct vqpipe *p, const char *key, struct vqp_node *value, struct vqp_error *err)
{
    vqp_status st = vqp_node_set(&p->src.arena, p->src.root, key, value, err);
    if (!st)
        mark_stale(p, key);
    return st;
}

vqp_status vqpipe_set(vqpipe *pipe, const char *key, const char *value, struct vqp_error *err)
{
    struct vqp_node *node;
    char *origin_name = vqp_arena_strdup(&pipe->src.arena, key);
    if (!origin_name)
        return vqp_fail(err, VQP_E_NOMEM, "pipeline: out of memory");
    struct vqp_origin origin = {.name = origin_name, .from_command_line = 1};
    vqp_status st = vqp_descriptor_value(&pipe->src.arena, &origin, value, &node, err);
    return st ? st : set_node(pipe, key, node, err);
}

vqp_status vqpipe_set_prompts(vqpipe *pipe, const char *const *prompts, uint32_t n, struct vqp_error *err)
{
    struct vqp_origin origin = {.name = "prompt", .from_command_line = 1};
    struct vqp_node *list = vqp_arena_alloc(&pipe->src.arena, 1, sizeof *list);
    if (!list)
        return vqp_fail(err, VQP_E_NOMEM, "pipeline: out of memory");
    *list = (struct vqp_node){.kind = VQP_NODE_LIST, .at = origin, .key_at = origin};
    struct vqp_node **end = &list->child;
    for (uint32_t i = 0; i < n; i++) {
        struct vqp_node *item = vqp_arena_alloc(&pipe->src.arena, 1, sizeof *item);
        if (!item || !(item->text = vqp_arena_strdup(&pipe->src.arena, prompts[i])))
            return vqp_fail(err, VQP_E_NOMEM, "pipeline: out of memory");
        item->kind = VQP_NODE_SCALAR;
        item->quoted = 1;
        item->text_len = strlen(prompts[i]);
        item->at = item->key_at = origin;
        *end = item;
        end = &item->next;
    }
    return set_node(pipe, "run.prompt", list, err);
}

vqp_status vqpipe_set_latents(vqpipe *pipe, const int32_t *ids, uint64_t n, struct vqp_error *err)
{
    int32_t *copy = NULL;
    if (n && (n > SIZE_MAX / sizeof *copy || !(copy = malloc(n * sizeof *copy))))
        return vqp_fail(err, VQP_E_NOMEM, "latents: out of memory");
    if (n)
        memcpy(copy, ids, n * sizeof *copy);
    free(pipe->latents);
    pipe->latents = copy;
    pipe->n_latents = n;
    return VQP_OK;
}

static const char *lookup(const struct vqp_settings *s, const char *key)
{
    const char *value = NULL;
    for (const struct vqp_setting *n = s->list; n; n = n->next)
        if (!strcmp(n->key, key))
            value = n->value;
    return value;
}

const char *vqpipe_get(vqpipe *pipe, const char *key)
{
    vqp_settings_free(&pipe->shown);
    if (vqp_settings_read(&pipe->src, &pipe->shown, NULL))
        return NULL;
    const char *value = lookup(&pipe->shown, key);
    if (!value && pipe->assembly && pipe->stale != VQP_STALE_PARTS)
        value = lookup(&pipe->assembly->parts, key);
    if (!value) {
        const struct vqp_node *n = vqp_node_find(pipe->src.root, key);
        value = n && n->kind == VQP_NODE_SCALAR ? n->text : NULL;
    }
    return value;
}

/* ---- load ------------------------------------------------------------------------------------------------------- */

uint32_t vqp_pipe_batch(const struct vqpipe *pipe, uint32_t dump)
{
    const struct vqp_run_settings *run = &pipe->assembly->settings.run;
    uint32_t all = pipe->assembly->n_images;
    /* One generator draws for all pictures of a torch-cpu run; a dump holds them in one array. */
    if (run->rng == VQP_RNG_TORCH_CPU || dump || all < run->batch_size)
        return all;
    return (uint32_t)run->batch_size;
}

struct vqp_session_key vqp_pipe_key(const struct vqpipe *pipe, uint32_t batch, uint32_t dump)
{
    const struct vqp_assembly *a = pipe->assembly;
    return (struct vqp_session_key){.batch = batch,
                                    .guided = a->guided,
                                    .encode_negative = a->encode_negative,
                                    .truncates = a->truncates,
                                    .noise = a->settings.run.rng == VQP_RNG_TORCH_CPU,
                                    .dump = dump,
                                    .start = a->first_eval > 0,
                                    .pinned = a->settings.run.pin && *a->settings.run.pin,
                                    .table_rows = (a->n_evals + 1023) / 1024 * 1024};
}

vqp_status vqp_pipe_session(struct vqpipe *pipe, const struct vqp_session_key *key, struct vqp_session **out,
                            struct vqp_error *err)
{
    for (struct vqp_session *s = pipe->sessions; s; s = s->next)
        if (!memcmp(&s->key, key, sizeof *key)) {
            *out = s;
            return VQP_OK;
        }
    vqp_status st = vqp_record_session(pipe->assembly, key, out, err);
    if (!st) {
        (*out)->next = pipe->sessions;
        pipe->sessions = *out;
    }
    return st;
}

/* Tensors that nothing asked for: one line, or with run.strict a refusal. A decoder's encoder counts as asked for. */
static vqp_status check_unused(struct vqpipe *pipe, struct vqp_error *err)
{
    for (uint32_t i = 0; i < VQP_N_COMPONENTS; i++) {
        const struct vqp_instance *inst = &pipe->assembly->component[i];
        const char *first = NULL;
        uint32_t n = vqp_assembly_unused(inst, &first);
        if (!n)
            continue;
        if (pipe->assembly->settings.run.strict)
            return vqp_fail(err, VQP_E_FORMAT,
                            "%s (%s): %u tensor%s in %s not used, the first is '%s'; leave out --strict to ignore",
                            inst->key, inst->use, n, n > 1 ? "s" : "", inst->path, first);
        vqp_context_log(pipe->ctx, VQP_LOG_WARN, "%s (%s): %u tensor%s in %s not used, the first is '%s'", inst->key,
                        inst->use, n, n > 1 ? "s" : "", inst->path, first);
    }
    return VQP_OK;
}

static void use_encoder(struct vqpipe *pipe)
{
    struct vqp_instance *dec = vqp_component_of(pipe->assembly, VQP_IFACE_VQ_DECODER);
    const char *first;
    if (VQP_HAS(dec->component->v.vq_decoder, record_encode) && vqp_assembly_unused(dec, &first))
        vqp_record_encoder(pipe->assembly);
}

vqp_status vqpipe_load(vqpipe *pipe, struct vqp_error *err)
{
    vqp_status st = VQP_OK;
    double start = vqp_now();
    if (pipe->stale == VQP_CLEAN)
        return VQP_OK;
    int fresh = pipe->stale == VQP_STALE_PARTS || !pipe->assembly;
    if (fresh) {
        unload(pipe);
        st = vqp_assembly_create(pipe->ctx, &pipe->host, &pipe->src, &pipe->assembly, err);
    } else {
        st = vqp_assembly_refresh(pipe->assembly, err);
    }
    struct vqp_session *s;
    if (!st) {
        struct vqp_session_key key = vqp_pipe_key(pipe, vqp_pipe_batch(pipe, 0), 0);
        st = vqp_pipe_session(pipe, &key, &s, err);
    }
    if (!st && fresh) {
        if (vqp_session_crossing(s, VQP_STEP))
            vqp_context_log(pipe->ctx, VQP_LOG_WARN,
                            "each evaluation copies %llu bytes through host memory; `vqpipe program` shows where",
                            (unsigned long long)vqp_session_crossing(s, VQP_STEP));
        use_encoder(pipe);
        st = check_unused(pipe, err);
    }
    pipe->stale = st ? VQP_STALE_PARTS : VQP_CLEAN;
    pipe->load_seconds = vqp_now() - start;
    return st;
}
