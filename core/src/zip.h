/* Zip archives as torch.save writes them: stored entries alone, and one reading only. Whatever two readers could read in two
 * ways is refused. */
#ifndef VQP_ZIP_H
#define VQP_ZIP_H
#include "arena.h"
#include <vqpipe/base.h>

struct vqp_zip_entry {
    const char *name; /* NUL-terminated UTF-8, neither absolute nor with ".." in it */
    const unsigned char *data;
    uint64_t size;
    uint32_t crc;
};
struct vqp_zip {
    struct vqp_arena arena; /* owns the entries and their names */
    struct vqp_zip_entry *entries;
    uint32_t count;
};
/* Whether the bytes begin as a zip archive does. */
int vqp_zip_detect(const void *data, uint64_t size);
/* Lists the entries in name order. Checked: the one end record, at the file's end and without a comment; ZIP64; entries that tile
 * the file from its first byte to the directory; local headers and data descriptors that say what the directory says; no
 * compression, encryption or duplicate. The content of entries is not read. VQP_E_FORMAT with `file` and a byte offset or an
 * entry; on failure there is nothing to free. */
vqp_status vqp_zip_parse(const char *file, const void *data, uint64_t size, struct vqp_zip *out, struct vqp_error *err);
void vqp_zip_free(struct vqp_zip *z);
const struct vqp_zip_entry *vqp_zip_find(const struct vqp_zip *z, const char *name);
/* Reads the entry and compares its CRC-32. */
vqp_status vqp_zip_check(const char *file, const struct vqp_zip_entry *e, struct vqp_error *err);

#endif
