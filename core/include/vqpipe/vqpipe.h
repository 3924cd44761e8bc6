/* libvqpipe: run discrete text-to-image pipelines from a program. For users of the library; plugins include the others.
 *
 *     struct vqp_error err;
 *     vqpipe_context *ctx = NULL;
 *     vqpipe *pipe = NULL;
 *     vqpipe_result *r = NULL;
 *     if (vqpipe_context_create(NULL, &ctx, &err) || vqpipe_open(ctx, "vqdiffusion.yaml", &pipe, &err) ||
 *         vqpipe_set(pipe, "run.prompt", "a lighthouse at night", &err) || vqpipe_run(pipe, NULL, &r, &err))
 *         fprintf(stderr, "%s\n", err.msg);
 *     else
 *         show(vqpipe_result_rgb(r, 0), vqpipe_result_width(r), vqpipe_result_height(r));
 *     vqpipe_result_destroy(r);
 *     vqpipe_close(pipe);
 *     vqpipe_context_destroy(ctx);
 *
 * A context holds what pipelines share: loaded plugins, mapped model files, the thread pool. Contexts are independent of each
 * other; a pipeline is used by one thread at a time, different pipelines of one context by different threads at once. Every function that can fail returns a vqp_status and writes one
 * sentence to *err (which may be NULL). Every destroy accepts NULL. */
#ifndef VQPIPE_VQPIPE_H
#define VQPIPE_VQPIPE_H
#include "base.h"
#ifdef __cplusplus
extern "C" {
#endif

#define VQPIPE_VERSION "0.1.0"

typedef struct vqpipe_context vqpipe_context;
typedef struct vqpipe vqpipe;
typedef struct vqpipe_result vqpipe_result;

/* [any-thread] Version of the library that is loaded: "0.1.0". */
VQP_EXPORT const char *vqpipe_version(void);
/* [any-thread] The exit code that the command line gives for a status (docs/architecture.md). */
VQP_EXPORT int vqpipe_exit_code(vqp_status status);

/* ---- context ---------------------------------------------------------------------------------------------------- */

struct vqpipe_context_params {
    uint32_t struct_size;
    uint32_t threads; /* 0: one per available processor */
    const char *const
        *plugin_dirs; /* searched first, in this order; then VQPIPE_PLUGIN_PATH, then beside the library */
    uint32_t n_plugin_dirs;
    int32_t log_level; /* VQP_LOG_* of host.h; messages up to this level are given to log */
    void (*log)(void *ctx, int32_t level, const char *msg); /* NULL: warnings and errors to stderr */
    void *log_ctx;
    uint32_t
        probe; /* 1: each plugin file is opened in a forked child process first; one that crashes or ends it there, or takes longer than 5
                     * seconds, is refused and never opened here. For tools that look at plugins: no other thread may be busy meanwhile */
    uint32_t reserved;
};
/* params may be NULL: all defaults. Plugins are loaded once a context, when they are first needed. Meanwhile standard output is caught,
 * so that nothing a plugin prints gets into the program's own: no other thread should write there. */
VQP_EXPORT vqp_status vqpipe_context_create(const struct vqpipe_context_params *params, vqpipe_context **out,
                                            struct vqp_error *err);
/* All its pipelines must be closed. */
VQP_EXPORT void vqpipe_context_destroy(vqpipe_context *ctx);

/* ---- pipeline --------------------------------------------------------------------------------------------------- */

/* Reads and checks a descriptor (docs/pipeline-yaml.md), or the folder of a model (docs/models.md), which is run by the descriptor
 * that vqpipe_describe_model writes. No plugin is loaded and no weights are touched. */
VQP_EXPORT vqp_status vqpipe_open(vqpipe_context *ctx, const char *descriptor, vqpipe **out, struct vqp_error *err);
VQP_EXPORT void vqpipe_close(vqpipe *pipe);

/* Sets one key, as `--set KEY=VALUE` does: "run.steps", "backend.use", "components.scheduler.spacing", "model". The value is a YAML
 * scalar, or a YAML flow list. Overrides the descriptor; later calls override earlier ones. The key is checked when the
 * pipeline is next loaded; relative paths are relative to the current directory. */
VQP_EXPORT vqp_status vqpipe_set(vqpipe *pipe, const char *key, const char *value, struct vqp_error *err);
/* Replaces the prompts: n UTF-8 strings. */
VQP_EXPORT vqp_status vqpipe_set_prompts(vqpipe *pipe, const char *const *prompts, uint32_t n, struct vqp_error *err);
/* Replaces run.latents: n ids (images x grid tokens, the first image first) to start from instead of all masks; they are checked
 * when the run starts. n 0: none. */
VQP_EXPORT vqp_status vqpipe_set_latents(vqpipe *pipe, const int32_t *ids, uint64_t n, struct vqp_error *err);

/* Loads plugins, opens model files, checks that the components fit together. Implied by vqpipe_run; repeated only after a
 * vqpipe_set that matters. */
VQP_EXPORT vqp_status vqpipe_load(vqpipe *pipe, struct vqp_error *err);

/* The step that has just been done. Pointers are valid during the call. */
struct vqpipe_step_event {
    uint32_t struct_size;
    uint32_t eval, n_evals; /* 0-based evaluation, and how many there are */
    int32_t timestep;
    uint32_t first_image, n_images, n_tokens; /* this event is of images first_image .. first_image + n_images - 1 */
    uint32_t images_total;
    const int32_t *ids;  /* [n_images, n_tokens]; the mask is the highest id */
    double elapsed;      /* seconds since the run started */
    double eval_seconds; /* what this evaluation took; of several computed at once, their mean */
    uint32_t first_eval; /* run.start_step: the first one of this run */
    uint32_t reserved;
};
/* The pictures of a batch so far. Pointers are valid during the call. */
struct vqpipe_preview_event {
    uint32_t struct_size;
    uint32_t eval, n_evals, first_eval; /* as in vqpipe_step_event */
    uint32_t first_image, n_images, images_total;
    uint32_t
        finished; /* nonzero: after the last evaluation; these are the pictures themselves, nothing was computed for this call */
    /* What vqpipe_result_rgb, _float, _ids, _seed, _prompt, _name and _save_png take. Images first_image .. first_image + n_images - 1
     * are the pictures so far, tokens still masked decoded as zeros; those before are finished, those after are black. */
    const vqpipe_result *so_far;
    double seconds;      /* what computing this preview took */
    double eval_seconds; /* what the evaluation before it took, as in vqpipe_step_event; 0 when finished */
    double elapsed;      /* seconds since the run started */
};
struct vqpipe_run_params {
    uint32_t struct_size;
    uint32_t callback_steps; /* call `step` after every so many evaluations, and after the last; 0: 1 */
    /* [pipeline-thread] Nonzero cancels the run: vqpipe_run returns VQP_E_CANCELLED. */
    int32_t (*step)(void *ctx, const struct vqpipe_step_event *ev);
    void *step_ctx;
    const char *dump_dir; /* NULL, or a folder (made if missing) that gets every stage as .npy (docs/numerics.md) */
    const char *feed_dir; /* NULL, or another run's dump: after evaluation SSS the ids become its tokens-SSS.npy */
    /* Previews, of vqpipe_run alone: after every `preview_steps` evaluations the ids so far go through the finish program, and
     * `preview` is called; once more when a batch is finished. 0 or NULL: none. They change neither ids nor pictures. */
    uint32_t preview_steps, reserved;
    /* [pipeline-thread] Nonzero cancels the run, as `step` does. */
    int32_t (*preview)(void *ctx, const struct vqpipe_preview_event *ev);
    void *preview_ctx;
};
/* Draws the pictures. params may be NULL. *out stays untouched on failure. */
VQP_EXPORT vqp_status vqpipe_run(vqpipe *pipe, const struct vqpipe_run_params *params, vqpipe_result **out,
                                 struct vqp_error *err);
/* ---- prediction ------------------------------------------------------------------------------------------------- */

struct vqpipe_prediction {
    uint32_t struct_size, evals; /* evaluations of one picture */
    double seconds;              /* of the whole run: batches * (prepare + evals * step + finish); without compiling */
    double prepare, step, finish, batches; /* seconds, of one batch; batches of pictures computed together */
    uint64_t memory_bytes;                 /* that this process will hold at most */
};
/* A guess before the first step: the programs' arithmetic by the rate at which each backend does one small matrix product now (some
 * milliseconds), and memory by what the backends on the host processor keep. Loads the pipeline. Once the first step is done, its
 * eval_seconds / step corrects the rest. */
VQP_EXPORT vqp_status vqpipe_predict(vqpipe *pipe, struct vqpipe_prediction *out, struct vqp_error *err);

/* ---- comparing two backends ------------------------------------------------------------------------------------- */

/* The ops of one kind that were compared, and the largest error that was accepted, as a share of what such an op may be off. */
struct vqpipe_kind_error {
    char kind[24];
    uint64_t ops;
    double worst;
};
enum {
    VQPIPE_MAX_KINDS = 64
};
/* What two backends make of the same inputs. Every op runs alone on both; its inputs are the first backend's values, so that
 * errors do not add up. `op` to `operands` say where: the first difference, or without one the op with the largest error. */
struct vqpipe_comparison {
    uint32_t struct_size, differs;
    uint32_t evals,
        evals_total; /* evaluations compared: the first two and the last; those between run on the first backend alone */
    uint64_t ops;    /* op runs compared */
    uint64_t near_ties; /* integers and cut classes that differ where the last bits decide (docs/numerics.md) */
    double worst;       /* the largest error that was accepted, as a share of what the op may be off */
    char first_backend[64], second_backend[64];
    uint32_t eval, output;                             /* of a step: which evaluation, from 0; which result of the op */
    char phase[16], op[32], scope[256], operands[512]; /* operands: "f32[2,64,32], f32[32,32] -> f32[2,64,32]" */
    char index[160];                                   /* of the first element that differs: "[0,3,17]" */
    double first, second, allowed;    /* that element on both, and how far they may be apart; 0: not at all */
    uint64_t n_different, n_elements; /* in this result */
    uint32_t n_kinds, reserved;
    struct vqpipe_kind_error kinds[VQPIPE_MAX_KINDS]; /* in the order in which they were met */
};
/* Runs the pipeline's programs op by op on its own backends and on `backend` (NAME[:DEVICE], at precision f32) and stops at the
 * first difference beyond the tolerances of docs/ops.md, each taken twice where both backends are f32: each side may be off once.
 * VQP_OK with out->differs set is a finished comparison. params may be NULL; no picture comes out. */
VQP_EXPORT vqp_status vqpipe_compare(vqpipe *pipe, const char *backend, const struct vqpipe_run_params *params,
                                     struct vqpipe_comparison *out, struct vqp_error *err);

/* [any-thread, signal handler] Stops the run in progress, or the next one, within a layer of work. */
VQP_EXPORT void vqpipe_cancel(vqpipe *pipe);

/* [any-thread] Bytes of physical memory that this process held at most; 0 where the system does not tell. */
VQP_EXPORT uint64_t vqpipe_peak_memory(void);

/* [any-thread, signal handler] Removes files that are half written, in every context of the process: the last thing before _exit. */
VQP_EXPORT void vqpipe_emergency_cleanup(void);

/* ---- result ----------------------------------------------------------------------------------------------------- */

VQP_EXPORT uint32_t vqpipe_result_images(const vqpipe_result *r);
VQP_EXPORT uint32_t vqpipe_result_width(const vqpipe_result *r);
VQP_EXPORT uint32_t vqpipe_result_height(const vqpipe_result *r);
VQP_EXPORT uint32_t vqpipe_result_tokens(const vqpipe_result *r);
/* Image k; NULL where k is out of range. Owned by the result. 8-bit RGB rows without padding; float RGB in 0..1; ids. */
VQP_EXPORT const uint8_t *vqpipe_result_rgb(const vqpipe_result *r, uint32_t k);
VQP_EXPORT const float *vqpipe_result_float(const vqpipe_result *r, uint32_t k);
VQP_EXPORT const int32_t *vqpipe_result_ids(const vqpipe_result *r, uint32_t k);
VQP_EXPORT uint64_t vqpipe_result_seed(const vqpipe_result *r, uint32_t k);
VQP_EXPORT const char *vqpipe_result_prompt(const vqpipe_result *r, uint32_t k);

struct vqpipe_timings { /* seconds */
    uint32_t struct_size, evals;
    double load, prepare, steps, finish, total;
    double compile;  /* part of prepare */
    double previews; /* computing them, and the preview callback; part of total, not of steps or finish */
    uint32_t n_previews, reserved;
};
VQP_EXPORT void vqpipe_result_timings(const vqpipe_result *r, struct vqpipe_timings *out);

/* Writes the result by the extension of `pattern`: .png (one file an image; settings in tEXt chunks unless `metadata` is 0),
 * .npy (float32 [B,H,W,3]), .ids.npy (int32 [B,N]). "{index}" and "{seed}" are replaced, in the one .npy of a batch by 0 and
 * the first seed; several pictures and neither in the name: "-0", "-1", ... before the extension. Files are written beside,
 * synced and renamed: an existing file is replaced only by a finished one. `scale` 1..8 enlarges PNGs, nearest neighbour.
 * `written` (may be NULL) is called with every path. */
VQP_EXPORT vqp_status vqpipe_result_save(const vqpipe_result *r, const char *pattern, int32_t metadata, uint32_t scale,
                                         void (*written)(void *ctx, const char *path, uint32_t image), void *ctx,
                                         struct vqp_error *err);
/* The name that vqpipe_result_save gives image k, into buf. */
VQP_EXPORT vqp_status vqpipe_result_name(const vqpipe_result *r, uint32_t k, const char *pattern, char *buf,
                                         size_t size, struct vqp_error *err);
/* Image k as a PNG of exactly that name; written beside, synced and renamed. */
VQP_EXPORT vqp_status vqpipe_result_save_png(const vqpipe_result *r, uint32_t k, int32_t metadata, uint32_t scale,
                                             const char *path, struct vqp_error *err);
/* The PNG of image k to an open stream ("-o -"). */
VQP_EXPORT vqp_status vqpipe_result_write_png(const vqpipe_result *r, uint32_t k, int32_t metadata, uint32_t scale,
                                              FILE *f, struct vqp_error *err);
VQP_EXPORT void vqpipe_result_destroy(vqpipe_result *r);

/* ---- pictures drawn before -------------------------------------------------------------------------------------- */

struct vqpipe_picture {
    uint32_t struct_size;
    uint32_t width, height, n_settings;
};
/* Reads what vqpipe recorded in a PNG file: every key and value, UTF-8, in the order of the file (docs/pipeline-yaml.md lists them). No
 * pixel is decoded. The file may be hostile: sizes are bounded, checksums are checked, keys and values are text. VQP_E_IO: it cannot be
 * read; VQP_E_FORMAT: it is no PNG, is damaged, or holds no settings of vqpipe. `each` is called only when all is well. */
VQP_EXPORT vqp_status vqpipe_read_picture(const char *path,
                                          void (*each)(void *user, const char *key, const char *value), void *user,
                                          struct vqpipe_picture *out, struct vqp_error *err);

/* ---- measuring -------------------------------------------------------------------------------------------------- */

typedef struct vqpipe_bench vqpipe_bench;

/* A run, measured. Times in seconds; docs/bench.md says how each is taken. */
struct vqpipe_bench_info {
    uint32_t struct_size, batch; /* images computed together: the first batch is measured */
    uint32_t evals, samples;     /* samples: groups of steps behind `step`, the first step not among them */
    double load, compile, prepare, first_step, finish;
    double step, step_low,
        step_high;    /* one run of the step program: median and quartiles; the first step where it is the only one */
    double total;     /* of the whole run, load included and `measuring` left out */
    double measuring; /* spent on ceilings */
    /* One step's matrix products alone, each at the best rate of the device's matrix library: the median of the measurements
     * before, amid and after the steps, the least and the most. 0 where there is none. */
    double ceiling, ceiling_low, ceiling_high;
    uint64_t peak_memory;   /* bytes of this process's memory at most, measuring left out */
    const char *backends;   /* "cpu f32: NAME; DRIVER", of every backend in use */
    const char *no_ceiling; /* why there is no ceiling; else NULL */
    const char *no_profile; /* why ops have no times of their own; else NULL */
    /* Ceiling over step, each measurement of the one against steps close before and after it: median and quartiles; 0: no ceiling. */
    double share, share_low, share_high;
};
/* An op of a program: what one run of the program spends on it. */
struct vqpipe_bench_op {
    uint32_t struct_size, phase; /* 0 prepare, 1 step, 2 finish */
    const char *kind, *scope,
        *shapes;         /* "linear", "denoiser/blocks.0/attn1", "f32[2,256,192], f32[192,192] -> f32[2,256,192]" */
    double seconds;      /* of a step's op the median over the samples; 0 without a profile */
    double flops, bytes; /* docs/bench.md; of linear, conv2d and sdpa the products alone */
    double ceiling;      /* seconds; 0: no matrix product, or not known */
};
/* Runs the pipeline as vqpipe_run does and measures it. *result may be given away unread: pass it to vqpipe_result_destroy. */
VQP_EXPORT vqp_status vqpipe_measure(vqpipe *pipe, const struct vqpipe_run_params *params, vqpipe_bench **out,
                                     vqpipe_result **result, struct vqp_error *err);
VQP_EXPORT void vqpipe_bench_describe(const vqpipe_bench *b, struct vqpipe_bench_info *out);
/* Op i of all programs in their order; NULL past the end. Owned by the bench. */
VQP_EXPORT const struct vqpipe_bench_op *vqpipe_bench_at(const vqpipe_bench *b, uint32_t i);
VQP_EXPORT void vqpipe_bench_destroy(vqpipe_bench *b);

/* ---- converting ------------------------------------------------------------------------------------------------- */

struct vqpipe_convert_params {
    uint32_t struct_size;
    uint32_t
        type; /* VQP_F32, VQP_F16 or VQP_BF16 for every float tensor; VQP_Q8_0 for matrices, the rest then F16; 0: each keeps its own */
    int32_t allow_nonfinite; /* nonzero: NaN and infinity are accepted */
    uint32_t reserved;
    const char *variant; /* which files to take (docs/models.md); NULL: the usual choice */
    /* Called after every piece: bytes of the source read so far and in all. Nonzero stops: VQP_E_CANCELLED. */
    int32_t (*progress)(void *ctx, const char *part, uint64_t done, uint64_t total);
    void *progress_ctx;
};
/* Writes the model in the folder `src` to a new folder `dst`: safetensors in the diffusers layout, configs copied. One pass; memory
 * is bounded by the largest tensor. `dst` appears when all is written, or not at all. A tensor with a value beyond the type's range is
 * kept as float32, with a warning. params may be NULL. */
VQP_EXPORT vqp_status vqpipe_convert(vqpipe_context *ctx, const char *src, const char *dst,
                                     const struct vqpipe_convert_params *params, struct vqp_error *err);

/* ---- looking inside --------------------------------------------------------------------------------------------- */

/* Every plugin file that the search met, in search order. */
struct vqpipe_plugin_info {
    uint32_t struct_size;
    vqp_status status;               /* VQP_OK: usable */
    const char *path, *reason;       /* reason: why it was refused, or which file shadows it */
    const struct vqp_plugin *plugin; /* NULL where refused */
    uint32_t shadowed;
    uint32_t
        doubled; /* 1: using it fails, as its id or a component's name is also that of another file; reason names it */
};
VQP_EXPORT void vqpipe_each_plugin(vqpipe_context *ctx, void (*each)(void *user, const struct vqpipe_plugin_info *info),
                                   void *user);
/* A device of one backend, or a backend that has none to tell of. Strings are valid during the call. */
struct vqpipe_device {
    uint32_t struct_size, index; /* what --backend NAME:INDEX takes */
    uint32_t usable, is_host;
    const char *backend;                            /* the component's name */
    const char *name, *driver, *uuid;               /* NULL where nothing is told */
    const char *reason;                             /* why it is not usable; NULL */
    uint64_t memory_bytes, max_buffer_bytes, spare; /* 0: unknown, unlimited */
};
/* Every device of every backend that can be used, and each backend without a device once, with the reason. */
VQP_EXPORT void vqpipe_each_device(vqpipe_context *ctx, void (*each)(void *user, const struct vqpipe_device *device),
                                   void *user);
/* The folders searched, in order; NULL past the end. */
VQP_EXPORT const char *vqpipe_plugin_dir(vqpipe_context *ctx, uint32_t i);
/* The component of that name, NULL where there is none. */
VQP_EXPORT const struct vqp_component *vqpipe_find_component(vqpipe_context *ctx, const char *name);
/* [any-thread] A commented descriptor for the model in the folder `dir`, as text to f. */
VQP_EXPORT vqp_status vqpipe_describe_model(const char *dir, FILE *f, struct vqp_error *err);
/* What the pipeline would do: every effective key with its value and where it comes from, one line each. */
VQP_EXPORT vqp_status vqpipe_print_settings(vqpipe *pipe, FILE *f, struct vqp_error *err);
/* The effective value of one key as text ("run.steps" -> "100"), owned by the pipeline until the next call; NULL if unknown. */
VQP_EXPORT const char *vqpipe_get(vqpipe *pipe, const char *key);
/* The three programs as text: pieces, values, ops, memory, bytes that cross between backends. Loads the pipeline. */
VQP_EXPORT vqp_status vqpipe_print_programs(vqpipe *pipe, FILE *f, struct vqp_error *err);
/* Components, grid, codes, devices and files in use, one line each. Loads the pipeline. */
VQP_EXPORT vqp_status vqpipe_print_summary(vqpipe *pipe, FILE *f, struct vqp_error *err);
/* Settings and summary as one JSON object in one line: {"name","file","settings":[{"key","value","origin"}],"components":[{"interface","use",
 * "backend","precision","files"}],"backends":[{"use","precision","device"}],"grid":{...},"run":{...}}. Loads the pipeline. */
VQP_EXPORT vqp_status vqpipe_print_json(vqpipe *pipe, FILE *f, struct vqp_error *err);

#ifdef __cplusplus
}
#endif
#endif
