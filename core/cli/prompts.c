#include "prompts.h"
#include "say.h"
#include "text.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_PROMPTS = 1024,
    MOST_BYTES = 8 << 20
};

/* The whole file, ended by a NUL, into *out. */
static int slurp(const char *path, char **out, size_t *n)
{
    int is_stdin = strcmp(path, "-") == 0;
    FILE *f = is_stdin ? stdin : fopen(path, "re");
    if (!f)
        return vqp_say_usage("--prompts: %s: %s; give a file with one prompt a line", path, strerror(errno));
    int code = 0;
    size_t room = 1 << 16, used = 0;
    char *text = malloc(room + 1);
    while (text && !feof(f) && !ferror(f) && used <= MOST_BYTES) {
        if (used == room) {
            char *larger = realloc(text, 2 * room + 1);
            if (!larger)
                break;
            text = larger;
            room *= 2;
        }
        errno = 0;
        used += fread(text + used, 1, room - used, f);
    }
    if (text && ferror(f))
        code = vqp_say_usage("--prompts: %s: %s; give a file with one prompt a line", path, strerror(errno));
    else if (text && used > MOST_BYTES)
        code = vqp_say_usage("--prompts: %s is larger than 8 MB; split it", path);
    else if (!text || !feof(f))
        code = vqp_say_nomem();
    if (!is_stdin)
        fclose(f);
    if (code || !text) {
        free(text);
        return code;
    }
    text[used] = 0;
    *out = text;
    *n = used;
    return 0;
}

static int add(struct vqp_prompts *p, const char *text)
{
    if (p->n == MOST_PROMPTS)
        return vqp_say_usage("more than %d prompts; run them in several calls", MOST_PROMPTS);
    p->text[p->n++] = text;
    return 0;
}

/* Ends the line at `s` with a NUL and checks it; *next is the line after it. */
static int cut_line(const char *path, uint32_t number, const char *file, char *s, char *end, char **next)
{
    char *newline = memchr(s, '\n', (size_t)(end - s)), *stop = newline ? newline : end;
    size_t n = (size_t)(stop - s), good = vqp_utf8_good(s, n);
    if (good != n)
        return vqp_say_usage(
            "%s:%u:%zu: byte 0x%02x at offset %zu of the file is not UTF-8 text; save the file as UTF-8", path, number,
            good + 1, (unsigned)(unsigned char)s[good], (size_t)(s - file) + good);
    *next = newline ? newline + 1 : end;
    if (n && stop[-1] == '\r')
        stop--;
    *stop = 0;
    return 0;
}

static int read_lines(const char *path, struct vqp_prompts *out)
{
    size_t n = 0;
    int code = slurp(path, &out->file, &n);
    if (strcmp(path, "-") == 0)
        path = "stdin";
    uint32_t before = out->n, number = 1;
    char *end = code ? NULL : out->file + n, *line = out->file;
    if (!code && n >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0)
        line += 3;
    for (char *next = end; !code && line < end; line = next, number++) {
        code = cut_line(path, number, out->file, line, end, &next);
        if (!code && line[strspn(line, " \t")])
            code = add(out, line);
    }
    if (!code && out->n == before)
        code = vqp_say_usage("--prompts: %s holds no prompt; write one on each line", path);
    return code;
}

int vqp_prompts_read(const struct vqp_args *args, struct vqp_prompts *out)
{
    *out = (struct vqp_prompts){.text = calloc(MOST_PROMPTS, sizeof *out->text)};
    if (!out->text)
        return vqp_say_nomem();
    int code = 0;
    for (size_t i = 0; !code && i < args->n; i++)
        if (args->item[i].id == OPT_PROMPT)
            code = add(out, args->item[i].value);
    const char *path = vqp_args_value(args, OPT_PROMPTS);
    if (!code && path)
        code = read_lines(path, out);
    return code;
}

void vqp_prompts_free(struct vqp_prompts *p)
{
    free(p->text);
    free(p->file);
    *p = (struct vqp_prompts){0};
}
