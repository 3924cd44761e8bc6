/* Compiled pipelines, and which kernels passed their tests, kept from run to run in $XDG_CACHE_HOME/vqpipe or ~/.cache/vqpipe, one file for each device and driver. A driver
 * that is given a damaged cache may do anything, so a file counts only if it is ours alone to write, is exactly as long as it says,
 * names this device, driver and version, and hashes to what it says. Whatever fails is as if there were none. */
#include "vulkan.h"
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct header {
    char magic[8];
    uint32_t version, pointer_bytes;
    uint64_t bytes; /* of what follows */
    uint8_t identity[72];
    uint8_t hash[32]; /* of what follows */
};
_Static_assert(sizeof((struct vk_adapter *)0)->identity <= sizeof((struct header *)0)->identity, "identity grew");

enum {
    MOST = 256 << 20
};

static void describe(const struct vk_adapter *a, const void *data, size_t bytes, struct header *h)
{
    memset(h, 0, sizeof *h);
    memcpy(h->magic, "vqpipevk", sizeof h->magic);
    h->version = 2;
    h->pointer_bytes = sizeof(void *);
    h->bytes = bytes;
    memcpy(h->identity, &a->identity, sizeof a->identity);
    vk_sha256(data, bytes, h->hash);
}

static int folder(char *out, size_t cap)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n = xdg && *xdg == '/'     ? snprintf(out, cap, "%s/vqpipe", xdg)
            : home && *home == '/' ? snprintf(out, cap, "%s/.cache/vqpipe", home)
                                   : -1;
    return n > 0 && (size_t)n < cap;
}

static int file_name(const struct vk_adapter *a, char *out, size_t cap)
{
    char dir[PATH_MAX];
    uint8_t hash[32];
    vk_sha256(&a->identity, sizeof a->identity, hash);
    return folder(dir, sizeof dir) && snprintf(out, cap, "%s/vulkan-%02x%02x%02x%02x%02x%02x.cache", dir, hash[0],
                                               hash[1], hash[2], hash[3], hash[4], hash[5]) < (int)cap;
}

static int read_all(int fd, void *dst, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t k = read(fd, (char *)dst + done, n - done);
        if (k <= 0)
            return 0;
        done += (size_t)k;
    }
    return 1;
}

/* What Vulkan itself puts first: its own length, version, vendor, device and UUID. */
static int plausible(const struct vk_adapter *a, const void *data, size_t bytes)
{
    VkPipelineCacheHeaderVersionOne h;
    if (bytes < sizeof h)
        return 0;
    memcpy(&h, data, sizeof h);
    return h.headerSize >= 32 && h.headerSize <= bytes && h.headerVersion == VK_PIPELINE_CACHE_HEADER_VERSION_ONE &&
           h.vendorID == a->identity.vendor && h.deviceID == a->identity.device &&
           !memcmp(h.pipelineCacheUUID, a->identity.cache_uuid, VK_UUID_SIZE);
}

/* All that follows the header, where it is sound; free() it. */
static uint8_t *load(const struct vk_adapter *a, size_t *bytes)
{
    char path[PATH_MAX + 64];
    struct header is, must;
    struct stat s;
    uint8_t *data = NULL;
    int fd = file_name(a, path, sizeof path) ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
    if (fd < 0)
        return NULL;
    if (!fstat(fd, &s) && S_ISREG(s.st_mode) && s.st_uid == geteuid() && !(s.st_mode & (S_IWGRP | S_IWOTH)) &&
        s.st_size > (off_t)sizeof is && s.st_size < MOST) {
        *bytes = (size_t)s.st_size - sizeof is;
        data = malloc(*bytes);
    }
    int good = data && read_all(fd, &is, sizeof is) && read_all(fd, data, *bytes);
    close(fd);
    if (good)
        describe(a, data, *bytes, &must);
    if (good && !memcmp(&is, &must, sizeof is))
        return data;
    free(data);
    return NULL;
}

/* After the header: the number of hashes, the hashes, the pipelines. */
void vk_cache_load(const struct vk_adapter *a, struct vk_cache *out)
{
    size_t bytes = 0;
    uint8_t *data = load(a, &bytes);
    uint64_t n = 0;
    *out = (struct vk_cache){0};
    if (data && bytes >= sizeof n)
        memcpy(&n, data, sizeof n);
    size_t first = sizeof n + n * sizeof *out->passed;
    if (data && n <= MOST / sizeof *out->passed && first <= bytes && plausible(a, data + first, bytes - first)) {
        *out = (struct vk_cache){.n_passed = (uint32_t)n,
                                 .passed = malloc(first),
                                 .pipelines = malloc(bytes - first),
                                 .bytes = bytes - first};
        if (out->passed && out->pipelines) {
            memcpy(out->passed, data + sizeof n, first - sizeof n);
            memcpy(out->pipelines, data + first, bytes - first);
        } else {
            vk_cache_free(out);
        }
    }
    free(data);
}

void vk_cache_free(struct vk_cache *c)
{
    free(c->passed);
    free(c->pipelines);
    *c = (struct vk_cache){0};
}

static int write_all(int fd, const void *src, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t k = write(fd, (const char *)src + done, n - done);
        if (k <= 0)
            return 0;
        done += (size_t)k;
    }
    return 1;
}

void vk_cache_store(const struct vk_adapter *a, const struct vk_cache *c)
{
    char dir[PATH_MAX], path[PATH_MAX + 64], beside[PATH_MAX + 96];
    struct header h;
    uint64_t n = c->n_passed;
    size_t first = sizeof n + n * sizeof *c->passed, bytes = first + c->bytes;
    if (bytes >= MOST - sizeof h || !folder(dir, sizeof dir) || !file_name(a, path, sizeof path))
        return;
    char *parent_end = strrchr(dir, '/');
    *parent_end = 0;
    mkdir(dir, 0700);
    *parent_end = '/';
    mkdir(dir, 0700);
    snprintf(beside, sizeof beside, "%s.%ld", path, (long)getpid());
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    uint8_t *data = malloc(bytes);
    if (data) {
        memcpy(data, &n, sizeof n);
        memcpy(data + sizeof n, c->passed ? (const void *)c->passed : "", first - sizeof n);
        memcpy(data + first, c->pipelines, c->bytes);
        describe(a, data, bytes, &h);
    }
    int good = data && write_all(fd, &h, sizeof h) && write_all(fd, data, bytes);
    free(data);
    good = !close(fd) && good;
    if (!good || rename(beside, path))
        unlink(beside);
}

/* ---- SHA-256 (FIPS 180-4) ---- */

static uint32_t rotate(uint32_t v, int n)
{
    return v >> n | v << (32 - n);
}

static void mix(uint32_t state[8], const uint8_t block[64])
{
    static const uint32_t k[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
    uint32_t w[64], s[8];
    for (size_t i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 |
               block[4 * i + 3];
    for (int i = 16; i < 64; i++)
        w[i] = w[i - 16] + w[i - 7] + (rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3) +
               (rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10);
    memcpy(s, state, sizeof s);
    for (int i = 0; i < 64; i++) {
        uint32_t t1 = s[7] + (rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25)) +
                      ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
        uint32_t t2 =
            (rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22)) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += t1;
        s[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++)
        state[i] += s[i];
}

void vk_sha256(const void *data, size_t bytes, uint8_t out[32])
{
    uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    uint8_t end[128] = {0};
    size_t whole = bytes / 64 * 64, rest = bytes - whole, tail = rest < 56 ? 64 : 128;
    for (size_t i = 0; i < whole; i += 64)
        mix(state, (const uint8_t *)data + i);
    if (rest)
        memcpy(end, (const uint8_t *)data + whole, rest);
    end[rest] = 0x80;
    for (int i = 0; i < 8; i++)
        end[tail - 1 - (size_t)i] = (uint8_t)((uint64_t)bytes * 8 >> 8 * i);
    for (size_t i = 0; i < tail; i += 64)
        mix(state, end + i);
    for (int i = 0; i < 32; i++)
        out[i] = (uint8_t)(state[i / 4] >> 8 * (3 - i % 4));
}
