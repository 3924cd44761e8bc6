#include "hub.h"
#include <ctype.h>
#include <string.h>

/* The order in which a folder's weights are taken: kinds, in each the single file before the shards and their index. */
enum kind {
    VARIANT_SAFETENSORS, /* of the variant that was asked for */
    VARIANT_BIN,
    SAFETENSORS,
    SAFETENSORS_FP16,
    BIN,
    BIN_FP16,
    OTHER_WEIGHTS,
    NO_WEIGHTS
};

static int ends(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);
    return n >= k && strcmp(s + n - k, end) == 0;
}

static const char *base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* "-00001-of-00002" at s, or NULL; after it where it is there. */
static const char *shard(const char *s)
{
    static const char shape[] = "-00000-of-00000";
    for (const char *k = shape; *k; k++, s++)
        if (*k == '0' ? !isdigit((unsigned char)*s) : *s != *k)
            return NULL;
    return s;
}

struct weights {
    int safetensors, bin, sharded, index;
    char variant[64]; /* "": none */
};

/* Takes apart STEM[.VARIANT][-00001-of-00002][.VARIANT].(safetensors|bin)[.index[.VARIANT].json]. 0: no weights. */
static int take_apart(const char *name, struct weights *w)
{
    static const char *const stems[] = {"diffusion_pytorch_model", "pytorch_model", "model"};
    const char *s = NULL;
    *w = (struct weights){0};
    for (size_t i = 0; i < sizeof stems / sizeof *stems && !s; i++)
        if (strncmp(name, stems[i], strlen(stems[i])) == 0)
            s = name + strlen(stems[i]);
    if (!s)
        return 0;
    while (*s) {
        const char *after = shard(s);
        if (after) {
            w->sharded = 1;
            s = after;
            continue;
        }
        size_t n = *s == '.' ? strcspn(s + 1, ".-") : 0;
        if (n == 0)
            return 0;
        const char *word = s + 1;
        s += 1 + n;
        if (n == 11 && strncmp(word, "safetensors", n) == 0)
            w->safetensors = 1;
        else if (n == 3 && strncmp(word, "bin", n) == 0)
            w->bin = 1;
        else if (n == 5 && strncmp(word, "index", n) == 0)
            w->index = 1;
        else if (n == 4 && strncmp(word, "json", n) == 0 && w->index && !*s)
            return w->safetensors + w->bin == 1;
        else if (!w->variant[0] && n < sizeof w->variant)
            memcpy(w->variant, word, n);
        else
            return 0;
    }
    return w->safetensors + w->bin == 1 && !w->index;
}

static enum kind kind_of(const char *path, const char *variant, int *set)
{
    static const char *const endings[] = {".safetensors", ".bin", ".pth", ".pt", ".ckpt"};
    struct weights w;
    *set = 0;
    if (!take_apart(base(path), &w)) {
        for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
            if (ends(path, endings[i]))
                return OTHER_WEIGHTS;
        return NO_WEIGHTS;
    }
    *set = w.sharded || w.index;
    if (variant && strcmp(w.variant, variant) == 0)
        return w.safetensors ? VARIANT_SAFETENSORS : VARIANT_BIN;
    if (!w.variant[0])
        return w.safetensors ? SAFETENSORS : BIN;
    if (strcmp(w.variant, "fp16") == 0)
        return w.safetensors ? SAFETENSORS_FP16 : BIN_FP16;
    return OTHER_WEIGHTS;
}

static int place_in_order(const char *path, const char *variant)
{
    int set, kind = (int)kind_of(path, variant, &set);
    return 2 * kind + set;
}

static int text(const char *path)
{
    return ends(path, ".json") || ends(path, ".txt") || ends(path, ".model") || ends(path, ".yaml");
}

static int same_folder(const char *a, const char *b)
{
    size_t n = (size_t)(base(a) - a);
    return n == (size_t)(base(b) - b) && strncmp(a, b, n) == 0;
}

static int first_of_folder(const struct hub_listing *l, const char *path, const char *variant)
{
    int first = 2 * OTHER_WEIGHTS;
    for (size_t i = 0; i < l->n; i++) {
        int place = place_in_order(l->files[i].name, variant);
        if (place < first && same_folder(l->files[i].name, path))
            first = place;
    }
    return first;
}

void hub_choose(struct hub_listing *l, const char *variant)
{
    int pipeline = 0;
    for (size_t i = 0; i < l->n; i++)
        pipeline |= strcmp(l->files[i].name, "model_index.json") == 0;
    for (size_t i = 0; i < l->n; i++) {
        const char *name = l->files[i].name;
        int place = place_in_order(name, variant);
        if (place == 2 * NO_WEIGHTS)
            l->files[i].wanted = (uint32_t)text(name);
        else
            l->files[i].wanted = !pipeline || (place < 2 * OTHER_WEIGHTS && place == first_of_folder(l, name, variant));
    }
}
