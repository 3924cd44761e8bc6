/* The command line: one table of sub-commands, one of options, a strict parser, and the help made from both tables. */
#ifndef VQP_CLI_ARGS_H
#define VQP_CLI_ARGS_H
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum vqp_opt_id {
    OPT_PROMPT,
    OPT_PROMPTS,
    OPT_NEGATIVE,
    OPT_OUTPUT,
    OPT_IMAGES,
    OPT_SEED,
    OPT_STEPS,
    OPT_GUIDANCE,
    OPT_TRUNCATION,
    OPT_BACKEND,
    OPT_MODEL,
    OPT_LATENTS,
    OPT_SET,
    OPT_STRICT,
    OPT_ALLOW_NONFINITE,
    OPT_NO_METADATA,
    OPT_SCALE,
    OPT_PREVIEW,
    OPT_DUMP,
    OPT_FEED,
    OPT_COMPARE,
    OPT_DRY_RUN,
    OPT_PROGRESS,
    OPT_JSON,
    OPT_REVISION,
    OPT_TYPE,
    OPT_VARIANT,
    OPT_PROBE,
    OPT_PLUGIN_PATH,
    OPT_VERBOSE,
    OPT_QUIET,
    OPT_HELP,
    OPT_COUNT
};

struct vqp_args;
struct vqp_command {
    const char *name, *operand; /* operand: "FILE.yaml", "SRC DST" where it takes two, or NULL where it takes none */
    const char *summary, *about, *example;
    int (*run)(const struct vqp_args *args); /* returns the exit code */
};
extern const struct vqp_command vqp_commands[]; /* ends with name == NULL */

struct vqp_arg {
    enum vqp_opt_id id;
    const char *value; /* NULL for an option without one */
};
struct vqp_args {
    const struct vqp_command *command;
    const char *operand, *second; /* second: of two operands */
    size_t n;
    struct vqp_arg *item; /* in the order given; strings are argv's */
};

/* Parses what follows the sub-command. 0, or the exit code after a message. *help: --help was there, the rest was not
 * checked. */
int vqp_args_parse(const struct vqp_command *command, int argc, char *const *argv, struct vqp_args *out, int *help);
void vqp_args_free(struct vqp_args *args);
uint32_t vqp_args_count(const struct vqp_args *args, enum vqp_opt_id id);
/* The last value given; NULL where there is none. */
const char *vqp_args_value(const struct vqp_args *args, enum vqp_opt_id id);
/* "--steps" */
const char *vqp_args_flag(enum vqp_opt_id id);

const struct vqp_command *vqp_command_find(const char *name);
void vqp_help(FILE *f);
void vqp_help_command(const struct vqp_command *command, FILE *f);

#endif
