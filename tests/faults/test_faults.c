/* What the command line does with bad inputs: the exit code, one sentence that names the culprit, and nothing left behind.
 *
 * A row is a few lines of shell, run in a scratch folder of its own with an empty out/. There p.yaml is a pipeline on a tiny
 * model; $V is the command line, $R runs p.yaml for two steps, `copy` makes a copy m of the model and points p.yaml at it. */
#include "../unit/torch_file.h"
#include "check.h"
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EVIL VQP_BUILD_DIR "/tests/evil.bin"

struct row {
    const char *what, *shell;
    int code;
    const char *says; /* part of the one line on stderr; NULL: stderr does not matter */
};

static const char prelude[] =
    "V='" VQP_BUILD_DIR "/bin/vqpipe'; S='" VQP_SOURCE_DIR
    "'; M=$S/tests/golden/models/tiny; T=$S/models/postcards/tokenizer\n"
    "R=\"$V run p.yaml -q --steps 2 -o out/x.png\"; W=m/transformer/diffusion_pytorch_model.safetensors\n"
    "B=m/transformer/diffusion_pytorch_model.bin; D=$S/tests/unit/samples\n"
    "yaml() { cat > p.yaml <<END\n"
    "vqpipe: 1\n"
    "model: $1\n"
    "backend: { use: reference }\n"
    "components:\n"
    "  tokenizer: { use: clip-bpe, path: $T }\n"
    "  text_encoder: { use: clip-text, path: text_encoder, null_path: learned_classifier_free_sampling_embeddings }\n"
    "  denoiser: { use: vq-diffusion-transformer, path: transformer }\n"
    "  scheduler: { use: vq-diffusion, path: scheduler }\n"
    "  vq_decoder: { use: vqgan, path: vqvae }\n"
    "run: { prompt: a house, steps: 2 }\n"
    "END\n"
    "}\n"
    "copy() { cp -rL $M m; chmod -R u+w m; yaml m; }\n"
    /* a safetensors file of one header, padded by $2 bytes of data */
    "header() { printf \"\\\\$(printf %03o $((${#1} % 256)))\\\\$(printf %03o $((${#1} / "
    "256)))\\\\0\\\\0\\\\0\\\\0\\\\0\\\\0%s\" \"$1\" > $W; "
    "head -c $2 /dev/zero >> $W; }\n"
    "spare() { W=m/learned_classifier_free_sampling_embeddings/diffusion_pytorch_model.safetensors; header "
    "'{\"embeddings\":{\"dtype\":\"F32\",\"shape\":[64,32],\"data_offsets\":[0,8192]},\"spare\":{\"dtype\":\"F32\","
    "\"shape\":[1],\"data_offsets\":[8192,8196]}}' 8196; }\n"
    /* the command that draws $1 again, run by a shell; then $2 (again.png) is compared with it */
    "again() { $V inspect \"$1\" | sed -n '/^vqpipe run /,$p' > again.sh && PATH=${V%/*}:$PATH ${3:-sh} again.sh "
    ">drawn 2>said && cmp \"$1\" ${2:-again.png}; }\n"
    "replace() { sed -i \"s/$1/$2/\" $3; }\n"
    "yaml $M; mkdir out\n";

static char *slurp(const char *path, size_t *lines)
{
    static char text[16384];
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f)
        fclose(f);
    text[n] = 0;
    *lines = 0;
    for (size_t i = 0; i < n; i++)
        *lines += text[i] == '\n';
    return text;
}

static int count(const char *shell)
{
    FILE *f = popen(shell, "r");
    int n = -1;
    if (f && fscanf(f, "%d", &n) != 1)
        n = -1;
    if (f)
        pclose(f);
    return n;
}

static void run_row(const struct row *row)
{
    char dir[] = "/tmp/vqp-fault-XXXXXX", command[8192];
    size_t lines;
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    CU_ASSERT_EQUAL_FATAL(chdir(dir), 0);
    FILE *f = fopen("row.sh", "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fprintf(f, "%s%s\n", prelude, row->shell);
    fclose(f);
    int status = system("timeout 60 bash row.sh >stdout 2>stderr </dev/null");
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + status;
    const char *said = slurp("stderr", &lines);
    if (code == 77 && strstr(said, "SKIPPED")) {
        printf("SKIPPED: %s: %s\n", row->what, said);
    } else {
        int one_line = code == 0 || lines == 1 || !row->says;
        int says = !row->says || strstr(said, row->says);
        int left = count(code ? "find out -type f | wc -l" : "find . -name '*.tmp.*' | wc -l");
        if (code != row->code || !one_line || !says || left)
            printf("\n    %s: exit %d (expected %d), %d files left, said:\n%s    expected: %s\n", row->what, code,
                   row->code, left, said, row->says ? row->says : "");
        CU_ASSERT_EQUAL(code, row->code);
        CU_ASSERT_TRUE(one_line);
        CU_ASSERT_TRUE(says);
        CU_ASSERT_EQUAL(left, 0);
    }
    CU_ASSERT_EQUAL(chdir("/"), 0);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    CU_ASSERT_EQUAL(system(command), 0);
}

#define RUN_ROWS(rows)                                                                                                 \
    for (size_t i_ = 0; i_ < sizeof(rows) / sizeof *(rows); i_++)                                                      \
    run_row(&(rows)[i_])

static void model_files(void)
{
    static const struct row rows[] = {
        {"a sound model", "$R", 0, NULL},
        {"no model folder", "yaml /nowhere/at/all; $R", 3, "/nowhere/at/all"},
        {"1 weights missing", "copy; rm $W; $R", 3, "transformer"},
        {"1 weights empty", "copy; : > $W; $R", 3, "diffusion_pytorch_model.safetensors"},
        {"1 weights a folder", "copy; rm $W; mkdir $W; $R", 3, "diffusion_pytorch_model.safetensors"},
        {"1 weights a FIFO", "copy; rm $W; mkfifo $W; $R", 3, "diffusion_pytorch_model.safetensors"},
        {"2 shorter than 8 bytes", "copy; printf abc > $W; $R", 3, "diffusion_pytorch_model.safetensors"},
        {"3 header longer than the file", "copy; printf '\\377\\377\\0\\0\\0\\0\\0\\0{}' > $W; $R", 3, "65535"},
        {"4 header of 2^63", "copy; printf '\\0\\0\\0\\0\\0\\0\\0\\200{}' > $W; $R", 3,
         "diffusion_pytorch_model.safetensors"},
        {"5 cut by one byte", "copy; truncate -s -1 $W; $R", 3, "diffusion_pytorch_model.safetensors"},
        {"5 cut in the header", "copy; truncate -s 100 $W; $R", 3, "diffusion_pytorch_model.safetensors"},
        {"6 header not JSON", "copy; header 'hello' 0; $R", 3, "diffusion_pytorch_model.safetensors"},
        {"8 duplicate tensor",
         "copy; header "
         "'{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"\\u0061\":{\"dtype\":\"F32\",\"shape\":[1]"
         ","
         "\"data_offsets\":[4,8]}}' 8; $R",
         3, "diffusion_pytorch_model.safetensors"},
        {"9 unknown dtype", "copy; header '{\"a\":{\"dtype\":\"F128\",\"shape\":[1],\"data_offsets\":[0,16]}}' 16; $R",
         3, "F128"},
        {"10 a dtype of no use",
         "copy; replace '\"norm_out.bias\":{\"dtype\":\"F32\"' '\"norm_out.bias\":{\"dtype\":\"I64\"' $W; $R", 3,
         "norm_out.bias"},
        {"11 shape overflows",
         "copy; header '{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}' 0; $R", 3,
         "tensor \"a\""},
        {"13 shape not whole numbers",
         "copy; header '{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]}}' 4; $R", 3, "tensor \"a\""},
        {"14 offsets the wrong way",
         "copy; header '{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}' 4; $R", 3, "tensor \"a\""},
        {"15 trailing bytes", "copy; printf x >> $W; $R", 3, "diffusion_pytorch_model.safetensors"},
        {"16 span at odds with shape",
         "copy; header '{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}' 4; $R", 3, "tensor \"a\""},
        {"19 another model's tensors", "copy; cp m/vqvae/diffusion_pytorch_model.safetensors $W; $R", 3, "transformer"},
        {"20 wrong shape",
         "copy; replace '\"cross_attention_dim\": 32' '\"cross_attention_dim\": 48' m/transformer/config.json; $R", 2,
         "48"},
        {"21 strict and all used", "$R --strict", 0, NULL},
        {"21 a tensor more than needed", "copy; spare; $V run p.yaml --steps 2 -o out/x.png", 0, "spare"},
        {"21 and strict", "copy; spare; $R --strict", 3, "spare"},
        {"10 a dtype of no use that nothing needs",
         "copy; spare; replace '\"spare\":{\"dtype\":\"F32\"' '\"spare\":{\"dtype\":\"U32\"' $W; $R --strict", 0, NULL},
        {"22 NaN in a weight",
         "copy; printf '\\377\\377\\377\\177' | dd of=$W bs=1 seek=$(($(stat -c %s $W) - 4)) conv=notrunc 2>/dev/null; "
         "$R",
         3, "NaN"},
        {"22 and 68, NaN let through is met at a step",
         "copy; printf '\\377\\377\\377\\177' | dd of=$W bs=1 seek=$(($(stat -c %s $W) - 4)) conv=notrunc 2>/dev/null; "
         "$R --allow-nonfinite",
         5, "step 0"},
        {"47 no config", "copy; rm m/transformer/config.json; $R", 3, "config.json"},
        {"46 no layers", "copy; replace '\"num_layers\": 2' '\"num_layers\": 0' m/transformer/config.json; $R", 3,
         "num_layers"},
        {"46 a million layers",
         "copy; replace '\"num_layers\": 2' '\"num_layers\": 1000000' m/transformer/config.json; $R", 3, "num_layers"},
        {"47 more layers than tensors",
         "copy; replace '\"num_layers\": 2' '\"num_layers\": 3' m/transformer/config.json; $R", 3,
         "transformer_blocks.2"},
        {"47 fewer layers than tensors",
         "copy; replace '\"num_layers\": 2' '\"num_layers\": 1' m/transformer/config.json; $R", 3, "num_layers"},
        {"48 no vocabulary", "cp -rL $T t; chmod -R u+w t; rm t/vocab.json; $R --set components.tokenizer.path=t", 3,
         "vocab.json"},
        {"48 a bad merge",
         "cp -rL $T t; chmod -R u+w t; printf 'a b c d\\n' >> t/merges.txt; $R --set components.tokenizer.path=t", 3,
         "merges.txt"},
    };
    RUN_ROWS(rows);
}

/* A PyTorch file that asks for a function to be called, and one with what a copy of it is short of. */
static void write_evil(void)
{
    static struct zip z;
    struct bytes p = {.n = 0};
    put(&p, "\x80\x02", 2);
    put_global(&p, "posix system");
    put_text(&p, "touch /tmp/vqp-fault-was-here");
    put(&p, "\x85R.", 3);
    zip_add(&z, "evil/data.pkl", p.at, p.n);
    zip_finish(&z);
    FILE *f = fopen(EVIL, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CU_ASSERT_EQUAL(fwrite(z.b.at, 1, z.b.n, f), z.b.n);
    CU_ASSERT_EQUAL(fclose(f), 0);
}

static void formats(void)
{
    static const struct row rows[] = {
        {"25 an index that leads out",
         "copy; mv $W x.safetensors; echo '{\"weight_map\":{\"out.bias\":\"../../x.safetensors\"}}' > $W.index.json; "
         "$R",
         3, "index.json: tensor \"out.bias\""},
        {"25 shards", "copy; mv $W m/transformer/x; echo '{\"weight_map\":{\"out.bias\":\"x\"}}' > $W.index.json; $R",
         0, NULL},
        {"25 a shard missing", "copy; rm $W; echo '{\"weight_map\":{\"out.bias\":\"x\"}}' > $W.index.json; $R", 3,
         "transformer/x: cannot be opened"},
        {"26 a pickle that wants a shell",
         "copy; rm $W; cp " EVIL " $B; $R; c=$?; [ ! -e /tmp/vqp-fault-was-here ]; exit $c", 3,
         "it asks for 'posix.system'"},
        {"28 a PyTorch file cut short", "copy; rm $W; head -c 1000 $D/module.bin > $B; $R", 3, "no end record"},
        {"38 a PyTorch file with a byte flipped",
         "copy; rm $W; cp $D/module.bin $B; printf x | dd of=$B bs=1 seek=70 conv=notrunc 2>/dev/null; $R", 3,
         "CRC-32"},
        {"19 a PyTorch file of another model", "copy; rm $W; cp $D/module.bin $B; $R", 3, "no tensor"},
        {"39 a file of an old torch", "copy; rm $W; cp $D/legacy.pth $B; $R", 3, "older than 1.6"},
        {"39 safetensors called .bin", "copy; mv $W $B; $R", 0, NULL},
        {"39 a pointer of Git LFS",
         "copy; printf 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n' > $W; $R", 3, "Git LFS"},
        {"a variant that is not there", "$R --variant fp16", 3, "no file of the variant 'fp16'"},
        {"a variant for one component",
         "copy; cp $W m/transformer/model.fp16.safetensors; : > $W; $R --set components.denoiser.variant=fp16", 0,
         NULL},
        {"a variant that is a path", "$R --variant ../x", 2, "variant '../x'"},
        {"half precision where there is nothing else", "copy; mv $W m/transformer/model.fp16.safetensors; $R", 0, NULL},
        {"the files taken are named",
         "$V run p.yaml -v --steps 2 -o x.png 2>&1 | grep -q 'denoiser: took .*/diffusion_pytorch_model.safetensors'",
         0, NULL},
        {"init writes what run takes",
         "copy; cp -rL $T m/tokenizer; $V init m > d.yaml; for f in m d.yaml; do $V run $f -q --backend reference -p "
         "sun --steps "
         "2 -o $f.ids.npy; done; cmp m.ids.npy d.yaml.ids.npy",
         0, NULL},
        {"init and validate", "copy; cp -rL $T m/tokenizer; $V validate m -q --backend reference | grep -q '^denoiser'",
         0, NULL},
        {"init of nothing", "$V init nothing", 2, "nothing: No such file"},
        {"init of another pipeline", "copy; replace VQDiffusionPipeline AmusedPipeline m/model_index.json; $V init m",
         3, "AmusedPipeline"},
        {"init into a full disk", "copy; cp -rL $T m/tokenizer; $V init m > /dev/full", 6, "No space left"},
        {"convert there and back",
         "copy; cp -rL $T m/tokenizer; for t in f32 bf16 f16; do $V convert m $t -q --type $t; $V run $t -q --backend "
         "reference -p "
         "sun --steps 2 -o $t.ids.npy || exit 1; done; [ -f f16/tokenizer/merges.txt ]",
         0, NULL},
        {"convert to q8_0, which two backends run alike",
         "$V convert $S/models/postcards q -q --type q8_0 >f && for b in reference cpu; do $V run q -q --backend $b -p "
         "sun --guidance 1 --steps 2 -o $b.ids.npy >f || exit 1; done; cmp reference.ids.npy cpu.ids.npy",
         0, NULL},
        {"q8_0 without its scales",
         "$V convert $S/models/postcards q -q --type q8_0 >f; sed -i 's/to_q.weight.scale/to_q.weight.other/g' "
         "q/transformer/*.safetensors; $V run q -q --backend reference -p sun -o out/x.png",
         3, "to_q.weight.scale"},
        {"convert without a target", "$V convert m", 2, "DST is missing"},
        {"convert with one too many", "$V convert m n o", 2, "'o' is one argument too many"},
        {"convert to an unknown type", "$V convert $M n --type f8", 2, "--type: 'f8'"},
        {"convert onto a folder with something in it",
         "copy; cp -rL $T m/tokenizer; $V convert m n -q && $V convert m n -q", 6, "is there already"},
        {"22 convert NaN",
         "copy; cp -rL $T m/tokenizer; printf '\\377\\377\\377\\177' | dd of=$W bs=1 seek=$(($(stat -c %s $W) - 4)) "
         "conv=notrunc "
         "2>/dev/null; $V convert m out/m -q --type f16",
         3, "NaN"},
        {"convert stopped by SIGINT leaves nothing",
         "copy; cp -rL $T m/tokenizer; header '{\"a\":{\"dtype\":\"F32\",\"shape\":[250000000],\"data_offsets\":[0,"
         "1000000000]}}' 0; truncate -s $((1000000000 + $(stat -c %s $W))) $W; $V convert m out/m -q --type f16 & "
         "p=$!; sleep "
         "0.4; kill -INT $p; wait $p; c=$?; [ -z \"$(ls out)\" ] && exit $c",
         130, NULL},
    };
    write_evil();
    RUN_ROWS(rows);
}

static void descriptors(void)
{
    static const struct row rows[] = {
        {"not there", "$V run nothing.yaml", 2, "nothing.yaml"},
        {"a folder that is no model", "$V run . -o out/x.png", 2, "directory without a model"},
        {"a model folder without a tokenizer", "$V run $M -o out/x.png", 3, "no folder 'tokenizer'"},
        {"40 anchor", "printf 'vqpipe: 1\\nrun: &a {}\\n' > p.yaml; $R", 2, "p.yaml:2:6"},
        {"40 alias", "printf 'vqpipe: 1\\nrun: *a\\n' > p.yaml; $R", 2, "p.yaml:2:6"},
        {"41 deep", "(printf 'vqpipe: 1\\na: '; head -c 100000 /dev/zero | tr '\\0' '[') > p.yaml; $R", 2, "p.yaml:2:"},
        {"42 duplicate key", "echo 'name: a' >> p.yaml; echo 'name: b' >> p.yaml; $R", 2, "name"},
        {"42 unknown key", "replace 'steps: 2' 'stepz: 2' p.yaml; $R", 2, "steps"},
        {"42 unknown plugin key", "replace 'use: vqgan,' 'use: vqgan, rnge: unit,' p.yaml; $R", 2, "range"},
        {"43 a word for a number", "replace 'steps: 2' 'steps: ten' p.yaml; $V run p.yaml -q -o out/x.png", 2,
         "p.yaml:10:"},
        {"43 octal", "replace 'steps: 2' 'steps: 010' p.yaml; $V run p.yaml -q -o out/x.png", 2, "010"},
        {"43 out of range", "$R --set run.images_per_prompt=1000000000", 2, "run.images_per_prompt"},
        {"43 yes", "$R --set run.strict=yes", 2, "neither true nor false"},
        {"43 a fraction", "$V run p.yaml -q --set run.steps=3.5 -o out/x.png", 2, "3.5"},
        {"43 a number in quotes", "$V run p.yaml -q --set 'run.steps=\"3\"' -o out/x.png", 2, "quotes"},
        {"43 a list for a number", "$V run p.yaml -q --set 'run.steps=[3]' -o out/x.png", 2, "steps"},
        {"43 a list for a section", "replace 'run: .*' 'run: [a]' p.yaml; $R", 2, "p.yaml:10:"},
        {"43 no choice", "$R --set run.rng=filox", 2, "philox"},
        {"43 a key through a scalar", "$R --set run.steps.x=3", 2, "run.steps"},
        {"43 open bracket", "$R --set 'run.prompt=[a'", 2, "run.prompt"},
        {"44 empty", ": > p.yaml; $R", 2, "p.yaml"},
        {"44 BOM", "printf '\\357\\273\\277vqpipe: 1\\n' > p.yaml; $R", 2, "p.yaml"},
        {"44 UTF-16", "printf '\\377\\376v\\0q\\0' > p.yaml; $R", 2, "p.yaml:1:1"},
        {"44 Latin-1", "printf 'vqpipe: 1\\nname: bl\\344u\\n' > p.yaml; $R", 2, "p.yaml:2:"},
        {"44 tab", "printf 'vqpipe: 1\\nrun:\\n\\tsteps: 3\\n' > p.yaml; $R", 2, "p.yaml:3:1: a tab"},
        {"44 a map as key", "printf 'vqpipe: 1\\n{a: b}: c\\n' > p.yaml; $R", 2, "p.yaml:2:1"},
        {"44 too large", "(echo 'vqpipe: 1'; head -c 300000 /dev/zero | tr '\\0' '#') > p.yaml; $R", 2, "262144"},
        {"44 NUL", "printf 'vqpipe: 1\\0\\n' > p.yaml; $R", 2, "p.yaml"},
        {"44 two documents", "printf -- '---\\nvqpipe: 2\\n' >> p.yaml; $R", 2, "p.yaml:11"},
        {"44 tag", "echo 'name: !x a' >> p.yaml; $R", 2, "p.yaml:11"},
        {"no version", "replace 'vqpipe: 1' 'name: a' p.yaml; $R", 2, "vqpipe"},
        {"no denoiser", "sed -i /denoiser/d p.yaml; $R", 2, "denoiser"},
        {"no text encoder", "sed -i /text_encoder/d p.yaml; $R", 2, "components.text_encoder"},
        {"no use", "$R --set 'components.vq_decoder={path: vqvae}'", 2, "components.vq_decoder"},
        {"45 codes differ", "copy; rm -r m/vqvae; cp -rL $S/models/postcards/vqvae m/vqvae; $R", 2, "codes"},
        {"45 text too long", "$R --set components.tokenizer.model_max_length=32", 2, "32"},
        {"45 codes of the scheduler differ", "$R --set components.scheduler.num_vec_classes=30", 2, "scheduler"},
    };
    RUN_ROWS(rows);
}

#define CASES(name)  "'" VQP_BUILD_DIR "/tests/plugins/" name "'"
#define BROKEN(name) VQP_BUILD_DIR "/tests/plugins/" name "/" name ".so"

static void plugins(void)
{
    static const struct row rows[] = {
        {"unknown component", "$R --set components.scheduler.use=vq-difusion", 4, "vq-diffusion"},
        {"wrong interface", "$R --set components.scheduler.use=vqgan", 4, "vqgan"},
        {"inspect of an unknown component", "$V inspect vqgam", 4, "'vqgan'"},
        {"inspect of no file", "$V inspect none.so", 4, "none.so"},
        {"unknown backend", "$R --backend nosuch", 4, "nosuch"},
        {"precision it lacks", "$R --set backend.precision=f16", 2, "f16"},
        {"50 garbage beside good ones", "mkdir pl; echo hello > pl/bad.so; $R --plugin-path pl", 0, NULL},
        {"49 never from the current folder", "cp " VQP_BUILD_DIR "/lib/vqpipe/vqgan.so .; ! $V plugins | grep -q $PWD",
         0, NULL},
        {"51 no symbol", "$V inspect " BROKEN("no_symbol"), 4, "no_symbol.so"},
        {"51 undefined symbol", "$V inspect " BROKEN("undefined_symbol"), 4, "undefined_symbol.so"},
        {"52 another major version", "$V inspect " BROKEN("wrong_major"), 4, "wrong_major.so"},
        {"52 a newer minor version", "$V inspect " BROKEN("newer_minor"), 0, NULL},
        {"53 no create function", "$V inspect " BROKEN("null_create"), 4, "create"},
        {"50 garbage is listed with its reason",
         "mkdir pl; echo hello > pl/bad.so; $V plugins --plugin-path pl | grep -A1 bad.so | grep -qi elf", 0, NULL},
        {"49 world-writable",
         "mkdir pl; cp " VQP_BUILD_DIR "/lib/vqpipe/vqgan.so pl/; chmod 666 pl/vqgan.so; "
         "$V plugins --plugin-path pl | grep -A1 pl/vqgan.so | grep -q unsafe",
         0, NULL},
        {"50 truncated ELF",
         "mkdir pl; head -c 3000 " VQP_BUILD_DIR
         "/lib/vqpipe/vqgan.so > pl/cut.so; $V plugins --plugin-path pl | grep -A1 cut.so | grep -q "
         "refused",
         0, NULL},
        {"57 shadowed",
         "mkdir pl; cp " VQP_BUILD_DIR
         "/lib/vqpipe/vqgan.so pl/; $V plugins --plugin-path pl | grep -q shadowed && $R --plugin-path pl",
         0, NULL},
        {"57 one id twice in a folder",
         "mkdir pl; cp " VQP_BUILD_DIR "/lib/vqpipe/vqgan.so pl/a.so; cp pl/a.so pl/b.so; $R --plugin-path pl", 4,
         "b.so"},
        {"52 a run that means a refused plugin",
         "$R --plugin-path " CASES("wrong_major") " --set components.scheduler.use=wrong_major", 4,
         "wrong_major.so was refused: built for ABI major 2"},
        {"54 a crash at load", "$V plugins --probe --plugin-path " CASES("crash_at_load"), 4, NULL},
        {"54 an exit at load", "$V plugins --probe --plugin-path " CASES("exit_at_load"), 4, NULL},
        {"54 all are sound", "$V plugins --probe | grep -q vqgan.so", 0, NULL},
        {"56 printing does not reach a picture on stdout",
         "$R --plugin-path " CASES("print_at_load") " && $V run p.yaml -q --steps 2 -o - --plugin-path " CASES(
             "print_at_load") " | cmp - out/x.png",
         0, NULL},
        {"56 printing is reported",
         "$V validate p.yaml --plugin-path " CASES(
             "print_at_load") " 2>&1 >/dev/null | grep -q 'standard output (19 bytes'",
         0, NULL},
        {"57 one component in two plugins",
         "$R --plugin-path " CASES("good") " --plugin-path " CASES(
             "other_id") " --set components.scheduler.use=minimal",
         4, "'minimal' is in two plugins"},
    };
    RUN_ROWS(rows);
}

static void outputs(void)
{
    static const struct row rows[] = {
        {"72 stdout full", "$V run p.yaml -q --steps 2 -o - > /dev/full", 6, "No space"},
        {"72 disk full",
         "mount -t tmpfs -o size=4k none out 2>/dev/null || { echo SKIPPED no tmpfs >&2; exit 77; }\n"
         "head -c 4096 /dev/zero > out/f 2>/dev/null; $R; c=$?; n=$(ls out); umount out; [ \"$n\" = f ] || exit 99; "
         "exit $c",
         6, "out/x.png"},
        {"73 no folder", "$V run p.yaml -q --steps 2 -o nowhere/x.png", 6, "nowhere"},
        {"73 a folder as target", "mkdir d.png; $V run p.yaml -q --steps 2 -o d.png", 6, "d.png"},
        {"73 name too long", "$V run p.yaml -q --steps 2 -o $(head -c 300 /dev/zero | tr '\\0' a).png", 6, "long"},
        {"73 unknown extension", "$V run p.yaml -q --steps 2 -o out/x.jpg", 2, "x.jpg"},
        {"73 a FIFO as target", "mkfifo f.png; $V run p.yaml -q --steps 2 -o f.png; c=$?; [ -p f.png ] && exit $c", 6,
         "f.png"},
        {"several pictures for stdout", "$V run p.yaml -q --steps 2 -n 2 -o -", 2, "one picture"},
        {"several prompts of the file for stdout",
         "replace 'prompt: a house' 'prompt: [a, b]' p.yaml; $V run p.yaml -q --steps 2 -o - > out.png; c=$?; "
         "[ -s out.png ] || exit $c",
         2, "one picture"},
        {"stdout asked for twice", "$V run p.yaml -q --json -o -", 2, "--json"},
        {"74 the old file survives a failure",
         "echo old > keep.png; $V run p.yaml -q --steps 99 -o keep.png; c=$?; grep -q old keep.png && exit $c", 2,
         "steps"},
        {"74 and is replaced by a finished one",
         "echo old > keep.png; $V run p.yaml -q --steps 2 -o keep.png && ! grep -q old keep.png", 0, NULL},
        {"75 the reader of stdout is gone", "set -o pipefail; $V run p.yaml -q --steps 2 -o - | true", 6, NULL},
        {"75 and says nothing",
         "set -o pipefail; $V run p.yaml -q --steps 2 -o - 2>said | true; c=$?; [ -s said ] || exit $c", 6, NULL},
        {"75 stdout closed", "$V run p.yaml -q --steps 2 -o - >&-", 6, "stdout is closed"},
        {"75 a list into a full disk", "$V plugins > /dev/full", 6, "No space"},
        {"76 SIGINT", "$V run $S/pipelines/vqdiffusion.yaml -q -o out/x.png & p=$!; sleep 1; kill -INT $p; wait $p",
         130, NULL},
        {"76 SIGTERM", "$V run $S/pipelines/vqdiffusion.yaml -q -o out/x.png & p=$!; sleep 1; kill -TERM $p; wait $p",
         143, NULL},
        {"76 SIGTERM while loading",
         "$V run $S/pipelines/vqdiffusion.yaml -q -o out/x.png & p=$!; sleep .05; kill -TERM $p; wait $p", 143, NULL},
        {"76 twice",
         "$V run $S/pipelines/vqdiffusion.yaml -q -o out/x.png & p=$!; sleep .5; kill -TERM $p; kill -TERM $p; wait $p",
         143, NULL},
        {"91 four at once write one name",
         "for i in 1 2 3 4; do $R & done; wait; $V run p.yaml -q --steps 2 -o one.png && cmp one.png out/x.png", 0,
         NULL},
        {"92 no environment", "env -i $R", 0, NULL},
        {"93 descriptors 0 to 2 closed", "$R <&- >&- 2>&- && [ $(head -c 4 out/x.png | tail -c 3) = PNG ]", 0, NULL},
    };
    RUN_ROWS(rows);
}

static void prompts_and_flags(void)
{
    static const struct row rows[] = {
        {"78 empty prompt", "$R -p ''", 0, NULL},
        {"79 a megabyte", "head -c 1000000 /dev/zero | tr '\\0' a > f; $R -f f", 2, "8192"},
        {"79 too many words", "$R -p \"$(yes sea | head -200 | tr '\\n' ' ')\"", 0, NULL},
        {"80 not UTF-8", "$R -p $'ab\\xffc'", 2, "byte 2"},
        {"80 lone surrogate", "$R -p $'\\xed\\xa0\\x80'", 2, "UTF-8"},
        {"80 overlong", "$R -p $'a\\xc0\\xaf'", 2, "byte 1"},
        {"80 Latin-1 in a negative prompt", "$R --negative $'bl\\xe4u'", 2, "--negative: byte 0xe4 at offset 2"},
        {"80 Latin-1 in a file", "printf 'fine\\nbl\\344u\\n' > f; $R -f f", 2, "f:2:3: byte 0xe4 at offset 7"},
        {"80 UTF-16 file", "printf '\\377\\376a\\0' > f; $R -f f", 2, "f:1:1: byte 0xff"},
        {"81 NUL in a file", "printf 'a\\nb\\0c\\n' > f; $R -f f", 2, "f:2:2: byte 0x00 at offset 3"},
        {"a file above 8 MB", "head -c 9000000 /dev/zero | tr '\\0' a > f; $R -f f", 2, "8 MB"},
        {"1025 prompts", "yes a | head -1025 > f; $R -f f", 2, "1024"},
        {"a file of blank lines", "printf '\\n \\n' > f; $R -f f", 2, "no prompt"},
        {"prompts from stdin", "printf 'a\\n\\nb\\r\\n' | $V run p.yaml -q -f - -o out/x.ids.npy", 0, NULL},
        {"82 controls and emoji", "$R -p $'\\x01 \\xf0\\x9f\\x91\\xa9 e\\xcc\\x81'", 0, NULL},
        {"82 escapes stay off the terminal", "$V run p.yaml --steps $'\\e[31m' -o out/x.png", 2, "\\x1b[31m"},
        {"83 no steps", "$V run p.yaml -q -o out/x.png --steps 0", 2, "steps"},
        {"83 negative steps", "$V run p.yaml -q -o out/x.png --steps -1", 2, "steps"},
        {"83 2^31 steps", "$V run p.yaml -q -o out/x.png --steps 2147483648", 2, "steps"},
        {"83 10x", "$V run p.yaml -q -o out/x.png --steps 10x", 2, "10x"},
        {"83 a leading space", "$V run p.yaml -q -o out/x.png --steps ' 10'", 2, "steps"},
        {"83 a list", "$V run p.yaml -q -o out/x.png --steps '[3]'", 2, "--steps: '[3]'"},
        {"83 a comment", "$V run p.yaml -q -o out/x.png --steps '3 # x'", 2, "--steps: '3 # x'"},
        {"83 nothing", "$V run p.yaml -q -o out/x.png --steps ''", 2, "--steps: ''"},
        {"84 more steps than timesteps", "$V run p.yaml -q -o out/x.png --steps 13", 2, "12"},
        {"85 negative seed", "$R -s -1", 2, "-1"},
        {"85 seed too large", "$R -s 18446744073709551616", 2, "18446744073709551616"},
        {"85 the largest seed", "$R -s 18446744073709551615", 0, NULL},
        {"85 hexadecimal seed", "$R -s 0x10", 2, "0x10"},
        {"85 random", "$R -s random", 0, NULL},
        {"85 two seeds for one image", "$R -s 1,2", 2, "seeds"},
        {"85 a gap in a list", "$R -s 1,,2", 2, "--seed: ''"},
        {"85 the seed of random is told", "$V run p.yaml -o out/x.png --set run.seed=random", 0, "vqpipe: seed "},
        {"86 guidance NaN", "$R --guidance nan", 2, "guidance"},
        {"86 guidance negative", "$R --guidance -1", 2, "guidance"},
        {"86 guidance 1e30", "$R --guidance 1e30", 2, "guidance"},
        {"86 truncation above 1", "$R --truncation 1.1", 2, "truncation"},
        {"87 latents not there", "$R --latents none.npy", 2, "none.npy"},
        {"87 floats for ids", "$V run p.yaml -q -o f.npy; $R --latents f.npy", 2, "f.npy"},
        {"87 too few latents",
         "$R -o out/a.ids.npy 2>/dev/null; $V run p.yaml -q --steps 2 -o l.ids.npy; $R -n 2 --latents l.ids.npy", 2,
         "72"},
        {"87 an id out of range",
         "$V run p.yaml -q --steps 2 -o l.ids.npy; printf '\\377' | dd of=l.ids.npy bs=1 seek=140 conv=notrunc "
         "2>/dev/null; $R --latents l.ids.npy",
         2, "index 3"},
        {"87 pins not there", "$R --set run.pin=none.npy", 2, "none.npy"},
        {"87 pins for more images than there are",
         "$V run p.yaml -q --steps 2 -n 3 -o l.ids.npy; $R -n 2 --set run.pin=l.ids.npy", 2, "this run pins [1,36]"},
        {"87 a pin out of range",
         "$V run p.yaml -q --steps 2 -o l.ids.npy; printf '\\377' | dd of=l.ids.npy bs=1 seek=140 conv=notrunc "
         "2>/dev/null; $R --set run.pin=l.ids.npy",
         2, "index 3"},
        {"87 all pinned gives the pinned picture",
         "$V run p.yaml -q --steps 2 -o l.ids.npy; $V run p.yaml -q --steps 2 -s 9 --set run.pin=l.ids.npy -o "
         "m.ids.npy; "
         "cmp l.ids.npy m.ids.npy",
         0, NULL},
        {"87 pins from the descriptor, relative to it",
         "$V run p.yaml -q --steps 2 -o l.ids.npy; mkdir d; replace 'steps: 2' 'steps: 2, pin: l.ids.npy' p.yaml; cd "
         "d; "
         "$V run ../p.yaml -q -s 9 -o m.ids.npy; cmp ../l.ids.npy m.ids.npy",
         0, NULL},
        {"87 a start past the end", "$R --set run.start_step=2", 2, "run.start_step is 2"},
        {"87 a start before the beginning", "$R --set run.start_step=-1", 2, "run.start_step"},
        {"87 a start without ids", "$R --set run.start_step=1", 2, "run.latents"},
        {"87 a start from ids",
         "$V run p.yaml -q --steps 2 -o l.ids.npy; $R --latents l.ids.npy --set run.start_step=1", 0, NULL},
        {"88 no images", "$R -n 0", 2, "images"},
        {"88 a milliard of images", "$R -n 1000000000", 2, "images"},
        {"89 twice", "$R --steps 3", 2, "--steps"},
        {"89 unknown", "$R --stepz 3", 2, "--steps"},
        {"89 twice, long and short", "$R -s 1 --seed 1", 2, "--seed is given twice"},
        {"89 an option for a value", "$V run p.yaml -o --json", 2, "--output needs a value"},
        {"89 a value for a switch", "$R --json=yes", 2, "--json takes no value"},
        {"89 an option of another sub-command", "$V plugins --dump x", 2, "--dump"},
        {"89 two descriptors", "$R p.yaml", 2, "too many"},
        {"89 no descriptor", "$V run -p x", 2, "FILE.yaml|DIR is missing"},
        {"89 --set without =", "$R --set run.steps", 2, "--set: 'run.steps'"},
        {"89 a device without backend", "$R --backend :1", 2, "--backend"},
        {"a long run says how long",
         "$V run $S/pipelines/vqdiffusion.yaml -n 1024 --set run.batch_size=1 --backend reference -o out/x.png >f 2>&1 "
         "&\n"
         "p=$!; both() { grep -c 'take about [0-9.]* [mh].* and [0-9]* MB of memory\\|after the first step: about' f | "
         "grep -qx 2; }\nfor i in $(seq 400); do both && break; sleep 0.1; done; kill -INT $p; wait $p; both",
         0, NULL},
        {"a long run told to be quiet says nothing",
         "timeout -s INT 1 $V run $S/pipelines/vqdiffusion.yaml -n 64 --backend reference -q -o out/x.png > said 2>&1; "
         "[ ! -s said ]",
         0, NULL},
        {"--json tells the prediction",
         "$V run p.yaml -q --steps 2 -o x.png --json | grep -q '\"predicted\":{\"seconds\":'", 0, NULL},
        {"a comparison with nothing", "$V run p.yaml -q --compare ''", 2, "--compare: ''"},
        {"a comparison with a device without backend", "$V run p.yaml -q --compare :1", 2, "--compare: ':1'"},
        {"a comparison with no such backend", "$V run p.yaml -q --compare refference", 4, "'reference'"},
        {"a comparison that should draw", "$R --compare reference", 2, "--compare and --output"},
        {"a comparison that should do nothing", "$V run p.yaml --compare reference --dry-run", 2, "--dry-run"},
        {"a comparison of a backend with itself",
         "$V run p.yaml -q --compare reference | grep -q '^reference and reference agree: .* largest error 0 '", 0,
         NULL},
        {"a comparison with a wrong backend",
         "$V run p.yaml -q --plugin-path '" VQP_BUILD_DIR "/tests/plugins/wrong_backend' --compare wrong-sdpa", 1,
         NULL},
        {"89 a decimal comma, whatever the locale", "LC_ALL=de_DE.UTF-8 $R --guidance 2,5", 2, "--guidance: '2,5'"},
        {"89 a decimal point, whatever the locale",
         "LC_ALL=de_DE.UTF-8 $R --guidance 2.5 --json | grep -q '\"total\":0[.]'", 0, NULL},
        {"89 no value", "$R --guidance", 2, "--guidance"},
        {"devices are listed", "$V devices | grep -q '^reference:0  *usable'", 0, NULL},
        {"devices as JSON", "$V devices --json | grep -q '\"backend\":\"reference\",\"index\":0,'", 0, NULL},
        {"devices take no operand", "$V devices x", 2, "too many"},
        {"devices take no settings", "$V devices --backend cpu", 2, "--backend is no option of vqpipe devices"},
        {"bench draws nothing", "$V bench p.yaml -q | grep -q 'share of the ceiling: not known' && rmdir out", 0, NULL},
        {"bench draws where it is told to", "$V bench p.yaml -q -o out/x.png >f && test -s out/x.png", 0, NULL},
        {"bench as JSON",
         "command -v python3 >f || { echo SKIPPED: no python3 >&2; exit 77; }; $V bench p.yaml -q --json | python3 -c "
         "'import json,sys; json.load(sys.stdin)'",
         0, NULL},
        {"bench shows each op", "$V bench p.yaml -qv | grep -q 'linear .*@ denoiser/blocks.0'", 0, NULL},
        {"bench stopped by SIGINT",
         "$V bench $S/pipelines/vqdiffusion.yaml -q --backend reference -o out/x.png & p=$!; sleep 1; kill -INT $p; "
         "wait $p",
         130, NULL},
        {"bench to stdout", "$V bench p.yaml -q -o -", 2, "stdout takes the report"},
        {"bench with --dump", "$V bench p.yaml -q --dump d", 2, "--dump is no option of vqpipe bench"},
        {"bench of bad steps", "$V bench p.yaml -q --steps 0", 2, "steps"},
        {"bench into nowhere", "$V bench p.yaml -q -o none/x.png", 6, "none"},
        {"89 a misspelt sub-command", "$V rum p.yaml", 2, "'run'"},
        {"help of every sub-command",
         "for c in run validate program plugins inspect devices bench init convert; do $V $c --help | grep -q Example: "
         "|| exit 1; "
         "done",
         0, NULL},
        {"90 a flag beats --set beats the file",
         "$V run p.yaml --dry-run --set run.steps=3 --steps 4 | grep -q 'run.steps  *4 '", 0, NULL},
    };
    RUN_ROWS(rows);
}

static void previews_and_scale(void)
{
    static const struct row rows[] = {
        {"no steps between previews", "$R --preview 0", 2, "--preview: '0'"},
        {"previews of a word", "$R --preview often", 2, "--preview: 'often'"},
        {"previews with a sign", "$R --preview -1", 2, "--preview: '-1'"},
        {"previews with an exponent", "$R --preview 1e3", 2, "--preview: '1e3'"},
        {"previews beyond any number of steps", "$R --preview 4294967297", 2, "--preview: '4294967297'"},
        {"previews without a number", "$R --preview", 2, "--preview needs a value"},
        {"previews of .npy", "$V run p.yaml -q --preview 1 -o out/x.npy", 2, "--preview: previews are PNG files"},
        {"previews of stdout", "$V run p.yaml -q --preview 1 -o -", 2, "--preview: beside stdout"},
        {"previews of a comparison", "$V run p.yaml -q --preview 1 --compare reference", 2, "--compare and --preview"},
        {"previews are run's", "$V bench p.yaml --preview 1", 2, "--preview is no option of vqpipe bench"},
        {"a folder where the preview goes", "mkdir x-preview.png; $V run p.yaml -q --preview 1 -o x.png", 6,
         "x-preview.png: is a directory"},
        {"a FIFO that shows late stops no run, and stays",
         "mkfifo x-7-preview.png; $V run p.yaml --progress none --steps 2 -s 7 --preview 1 -o 'x-{seed}.png' && "
         "[ -p x-7-preview.png ] && [ -s x-7.png ]",
         0, "x-7-preview.png: is a device, pipe or socket"},
        {"previews change nothing and go",
         "for n in 1 2 3; do $V run p.yaml -q --steps 4 -n 3 --set run.batch_size=2 --preview 1 -o out/x.png; done; "
         "$V run p.yaml -q --steps 4 -n 3 -o y.png; for k in 0 1 2; do cmp out/x-$k.png y-$k.png || exit 9; done; "
         "[ $(ls out | wc -l) = 3 ]",
         0, NULL},
        {"previews tell what they cost",
         "$V run p.yaml --steps 4 --preview 2 -o x.png 2>&1 | grep -qx 'vqpipe: previews: [0-9.e-]* s each, about "
         "[0-9]* % of this run'",
         0, NULL},
        {"previews told to be quiet say nothing", "$R --preview 1 2>said && [ ! -s said ]", 0, NULL},
        {"--json tells what previews cost",
         "$V run p.yaml -q --steps 4 --preview 2 -o x.png --json | grep -q '\"previews\":{\"every\":2,\"count\":1,'", 0,
         NULL},
        {"a preview stays where a run is stopped, whole",
         "mkdir d; $V run $S/pipelines/vqdiffusion.yaml -q --backend cpu -n 2 --preview 1 --scale 2 -o d/x.png & "
         "p=$!\n"
         "for i in $(seq 500); do [ -e d/x-1-preview.png ] && break; sleep 0.1; done; kill -INT $p; wait $p; c=$?\n"
         "[ \"$(ls d | tr '\\n' ' ')\" = 'x-0-preview.png x-1-preview.png ' ] || exit 9; for k in 0 1; do "
         "$V inspect d/x-$k-preview.png | grep -q 'preview  *after evaluation [0-9]* of 100' || exit 9; done; exit $c",
         130, NULL},
        {"no scale", "$R --scale 0", 2, "scale"},
        {"a scale above 8", "$R --scale 9", 2, "scale"},
        {"half a scale", "$R --scale 1.5", 2, "1.5"},
        {"a scale of .npy", "$V run p.yaml -q --scale 2 -o out/x.npy", 2, "--scale: out/x.npy is no PNG"},
        {"a scale of .ids.npy", "$V run p.yaml -q --scale 2 -o out/x.ids.npy", 2, "--scale: out/x.ids.npy is no PNG"},
        {"a scale from the descriptor", "echo 'output: { scale: 9 }' >> p.yaml; $R", 2, "p.yaml:11:18: "},
        {"scaled eight times",
         "$R; $V run p.yaml -q --steps 2 --scale 8 -o y.png; w=$($V inspect out/x.png | sed -n '1s/.*: //; "
         "1s/x.*//p'); "
         "$V inspect y.png | head -1 | grep -qx \"y.png: $((8 * w))x$((8 * w))\"",
         0, NULL},
    };
    RUN_ROWS(rows);
}

static void pictures(void)
{
    static const struct row rows[] = {
        {"a picture that is not there", "$V inspect none.png", 3, "none.png: cannot be read"},
        {"a picture that is a folder", "mkdir d.png; $V inspect d.png", 3, "d.png: is no regular file"},
        {"a picture that is a FIFO", "mkfifo f.png; $V inspect f.png", 3, "f.png: is no regular file"},
        {"a picture that is none", "echo hello > x.png; $V inspect x.png", 3, "x.png: is no PNG"},
        {"a picture without settings", "$V run p.yaml -q --steps 2 --no-metadata -o x.png; $V inspect x.png", 3,
         "x.png: holds no settings of vqpipe"},
        {"a picture cut short", "$V run p.yaml -q --steps 2 -o x.png; head -c 700 x.png > y.png; $V inspect y.png", 3,
         "y.png: the end comes too early"},
        {"a picture with a flipped bit",
         "$V run p.yaml -q --steps 2 -o x.png; printf X | dd of=x.png bs=1 seek=45 conv=notrunc 2>/dev/null; "
         "$V inspect x.png",
         3, "x.png: the checksum is wrong"},
        {"draws again", "$R; again out/x.png", 0, NULL},
        {"draws again with every flag",
         "$V run p.yaml -q -p 'a house' --negative '' -s 18446744073709551615 --steps 3 --guidance 2.5 --truncation "
         "0.9 "
         "--model $M --set components.scheduler.spacing=diffusers --set components.tokenizer.truncation=diffusers "
         "--backend reference --set name=mine --scale 3 -o x.png && grep -q \"negative ''\" <<< \"$($V inspect "
         "x.png)\" && again x.png",
         0, NULL},
        {"draws again on two backends",
         "$V run p.yaml -q --backend cpu --set components.denoiser.backend=reference -o x.png; again x.png", 0, NULL},
        {"draws each of a batch again",
         "$V run p.yaml -q -p 'a house' -p --sea -n 2 -s 5,3,9,3 -o x.png; for k in 0 1 2 3; do again x-$k.png || exit "
         "9; "
         "done",
         0, NULL},
        {"draws each of a torch-cpu batch again",
         "$V run p.yaml -q -n 3 -s 7 --set run.rng=torch-cpu -o x.png; for k in 0 1 2; do again x-$k.png again-$k.png "
         "|| "
         "exit 9; rm again-*; done",
         0, NULL},
        {"draws each of an edited batch again",
         "$V run p.yaml -q -n 3 -o 'l s.ids.npy'; $V run p.yaml -q -n 3 -s 4 --latents 'l s.ids.npy' --set "
         "run.start_step=1 -o x.png; for k in 0 1 2; do again x-$k.png again-$k.png || exit 9; rm again-*; done",
         0, NULL},
        {"draws again around pins",
         "$V run p.yaml -q -o '#l: [a].ids.npy'; $V run p.yaml -q -s 4 --set 'run.pin=\"#l: [a].ids.npy\"' -o x.png; "
         "again "
         "x.png",
         0, NULL},
        {"draws again what another run fed",
         "$V run p.yaml -q --dump d -o y.png; $V run p.yaml -q -s 4 --feed d -o x.png; again x.png", 0, NULL},
        {"a prompt of quotes, and a descriptor that would be a command",
         "mv p.yaml '$(touch pwned).yaml'; $V run '$(touch pwned).yaml' -q -p \"it's \\\"\\$(touch pwned)\\\" \\`touch "
         "pwned\\`; touch pwned \\\\ \\x07 \\\\x07\" -o x.png; again x.png && [ ! -e pwned ]",
         0, NULL},
        {"a descriptor like a flag",
         "mv -- p.yaml -p.yaml; $V run -q -o x.png -- -p.yaml; $V inspect x.png | grep -q 'run "
         "[.]/-p.yaml'",
         0, NULL},
        {"controls, directions and lines in a prompt, kept from the terminal",
         "$V run p.yaml -q -p $'\\a\\e[31m\\t\\xc2\\x85 \\xe2\\x80\\xae it\\'s\\n\\xe2\\x82\\xac \\\\' -o x.png\n"
         "$V inspect x.png | LC_ALL=C grep -q $'[\\a\\e\\t]\\|\\xc2\\x85\\|\\xe2\\x80\\xae' && exit 9; again x.png "
         "again.png bash",
         0, NULL},
        {"several lines in a prompt", "$V run p.yaml -q -p $'one\\n\\ntwo\\n' -o x.png; again x.png", 0, NULL},
        {"a picture as JSON",
         "command -v python3 >f || { echo SKIPPED: no python3 >&2; exit 77; }; $V run p.yaml -q -p $'\\e \\\"' -o "
         "x.png; "
         "$V inspect x.png --json | python3 -c 'import json,sys; p=json.load(sys.stdin); assert "
         "p[\"settings\"][\"prompt\"]==\"\\x1b \\x22\" and p[\"arguments\"][4]==\"\\x1b \\x22\"'",
         0, NULL},
    };
    RUN_ROWS(rows);
}

/* Checkpoints of microsoft/VQ-Diffusion; $C runs one that draws classes. */
static void checkpoints(void)
{
#define SMALL                                                                                                          \
    "G=$S/tests/golden/models; K='--set components.denoiser.num_attention_heads=3 --set "                              \
    "components.denoiser.attention_head_dim=4 --set components.vq_decoder.norm_num_groups=4 --backend reference -q'; " \
    "C=\"$V run $G/imagenet-plain/imagenet_pretrained.pth $K -o out/x.png\"; "                                         \
    "alone() { cp $G/$1 .; $V run ${1##*/} $K -o out/x.png; }; "
    static const struct row rows[] = {
        {"a class", SMALL "$C -p 3", 0, NULL},
        {"a class between spaces", SMALL "$C -p ' 2 '", 0, NULL},
        {"no class", SMALL "$C -p ''", 2, "'' is no class"},
        {"a word for a class", SMALL "$C -p dog", 2, "'dog' is no class"},
        {"half a class", SMALL "$C -p 1.5", 2, "give one of 0 to 3"},
        {"a negative class", SMALL "$C --prompt=-1", 2, "'-1' is no class"},
        {"two classes in one prompt", SMALL "$C -p '2 3'", 2, "'2 3' is no class"},
        {"a class too high", SMALL "$C -p 4", 2, "there is no class 4; give one of 0 to 3"},
        {"a class of many digits", SMALL "$C -p 18446744073709551617", 2, "there is no class 18446744073709551617"},
        {"a word for a negative class", SMALL "$C -p 1 --negative dog", 2, "'dog' is no class"},
        {"a null class that is none", SMALL "$C -p 1 --set components.text_encoder.null_class=5", 2, "null_class 5"},
        {"no number of classes",
         SMALL "$C -p 1 --set components.tokenizer.path=$G/imagenet-plain/imagenet_pretrained.pth/vqvae", 3,
         "num_classes"},
        {"no map of codes", SMALL "alone imagenet/imagenet_learnable.pth", 3, "there is no taming_vqvae_24.pt"},
        {"a map of another codebook",
         SMALL "cp $G/coco/taming_vqvae_21.pt taming_vqvae_24.pt; alone imagenet/imagenet_learnable.pth", 3,
         "is not one list of 40"},
        {"a map that is none", SMALL "echo x > taming_vqvae_24.pt; alone imagenet/imagenet_learnable.pth", 3,
         "taming_vqvae_24.pt"},
        {"no VQ-VAE", SMALL "alone imagenet-plain/imagenet_pretrained.pth", 3, "holds no VQ-VAE"},
        {"a VQ-VAE that is none",
         SMALL "cp $G/ffhq/ffhq.pth ithq_vqvae.pth; alone imagenet-plain/imagenet_pretrained.pth", 3,
         "ithq_vqvae.pth: holds no VQ-VAE"},
        {"a VQ-VAE as the whole model", SMALL "alone ffhq/taming_dvae/vqgan_ffhq_f16_1024.pth", 3,
         "is no checkpoint of microsoft/VQ-Diffusion"},
        {"no tokenizer", SMALL "cp $G/coco/*.pt .; alone coco/coco_learnable.pth", 3, "there is no folder"},
        {"a checkpoint cut short", SMALL "head -c 20000 $G/ffhq/ffhq.pth > cut.pth; $V run cut.pth $K -o out/x.png", 3,
         "cut.pth"},
        {"a prompt that nothing reads",
         SMALL "$V run $G/ffhq/ffhq.pth ${K//-q} --progress none -o out/x.png --set "
               "components.denoiser.num_attention_heads=2 --set components.denoiser.attention_head_dim=5 -p dog 2>&1 | "
               "grep 'draws without a prompt'",
         0, NULL},
        {"a checkpoint converted draws the same",
         SMALL
         "cp $G/ffhq/ffhq.pth .; cp -r $G/ffhq/taming_dvae .; $V convert ffhq.pth dst >f && for m in ffhq.pth dst; do "
         "$V run $m ${K} --set components.denoiser.num_attention_heads=2 --set "
         "components.denoiser.attention_head_dim=5 --steps 3 -o $m.ids.npy > f || exit 1; done; cmp *.ids.npy",
         0, NULL},
    };
    RUN_ROWS(rows);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"model files", model_files},
        {"checkpoints", checkpoints},
        {"formats", formats},
        {"descriptors", descriptors},
        {"plugins", plugins},
        {"outputs and signals", outputs},
        {"prompts and flags", prompts_and_flags},
        {"previews and scale", previews_and_scale},
        {"pictures", pictures},
    };
    return RUN_CASES("faults", cases);
}
