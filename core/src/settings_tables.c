#include "settings_tables.h"

const struct vqp_option vqp_run_options[] = {
    VQP_OPT(struct vqp_run_settings, prompt, .type = VQP_OPT_STRINGS, .help = "the sentence, or a list of them"),
    VQP_OPT(struct vqp_run_settings, negative_prompt, .type = VQP_OPT_STRING,
            .help = "guide away from this instead of the model's learned null text"),
    VQP_OPT(struct vqp_run_settings, steps, .type = VQP_OPT_INT, .def = "100", .min = 1, .max = 100000,
            .help = "denoising steps, 1 to the model's timesteps"),
    VQP_OPT(struct vqp_run_settings, guidance_scale, .type = VQP_OPT_FLOAT, .def = "5.0", .min = 0, .max = 1e4,
            .help = "classifier-free guidance; on above 1"),
    VQP_OPT(struct vqp_run_settings, truncation_rate, .type = VQP_OPT_FLOAT, .def = "1.0", .min = 0, .max = 1,
            .help = "keep the likeliest codes up to this probability"),
    VQP_OPT(struct vqp_run_settings, images_per_prompt, .type = VQP_OPT_INT, .def = "1", .min = 1, .max = 1024,
            .help = "pictures per prompt"),
    VQP_OPT(struct vqp_run_settings, batch_size, .type = VQP_OPT_INT, .def = "4", .min = 1, .max = 1024,
            .help = "pictures computed together (rng philox)"),
    VQP_OPT(struct vqp_run_settings, seed, .type = VQP_OPT_STRINGS, .def = "0",
            .help = "0 to 2^64-1 (picture k takes seed+k), a list with one for each picture, or random"),
    VQP_OPT(struct vqp_run_settings, rng, .type = VQP_OPT_CHOICE, .def = "philox", .choices = "philox|torch-cpu",
            .help = "philox: each picture its own stream; torch-cpu: the reference pipeline's draws"),
    VQP_OPT(struct vqp_run_settings, latents, .type = VQP_OPT_PATH,
            .help = "start from these token ids: int32 .npy, [images, tokens]"),
    VQP_OPT(struct vqp_run_settings, strict, .type = VQP_OPT_BOOL, .def = "false",
            .help = "refuse tensors that nothing uses"),
    VQP_OPT(struct vqp_run_settings, allow_nonfinite, .type = VQP_OPT_BOOL, .def = "false",
            .help = "accept NaN and infinity in weights"),
    {0},
};

const struct vqp_option vqp_output_options[] = {
    VQP_OPT(struct vqp_output_settings, path, .type = VQP_OPT_STRING, .def = "vqpipe-{index}.png",
            .help = ".png, .npy or .ids.npy, relative to the current directory; {index} and {seed} are replaced"),
    VQP_OPT(struct vqp_output_settings, metadata, .type = VQP_OPT_BOOL, .def = "true",
            .help = "record prompt, seed and settings in PNG files"),
    {0},
};
