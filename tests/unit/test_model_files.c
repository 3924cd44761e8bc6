#include "check.h"
#include "model_files.h"
#include "scratch.h"

static void touch(const char *dir, const char *name)
{
    char path[256];
    mkdir(scratch(dir), 0755);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    scratch_write(path, "x", 1);
}

static void write_index(const char *dir, const char *name, const char *text)
{
    char path[256];
    mkdir(scratch(dir), 0755);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    scratch_write(path, text, strlen(text));
}

static void takes(const char *dir, const char *variant, const char *name)
{
    struct vqp_model_files f;
    struct vqp_error err = {0};
    char want[4200];
    vqp_status status = vqp_model_files_choose(scratch(dir), variant, &f, &err);
    CU_ASSERT_EQUAL(status, VQP_OK);
    if (status) {
        printf("\n    %s\n", err.msg);
        return;
    }
    snprintf(want, sizeof want, "%s/%s", scratch(dir), name);
    CU_ASSERT_EQUAL(f.n, 1);
    CU_ASSERT_STRING_EQUAL(f.path[0], want);
    CU_ASSERT_STRING_EQUAL(f.shown, want);
    vqp_model_files_free(&f);
}

static void refused(const char *dir, const char *variant, vqp_status code, const char *part)
{
    struct vqp_model_files f;
    struct vqp_error err = {0};
    CU_ASSERT_EQUAL(vqp_model_files_choose(scratch(dir), variant, &f, &err), code);
    CHECK_STR_HAS(err.msg, part);
    CU_ASSERT_PTR_NULL(f.path);
}

/* Each one more file that stands before those there already. */
static void order(void)
{
    static const char *const worst_first[] = {"pytorch_model.fp16.bin",
                                              "diffusion_pytorch_model.fp16.bin",
                                              "pytorch_model.bin",
                                              "model.bin",
                                              "diffusion_pytorch_model.bin",
                                              "model.fp16.safetensors",
                                              "diffusion_pytorch_model.fp16.safetensors",
                                              "model.safetensors",
                                              "diffusion_pytorch_model.safetensors"};
    touch("order", "config.json");
    touch("order", "flax_model.msgpack");
    refused("order", NULL, VQP_E_IO, "holds no weights");
    for (size_t i = 0; i < sizeof worst_first / sizeof *worst_first; i++) {
        touch("order", worst_first[i]);
        takes("order", NULL, worst_first[i]);
        takes("order", "", worst_first[i]);
    }
    CU_ASSERT_EQUAL(remove(scratch("order/diffusion_pytorch_model.safetensors")), 0);
    CU_ASSERT_EQUAL(symlink("/nonexistent/file", scratch("order/diffusion_pytorch_model.safetensors")), 0);
    takes("order", NULL, "diffusion_pytorch_model.safetensors"); /* a link to nowhere is no absent file */
}

static void variants(void)
{
    touch("variants", "diffusion_pytorch_model.safetensors");
    touch("variants", "diffusion_pytorch_model.fp16.bin");
    touch("variants", "model.ema.bin");
    takes("variants", NULL, "diffusion_pytorch_model.safetensors");
    takes("variants", "fp16", "diffusion_pytorch_model.fp16.bin");
    takes("variants", "ema", "model.ema.bin");
    touch("variants", "diffusion_pytorch_model.fp16.safetensors");
    takes("variants", "fp16", "diffusion_pytorch_model.fp16.safetensors");
    refused("variants", "bf16", VQP_E_IO, "no file of the variant 'bf16'");
    refused("variants", "../x", VQP_E_ARG, "variant '../x' is none");
    refused("variants", "a%sb", VQP_E_ARG, "is none");
    refused("nowhere", "fp16", VQP_E_IO, "No such file");
}

static void index_of_shards(void)
{
    struct vqp_model_files f;
    struct vqp_error err = {0};
    static const char map[] =
        "{\"metadata\":{\"total_size\":9},\"weight_map\":{\"a\":\"m-00001-of-00002.safetensors\",\"b\":"
        "\"m-00002-of-00002.safetensors\",\"c\":\"m-00001-of-00002.safetensors\"}}";
    write_index("shards", "diffusion_pytorch_model.safetensors.index.json", map);
    touch("shards", "diffusion_pytorch_model.fp16.safetensors");
    CU_ASSERT_EQUAL_FATAL(vqp_model_files_choose(scratch("shards"), NULL, &f, &err), VQP_OK);
    CU_ASSERT_EQUAL_FATAL(f.n, 2);
    CHECK_STR_HAS(f.shown, "shards/diffusion_pytorch_model.safetensors.index.json");
    CHECK_STR_HAS(f.path[0], "shards/m-00001-of-00002.safetensors");
    CHECK_STR_HAS(f.path[1], "shards/m-00002-of-00002.safetensors");
    CU_ASSERT_EQUAL_FATAL(f.n_indexed, 3);
    CU_ASSERT_STRING_EQUAL(f.tensor[2], "c");
    CU_ASSERT(f.in_file[0] == 0 && f.in_file[1] == 1 && f.in_file[2] == 0);
    vqp_model_files_free(&f);
    takes("shards", "fp16", "diffusion_pytorch_model.fp16.safetensors");
    touch("shards", "model.safetensors"); /* stands before any index */
    takes("shards", NULL, "model.safetensors");
}

/* Row 25. */
static void bad_index(void)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "tensor \"a\" is said to be in another folder"},
        {"{\"weight_map\":{\"a\":\"../x.safetensors\"}}", "another folder"},
        {"{\"weight_map\":{\"a\":\"b/x.safetensors\"}}", "another folder"},
        {"{\"weight_map\":{\"a\":\"..\"}}", "another folder"},
        {"{\"weight_map\":{\"a\":\"\"}}", "another folder"},
        {"{\"weight_map\":{\"a\":3}}", "in no file"},
        {"{\"weight_map\":{}}", "\"weight_map\" is missing or empty"},
        {"{\"weight_map\":[]}", "\"weight_map\" is missing or empty"},
        {"{}", "\"weight_map\" is missing or empty"},
        {"[]", "is not a JSON object"},
        {"{\"weight_map\":{\"a\":\"x\",\"a\":\"y\"}}", "index.json:1:"},
        {"", "index.json:1:1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        write_index("bad", "model.safetensors.index.json", rows[i].text);
        refused("bad", NULL, VQP_E_FORMAT, rows[i].says);
    }
    char *many = malloc(1 << 20), *at = many;
    at += sprintf(at, "{\"weight_map\":{");
    for (int i = 0; i < 300; i++)
        at += sprintf(at, "%s\"t%d\":\"f%d\"", i ? "," : "", i, i);
    sprintf(at, "}}");
    write_index("bad", "model.safetensors.index.json", many);
    free(many);
    refused("bad", NULL, VQP_E_FORMAT, "names more than 256 files");
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"takes safetensors before PyTorch files, full precision before half", order},
        {"takes a variant where it is asked to", variants},
        {"lists the shards of an index", index_of_shards},
        {"refuses an index that leads out of the folder, or nowhere", bad_index},
    };
    scratch_begin();
    return RUN_CASES("model_files", cases);
}
