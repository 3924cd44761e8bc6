#include "context.h"
#include "half.h"
#include "inside.h"
#include "json.h"
#include "model_folder.h"
#include "outfolder.h"
#include "q8_0.h"
#include "safetensors_write.h"
#include "shape.h"
#include "text.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK = 1 << 16, /* elements converted at once */
    PIECE = 1 << 18, /* bytes written at once as they are */
    MAX_CONFIG = 64 << 20
};

struct conversion {
    struct vqpipe_context *ctx;
    const struct vqpipe_convert_params *params;
    const char *part;
    struct vqp_weights *weights;
    uint64_t done, total; /* bytes of the source */
    float *floats;        /* CHUNK of them, and as many of the result */
    void *result;
    struct vqp_error *err;
};

/* One tensor on its way: what it is, and what it becomes. */
struct job {
    const struct vqp_tensor *t;
    uint32_t dtype; /* VQP_* of the result; 0: the bytes as they are */
    int scales;     /* of a result in VQP_Q8_0: the tensor of scales, not that of entries */
    struct vqp_st_entry entry;
};

static const char *type_name(uint32_t dtype)
{
    return dtype == VQP_F32 ? "F32" : dtype == VQP_F16 ? "F16" : dtype == VQP_Q8_0 ? "I8" : "BF16";
}

static vqp_status no_memory(const struct conversion *c)
{
    return vqp_fail(c->err, VQP_E_NOMEM, "convert: out of memory");
}

static vqp_status advance(struct conversion *c, uint64_t bytes)
{
    const struct vqpipe_convert_params *p = c->params;
    c->done += bytes;
    if (p->progress && p->progress(p->progress_ctx, c->part, c->done, c->total))
        return vqp_fail(c->err, VQP_E_CANCELLED, "the conversion was stopped; nothing was written");
    return VQP_OK;
}

/* ---- tensors ---------------------------------------------------------------------------------------------------- */

/* Writes it as job->dtype; *lost where a value left that type's range. */
static vqp_status write_as(struct conversion *c, struct vqp_st_writer *w, const struct job *j, int *lost)
{
    uint32_t from = vqp_dtype_bytes(j->t->dtype), to = vqp_dtype_bytes(j->dtype);
    const unsigned char *data = j->t->data;
    uint64_t n = j->t->bytes / from;
    vqp_status status = VQP_OK;
    *lost = 0;
    for (uint64_t i = 0; !status && !*lost && i < n; i += CHUNK) {
        size_t some = n - i < CHUNK ? (size_t)(n - i) : CHUNK;
        vqp_to_floats(j->t->dtype, data + i * from, c->floats, some);
        *lost = vqp_from_floats(j->dtype, c->floats, c->result, some);
        if (!*lost && !(status = vqp_st_write(w, c->result, some * to, c->err)))
            status = advance(c, some * from);
    }
    return status;
}

/* Either half of it: both come from one pass over the tensor, which is cheap beside reading it. */
static vqp_status write_q8_0(struct conversion *c, struct vqp_st_writer *w, const struct job *j)
{
    uint32_t from = vqp_dtype_bytes(j->t->dtype);
    uint64_t n = j->t->bytes / from;
    int8_t *entries = c->result;
    uint16_t *scales = (uint16_t *)c->result + CHUNK / 2; /* behind CHUNK bytes */
    vqp_status status = VQP_OK;
    char name[128];
    for (uint64_t i = 0; !status && i < n; i += CHUNK) {
        size_t some = n - i < CHUNK ? (size_t)(n - i) : CHUNK;
        vqp_to_floats(j->t->dtype, (const unsigned char *)j->t->data + i * from, c->floats, some);
        if (vqp_to_q8_0(c->floats, some, entries, scales))
            return vqp_fail(c->err, VQP_E_UNSUPPORTED,
                            "%s: tensor \"%s\" has values beyond the range of q8_0; convert with --type f32 or bf16",
                            c->part, vqp_quote(j->t->name, strlen(j->t->name), name, sizeof name));
        status = j->scales ? vqp_st_write(w, scales, some / VQP_Q8_BLOCK * sizeof *scales, c->err)
                           : vqp_st_write(w, entries, some, c->err);
        if (!status && !j->scales)
            status = advance(c, some * from);
    }
    return status;
}

static vqp_status write_bytes(struct conversion *c, struct vqp_st_writer *w, const struct vqp_tensor *t)
{
    vqp_status status = VQP_OK;
    for (uint64_t i = 0; !status && i < t->bytes; i += PIECE) {
        uint64_t some = t->bytes - i < PIECE ? t->bytes - i : PIECE;
        status = vqp_st_write(w, (const unsigned char *)t->data + i, some, c->err);
        if (!status)
            status = advance(c, some);
    }
    return status;
}

static vqp_status write_tensor(struct conversion *c, struct vqp_st_writer *w, struct job *j)
{
    int lost;
    vqp_status status = c->params->allow_nonfinite ? vqp_weights_ready(c->weights, j->t, c->err)
                                                   : vqp_weights_check_finite(c->weights, j->t, c->err);
    if (status)
        return status;
    j->entry.begin = w->at;
    if (!j->dtype) {
        status = write_bytes(c, w, j->t);
    } else if (j->dtype == VQP_Q8_0 || j->scales) {
        status = write_q8_0(c, w, j);
    } else {
        uint64_t done = c->done;
        status = write_as(c, w, j, &lost);
        if (!status && lost) {
            char name[128];
            vqp_context_log(c->ctx, VQP_LOG_WARN, "%s: tensor \"%s\" has values beyond the range of %s; kept as F32",
                            c->part, vqp_quote(j->t->name, strlen(j->t->name), name, sizeof name), type_name(j->dtype));
            c->done = done;
            j->dtype = VQP_F32;
            j->entry.dtype = type_name(VQP_F32);
            status = vqp_st_rewind(w, j->entry.begin, c->err);
            if (!status)
                status = write_as(c, w, j, &lost);
        }
    }
    j->entry.end = w->at;
    vqp_weights_drop(c->weights, j->t);
    return status;
}

/* ---- one file --------------------------------------------------------------------------------------------------- */

static int by_alignment(const void *a, const void *b)
{
    const struct job *x = a, *y = b;
    uint32_t sx = x->dtype ? vqp_dtype_bytes(x->dtype) : 0, sy = y->dtype ? vqp_dtype_bytes(y->dtype) : 0;
    if (sx != sy)
        return sx > sy ? -1 : 1;
    return strcmp(x->t->name, y->t->name);
}

static vqp_status plan_tensor(const struct conversion *c, const struct vqp_tensor *t, struct job *j)
{
    uint64_t n;
    int is_float = t->dtype == VQP_F32 || t->dtype == VQP_F16 || t->dtype == VQP_BF16;
    *j = (struct job){.t = t};
    j->dtype = !is_float ? 0 : c->params->type ? c->params->type : t->dtype;
    if (j->dtype == VQP_Q8_0 && !vqp_q8_0_suits(t->name, t->dtype, &t->shape))
        j->dtype = VQP_F16;
    if (j->dtype == t->dtype)
        j->dtype = 0;
    j->entry = (struct vqp_st_entry){
        .name = t->name, .dtype = j->dtype ? type_name(j->dtype) : t->file_dtype, .shape = t->shape};
    if (vqp_shape_count(&t->shape, &n) || (t->shape.rank == 0 && t->bytes > 8))
        return vqp_fail(c->err, VQP_E_UNSUPPORTED,
                        "%.200s: tensor \"%.100s\" has more than %d dimensions, which cannot be "
                        "converted",
                        vqp_weights_file(c->weights), t->name, VQP_MAX_RANK);
    return VQP_OK;
}

/* The scales that go with the entries of `of`, as NAME.scale. */
static vqp_status plan_scales(const struct conversion *c, struct vqp_arena *a, const struct job *of, struct job *j)
{
    *j = *of;
    j->dtype = VQP_F16;
    j->scales = 1;
    j->entry.dtype = type_name(VQP_F16);
    j->entry.shape.dim[1] /= VQP_Q8_BLOCK;
    j->entry.name = vqp_arena_printf(a, "%s.scale", of->entry.name);
    return j->entry.name ? VQP_OK : no_memory(c);
}

static vqp_status write_file(struct conversion *c, const char *path)
{
    uint32_t tensors = vqp_weights_count(c->weights), n = 0;
    struct job *jobs = calloc(2 * (size_t)tensors + 1, sizeof *jobs);
    struct vqp_st_entry *entries = calloc(2 * (size_t)tensors + 1, sizeof *entries);
    struct vqp_st_writer w = {0};
    struct vqp_arena names = {0};
    vqp_status status = VQP_OK;
    if (!jobs || !entries) {
        free(entries);
        free(jobs);
        return no_memory(c);
    }
    for (uint32_t i = 0; !status && i < tensors; i++, n++) {
        status = plan_tensor(c, vqp_weights_at(c->weights, i), &jobs[n]);
        if (!status && jobs[n].dtype == VQP_Q8_0) {
            status = plan_scales(c, &names, &jobs[n], &jobs[n + 1]);
            n++;
        }
    }
    if (!status) {
        qsort(jobs, n, sizeof *jobs, by_alignment);
        for (uint32_t i = 0; i < n; i++)
            entries[i] = jobs[i].entry;
        status = vqp_st_open(&w, path, entries, n, c->err);
    }
    for (uint32_t i = 0; !status && i < n; i++) {
        status = write_tensor(c, &w, &jobs[i]);
        entries[i] = jobs[i].entry;
    }
    if (!status)
        status = vqp_st_commit(&w, entries, n, c->err);
    else
        vqp_st_abort(&w);
    vqp_arena_free(&names);
    free(entries);
    free(jobs);
    return status;
}

/* ---- configs ---------------------------------------------------------------------------------------------------- */

static int ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

static int is_config(const char *name)
{
    return (ends_with(name, ".json") && !strstr(name, ".index.")) || ends_with(name, ".txt") ||
           ends_with(name, ".md") || !strncmp(name, "LICENSE", 7);
}

static vqp_status copy_file(const char *from, const char *to, struct vqp_error *err)
{
    char *data;
    size_t n;
    struct vqp_outfile out;
    vqp_status status = vqp_read_file(from, MAX_CONFIG, &data, &n, err);
    if (status)
        return status;
    status = vqp_outfile_open(&out, to, err);
    if (!status) {
        fwrite(data, 1, n, out.f); /* commit looks at the stream's error flag */
        status = vqp_outfile_commit(&out, err);
    }
    free(data);
    return status;
}

static vqp_status copy_configs(struct conversion *c, struct vqp_arena *a, const char *from, const char *to)
{
    DIR *d = opendir(from);
    vqp_status status = VQP_OK;
    if (!d)
        return vqp_fail(c->err, VQP_E_IO, "%.240s: cannot be read", from);
    for (const struct dirent *e; !status && (e = readdir(d));) {
        const char *source = vqp_arena_printf(a, "%s/%s", from, e->d_name),
                   *target = vqp_arena_printf(a, "%s/%s", to, e->d_name);
        struct stat st;
        if (!source || !target)
            status = no_memory(c);
        else if (is_config(e->d_name) && !stat(source, &st) && S_ISREG(st.st_mode))
            status = copy_file(source, target, c->err);
    }
    closedir(d);
    return status;
}

/* The config that a part within a checkpoint would have; 0 where the part is a folder, *from then being it. */
static int write_config(struct conversion *c, struct vqp_arena *a, const struct vqp_model_part *part, const char *to,
                        const char **from, vqp_status *status)
{
    json_t *config;
    const char *folder;
    if (!vqp_inside_config(part->path, a, &folder, &config, status, c->err)) {
        *from = folder ? folder : part->path;
        return 0;
    }
    const char *path =
        vqp_arena_printf(a, "%s/%s", to, strcmp(part->name, "scheduler") ? "config.json" : "scheduler_config.json");
    struct vqp_outfile out;
    if (!*status)
        *status = path ? vqp_outfile_open(&out, path, c->err) : no_memory(c);
    if (!*status) {
        json_dumpf(config, out.f, JSON_INDENT(2)); /* commit looks at the stream's error flag */
        fputc('\n', out.f);
        *status = vqp_outfile_commit(&out, c->err);
    }
    json_decref(config);
    return 1;
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

static vqp_status convert_part(struct conversion *c, struct vqp_arena *a, const struct vqp_model_part *part,
                               const char *to)
{
    const char *folder = vqp_arena_printf(a, "%s/%s", to, part->name);
    const char *file = folder && part->weights ? vqp_arena_printf(a, "%s/%s", folder, part->weights) : NULL;
    if (!folder || (part->weights && !file))
        return no_memory(c);
    if (mkdir(folder, 0755))
        return vqp_fail(c->err, VQP_E_OUTPUT, "%.240s: cannot be made", folder);
    const char *from;
    vqp_status status = VQP_OK;
    if (!write_config(c, a, part, folder, &from, &status))
        status = copy_configs(c, a, from, folder);
    if (status || !file)
        return status;
    c->part = part->name;
    status = vqp_inside_weights(c->ctx->weights, part->path, c->params->variant, &c->weights, c->err);
    if (!status)
        status = write_file(c, file);
    vqp_weights_close(c->ctx->weights, c->weights);
    c->weights = NULL;
    return status;
}

/* Every part is opened once before the first byte is written: what is wrong shows at once. */
static vqp_status measure(struct conversion *c, const struct vqp_model_folder *m)
{
    vqp_status status = VQP_OK;
    for (uint32_t i = 0; !status && i < m->n_parts; i++) {
        if (!m->part[i].weights)
            continue;
        status = vqp_inside_weights(c->ctx->weights, m->part[i].path, c->params->variant, &c->weights, c->err);
        for (uint32_t k = 0; !status && k < vqp_weights_count(c->weights); k++)
            c->total += vqp_weights_at(c->weights, k)->bytes;
        uint64_t bytes;
        for (uint32_t k = 0; !status && vqp_weights_part(c->weights, k, &bytes); k++)
            vqp_context_log(c->ctx, VQP_LOG_INFO, "%s: took %s, %.1f MB", m->part[i].name,
                            vqp_weights_part(c->weights, k, &bytes), (double)bytes * 1e-6);
        vqp_weights_close(c->ctx->weights, c->weights);
        c->weights = NULL;
    }
    return status;
}

static vqp_status convert_all(struct conversion *c, const struct vqp_model_folder *m, const char *dst)
{
    struct vqp_outfolder out;
    struct vqp_arena a = {0};
    vqp_status status = measure(c, m);
    if (!status)
        status = vqp_outfolder_open(&out, dst, c->err);
    if (status)
        return status;
    status = m->is_checkpoint ? VQP_OK : copy_configs(c, &a, m->dir, out.tmp);
    for (uint32_t i = 0; !status && i < m->n_parts; i++)
        status = convert_part(c, &a, &m->part[i], out.tmp);
    if (!status)
        status = vqp_outfolder_commit(&out, c->err);
    vqp_outfolder_abort(&out);
    vqp_arena_free(&a);
    return status;
}

vqp_status vqpipe_convert(vqpipe_context *ctx, const char *src, const char *dst,
                          const struct vqpipe_convert_params *params, struct vqp_error *err)
{
    struct vqpipe_convert_params p = {0};
    struct conversion c = {.ctx = ctx, .params = &p, .err = err};
    struct vqp_model_folder m;
    if (params)
        memcpy(&p, params, params->struct_size < sizeof p ? params->struct_size : sizeof p);
    if (p.type && p.type != VQP_F32 && p.type != VQP_F16 && p.type != VQP_BF16 && p.type != VQP_Q8_0)
        return vqp_fail(err, VQP_E_ARG, "convert: the type must be f32, f16, bf16 or q8_0");
    vqp_status status = vqp_model_folder_read(src, &m, err);
    if (status)
        return status;
    c.floats = malloc(CHUNK * sizeof *c.floats);
    c.result = malloc(CHUNK * sizeof *c.floats);
    status = c.floats && c.result ? convert_all(&c, &m, dst) : no_memory(&c);
    free(c.floats);
    free(c.result);
    vqp_model_folder_free(&m);
    return status;
}
