/* A pipeline put together: plugins found, components and backends created, weights opened, the fit of all checked. */
#ifndef VQP_ASSEMBLY_H
#define VQP_ASSEMBLY_H
#include "context.h"
#include "settings.h"

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
    const char *key, *use, *path, *variant; /* variant: NULL where none is asked for */
    void *self, *opts;
    struct vqp_backend_instance *backend;
    struct vqp_folder folder[VQP_MAX_FOLDERS];
    uint32_t n_folders;
};

struct vqp_assembly {
    struct vqpipe_context *ctx;
    const struct vqp_pipe_host *host;
    const struct vqp_source *src;
    struct vqp_settings settings; /* core's sections; read anew by refresh */
    struct vqp_settings parts;    /* what components and backends were given: arena and list alone */
    struct vqp_instance component[VQP_N_COMPONENTS];
    struct vqp_backend_instance *backends;
    uint32_t n_backends;
    const char *chosen;      /* what `auto` became; NULL: not asked yet */
    uint32_t context_length; /* L; 0 without text */
    struct vqp_text_encoder_info text;
    struct vqp_denoiser_info denoiser;
    struct vqp_vq_decoder_info decoder;
    uint32_t n_images; /* B of the whole run */
    uint32_t n_tokens, guided, encode_negative,
        truncates; /* guided: guidance_scale > 1 and the denoiser is conditioned */
    struct vqp_eval *evals;
    uint32_t n_evals, first_eval; /* those before first_eval are not run: run.start_step */
};
/* Everything that can be known before a program is recorded. */
vqp_status vqp_assembly_create(struct vqpipe_context *ctx, const struct vqp_pipe_host *host,
                               const struct vqp_source *src, struct vqp_assembly **out, struct vqp_error *err);
/* Takes over changed keys of run and output. After a failure only destroy is allowed. */
vqp_status vqp_assembly_refresh(struct vqp_assembly *a, struct vqp_error *err);
void vqp_assembly_destroy(struct vqp_assembly *a);
/* The backend NAME[:DEVICE], created where no component uses it yet; it lives as long as the assembly. */
vqp_status vqp_assembly_backend(struct vqp_assembly *a, const char *text, const char *precision,
                                struct vqp_backend_instance **out, struct vqp_error *err);
static inline struct vqp_instance *vqp_component_of(struct vqp_assembly *a, uint32_t iface)
{
    return &a->component[iface - 1];
}
/* A tensor of a component: name or "OPTION:NAME"; marks it used. */
vqp_status vqp_assembly_weight(struct vqp_assembly *a, const char *owner, const char *name, struct vqp_tensor_view *out,
                               struct vqp_error *err);
int32_t vqp_assembly_has_weight(struct vqp_assembly *a, const char *owner, const char *name);
/* Tensors of its folders that nothing asked for; the first one's name into *first. Those of a type that nothing can use, such as the int64
 * positions in older CLIP files, do not count. */
uint32_t vqp_assembly_unused(const struct vqp_instance *i, const char **first);

#endif
