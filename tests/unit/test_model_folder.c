#include "check.h"
#include "model_folder.h"
#include "scratch.h"

static void file(const char *path, const char *text)
{
    scratch_write(path, text, strlen(text));
}

/* A folder with every part, as diffusers writes it. */
static void make(const char *name)
{
    static const char *const parts[] = {"transformer", "vqvae",     "text_encoder",
                                        "tokenizer",   "scheduler", "learned_classifier_free_sampling_embeddings"};
    char path[256];
    mkdir(scratch(name), 0755);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        snprintf(path, sizeof path, "%s/%s", name, parts[i]);
        mkdir(scratch(path), 0755);
        snprintf(path, sizeof path, "%s/%s/%s", name, parts[i],
                 i == 3   ? "tokenizer_config.json"
                 : i == 4 ? "scheduler_config.json"
                          : "config.json");
        file(path, i == 0
                       ? "{\"num_vector_embeds\":4097,\"num_embeds_ada_norm\":50,\"sample_size\":32,\"num_layers\":36}"
                   : i == 2 ? "{\"max_position_embeddings\":77}"
                   : i == 3 ? "{\"model_max_length\":77}"
                   : i == 4 ? "{\"num_vec_classes\":4097,\"num_train_timesteps\":50}"
                            : "{}");
    }
    snprintf(path, sizeof path, "%s/model_index.json", name);
    file(path, "{\"_class_name\":\"VQDiffusionPipeline\"}");
}

static void describes(const char *name, const char *part, int has)
{
    struct vqp_model_folder m;
    struct vqp_error err = {0};
    vqp_status status = vqp_model_folder_read(scratch(name), &m, &err);
    CU_ASSERT_EQUAL(status, VQP_OK);
    if (status) {
        printf("\n    %s\n", err.msg);
        return;
    }
    if (has)
        CHECK_STR_HAS(m.descriptor, part);
    else
        CU_ASSERT_PTR_NULL(strstr(m.descriptor, part));
    vqp_model_folder_free(&m);
}

static void refused(const char *name, vqp_status code, const char *part)
{
    struct vqp_model_folder m;
    struct vqp_error err = {0};
    CU_ASSERT_EQUAL(vqp_model_folder_read(scratch(name), &m, &err), code);
    CHECK_STR_HAS(err.msg, part);
}

static void whole(void)
{
    struct vqp_model_folder m;
    struct vqp_error err = {0};
    make("whole");
    CU_ASSERT_EQUAL_FATAL(vqp_model_folder_read(scratch("whole"), &m, &err), VQP_OK);
    CU_ASSERT_EQUAL(m.n_parts, 6);
    CU_ASSERT_STRING_EQUAL(m.part[2].weights, "model.safetensors");
    CU_ASSERT_PTR_NULL(m.part[3].weights);
    CHECK_STR_HAS(m.part[0].path, "whole/transformer");
    vqp_model_folder_free(&m);
    describes("whole", "32 x 32 tokens, 4096 codes, 36 layers", 1);
    describes("whole", "null_path: learned_classifier_free_sampling_embeddings }", 1);
    describes("whole", "steps: 50\n", 1);
    describes("whole", "model_max_length", 0);
    describes("whole", "num_vec_classes", 0);
    describes("whole", "name: \"whole\"\n", 1);
    CU_ASSERT_EQUAL(remove(scratch("whole/model_index.json")), 0);
    describes("whole", "use: vqgan, path: vqvae", 1); /* it is not needed */
}

/* Keys that configs lack are taken from the others. */
static void missing_keys(void)
{
    make("keys");
    file("keys/tokenizer/tokenizer_config.json", "{\"model_max_length\":1000000000000000019884624838656}");
    describes("keys", "path: tokenizer, model_max_length: 77 }", 1);
    file("keys/tokenizer/tokenizer_config.json", "{\"model_max_length\":1000000000000000000}");
    describes("keys", "path: tokenizer, model_max_length: 77 }", 1);
    CU_ASSERT_EQUAL(remove(scratch("keys/tokenizer/tokenizer_config.json")), 0);
    describes("keys", "path: tokenizer, model_max_length: 77 }", 1);
    file("keys/scheduler/scheduler_config.json", "{}");
    describes("keys", "path: scheduler, num_vec_classes: 4097, num_train_timesteps: 50 }", 1);
    CU_ASSERT_EQUAL(remove(scratch("keys/scheduler/scheduler_config.json")), 0);
    CU_ASSERT_EQUAL(rmdir(scratch("keys/scheduler")), 0);
    describes("keys", "{ use: vq-diffusion, num_vec_classes: 4097, num_train_timesteps: 50 }", 1);
    CU_ASSERT_EQUAL(remove(scratch("keys/learned_classifier_free_sampling_embeddings/config.json")), 0);
    CU_ASSERT_EQUAL(rmdir(scratch("keys/learned_classifier_free_sampling_embeddings")), 0);
    describes("keys", "null_path", 0);
    describes("keys", "no learned null text here", 1);
}

static void strange_names(void)
{
    make("it's \"a\" \\ # {model}: x");
    describes("it's \"a\" \\ # {model}: x", "name: \"it's \\\"a\\\" \\\\ # {model}: x\"\n", 1);
    make("a\nb");
    describes("a\nb", "name: \"a\\x0Ab\"\n", 1);
    make("latin-\xE4");
    refused("latin-\xE4", VQP_E_ARG, "not UTF-8");
}

static void not_a_model(void)
{
    refused("nowhere", VQP_E_ARG, "No such file");
    mkdir(scratch("hollow"), 0755);
    refused("hollow", VQP_E_ARG, "a directory without a model");
    make("other");
    file("other/model_index.json", "{\"_class_name\":\"StableDiffusionPipeline\"}");
    refused("other", VQP_E_FORMAT, "is a model of StableDiffusionPipeline");
    file("other/model_index.json", "{");
    refused("other", VQP_E_FORMAT, "model_index.json:1:");
    file("other/model_index.json", "{}");
    CU_ASSERT_EQUAL(remove(scratch("other/vqvae/config.json")), 0);
    describes("other", "path: vqvae", 1); /* the component will say what it misses */
    CU_ASSERT_EQUAL(rmdir(scratch("other/vqvae")), 0);
    refused("other", VQP_E_IO, "has no folder 'vqvae'");
    file("other/vqvae", "a file");
    refused("other", VQP_E_IO, "has no folder 'vqvae'");
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"describes a VQ-Diffusion folder", whole},
        {"takes keys that a config lacks from the others", missing_keys},
        {"quotes whatever stands in a path", strange_names},
        {"says what is missing, or that it is no model", not_a_model},
    };
    scratch_begin();
    return RUN_CASES("model_folder", cases);
}
