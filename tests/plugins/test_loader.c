/* The loader against plugins that are broken on purpose (CMakeLists.txt of this folder makes them). */
#include "check.h"
#include "registry.h"
#include <sys/stat.h>
#include <unistd.h>

#define CASE(folder, file) VQP_BUILD_DIR "/tests/plugins/" folder "/" file ".so"

static const struct vqp_plugin *open_good(const char *path)
{
    const struct vqp_plugin *p = NULL;
    struct vqp_error err = {0};
    CU_ASSERT_EQUAL(vqp_loader_open(path, &p, &err), VQP_OK);
    CU_ASSERT_PTR_NOT_NULL(p);
    if (err.msg[0])
        printf("\n    %s: %s\n", path, err.msg);
    return p;
}

static void refused(const char *path, const char *why)
{
    static const struct vqp_plugin untouched;
    const struct vqp_plugin *p = &untouched;
    struct vqp_error err = {0};
    CU_ASSERT_EQUAL(vqp_loader_open(path, &p, &err), VQP_E_PLUGIN);
    CU_ASSERT_EQUAL(err.code, VQP_E_PLUGIN);
    CU_ASSERT_PTR_EQUAL(p, &untouched);
    CHECK_STR_HAS(err.msg, why);
    CU_ASSERT_EQUAL(vqp_loader_open(path, &p, NULL), VQP_E_PLUGIN); /* err is optional */
}

static void good(void)
{
    const struct vqp_plugin *p = open_good(CASE("good", "good"));
    if (!p)
        return;
    CU_ASSERT_STRING_EQUAL(p->id, "org.vqpipe.test");
    CU_ASSERT_STRING_EQUAL(p->components[0]->name, "minimal");
    CU_ASSERT_PTR_NULL(p->components[1]);
}

static void newer_minor(void)
{
    const struct vqp_plugin *p = open_good(CASE("newer_minor", "newer_minor"));
    if (!p)
        return;
    CU_ASSERT_EQUAL(p->abi_minor, VQP_ABI_MINOR + 7);
    CU_ASSERT_TRUE(p->struct_size > sizeof *p);
    CU_ASSERT_STRING_EQUAL(p->components[0]->name, "from-the-future");
}

static void wrong_major(void)
{
    refused(CASE("wrong_major", "wrong_major"), "built for ABI major 2, this vqpipe has 1");
}

static void symbols(void)
{
    refused(CASE("no_symbol", "no_symbol"), "not a vqpipe plugin");
    refused(CASE("function_symbol", "function_symbol"), "vqp_plugin_v1 is not data");
    refused(CASE("undefined_symbol", "undefined_symbol"), "nobody_defines_this");
}

static void sizes(void)
{
    refused(CASE("small_struct", "small_struct"), "vqp_plugin_v1 has 16 bytes, at least");
    refused(CASE("short_table", "short_table"), "ends before 'record_step'");
}

static void callbacks(void)
{
    refused(CASE("null_callback", "null_callback"), "component 'minimal': mandatory function 'record_step'");
    refused(CASE("null_create", "null_create"), "mandatory function 'create' is NULL");
}

static void names(void)
{
    refused(CASE("null_id", "null_id"), "its id is missing");
    refused(CASE("bad_license", "bad_license"), "its license is missing or not one line of UTF-8");
    refused(CASE("bad_name", "bad_name"), "a component's name");
    refused(CASE("same_name_twice", "same_name_twice"), "two of its components are called 'minimal'");
    refused(CASE("null_list", "null_list"), "list of components is empty");
    refused(CASE("unknown_iface", "unknown_iface"), "component 'upscaler': interface number 77");
}

static void options(void)
{
    refused(CASE("bad_options", "bad_options"), "option 'rounds'");
    refused(CASE("bad_options", "bad_options"), "12 is out of range");
    refused(CASE("core_option", "core_option"), "option 'path' has the name of one of the host's own keys");
}

static void not_elf(void)
{
    refused(CASE("text", "text"), "not an ELF shared object");
    refused(CASE("garbage", "garbage"), "not an ELF shared object");
    refused(CASE("empty", "empty"), "not an ELF shared object");
    refused(CASE("folder", "folder"), "not a regular file");
    refused(CASE("good", "absent"), "No such file");
}

static void damaged_elf(void)
{
    refused(CASE("truncated", "half"), "truncated ELF file");
    refused(CASE("truncated_header", "header"), "truncated ELF file");
    refused(CASE("other_machine", "arm"), "built for another machine");
}

static void pipes(void)
{
    char path[] = "/tmp/vqp-loader-XXXXXX", pipe_path[64];
    if (!mkdtemp(path))
        SKIP("/tmp cannot be written");
    snprintf(pipe_path, sizeof pipe_path, "%s/pipe.so", path);
    if (!mkfifo(pipe_path, 0600))
        refused(pipe_path, "not a regular file");
    unlink(pipe_path);
    rmdir(path);
}

static void unsafe_paths(void)
{
    refused(CASE("world_writable", "open"), "unsafe path: the file can be written by everybody");
    refused(CASE("open_folder", "inside"), "unsafe path: its folder can be written by everybody");
    open_good(CASE("sticky_folder", "inside"));
}

/* A link in a safe folder to a file that is not. */
static void links(void)
{
    char dir[] = "/tmp/vqp-loader-XXXXXX", path[64];
    if (!mkdtemp(dir))
        SKIP("/tmp cannot be written");
    snprintf(path, sizeof path, "%s/a.so", dir);
    if (!symlink(CASE("world_writable", "open"), path))
        refused(path, "the file can be written by everybody");
    unlink(path);
    if (!symlink(CASE("good", "good"), path))
        open_good(path);
    unlink(path);
    rmdir(dir);
}

static void foreign_owner(void)
{
    if (geteuid() != 0)
        SKIP("only root can give a file to somebody else");
    char dir[] = "/tmp/vqp-loader-XXXXXX", path[64], copy[512];
    if (!mkdtemp(dir))
        SKIP("/tmp cannot be written");
    snprintf(path, sizeof path, "%s/a.so", dir);
    snprintf(copy, sizeof copy, "cp %s %s", CASE("good", "good"), path);
    if (!system(copy)) {
        CU_ASSERT_EQUAL(chown(path, 12345, 12345), 0);
        refused(path, "the file belongs to user 12345");
        CU_ASSERT_EQUAL(chown(path, 0, 0), 0);
        CU_ASSERT_EQUAL(chown(dir, 12345, 12345), 0);
        refused(path, "its folder belongs to user 12345");
        CU_ASSERT_EQUAL(chown(dir, 0, 0), 0);
        open_good(path);
    }
    unlink(path);
    rmdir(dir);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"opens a good plugin", good},
        {"works with a newer minor version on the common prefix", newer_minor},
        {"refuses another major version and names both", wrong_major},
        {"refuses a missing, wrong or undefined symbol", symbols},
        {"refuses structs that are too short", sizes},
        {"names the mandatory function that is NULL", callbacks},
        {"refuses missing, broken and doubled names", names},
        {"refuses a bad option table", options},
        {"refuses what is not an ELF file", not_elf},
        {"refuses truncated and foreign ELF files", damaged_elf},
        {"does not block on a pipe", pipes},
        {"refuses files and folders that everybody can write, but not sticky folders", unsafe_paths},
        {"judges a link by its target", links},
        {"refuses a plugin of another user", foreign_owner},
    };
    return RUN_CASES("plugins_loader", cases);
}
