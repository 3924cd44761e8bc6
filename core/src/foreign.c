#include "foreign.h"
#include <stddef.h>
#include <string.h>

static const struct {
    uint32_t at, bytes;
    const char *begins, *says;
} known[] = {
    {2, 13, "\x8A\x0A\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19.",
     "was saved by a torch older than 1.6; load and save it with a newer torch"},
    {257, 5, "ustar", "was saved by a torch older than 0.1.10; load and save it with torch 1.6 or newer"},
    {0, 40, "version https://git-lfs.github.com/spec/",
     "is a pointer of Git LFS, not the file itself; fetch that (git "
     "lfs pull)"},
    {0, 9, "<!DOCTYPE", "is a web page, not the file that was asked for; fetch it again"},
    {0, 9, "<!doctype", "is a web page, not the file that was asked for; fetch it again"},
    {0, 5, "<html", "is a web page, not the file that was asked for; fetch it again"},
    {0, 4, "GGUF", "is a GGUF file, which vqpipe does not read; use the model's safetensors or .bin file"},
    {0, 8, "\x89HDF\r\n\x1A\n",
     "is an HDF5 file (TensorFlow), which vqpipe does not read; use the safetensors or .bin "
     "file"},
    {0, 2, "\x1F\x8B", "is compressed (gzip); unpack it first"},
};

const char *vqp_foreign_file(const void *data, uint64_t size)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (size >= known[i].at + known[i].bytes && !memcmp(p + known[i].at, known[i].begins, known[i].bytes))
            return known[i].says;
    return size >= 2 && p[0] == 0x80 && p[1] <= 5 && p[1] >= 2
               ? "is a bare pickle, not a file of torch.save; save it with torch 1.6 or newer"
               : NULL;
}
