/* inspect PICTURE.png: what it records, and the command that draws it again. Everything in it may be made up by somebody else. */
#include "commands.h"
#include "say.h"
#include "text.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <vqpipe/vqpipe.h>

enum {
    MAX_SETTINGS = 64,
    MAX_WORDS = 4 * MAX_SETTINGS + 16
};

struct picture {
    struct vqpipe_picture info;
    char *key[MAX_SETTINGS], *value[MAX_SETTINGS];
    uint32_t n;
    char *word[MAX_WORDS]; /* the command's */
    uint32_t n_words;
    const char *reason; /* why there is no command; NULL: there is one */
    const char *which;  /* which of the pictures it draws: "2", or NULL: it draws one */
    int out_of_memory;
};

static void keep(void *user, const char *key, const char *value)
{
    struct picture *p = user;
    if (p->n == MAX_SETTINGS)
        return;
    p->key[p->n] = strdup(key);
    p->value[p->n] = strdup(value);
    p->out_of_memory |= !p->key[p->n] || !p->value[p->n];
    p->n++;
}

static const char *find(const struct picture *p, const char *key)
{
    for (uint32_t i = 0; i < p->n; i++)
        if (!strcmp(p->key[i], key))
            return p->value[i];
    return NULL;
}

/* ---- the command ------------------------------------------------------------------------------------------------ */

__attribute__((format(printf, 2, 3))) static void add(struct picture *p, const char *fmt, ...)
{
    va_list ap;
    char *word = NULL;
    if (p->n_words == MAX_WORDS)
        return;
    va_start(ap, fmt);
    if (vasprintf(&word, fmt, ap) < 0)
        word = NULL;
    va_end(ap);
    p->out_of_memory |= !word;
    p->word[p->n_words++] = word;
}

/* A value that begins like a flag is attached to its own. */
static void add_flag(struct picture *p, const char *letter, const char *flag, const char *value)
{
    if (!value)
        return;
    if (*value == '-') {
        add(p, "%s=%s", flag, value);
        return;
    }
    add(p, "%s", letter ? letter : flag);
    add(p, "%s", value);
}

static void add_setting(struct picture *p, const char *section, const char *key, const char *value)
{
    char *yaml = value ? vqp_yaml_word(value) : NULL;
    p->out_of_memory |= value && !yaml;
    if (yaml) {
        add(p, "--set");
        add(p, "%s%s=%s", section, key, yaml);
    }
    free(yaml);
}

/* "cpu f32"; of several the descriptor knows which is where. */
static void add_backend(struct picture *p)
{
    const char *text = find(p, "backend"), *space = text ? strrchr(text, ' ') : NULL;
    if (!space || strchr(text, ','))
        return;
    char *name = strndup(text, (size_t)(space - text));
    p->out_of_memory |= !name;
    add_flag(p, NULL, "--backend", name);
    add_setting(p, "", "backend.precision", space + 1);
    free(name);
}

/* "denoiser.backend": keys that the command line gave a component. */
static int is_component_key(const char *key)
{
    static const char *const names[] = {"tokenizer.", "text_encoder.", "denoiser.", "scheduler.", "vq_decoder."};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strncmp(key, names[i], strlen(names[i])))
            return 1;
    return 0;
}

/* "3 of 4" or "7, image 3 of 4, torch-cpu": the picture is one of a batch that has to be drawn whole. 0 where it is not so. */
static unsigned parse_place(const char *text, const char *before, char which[16])
{
    unsigned k, n;
    const char *at = text ? strstr(text, before) : NULL;
    if (!at || sscanf(at + strlen(before), "%9u of %9u", &k, &n) != 2 || k >= n || n > 1024)
        return 0;
    snprintf(which, 16, "%u", k);
    return n;
}

/* A seed for each picture: that of the one which is wanted. */
static void add_seeds(struct picture *p, const char *seed, unsigned n)
{
    size_t length = strlen(seed);
    char *list = calloc(n, length + 1), *at = list;
    p->out_of_memory |= !list;
    for (unsigned k = 0; list && k < n; k++)
        at += sprintf(at, "%s%s", k ? "," : "", seed);
    add_flag(p, "-s", "--seed", list);
    free(list);
}

static void add_place(struct picture *p, char which[16])
{
    const char *seed = find(p, "seed");
    unsigned n = parse_place(find(p, "image"), "", which), torch = parse_place(seed, ", image ", which);
    if (torch) {
        char first[24];
        snprintf(first, sizeof first, "%.*s", (int)strcspn(seed, ","), seed);
        add_flag(p, "-s", "--seed", first);
    } else if (n && strlen(seed) <= 20) {
        add_seeds(p, seed, n);
    } else {
        add_flag(p, "-s", "--seed", seed);
    }
    if (torch > 1 || n > 1) {
        add(p, "-n");
        add(p, "%u", torch ? torch : n);
        p->which = which;
    }
}

static void make_command(struct picture *p, char which[16])
{
    const char *descriptor = find(p, "descriptor"), *prompt = find(p, "prompt");
    if (find(p, "start_ids"))
        p->reason = "a program gave it ids to start from";
    else if (!descriptor || !*descriptor || !prompt || !find(p, "seed"))
        p->reason = "it does not record its descriptor, prompt and seed";
    if (p->reason)
        return;
    add(p, "vqpipe");
    add(p, "run");
    add(p, "%s%s", *descriptor == '-' ? "./" : "", descriptor);
    add_flag(p, "-p", "--prompt", prompt);
    add_flag(p, NULL, "--negative", find(p, "negative_prompt"));
    add_place(p, which);
    add_flag(p, NULL, "--steps", find(p, "steps"));
    add_flag(p, NULL, "--guidance", find(p, "guidance_scale"));
    add_flag(p, NULL, "--truncation", find(p, "truncation_rate"));
    add_flag(p, NULL, "--model", find(p, "model"));
    add_backend(p);
    add_setting(p, "", "backend.use", find(p, "backend.use"));
    if (find(p, "backend.use"))
        add_setting(p, "", "backend.precision", find(p, "backend.precision"));
    add_flag(p, NULL, "--latents", find(p, "latents"));
    add_setting(p, "", "name", find(p, "name"));
    add_setting(p, "run.", "rng", find(p, "rng"));
    add_setting(p, "run.", "start_step", find(p, "start_step"));
    add_setting(p, "run.", "pin", find(p, "pin"));
    for (uint32_t i = 0; i < p->n; i++)
        if (is_component_key(p->key[i]))
            add_setting(p, "components.", p->key[i], p->value[i]);
    add_flag(p, NULL, "--feed", find(p, "feed"));
    add_flag(p, NULL, "--scale", find(p, "scale"));
    add_flag(p, "-o", "--output", p->which ? "again-{index}.png" : "again.png");
}

/* The words as a shell reads them. To be freed; NULL: out of memory. */
static char *command_line(const struct picture *p)
{
    char *out = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&out, &size);
    int failed = !f;
    for (uint32_t i = 0; f && i < p->n_words; i++) {
        char *word = vqp_shell_quoted(p->word[i]);
        failed |= !word || fprintf(f, "%s%s", i ? " " : "", word) < 0;
        free(word);
    }
    failed |= f && fclose(f);
    if (failed) {
        free(out);
        out = NULL;
    }
    return out;
}

/* ---- printing --------------------------------------------------------------------------------------------------- */

static void print_text(const struct picture *p, const char *path, const char *command)
{
    vqp_print_safe(stdout, path);
    printf(": %ux%u\n", p->info.width, p->info.height);
    for (uint32_t i = 0; i < p->n; i++) {
        printf("  %-20s ", p->key[i]);
        vqp_print_safe(stdout, p->value[i]);
        printf("\n");
    }
    if (p->reason)
        printf("No command draws it again: %s.\n", p->reason);
    else if (p->which)
        printf("Draw it again; it is picture %s of those, as %s:\n%s\n", p->which, "again-{index}.png", command);
    else
        printf("%s:\n%s\n", find(p, "preview") ? "Draw what this was a preview of" : "Draw it again", command);
}

static void print_json(const struct picture *p, const char *path, const char *command)
{
    printf("{\"picture\":");
    vqp_json_string(stdout, path);
    printf(",\"width\":%u,\"height\":%u,\"settings\":{", p->info.width, p->info.height);
    for (uint32_t i = 0; i < p->n; i++) {
        printf("%s", i ? "," : "");
        vqp_json_string(stdout, p->key[i]);
        printf(":");
        vqp_json_string(stdout, p->value[i]);
    }
    printf("},\"command\":");
    vqp_json_string(stdout, p->reason ? NULL : command);
    printf(",\"arguments\":");
    for (uint32_t i = 0; i < p->n_words; i++) {
        printf("%s", i ? "," : "[");
        vqp_json_string(stdout, p->word[i]);
    }
    printf("%s", p->n_words ? "]" : "null");
    if (p->which)
        printf(",\"index\":%s", p->which);
    printf("}\n");
}

int vqp_cmd_inspect_picture(const struct vqp_args *args)
{
    struct picture p = {.info.struct_size = sizeof p.info};
    struct vqp_error err = {0};
    char which[16] = "", *command = NULL;
    vqp_status status = vqpipe_read_picture(args->operand, keep, &p, &p.info, &err);
    int code = status ? vqp_say_error(status, &err) : 0;
    if (!code && !p.out_of_memory)
        make_command(&p, which);
    if (!code && !p.out_of_memory)
        command = command_line(&p);
    if (!code && (p.out_of_memory || !command))
        code = vqp_say_nomem();
    if (!code && vqp_args_count(args, OPT_JSON))
        print_json(&p, args->operand, command);
    else if (!code)
        print_text(&p, args->operand, command);
    free(command);
    for (uint32_t i = 0; i < p.n_words; i++)
        free(p.word[i]);
    for (uint32_t i = 0; i < p.n; i++) {
        free(p.key[i]);
        free(p.value[i]);
    }
    return code;
}
