#include "commands.h"
#include "say.h"
#include "text.h"
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vqpipe/vqpipe.h>

const struct vqp_command vqp_commands[] = {
    {"run", "FILE.yaml|DIR", "draw pictures",
     "Draws pictures as the pipeline in FILE.yaml says, or with the model in the folder DIR. Each file written is "
     "named\n"
     "on stdout.",
     "vqpipe run pipelines/vqdiffusion.yaml -p \"a lighthouse at night\" -n 4 -s 7 --steps 50 -o night-{seed}.png",
     vqp_cmd_run},
    {"validate", "FILE.yaml|DIR", "check a descriptor, its plugins and its model files",
     "Checks FILE.yaml, loads its plugins and model files, and prints what would run. Draws nothing.",
     "vqpipe validate pipelines/vqdiffusion.yaml --set components.scheduler.use=halton", vqp_cmd_validate},
    {"program", "FILE.yaml|DIR", "print the programs that would be compiled",
     "Prints the recorded programs: pieces, values, ops, memory, and bytes that cross between backends.",
     "vqpipe program pipelines/vqdiffusion.yaml --backend cpu -n 4", vqp_cmd_program},
    {"plugins", NULL, "list the plugins found, and why others were refused",
     "Lists every plugin file of the search folders: usable, shadowed by an earlier one, doubled (using it fails:\n"
     "another has its id or component), or refused with the reason.",
     "vqpipe plugins --probe --plugin-path ./my-plugins", vqp_cmd_plugins},
    {"inspect", "NAME|FILE.yaml|.so|.png", "show a component, pipeline, plugin or picture",
     "NAME: the options of a component, with types, ranges and defaults, or of a plugin's components, by its id.\n"
     "FILE.yaml: every setting and where it comes from, and what would run. .so: a plugin, its components and their\n"
     "options. .png: the settings that vqpipe recorded in a picture, and the command that draws it again.",
     "vqpipe inspect vq-diffusion --json", vqp_cmd_inspect},
    {"devices", NULL, "list every device that a backend could use",
     "Lists the devices of every backend: index, name, driver, memory, usable or why not.", "vqpipe devices --json",
     vqp_cmd_devices},
    {"bench", "FILE.yaml|DIR", "measure a run: start-up, steps, memory, every op",
     "Runs the pipeline with a clock on it: start-up, load, first step, steps per second, peak memory, kinds of op,\n"
     "and the share of a step that its matrix products would take alone. Draws a picture with -o only.",
     "vqpipe bench pipelines/vqdiffusion.yaml --steps 20 --backend cpu", vqp_cmd_bench},
    {"pull", "OWNER/NAME", "download a model from a hub",
     "Downloads what a run needs of a model repository (Hugging Face's hub, or HF_ENDPOINT) into the cache folder\n"
     "that the hub's own clients use, checks sizes and hashes, goes on where an earlier try ended, and prints the\n"
     "model's folder.",
     "vqpipe pull microsoft/vq-diffusion-ithq --variant fp16", vqp_cmd_pull},
    {"init", "DIR", "write a descriptor for a model folder",
     "Looks at the model in the folder DIR and writes a commented descriptor that runs it to stdout.",
     "vqpipe init models/postcards > mine.yaml", vqp_cmd_init},
    {"convert", "SRC DST", "rewrite a model as safetensors",
     "Writes the model in the folder SRC to a new folder DST: safetensors in the diffusers layout, configs copied. "
     "What is\n"
     "not converted keeps its type; a tensor with values beyond float16's range stays float32, with a line that says "
     "so.",
     "vqpipe convert ./vq-diffusion-ithq ./ithq-f16 --type f16", vqp_cmd_convert},
    {0},
};

int vqp_stdout_given = 1;

/* A file opened later must not land on descriptor 1 or 2, where every message would go into it. */
static void open_standard_fds(void)
{
    vqp_stdout_given = fcntl(STDOUT_FILENO, F_GETFD) >= 0;
    int fd;
    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

static int unknown(const char *word)
{
    const char *best = NULL;
    size_t distance = 0;
    if (word[0] == '-')
        return vqp_say_usage("%s before a sub-command is unknown; vqpipe --help shows the usage", word);
    for (const struct vqp_command *c = vqp_commands; c->name; c++)
        vqp_nearer(word, c->name, &best, &distance);
    if (best)
        return vqp_say_usage("unknown sub-command '%s'; did you mean '%s'?", word, best);
    return vqp_say_usage("unknown sub-command '%s'; vqpipe --help lists them", word);
}

static int run_command(const struct vqp_command *command, int argc, char **argv)
{
    struct vqp_args args;
    int help = 0, code = vqp_args_parse(command, argc, argv, &args, &help);
    if (help)
        vqp_help_command(command, stdout);
    else if (code == 0)
        code = command->run(&args);
    vqp_args_free(&args);
    return code;
}

/* Before a plugin brings OpenMP: a thread that waits soon sleeps. GCC's OpenMP lets it spin for milliseconds, which on a machine with other
 * work takes the processor from the thread that it waits for: 35 s where this takes 6. What the user set stays. */
static void bound_spinning(void)
{
    if (!getenv("OMP_WAIT_POLICY"))
        setenv("GOMP_SPINCOUNT", "3000", 0);
}

/* The locale stays "C": decimal points are points, whatever the environment says. */
int main(int argc, char **argv)
{
    open_standard_fds();
    bound_spinning();
    signal(SIGPIPE, SIG_IGN);
    const char *word = argc > 1 ? argv[1] : NULL;
    int code = 0;
    if (!word) {
        code = vqp_say_usage("no sub-command; vqpipe --help lists them");
    } else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        vqp_help(stdout);
    } else if (strcmp(word, "--version") == 0) {
        printf("vqpipe %s\n", vqpipe_version());
    } else {
        const struct vqp_command *command = vqp_command_find(word);
        code = command ? run_command(command, argc - 2, argv + 2) : unknown(word);
    }
    int flushed = vqp_stdout_finish();
    return code ? code : flushed;
}
