#include "args.h"
#include "say.h"
#include "text.h"
#include <stdlib.h>
#include <string.h>

/* Which sub-commands have an option: bit i is vqp_commands[i]. */
enum {
    RUN = 1,
    VALIDATE = 2,
    PROGRAM = 4,
    PLUGINS = 8,
    INSPECT = 16,
    DEVICES = 32,
    BENCH = 64,
    PULL = 128,
    INIT = 256,
    CONVERSION = 512,
    SETTINGS = RUN | VALIDATE | PROGRAM | BENCH,
    ALL = SETTINGS | PLUGINS | INSPECT | DEVICES | PULL | INIT | CONVERSION
};

static const struct option {
    char letter; /* 0: only the long form */
    const char *flag, *value, *help;
    uint32_t commands, repeats;
} options[OPT_COUNT] = {
    [OPT_PROMPT] = {'p', "--prompt", "TEXT", "what to draw; repeat it for more (1..1024 prompts, \"\" is valid)",
                    SETTINGS, 1},
    [OPT_PROMPTS] = {'f', "--prompts", "FILE",
                     "one prompt a line, UTF-8, up to 8 MB; blank lines are skipped; - is stdin", SETTINGS, 0},
    [OPT_NEGATIVE] = {0, "--negative", "TEXT",
                      "what to steer away from; even \"\" replaces the model's learned empty prompt", SETTINGS, 0},
    [OPT_OUTPUT] =
        {'o', "--output", "PATTERN",
         ".png, .npy (float32 0..1) or .ids.npy; {index} and {seed} are replaced;\n- writes one PNG to stdout",
         RUN | BENCH, 0},
    [OPT_IMAGES] = {'n', "--images", "N", "pictures per prompt, 1..1024", SETTINGS, 0},
    [OPT_SEED] = {'s', "--seed", "SEED[,SEED]...",
                  "0..18446744073709551615: picture k has SEED + k; or one for each picture; or random", SETTINGS, 0},
    [OPT_STEPS] = {0, "--steps", "N", "denoising steps, 1..the model's training steps (100)", SETTINGS, 0},
    [OPT_GUIDANCE] = {0, "--guidance", "X", "guidance scale, 0..10000; up to 1 there is no guidance and half the work",
                      SETTINGS, 0},
    [OPT_TRUNCATION] = {0, "--truncation", "X", "truncation rate, 0..1: the share of probability kept; 1 keeps all",
                        SETTINGS, 0},
    [OPT_BACKEND] = {0, "--backend", "NAME[:DEVICE]",
                     "where to compute: reference, cpu, vulkan, auto, or a plugin's own", SETTINGS, 0},
    [OPT_MODEL] = {0, "--model", "DIR", "model folder instead of the descriptor's", SETTINGS, 0},
    [OPT_LATENTS] = {0, "--latents", "IDS.npy", "int32 ids to start from instead of all masks, one row a picture",
                     SETTINGS, 0},
    [OPT_SET] = {0, "--set", "KEY=VALUE", "any key of the descriptor, such as components.scheduler.spacing=diffusers",
                 SETTINGS, 1},
    [OPT_STRICT] = {0, "--strict", NULL, "refuse model files with tensors that nothing uses", SETTINGS, 0},
    [OPT_ALLOW_NONFINITE] = {0, "--allow-nonfinite", NULL, "accept NaN and infinity in model files",
                             SETTINGS | CONVERSION, 0},
    [OPT_NO_METADATA] = {0, "--no-metadata", NULL, "leave prompt, seed and settings out of the PNG", RUN | BENCH, 0},
    [OPT_SCALE] = {0, "--scale", "1..8", "PNG only: each pixel so many times, both ways", RUN | BENCH, 0},
    [OPT_PREVIEW] =
        {0, "--preview", "N",
         "every N steps the picture so far, as a PNG under the output name with -preview before the\n"
         "extension, replaced each time; it goes when the picture is there, and stays where a run is stopped",
         RUN, 0},
    [OPT_DUMP] = {0, "--dump", "DIR", "write every stage to DIR as .npy", RUN, 0},
    [OPT_FEED] = {0, "--feed", "DIR", "after step SSS the ids become DIR/tokens-SSS.npy of another run's --dump", RUN,
                  0},
    [OPT_COMPARE] = {0, "--compare", "NAME[:DEVICE]",
                     "run op by op on this backend (at f32) too, and stop at the first difference (exit code 1);\n"
                     "draws no picture",
                     RUN, 0},
    [OPT_DRY_RUN] = {0, "--dry-run", NULL,
                     "check everything, print every setting and where it comes from, draw nothing", RUN, 0},
    [OPT_PROGRESS] = {0, "--progress", "auto|bar|json|none",
                      "on stderr; auto: a bar on a terminal, else a line now and then", RUN | PULL | CONVERSION, 0},
    [OPT_JSON] = {0, "--json", NULL, "the result as one JSON object on stdout (times in seconds, memory in bytes)",
                  RUN | PLUGINS | INSPECT | DEVICES | BENCH | PULL, 0},
    [OPT_REVISION] = {0, "--revision", "NAME", "branch, tag or commit; main where it is not given", PULL, 0},
    [OPT_TYPE] = {0, "--type", "f32|f16|bf16|q8_0",
                  "what every float tensor becomes; without it each keeps its type; q8_0: matrices alone, others f16",
                  CONVERSION, 0},
    [OPT_VARIANT] = {0, "--variant", "NAME", "this variant of the weights (fp16) in the folders that have it",
                     SETTINGS | PULL | CONVERSION, 0},
    [OPT_PROBE] = {0, "--probe", NULL,
                   "open each file in a child process first: one that crashes, ends it or hangs (5 s) is refused with\n"
                   "the reason; exit code 4 if any file is refused",
                   PLUGINS, 0},
    [OPT_PLUGIN_PATH] = {0, "--plugin-path", "DIR", "folder of plugins, searched before all others; repeat it for more",
                         ALL & ~PULL, 1},
    [OPT_VERBOSE] = {'v', "--verbose", NULL, "say more; -vv says most", ALL, 1},
    [OPT_QUIET] = {'q', "--quiet", NULL, "no progress and no warnings", ALL, 0},
    [OPT_HELP] = {'h', "--help", NULL, "this text", ALL, 1},
};

static uint32_t command_bit(const struct vqp_command *command)
{
    return 1u << (command - vqp_commands);
}

uint32_t vqp_args_count(const struct vqp_args *args, enum vqp_opt_id id)
{
    uint32_t count = 0;
    for (size_t i = 0; i < args->n; i++)
        count += args->item[i].id == id;
    return count;
}

const char *vqp_args_value(const struct vqp_args *args, enum vqp_opt_id id)
{
    for (size_t i = args->n; i-- > 0;)
        if (args->item[i].id == id)
            return args->item[i].value;
    return NULL;
}

const char *vqp_args_flag(enum vqp_opt_id id)
{
    return options[id].flag;
}

const struct vqp_command *vqp_command_find(const char *name)
{
    for (const struct vqp_command *c = vqp_commands; c->name; c++)
        if (strcmp(c->name, name) == 0)
            return c;
    return NULL;
}

/* ---- parsing ---------------------------------------------------------------------------------------------------- */

/* "--name" or "--name=value", or one letter. */
static enum vqp_opt_id find_long(const char *arg, size_t n)
{
    for (int id = 0; id < OPT_COUNT; id++)
        if (strlen(options[id].flag) == n && strncmp(options[id].flag, arg, n) == 0)
            return (enum vqp_opt_id)id;
    return OPT_COUNT;
}

static enum vqp_opt_id find_letter(char letter)
{
    for (int id = 0; id < OPT_COUNT; id++)
        if (options[id].letter == letter)
            return (enum vqp_opt_id)id;
    return OPT_COUNT;
}

/* Whether an argument is an option as it stands: then it is no value of the option before it. */
static int is_option(const char *arg)
{
    if (arg[0] != '-' || !arg[1])
        return 0;
    if (arg[1] == '-')
        return find_long(arg, strcspn(arg, "=")) != OPT_COUNT;
    return !arg[2] && find_letter(arg[1]) != OPT_COUNT;
}

static int unknown(const struct vqp_command *command, const char *arg)
{
    char flag[72];
    snprintf(flag, sizeof flag, "%.*s", (int)strcspn(arg, "="), arg);
    const char *best = NULL;
    size_t distance = 0;
    for (int id = 0; id < OPT_COUNT; id++)
        if (options[id].commands & command_bit(command))
            vqp_nearer(flag, options[id].flag, &best, &distance);
    if (best)
        return vqp_say_usage("unknown option %s; did you mean %s?", flag, best);
    return vqp_say_usage("unknown option %s; vqpipe %s --help lists them", flag, command->name);
}

static int check(const struct vqp_args *args, enum vqp_opt_id id, const char *value, int attached)
{
    const struct option *o = &options[id];
    const char *command = args->command->name;
    if (!(o->commands & command_bit(args->command)))
        return vqp_say_usage("%s is no option of vqpipe %s; vqpipe %s --help lists them", o->flag, command, command);
    if (!o->repeats && vqp_args_count(args, id))
        return vqp_say_usage("%s is given twice; give it once", o->flag);
    if (o->value && !value)
        return vqp_say_usage("%s needs a value: %s %s", o->flag, o->flag, o->value);
    if (!o->value && attached)
        return vqp_say_usage("%s takes no value; leave out what follows it", o->flag);
    return 0;
}

static int add(struct vqp_args *args, enum vqp_opt_id id, const char *value, int attached)
{
    int code = check(args, id, value, attached);
    if (code == 0)
        args->item[args->n++] = (struct vqp_arg){id, value};
    return code;
}

/* The value of an option at argv[*i] that has none attached: the next argument, unless that is an option itself. */
static const char *next_value(int argc, char *const *argv, int *i)
{
    return *i + 1 < argc && !is_option(argv[*i + 1]) ? argv[++*i] : NULL;
}

static int parse_long(struct vqp_args *args, int argc, char *const *argv, int *i)
{
    const char *arg = argv[*i];
    size_t n = strcspn(arg, "=");
    enum vqp_opt_id id = find_long(arg, n);
    if (id == OPT_COUNT)
        return unknown(args->command, arg);
    const char *value = arg[n] ? arg + n + 1 : options[id].value ? next_value(argc, argv, i) : NULL;
    return add(args, id, value, arg[n] != 0);
}

/* A cluster: -vq, -n4, -n 4. */
static int parse_letters(struct vqp_args *args, int argc, char *const *argv, int *i)
{
    const char *whole = argv[*i];
    for (const char *s = whole + 1; *s; s++) {
        enum vqp_opt_id id = find_letter(*s);
        if (id == OPT_COUNT)
            return unknown(args->command, whole);
        int has_value = options[id].value != NULL;
        int code = add(args, id, !has_value ? NULL : s[1] ? s + 1 : next_value(argc, argv, i), 0);
        if (code || has_value)
            return code;
    }
    return 0;
}

/* "DST" of "SRC DST"; NULL where there is none. */
static const char *second_operand(const struct vqp_command *command)
{
    const char *space = command->operand ? strchr(command->operand, ' ') : NULL;
    return space ? space + 1 : NULL;
}

static int parse_all(struct vqp_args *args, int argc, char *const *argv)
{
    int flags_ended = 0;
    for (int i = 0; i < argc; i++) {
        const char *arg = argv[i];
        int code = 0;
        if (!flags_ended && strcmp(arg, "--") == 0)
            flags_ended = 1;
        else if (!flags_ended && arg[0] == '-' && arg[1] == '-')
            code = parse_long(args, argc, argv, &i);
        else if (!flags_ended && arg[0] == '-' && arg[1])
            code = parse_letters(args, argc, argv, &i);
        else if (args->command->operand && !args->operand)
            args->operand = arg;
        else if (second_operand(args->command) && !args->second)
            args->second = arg;
        else
            return vqp_say_usage("'%s' is one argument too many; vqpipe %s --help shows what it takes", arg,
                                 args->command->name);
        if (code)
            return code;
        if (vqp_args_count(args, OPT_HELP))
            return 0;
    }
    const char *missing = !args->operand  ? args->command->operand
                          : !args->second ? second_operand(args->command)
                                          : NULL;
    if (missing)
        return vqp_say_usage("%s is missing: vqpipe %s %s", missing, args->command->name, args->command->operand);
    return 0;
}

int vqp_args_parse(const struct vqp_command *command, int argc, char *const *argv, struct vqp_args *out, int *help)
{
    /* A cluster of letters may hold more options than one. */
    size_t most = 1;
    for (int i = 0; i < argc; i++)
        most += argv[i][0] == '-' ? strlen(argv[i]) : 0;
    *out = (struct vqp_args){.command = command, .item = calloc(most, sizeof *out->item)};
    if (!out->item)
        return vqp_say_nomem();
    int code = parse_all(out, argc, argv);
    *help = code == 0 && vqp_args_count(out, OPT_HELP);
    return code;
}

void vqp_args_free(struct vqp_args *args)
{
    free(args->item);
    *args = (struct vqp_args){0};
}

/* ---- help ------------------------------------------------------------------------------------------------------- */

void vqp_help(FILE *f)
{
    fputs("vqpipe draws pictures from text with discrete diffusion pipelines made of plugins.\n\nUsage:\n", f);
    for (const struct vqp_command *c = vqp_commands; c->name; c++) {
        char left[48];
        snprintf(left, sizeof left, "%s %s", c->name, c->operand ? c->operand : "");
        fprintf(f, "  vqpipe %-33s %s\n", left, c->summary);
    }
    fputs(
        "  vqpipe COMMAND --help                    every option of a command\n"
        "  vqpipe --version                          the version\n\n"
        "Example:\n  vqpipe run pipelines/vqdiffusion.yaml -p \"a house with a red roof under a starry night sky\"\n\n"
        "Exit codes: 0 done, 1 internal, 2 usage or descriptor, 3 model files, 4 plugin or component, 5 device or\n"
        "numbers, 6 output, 7 memory, 130 and 143 stopped by a signal.\n",
        f);
}

static void help_option(const struct option *o, FILE *f)
{
    char left[64];
    char letter[] = {'-', o->letter, ',', ' ', 0};
    snprintf(left, sizeof left, "%s%s%s%s", o->letter ? letter : "    ", o->flag, o->value ? " " : "",
             o->value ? o->value : "");
    fprintf(f, "  %-31s ", left);
    for (const char *s = o->help; *s; s++) {
        fputc(*s, f);
        if (*s == '\n')
            fprintf(f, "%34s", "");
    }
    fputc('\n', f);
}

void vqp_help_command(const struct vqp_command *command, FILE *f)
{
    fprintf(f, "Usage: vqpipe %s [options]%s%s\n%s\n\n", command->name, command->operand ? " " : "",
            command->operand ? command->operand : "", command->about);
    for (int id = 0; id < OPT_COUNT; id++)
        if (options[id].commands & command_bit(command))
            help_option(&options[id], f);
    fprintf(f, "\n--option=VALUE is the same as --option VALUE; -- ends the options.\n\nExample:\n  %s\n",
            command->example);
}
