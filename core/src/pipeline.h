/* What stands behind `vqpipe` and `vqpipe_context`. Arrows run downwards only:
 *
 *   run.c       one call of vqpipe_run: seeds, batches, the step loop, results
 *   stages.c    --dump and --feed: every stage as .npy
 *   session.c   recorded programs compiled: buffers, bindings, pieces, copies between backends
 *   record.c    the three programs, recorded by the components
 *   prompts.c   prompts to ids, and what there is to say about them
 *   assembly.c  plugins found, components created, weights opened, the fit of all checked
 *   settings.c  descriptor and --set to effective values
 *   context.c   what pipelines share, and the host table */
#ifndef VQP_PIPELINE_H
#define VQP_PIPELINE_H
#include "arena.h"
#include "builder.h"
#include "descriptor.h"
#include "registry.h"
#include "threads.h"
#include "weights.h"
#include <pthread.h>
#include <stdatomic.h>
#include <vqpipe/host.h>
#include <vqpipe/vqpipe.h>

/* ---- context.c -------------------------------------------------------------------------------------------------- */

struct vqpipe_context {
    int32_t log_level;
    void (*log)(void *ctx, int32_t level, const char *msg);
    void *log_ctx;
    struct vqp_arena arena;
    const char **dirs;
    uint32_t n_dirs;
    pthread_mutex_t lock; /* guards what is made on first use */
    struct vqp_registry *registry;
    struct vqp_weight_cache *weights;
    struct vqp_pool *pool;
};

/* The registry, scanned on first use. */
vqp_status vqp_context_registry(struct vqpipe_context *ctx, struct vqp_registry **out, struct vqp_error *err);
__attribute__((format(printf, 3, 4))) void vqp_context_log(const struct vqpipe_context *ctx, int32_t level,
                                                           const char *fmt, ...);

struct vqp_pipe_host { /* the host table of one pipeline */
    struct vqp_host base;
    struct vqpipe *pipe;
};
void vqp_pipe_host_init(struct vqp_pipe_host *h, struct vqpipe *pipe);

/* ---- settings.c ------------------------------------------------------------------------------------------------- */

enum {
    VQP_RNG_PHILOX,
    VQP_RNG_TORCH_CPU
};
struct vqp_run_settings {
    struct vqp_list prompt;      /* const char * */
    const char *negative_prompt; /* NULL: not given */
    int64_t steps, images_per_prompt, batch_size;
    double guidance_scale, truncation_rate;
    struct vqp_list seed; /* const char *: decimal numbers, or "random" */
    int32_t rng, strict, allow_nonfinite;
    const char *latents;
};
struct vqp_output_settings {
    const char *path;
    int32_t metadata;
};

enum {
    VQP_N_COMPONENTS = 5
}; /* tokenizer .. vq_decoder: index = interface - 1 */

/* An effective value, for print_settings and vqpipe_get. */
struct vqp_setting {
    struct vqp_setting *next;
    const char *key, *value, *origin;
};
struct vqp_settings {
    struct vqp_arena arena;
    struct vqp_run_settings run;
    struct vqp_output_settings output;
    const char *name, *model;
    struct vqp_node *component[VQP_N_COMPONENTS], *backend; /* maps, or NULL */
    struct vqp_setting *list, **tail;
};
/* Reads the core's own keys from the pipeline's tree. */
vqp_status vqp_settings_read(struct vqpipe *pipe, struct vqp_settings *out, struct vqp_error *err);
void vqp_settings_free(struct vqp_settings *s);
void vqp_settings_note(struct vqp_settings *s, const char *key, const char *value, const char *origin);
/* The value of a core key of a component or backend map, NULL where absent; refuses lists and maps. */
vqp_status vqp_settings_core_key(const struct vqp_node *map, const char *section, const char *key,
                                 const struct vqp_node **out, struct vqp_error *err);
/* Absolute path of a node's text: relative to the current directory or to base. */
const char *vqp_settings_path(struct vqp_arena *a, const struct vqp_node *node, const char *base);

/* ---- assembly.c ------------------------------------------------------------------------------------------------- */

struct vqp_backend_instance {
    struct vqp_backend_instance *next;
    const struct vqp_component *component;
    const struct vqp_backend_vtbl *v;
    void *self;
    const char *name, *device, *precision;
    struct vqp_device_info info;
    uint32_t index;
};
enum {
    VQP_MAX_BACKENDS = 8,
    VQP_MAX_FOLDERS = 4
};

struct vqp_folder { /* one opened folder of tensors */
    const char *dir;
    struct vqp_weights *weights;
    uint8_t *used; /* one flag a tensor */
};
struct vqp_instance { /* one created component */
    const struct vqp_component *component;
    const char *key, *use, *path;
    void *self, *opts;
    struct vqp_backend_instance *backend;
    struct vqp_folder folder[VQP_MAX_FOLDERS];
    uint32_t n_folders;
};

struct vqp_assembly {
    struct vqp_settings settings; /* core's sections; read anew by refresh */
    struct vqp_settings parts;    /* what components and backends were given: arena and list alone */
    struct vqp_instance component[VQP_N_COMPONENTS];
    struct vqp_backend_instance *backends;
    uint32_t n_backends;
    uint32_t context_length; /* L; 0 without text */
    struct vqp_text_encoder_info text;
    struct vqp_denoiser_info denoiser;
    struct vqp_vq_decoder_info decoder;
    uint32_t n_tokens, guided, encode_negative,
        truncates; /* guided: guidance_scale > 1 and the denoiser is conditioned */
    struct vqp_eval *evals;
    uint32_t n_evals;
};
/* Everything that can be known before a program is recorded. */
vqp_status vqp_assembly_create(struct vqpipe *pipe, struct vqp_assembly **out, struct vqp_error *err);
/* Takes over changed keys of run and output. After a failure only destroy is allowed. */
vqp_status vqp_assembly_refresh(struct vqpipe *pipe, struct vqp_assembly *a, struct vqp_error *err);
void vqp_assembly_destroy(struct vqpipe *pipe, struct vqp_assembly *a);
static inline struct vqp_instance *vqp_component_of(struct vqp_assembly *a, uint32_t iface)
{
    return &a->component[iface - 1];
}
/* A tensor of a component: name or "OPTION:NAME"; marks it used. */
vqp_status vqp_assembly_weight(struct vqpipe *pipe, const char *owner, const char *name, struct vqp_tensor_view *out,
                               struct vqp_error *err);
int32_t vqp_assembly_has_weight(struct vqpipe *pipe, const char *owner, const char *name);
/* Tensors of its own folder that nothing asked for; the first one's name into *first. */
uint32_t vqp_assembly_unused(const struct vqp_instance *i, const char **first);

/* ---- record.c --------------------------------------------------------------------------------------------------- */

enum {
    VQP_PREPARE,
    VQP_STEP,
    VQP_FINISH,
    VQP_N_PHASES
};
/* What a recording depends on. Everything else varies without recording or compiling anew. */
struct vqp_session_key {
    uint32_t batch, guided, encode_negative, truncates, noise, dump;
    uint32_t table_rows; /* capacity of the evaluation table */
};
struct vqp_slot { /* a value that lives in bound buffers, under one name in all programs */
    struct vqp_slot *next;
    const char *name;
    uint32_t dtype;
    struct vqp_shape shape;
    uint64_t bytes;
    vqp_buffer *buffer[VQP_MAX_BACKENDS]; /* by backend index; NULL: not needed there */
    uint8_t valid[VQP_MAX_BACKENDS];
};
struct vqp_bound { /* a slot as one piece sees it */
    struct vqp_slot *slot;
    vqp_val val;
    uint32_t role;
};
struct vqp_piece { /* one program on one backend */
    struct vqp_piece *next;
    vqp_program *program;
    struct vqp_backend_instance *backend;
    struct vqp_bound *bound;
    uint32_t n_bound;
    vqp_exec *exec;
};
struct vqp_session {
    struct vqp_session *next;
    struct vqp_session_key key;
    struct vqpipe *pipe;
    struct vqp_arena arena;
    struct vqp_piece *piece[VQP_N_PHASES];
    struct vqp_slot *slots;
    uint32_t image_h, image_w, compiled;
};
/* Records all three phases; needs pipe->assembly. */
vqp_status vqp_session_record(struct vqpipe *pipe, const struct vqp_session_key *key, struct vqp_session **out,
                              struct vqp_error *err);

/* Records the decoder's encoder into a program that is thrown away, so that its tensors count as used. */
void vqp_session_try_encoder(struct vqpipe *pipe);

/* ---- session.c -------------------------------------------------------------------------------------------------- */

/* Makes or finds the slot of that name; the same name with another dtype or shape is VQP_E_INTERNAL. */
vqp_status vqp_session_slot(struct vqp_session *s, const char *name, uint32_t dtype, const struct vqp_shape *shape,
                            struct vqp_slot **out, struct vqp_error *err);
struct vqp_slot *vqp_session_find(const struct vqp_session *s, const char *name);
/* Asks supports() for every op, makes buffers, compiles every piece. Once. */
vqp_status vqp_session_compile(struct vqp_session *s, struct vqp_error *err);
/* Sets every STATE but core's to its initial value. */
vqp_status vqp_session_reset(struct vqp_session *s, struct vqp_error *err);
/* n bytes from the start into every buffer of the slot. A name nobody uses is fine. */
vqp_status vqp_session_upload(struct vqp_session *s, const char *name, const void *data, uint64_t n,
                              struct vqp_error *err);
vqp_status vqp_session_download(struct vqp_session *s, const char *name, void *data, uint64_t n, struct vqp_error *err);
/* Runs a phase's pieces in order, `times` times; several pieces allow only 1. */
vqp_status vqp_session_run(struct vqp_session *s, uint32_t phase, uint32_t times, struct vqp_error *err);
/* Bytes that one run of the phase copies between backends. */
uint64_t vqp_session_crossing(const struct vqp_session *s, uint32_t phase);
void vqp_session_destroy(struct vqp_session *s);

/* ---- prompts.c -------------------------------------------------------------------------------------------------- */

/* Token ids of n texts: ids [n,L], end [n]. Warns once a text about cut words and about words the tokenizer had to spell. */
vqp_status vqp_prompts_encode(struct vqpipe *pipe, const char *const *texts, uint32_t n, int32_t *ids, int32_t *end,
                              struct vqp_error *err);

/* ---- stages.c --------------------------------------------------------------------------------------------------- */

struct vqp_stages { /* zero-initialised: neither dump nor feed */
    const char *dump_dir, *feed_dir;
    struct vqp_session *session;
};
/* Makes the folder. */
vqp_status vqp_stages_open(struct vqp_stages *st, struct vqp_error *err);
vqp_status vqp_stages_text(struct vqp_stages *st, const int32_t *prompt_ids, uint32_t n_prompts, struct vqp_error *err);
/* After evaluation `eval`: dumps logp and tokens; with feed, replaces `tokens` [B,N] and uploads them. */
vqp_status vqp_stages_step(struct vqp_stages *st, uint32_t eval, int32_t *tokens, struct vqp_error *err);
vqp_status vqp_stages_image(struct vqp_stages *st, const float *image, struct vqp_error *err);

/* ---- the pipeline ----------------------------------------------------------------------------------------------- */

struct vqpipe {
    struct vqpipe_context *ctx;
    struct vqp_pipe_host host;
    struct vqp_arena arena;             /* descriptor and overrides */
    const char *file, *dir;             /* the descriptor, and its folder, absolute */
    struct vqp_node *root, *as_written; /* with and without overrides */
    int32_t *latents;
    uint64_t n_latents;
    struct vqp_assembly *assembly; /* NULL: not loaded */
    enum {
        VQP_CLEAN,
        VQP_STALE_SETTINGS,
        VQP_STALE_PARTS
    } stale;
    struct vqp_session *sessions;
    struct vqp_settings shown; /* for vqpipe_get */
    atomic_int cancelled;
    double load_seconds;
};
/* The session of that key, recorded if need be. */
vqp_status vqp_pipe_session(struct vqpipe *pipe, const struct vqp_session_key *key, struct vqp_session **out,
                            struct vqp_error *err);
/* The key of this pipeline's ordinary run with that batch. */
struct vqp_session_key vqp_pipe_key(const struct vqpipe *pipe, uint32_t batch, uint32_t dump);
uint32_t vqp_pipe_images(const struct vqpipe *pipe);               /* B of the whole run */
uint32_t vqp_pipe_batch(const struct vqpipe *pipe, uint32_t dump); /* images computed together */
double vqp_now(void);                                              /* seconds, monotonic */

#endif
