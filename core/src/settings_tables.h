/* Core's own sections of a descriptor, as option tables like any component's. */
#ifndef VQP_SETTINGS_TABLES_H
#define VQP_SETTINGS_TABLES_H
#include <vqpipe/plugin.h>

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
    const char *latents, *pin;
    int64_t start_step;
};
struct vqp_output_settings {
    const char *path;
    int32_t metadata;
    int64_t scale;
};

extern const struct vqp_option vqp_run_options[], vqp_output_options[];

#endif
