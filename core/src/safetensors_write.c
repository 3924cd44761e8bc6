#include "safetensors_write.h"
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LENGTH_BYTES = 8
};
/* Of a place that is not known yet: no offset has more digits. */
static const int64_t longest = INT64_MAX;

static vqp_status no_memory(const struct vqp_st_writer *w, struct vqp_error *err)
{
    return vqp_fail(err, VQP_E_NOMEM, "%.240s: no memory left for its header", w->path);
}

static vqp_status fail_errno(const struct vqp_st_writer *w, struct vqp_error *err)
{
    return vqp_fail(err, VQP_E_OUTPUT, "%.240s: cannot be written: %s", w->path, strerror(errno));
}

static json_t *entry_json(const struct vqp_st_entry *e, int is_final)
{
    json_t *shape = json_array();
    for (uint32_t i = 0; i < e->shape.rank; i++)
        json_array_append_new(shape, json_integer(e->shape.dim[i]));
    return json_pack("{s:s,s:o,s:[I,I]}", "dtype", is_final ? e->dtype : "BF16", "shape", shape, "data_offsets",
                     (json_int_t)(is_final ? (int64_t)e->begin : longest),
                     (json_int_t)(is_final ? (int64_t)e->end : longest));
}

/* To be freed; NULL: out of memory. */
static char *header(const struct vqp_st_entry *entries, uint32_t n, int is_final)
{
    json_t *root =
        json_pack("{s:{s:s}}", "__metadata__", "format", "pt"); /* without it transformers refuses the file */
    char *text = NULL;
    int failed = !root;
    for (uint32_t i = 0; !failed && i < n; i++)
        failed = json_object_set_new(root, entries[i].name, entry_json(&entries[i], is_final));
    if (!failed)
        text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return text;
}

vqp_status vqp_st_open(struct vqp_st_writer *w, const char *path, const struct vqp_st_entry *entries, uint32_t n,
                       struct vqp_error *err)
{
    *w = (struct vqp_st_writer){.path = path};
    char *text = header(entries, n, 0);
    if (!text)
        return no_memory(w, err);
    w->room = (strlen(text) + 7) / 8 * 8; /* the data is aligned to 8 bytes */
    free(text);
    vqp_status status = vqp_outfile_open(&w->out, path, err);
    return status ? status : vqp_st_rewind(w, 0, err);
}

vqp_status vqp_st_rewind(struct vqp_st_writer *w, uint64_t at, struct vqp_error *err)
{
    w->at = at;
    if (fseeko(w->out.f, (off_t)(LENGTH_BYTES + w->room + at), SEEK_SET))
        return fail_errno(w, err);
    return VQP_OK;
}

vqp_status vqp_st_write(struct vqp_st_writer *w, const void *data, uint64_t bytes, struct vqp_error *err)
{
    errno = 0;
    if (bytes && fwrite(data, 1, bytes, w->out.f) != bytes) {
        errno = errno ? errno : EIO;
        return fail_errno(w, err);
    }
    w->at += bytes;
    return VQP_OK;
}

static vqp_status put_header(struct vqp_st_writer *w, const char *text, struct vqp_error *err)
{
    size_t n = strlen(text);
    uint64_t end = w->at;
    unsigned char length[LENGTH_BYTES];
    for (int i = 0; i < LENGTH_BYTES; i++)
        length[i] = (unsigned char)(w->room >> 8 * i);
    if (fseeko(w->out.f, 0, SEEK_SET))
        return fail_errno(w, err);
    vqp_status status = vqp_st_write(w, length, sizeof length, err);
    if (!status)
        status = vqp_st_write(w, text, n, err);
    for (; !status && n < w->room; n++)
        status = vqp_st_write(w, " ", 1, err);
    /* What a rewind left behind the end must go. */
    if (!status && (fflush(w->out.f) || ftruncate(fileno(w->out.f), (off_t)(LENGTH_BYTES + w->room + end))))
        status = fail_errno(w, err);
    return status;
}

vqp_status vqp_st_commit(struct vqp_st_writer *w, const struct vqp_st_entry *entries, uint32_t n, struct vqp_error *err)
{
    char *text = header(entries, n, 1);
    vqp_status status = text ? put_header(w, text, err) : no_memory(w, err);
    free(text);
    if (status)
        vqp_st_abort(w);
    return status ? status : vqp_outfile_commit(&w->out, err);
}

void vqp_st_abort(struct vqp_st_writer *w)
{
    vqp_outfile_abort(&w->out);
}
