/* The pickles that torch.save writes, read as data: an allow-list of opcodes and names; nothing is looked up, imported or called,
 * and there is no second, weaker way to read one. */
#ifndef VQP_PICKLE_H
#define VQP_PICKLE_H
#include "arena.h"
#include <vqpipe/base.h>

enum vqp_pickle_kind {
    VQP_PICKLE_NONE,
    VQP_PICKLE_BOOL,
    VQP_PICKLE_INT,
    VQP_PICKLE_FLOAT, /* its value is not kept */
    VQP_PICKLE_TEXT,
    VQP_PICKLE_TUPLE,
    VQP_PICKLE_LIST,
    VQP_PICKLE_DICT,
    VQP_PICKLE_STORAGE,
    VQP_PICKLE_TENSOR,
    VQP_PICKLE_GLOBAL, /* a name of the allow-list */
    VQP_PICKLE_OTHER   /* a torch.dtype or device: known, of no use */
};

/* Values are shared, as in Python: the same one may be met by several ways, and a list may hold itself. */
struct vqp_pickle_value {
    uint8_t kind, on_path; /* on_path: for whoever walks the values */
    uint16_t global;       /* GLOBAL: which; STORAGE: the type's; DICT: whether it is an OrderedDict */
    uint32_t n;            /* TEXT: bytes; TUPLE, LIST: items; DICT: keys and values together */
    union {
        int64_t integer;                 /* BOOL, INT */
        const char *text;                /* TEXT: into the pickle, not NUL-terminated, valid UTF-8 without NUL */
        struct vqp_pickle_value **items; /* TUPLE, LIST, DICT (key, value, key, ...) */
        struct vqp_pickle_storage *storage;
        struct vqp_pickle_tensor *tensor;
    } v;
};
struct vqp_pickle_storage {
    const char *dtype; /* as safetensors names it: "F32" */
    uint32_t element_bytes, key_bytes;
    const char *key; /* not NUL-terminated */
    uint64_t numel;
};
enum {
    VQP_PICKLE_MAX_RANK = 8
};
struct vqp_pickle_tensor { /* offset, sizes and strides in elements, none negative, unchecked otherwise */
    const struct vqp_pickle_storage *storage;
    uint32_t rank;
    uint64_t offset, size[VQP_PICKLE_MAX_RANK], stride[VQP_PICKLE_MAX_RANK];
};

/* Reads a whole pickle of protocol 2. `what` names it in messages: "FILE: data.pkl". Everything lives in `a`, texts in `data`.
 * VQP_E_FORMAT with the byte offset. */
vqp_status vqp_pickle_read(const char *what, const void *data, uint64_t size, struct vqp_arena *a,
                           struct vqp_pickle_value **root, struct vqp_error *err);

#endif
