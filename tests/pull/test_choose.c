#include "check.h"
#include "hub/hub.h"

/* "a b c": the names wanted among these, in order. */
static void check(const char *variant, const char *names, const char *wanted)
{
    char all[1024], got[1024] = "", *save = NULL;
    struct hub_file files[32] = {0};
    struct hub_listing l = {.files = files};
    snprintf(all, sizeof all, "%s", names);
    for (char *w = strtok_r(all, " ", &save); w; w = strtok_r(NULL, " ", &save))
        files[l.n++].name = w;
    hub_choose(&l, variant);
    for (size_t i = 0; i < l.n; i++)
        if (files[i].wanted)
            snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", got[0] ? " " : "", files[i].name);
    if (strcmp(got, wanted))
        printf("\n    of %s\n    got      %s\n    expected %s\n", names, got, wanted);
    CU_ASSERT_STRING_EQUAL(got, wanted);
}

static void takes_the_first_kind_of_each_folder(void)
{
    check(NULL,
          "model_index.json t/diffusion_pytorch_model.bin t/diffusion_pytorch_model.safetensors e/pytorch_model.bin",
          "model_index.json t/diffusion_pytorch_model.safetensors e/pytorch_model.bin");
    check(NULL, "model_index.json t/model.fp16.safetensors t/pytorch_model.bin",
          "model_index.json t/model.fp16.safetensors");
    check(NULL, "model_index.json t/model.fp16.bin t/model.bin", "model_index.json t/model.bin");
    check(NULL, "model_index.json t/model.ema.safetensors t/model.fp16.bin", "model_index.json t/model.fp16.bin");
}

static void takes_all_shards_and_their_index(void)
{
    check(NULL,
          "model_index.json t/model-00001-of-00002.safetensors t/model-00002-of-00002.safetensors "
          "t/model.safetensors.index.json "
          "t/model.fp16.safetensors t/pytorch_model.bin",
          "model_index.json t/model-00001-of-00002.safetensors t/model-00002-of-00002.safetensors "
          "t/model.safetensors.index.json");
    check(NULL,
          "model_index.json t/model-00001-of-00001.safetensors t/model.safetensors.index.json t/model.safetensors",
          "model_index.json t/model.safetensors");
    check("fp16",
          "model_index.json t/model.fp16-00001-of-00001.safetensors t/model.safetensors.index.fp16.json "
          "t/model.safetensors",
          "model_index.json t/model.fp16-00001-of-00001.safetensors t/model.safetensors.index.fp16.json");
}

static void takes_the_variant_where_a_folder_has_it(void)
{
    check("fp16", "model_index.json t/model.safetensors t/model.fp16.bin t/model.fp16.safetensors v/model.bin",
          "model_index.json t/model.fp16.safetensors v/model.bin");
    check("ema", "model_index.json t/model.safetensors t/model.ema.bin", "model_index.json t/model.ema.bin");
}

static void takes_every_checkpoint_where_there_is_no_pipeline(void)
{
    check(NULL, "README.md config.yaml ithq_learnable.pth ithq_vqvae.pth sample.png",
          "config.yaml ithq_learnable.pth ithq_vqvae.pth");
}

static void leaves_pictures_and_single_files_of_a_pipeline(void)
{
    check(NULL, "model_index.json old.ckpt sample.png t/merges.txt t/vocab.json .gitattributes",
          "model_index.json t/merges.txt t/vocab.json");
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"takes the first kind of weights of each folder", takes_the_first_kind_of_each_folder},
        {"takes all shards and their index", takes_all_shards_and_their_index},
        {"takes the variant where a folder has it", takes_the_variant_where_a_folder_has_it},
        {"takes every checkpoint where there is no pipeline", takes_every_checkpoint_where_there_is_no_pipeline},
        {"leaves pictures and single files of a pipeline", leaves_pictures_and_single_files_of_a_pipeline},
    };
    return RUN_CASES("pull: what is wanted", cases);
}
