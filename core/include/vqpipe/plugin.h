/* What a plugin exports: one read-only table of components, and for each component a table of its options.
 *
 * A plugin is a .so that exports exactly one symbol, `vqp_plugin_v1`, and imports nothing from vqpipe: everything it
 * needs from its host comes through `struct vqp_host`. It is opened with RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE and never
 * unloaded; it has no init or exit function, no ELF constructors and no globals that change. */
#ifndef VQPIPE_PLUGIN_H
#define VQPIPE_PLUGIN_H
#include "base.h"
#ifdef __cplusplus
extern "C" {
#endif

struct vqp_host;
struct vqp_tokenizer_vtbl;
struct vqp_text_encoder_vtbl;
struct vqp_denoiser_vtbl;
struct vqp_scheduler_vtbl;
struct vqp_vq_decoder_vtbl;
struct vqp_backend_vtbl;

enum {
    VQP_IFACE_TOKENIZER = 1,
    VQP_IFACE_TEXT_ENCODER,
    VQP_IFACE_DENOISER,
    VQP_IFACE_SCHEDULER,
    VQP_IFACE_VQ_DECODER,
    VQP_IFACE_BACKEND
};

/* How an option is stored in the component's options struct. */
enum {
    VQP_OPT_INT = 1, /* int64_t */
    VQP_OPT_FLOAT,   /* double */
    VQP_OPT_BOOL,    /* int32_t, 0 or 1; `true` and `false` alone are accepted */
    VQP_OPT_STRING,  /* const char *, owned by the host, lives as long as the instance; NULL if absent */
    VQP_OPT_PATH,    /* the same; absolute */
    VQP_OPT_CHOICE,  /* int32_t, index into choices */
    VQP_OPT_INTS,    /* struct vqp_list of int64_t */
    VQP_OPT_STRINGS, /* struct vqp_list of const char * */
};
enum {
    VQP_OPT_REQUIRED = 1u << 0, /* absent everywhere: refused */
    VQP_OPT_CONFIG = 1u << 1,   /* also read from the model's config file; the descriptor wins */
};
struct vqp_list {
    uint32_t n, reserved;
    const void *items;
};

/* One YAML key of a component. The host parses, range-checks and stores it into the options struct, refuses unknown keys
 * with line and column, and prints this table for `vqpipe inspect NAME`. Frozen for ABI major 1.
 *
 * VQP_OPT_CONFIG reads the key of the same name from `config.json` (or the folder's one `*_config.json`) in the
 * component's `path`. `config` changes that: "KEY" reads another key, "OPTION:KEY" reads KEY from the config file in the
 * folder that the PATH option OPTION names. A JSON null counts as absent. */
struct vqp_option {
    const char *name;
    uint32_t offset, type, flags, reserved;
    double min, max;     /* inclusive; ignored when equal */
    const char *def;     /* in YAML's spelling; NULL: 0, "", or empty */
    const char *choices; /* CHOICE: "strided|diffusers|sample-fast" */
    const char *help;    /* one line, with the unit */
    const char *config;
    uint64_t spare;
};
#define VQP_OPT(S, field, ...)                                                                                         \
    {                                                                                                                  \
        .name = #field, .offset = (uint32_t)offsetof(S, field), __VA_ARGS__                                            \
    }

struct vqp_create_args {
    uint32_t struct_size, reserved;
    const struct vqp_host *host; /* outlives the instance */
    const char *instance;        /* key in the descriptor, for messages: "denoiser" */
    const char *plugin_path;     /* absolute path of this .so, to find files beside it */
    const char *path;            /* `path:` of this component, absolute; NULL where the descriptor gives none */
    const char *precision;       /* "f32", "f16", "bf16": a backend refuses by name what it lacks */
    const char *device;          /* `device:`; NULL: the backend chooses */
    const void *opts;            /* opts_size bytes, already validated; copy what you keep, strings stay valid */
};

struct vqp_component {
    uint32_t struct_size, iface;
    const char *name, *summary; /* `use: clip-bpe` */
    uint32_t opts_size, reserved;
    const struct vqp_option *opts; /* ends with name == NULL; may be NULL */
    /* [any-thread] On failure write *err, leave *self alone, hold nothing. */
    vqp_status (*create)(const struct vqp_create_args *args, void **self, struct vqp_error *err);
    /* [pipeline-thread] Accepts NULL. */
    void (*destroy)(void *self);
    union { /* typed, so a wrong table is a compile error */
        const struct vqp_tokenizer_vtbl *tokenizer;
        const struct vqp_text_encoder_vtbl *text_encoder;
        const struct vqp_denoiser_vtbl *denoiser;
        const struct vqp_scheduler_vtbl *scheduler;
        const struct vqp_vq_decoder_vtbl *vq_decoder;
        const struct vqp_backend_vtbl *backend;
    } v;
};

/* The only exported symbol. Read-only data: the host checks it before running any plugin code. */
struct vqp_plugin {
    uint32_t struct_size, abi_minor;
    const char *id, *version, *license;            /* "org.vqpipe.cpu", "1.0.0", SPDX */
    const struct vqp_component *const *components; /* NULL-terminated */
};
#define VQP_PLUGIN_SYMBOL "vqp_plugin_v1"
/* VQP_PLUGIN(.id = "org.example.mine", .version = "1.0.0", .license = "MIT", .components = list); fills in the size and
 * the ABI minor version, so that an author cannot mis-state them. */
#define VQP_PLUGIN(...)                                                                                                \
    VQP_EXPORT extern const struct vqp_plugin vqp_plugin_v1;                                                           \
    const struct vqp_plugin vqp_plugin_v1 = {                                                                          \
        .struct_size = sizeof(struct vqp_plugin), .abi_minor = VQP_ABI_MINOR, __VA_ARGS__}

#ifdef __cplusplus
}
#endif
#endif
