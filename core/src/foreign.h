/* Files that people have under a model file's name, and that are something else. */
#ifndef VQP_FOREIGN_H
#define VQP_FOREIGN_H
#include <stdint.h>

/* What the bytes begin like and what to do about it, as the end of a sentence after the file's name; NULL where they are none
 * of those known. */
const char *vqp_foreign_file(const void *data, uint64_t size);

#endif
