/* Where the library lies, and what was installed with it. Nothing is remembered from the build: the tree may be moved. */
#ifndef VQP_INSTALLED_H
#define VQP_INSTALLED_H
#include <stddef.h>

/* The folder of libvqpipe, canonical: build tree and installed tree alike. 0 where it cannot be told or does not fit. */
int vqp_library_folder(char *buf, size_t n);
/* The folder of the descriptors that came with the library; 0 where there is none. */
int vqp_installed_pipelines(char *buf, size_t n);
/* The file that the descriptor `name` means: itself, or, where a relative path leads nowhere, the file of that name in the folder of
 * installed pipelines ("pipelines/" before the name is dropped). Points to `name` or to `buf`. */
const char *vqp_pipeline_file(const char *name, char *buf, size_t n);

#endif
