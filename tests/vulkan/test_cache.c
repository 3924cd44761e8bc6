/* The pipeline cache on disk: used again when it is sound, as if it were not there when it is not. */
#include "check.h"
#include "faults.h"
#include "once.h"
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vulkan.h>

static char folder[] = "/tmp/vqpipe-cache-XXXXXX", path[512];

/* Bytes that a run's pipeline cache began with. */
static uint64_t begins_with(void)
{
    struct vqp_error err = {0};
    int right = 0;
    fault_state = (struct fault_state){0};
    vqp_status st = once(NULL, "f32", 1, &right, &err);
    CU_ASSERT_EQUAL(st, VQP_OK);
    CU_ASSERT_TRUE(right);
    return fault_state.cache_bytes;
}

static char *read_file(size_t *n)
{
    char *data = malloc(1 << 20);
    FILE *f = fopen(path, "rb");
    *n = f && data ? fread(data, 1, 1 << 20, f) : 0;
    if (f)
        fclose(f);
    return data;
}

static void write_file(const char *data, size_t n)
{
    FILE *f = fopen(path, "wb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CU_ASSERT_EQUAL(fwrite(data, 1, n, f), n);
    fclose(f);
}

static int prepare(void)
{
    struct vqp_error err = {0};
    int right = 0;
    fault_state = (struct fault_state){0};
    if (once(NULL, "f32", 0, &right, &err) == VQP_E_DEVICE) {
        printf("SKIPPED: %s\n", err.msg);
        return 0;
    }
    unlink(path);
    CU_ASSERT_EQUAL(begins_with(), 0);
    char sub[64];
    snprintf(sub, sizeof sub, "%s/vqpipe", folder);
    DIR *d = opendir(sub);
    int files = 0;
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s", sub, e->d_name);
            files++;
        }
    if (d)
        closedir(d);
    CU_ASSERT_EQUAL_FATAL(files, 1); /* and nothing beside it is left */
    return 1;
}

static void is_used_again(void)
{
    struct stat s;
    size_t n;
    if (!prepare())
        return;
    char *data = read_file(&n);
    uint64_t passed = 0; /* after the header: kernels that passed their tests */
    CU_ASSERT_TRUE_FATAL(n > 128 + sizeof passed);
    memcpy(&passed, data + 128, sizeof passed);
    CU_ASSERT_EQUAL(passed, 1);
    CU_ASSERT_EQUAL(begins_with(), n - 128 - sizeof passed - 32);
    CU_ASSERT_EQUAL(stat(path, &s), 0);
    CU_ASSERT_EQUAL(s.st_mode & 0777, 0600);
    free(data);
}

static void is_not_used_when_damaged(void)
{
    size_t n;
    if (!prepare())
        return;
    char *data = read_file(&n);
    for (size_t at = 0; at < n; at += at < 160 ? 7 : n / 10 + 1) { /* one bit each, in its header and beyond */
        data[at] ^= 4;
        write_file(data, n);
        CU_ASSERT_EQUAL(begins_with(), 0);
        data[at] ^= 4;
    }
    static const size_t cut[] = {0, 1, 127, 128, 129};
    for (size_t i = 0; i < sizeof cut / sizeof *cut; i++) {
        write_file(data, cut[i]);
        CU_ASSERT_EQUAL(begins_with(), 0);
    }
    write_file(data, n - 1);
    CU_ASSERT_EQUAL(begins_with(), 0);
    write_file(data, n);
    FILE *f = fopen(path, "ab");
    fputc(0, f);
    fclose(f);
    CU_ASSERT_EQUAL(begins_with(), 0);
    CU_ASSERT_NOT_EQUAL(begins_with(), 0); /* each run leaves a sound one behind */
    free(data);
}

static void is_not_used_when_others_can_write_it(void)
{
    char other[600];
    if (!prepare())
        return;
    chmod(path, 0666);
    CU_ASSERT_EQUAL(begins_with(), 0);
    CU_ASSERT_NOT_EQUAL(begins_with(), 0);
    snprintf(other, sizeof other, "%s-other", path);
    CU_ASSERT_EQUAL(rename(path, other), 0);
    CU_ASSERT_EQUAL(symlink(other, path), 0);
    CU_ASSERT_EQUAL(begins_with(), 0);
    unlink(other);
}

static void is_not_missed_where_it_cannot_be(void)
{
    if (!prepare())
        return;
    setenv("XDG_CACHE_HOME", "/proc/nowhere", 1);
    CU_ASSERT_EQUAL(begins_with(), 0);
    setenv("XDG_CACHE_HOME", folder, 1);
}

static void hashes_as_the_standard_says(void)
{
    static const uint8_t abc[] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea}, none[] = {0xe3, 0xb0, 0xc4, 0x42},
                         two[] = {0x24, 0x8d, 0x6a, 0x61, 0xd2, 0x06, 0x38, 0xb8};
    uint8_t out[32];
    vk_sha256("abc", 3, out);
    CU_ASSERT_EQUAL(memcmp(out, abc, sizeof abc), 0);
    vk_sha256("", 0, out);
    CU_ASSERT_EQUAL(memcmp(out, none, sizeof none), 0);
    vk_sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, out);
    CU_ASSERT_EQUAL(memcmp(out, two, sizeof two), 0);
}

static const struct vqp_case cases[] = {
    {"a sound cache is used again", is_used_again},
    {"a damaged one is not", is_not_used_when_damaged},
    {"one that others can write is not, nor a link", is_not_used_when_others_can_write_it},
    {"a folder that cannot be written does no harm", is_not_missed_where_it_cannot_be},
    {"its hash is SHA-256", hashes_as_the_standard_says},
};

int main(void)
{
    char command[128];
    if (!mkdtemp(folder) || setenv("XDG_CACHE_HOME", folder, 1))
        return 2;
    int failed = RUN_CASES("vulkan pipeline cache", cases);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) || failed;
}
