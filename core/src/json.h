/* JSON with limits: model configs. Errors name file, line and column. jansson underneath. */
#ifndef VQP_JSON_H
#define VQP_JSON_H
#include <jansson.h>
#include <sys/stat.h>
#include <vqpipe/base.h>

/* Opens a regular file for reading: a descriptor with *st filled, or -1 with `code` in err. FIFOs, devices and folders are refused
 * without blocking. */
int vqp_open_regular(const char *path, vqp_status code, struct stat *st, struct vqp_error *err);
/* Reads a whole regular file of at most max_bytes into malloc'ed memory (NUL added, not counted). Refuses FIFOs, devices and
 * folders without blocking. VQP_E_IO with the path and errno's text. */
vqp_status vqp_read_file(const char *path, uint64_t max_bytes, char **data, size_t *n, struct vqp_error *err);
/* Parses an object from memory: depth <= 32, no duplicate keys (after unescaping), no BOM, no NaN or Infinity, valid UTF-8.
 * Whole numbers beyond 64 bits become reals. `what` names the source in messages. VQP_E_FORMAT. */
vqp_status vqp_json_parse(const char *what, const char *data, size_t n, json_t **out, struct vqp_error *err);
/* The same, wide numbers refused, for formats that count bytes: why->msg says what is wrong without a place, *offset is the byte where. */
vqp_status vqp_json_decode(const char *data, size_t n, json_t **out, size_t *offset, struct vqp_error *why);
/* vqp_read_file and vqp_json_parse. At most 1 MiB. */
vqp_status vqp_json_load(const char *path, json_t **out, struct vqp_error *err);

#endif
