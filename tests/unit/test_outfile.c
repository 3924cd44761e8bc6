#include "check.h"
#include "outfile.h"
#include "scratch.h"
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

static void expect(const char *path, const char *content)
{
    size_t n = 0;
    char *data = scratch_read(path, &n);
    CU_ASSERT_PTR_NOT_NULL_FATAL(data);
    CU_ASSERT_STRING_EQUAL(data, content);
    free(data);
}

static void refused(const char *path, const char *part)
{
    struct vqp_outfile o;
    struct vqp_error err = {0};
    CU_ASSERT_EQUAL(vqp_outfile_check(path, &err), VQP_E_OUTPUT);
    CHECK_STR_HAS(err.msg, part);
    memset(&err, 0, sizeof err);
    CU_ASSERT_EQUAL(vqp_outfile_open(&o, path, &err), VQP_E_OUTPUT);
    CU_ASSERT_EQUAL(err.code, VQP_E_OUTPUT);
    CU_ASSERT(err.msg[0] != 0);
    vqp_outfile_abort(&o);
}

static void appears_whole(void)
{
    struct vqp_outfile o;
    struct vqp_error err;
    struct stat st;
    unsigned files = open_files(), entries = count_entries(scratch_dir);
    char path[200];
    snprintf(path, sizeof path, "%s", scratch("new.txt"));
    CU_ASSERT_EQUAL(vqp_outfile_check(path, &err), VQP_OK);
    umask(022);
    CU_ASSERT_EQUAL_FATAL(vqp_outfile_open(&o, path, &err), VQP_OK);
    fputs("content", o.f);
    CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
    CHECK_STR_HAS(o.tmp, "/new.txt.tmp.");
    CU_ASSERT_EQUAL(vqp_outfile_commit(&o, &err), VQP_OK);
    expect(path, "content");
    CU_ASSERT(stat(path, &st) == 0 && (st.st_mode & 0777) == 0644);
    vqp_outfile_abort(&o);
    expect(path, "content");
    CU_ASSERT_EQUAL(open_files(), files);
    CU_ASSERT_EQUAL(count_entries(scratch_dir), entries + 1);
}

static void replaces_at_the_end(void)
{
    struct vqp_outfile a, b;
    struct vqp_error err;
    char path[200];
    snprintf(path, sizeof path, "%s", scratch_write("old.txt", "old", 3));
    unsigned entries = count_entries(scratch_dir);
    CU_ASSERT_EQUAL(vqp_outfile_check(path, &err), VQP_OK);
    CU_ASSERT_EQUAL_FATAL(vqp_outfile_open(&a, path, &err), VQP_OK);
    CU_ASSERT_EQUAL_FATAL(vqp_outfile_open(&b, path, &err), VQP_OK); /* two writers of one file */
    fputs("first", a.f);
    fputs("second", b.f);
    fflush(a.f);
    expect(path, "old");
    vqp_outfile_abort(&a);
    vqp_outfile_abort(&a);
    expect(path, "old");
    CU_ASSERT_EQUAL(vqp_outfile_commit(&b, &err), VQP_OK);
    expect(path, "second");
    CU_ASSERT_EQUAL(count_entries(scratch_dir), entries);
}

static void relative_name(void)
{
    struct vqp_outfile o;
    struct vqp_error err;
    char cwd[4096];
    CU_ASSERT_PTR_NOT_NULL_FATAL(getcwd(cwd, sizeof cwd));
    CU_ASSERT_EQUAL_FATAL(chdir(scratch_dir), 0);
    CU_ASSERT_EQUAL(vqp_outfile_check("here.txt", &err), VQP_OK);
    CU_ASSERT_EQUAL_FATAL(vqp_outfile_open(&o, "here.txt", &err), VQP_OK);
    CU_ASSERT_EQUAL(vqp_outfile_commit(&o, &err), VQP_OK);
    CU_ASSERT_EQUAL(access("here.txt", R_OK), 0);
    CU_ASSERT_EQUAL(chdir(cwd), 0);
    CU_ASSERT_EQUAL(vqp_outfile_check("/in-the-root.txt", &err), getuid() == 0 ? VQP_OK : VQP_E_OUTPUT);
}

static void bad_targets(void)
{
    char name[300], path[5000];
    unsigned entries = count_entries(scratch_dir);
    refused("", "is empty");
    refused(scratch_dir, "is a folder");
    refused(scratch("nowhere/x.png"), "No such file or directory");
    refused(scratch("nowhere/"), "ends with a slash");
    scratch_write("file", "x", 1);
    refused(scratch("file/x.png"), "Not a directory");
    memset(name, 'n', 256);
    name[256] = 0;
    refused(scratch(name), "File name too long");
    name[250] = 0; /* it fits, its temporary does not */
    refused(scratch(name), "File name too long");
    memset(path, 'p', sizeof path);
    for (size_t i = 0; i < sizeof path; i += 100)
        path[i] = '/';
    path[sizeof path - 1] = 0;
    refused(path, "File name too long");
    CU_ASSERT_EQUAL(count_entries(scratch_dir), entries + 1);
}

/* A rename would replace the node itself: fatal for a root user's -o /dev/null. */
static void special_targets(void)
{
    struct stat st;
    CU_ASSERT_EQUAL(mkfifo(scratch("fifo"), 0644), 0);
    refused(scratch("fifo"), "device, pipe or socket");
    refused("/dev/null", "device, pipe or socket");
    CU_ASSERT(stat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode));
    CU_ASSERT_EQUAL(symlink("/dev/null", scratch("link")), 0);
    refused(scratch("link"), "symbolic link");
    CU_ASSERT(lstat(scratch("link"), &st) == 0 && S_ISLNK(st.st_mode));
}

static void unwritable_folder(void)
{
    CU_ASSERT_EQUAL(mkdir(scratch("locked"), 0555), 0);
    if (getuid() == 0 && seteuid(65534))
        SKIP("root writes everywhere and cannot step down");
    refused(scratch("locked/x.png"), "Permission denied");
    if (getuid() == 0 && seteuid(0))
        exit(2);
}

/* The rename fails: somebody has put a folder where the file shall go. */
static void rename_fails(void)
{
    struct vqp_outfile o;
    struct vqp_error err = {0};
    char path[200];
    snprintf(path, sizeof path, "%s", scratch("late"));
    unsigned files = open_files();
    CU_ASSERT_EQUAL_FATAL(vqp_outfile_open(&o, path, &err), VQP_OK);
    CU_ASSERT_EQUAL(mkdir(path, 0755), 0);
    unsigned entries = count_entries(scratch_dir);
    CU_ASSERT_EQUAL(vqp_outfile_commit(&o, &err), VQP_E_OUTPUT);
    CHECK_STR_HAS(err.msg, "late: cannot be written: ");
    CU_ASSERT_EQUAL(count_entries(scratch_dir), entries - 1);
    CU_ASSERT_EQUAL(open_files(), files);
    vqp_outfile_abort(&o);
}

static void disk_full(void)
{
    struct vqp_error err = {0};
    char disk[200], path[220];
    snprintf(disk, sizeof disk, "%s", scratch("disk"));
    snprintf(path, sizeof path, "%s/x.txt", disk);
    mkdir(disk, 0755);
    if (mount("tmpfs", disk, "tmpfs", 0, "size=8k"))
        SKIP("no right to mount a tmpfs");
    FILE *f = fopen(path, "w");
    fputs("old", f);
    fclose(f);
    for (size_t n = 5000; n <= 50000; n *= 10) { /* noticed by the last flush alone, or by a write before it */
        struct vqp_outfile o;
        CU_ASSERT_EQUAL_FATAL(vqp_outfile_open(&o, path, &err), VQP_OK);
        for (size_t i = 0; i < n; i++)
            fputc('x', o.f);
        CU_ASSERT_EQUAL(vqp_outfile_commit(&o, &err), VQP_E_OUTPUT);
        CHECK_STR_HAS(err.msg, "x.txt: cannot be written: ");
        expect(path, "old");
        CU_ASSERT_EQUAL(count_entries(disk), 3); /* ".", ".." and the old file */
    }
    CHECK_STR_HAS(err.msg, "No space left on device");
    CU_ASSERT_EQUAL(umount(disk), 0);
}

static void die(int sig)
{
    vqp_outfile_unlink_all();
    _exit(sig);
}

static void signal_removes_all(void)
{
    CU_ASSERT_EQUAL(mkdir(scratch("killed"), 0755), 0);
    scratch_write("killed/keep", "old", 3);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        struct vqp_outfile o[5];
        struct vqp_error err;
        signal(SIGTERM, die);
        for (int i = 0; i < 5; i++)
            if (vqp_outfile_open(&o[i], scratch("killed/keep"), &err))
                _exit(99);
        vqp_outfile_abort(&o[2]);
        if (count_entries(scratch("killed")) != 2 + 1 + 4)
            _exit(98);
        raise(SIGTERM);
        _exit(97);
    }
    int status = 0;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == SIGTERM);
    CU_ASSERT_EQUAL(count_entries(scratch("killed")), 3);
    expect(scratch("killed/keep"), "old");
}

/* After the handler the process may live on for a moment: the owners find their temporaries gone and say so. */
static void after_unlink_all(void)
{
    struct vqp_outfile a, b;
    struct vqp_error err;
    fflush(stdout);
    pid_t child = fork(); /* memory that the handler has taken is not freed: not a leak to report here */
    if (child == 0) {
        if (vqp_outfile_open(&a, scratch("gone-a"), &err) || vqp_outfile_open(&b, scratch("gone-b"), &err))
            _exit(1);
        vqp_outfile_unlink_all();
        vqp_outfile_unlink_all();
        if (vqp_outfile_commit(&a, &err) != VQP_E_OUTPUT)
            _exit(2);
        vqp_outfile_abort(&b);
        _exit(access(scratch("gone-a"), F_OK) == 0 ? 3 : 0);
    }
    int status = 1;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_EQUAL(status, 0);
}

static void many_open(void)
{
    struct vqp_outfile o[65];
    struct vqp_error err = {0};
    for (int i = 0; i < 64; i++)
        CU_ASSERT_EQUAL_FATAL(vqp_outfile_open(&o[i], scratch("many"), &err), VQP_OK);
    CU_ASSERT_EQUAL(vqp_outfile_open(&o[64], scratch("many"), &err), VQP_E_OUTPUT);
    CHECK_STR_HAS(err.msg, "64 files are being written");
    vqp_outfile_abort(&o[64]);
    for (int i = 0; i < 64; i++)
        vqp_outfile_abort(&o[i]);
    CU_ASSERT_EQUAL_FATAL(vqp_outfile_open(&o[0], scratch("many"), &err), VQP_OK);
    vqp_outfile_abort(&o[0]);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"makes a file appear whole at commit", appears_whole},
        {"leaves an existing file alone until commit, and after abort", replaces_at_the_end},
        {"takes a name without a folder", relative_name},
        {"refuses folders, missing folders and long names", bad_targets},
        {"refuses devices, pipes and links, which a rename would replace", special_targets},
        {"refuses a folder without write permission", unwritable_folder},
        {"removes the temporary where the rename fails", rename_fails},
        {"keeps the old file on a full disk", disk_full},
        {"removes every temporary from a signal handler", signal_removes_all},
        {"lets owners fail cleanly after that", after_unlink_all},
        {"bounds how many files are open", many_open},
    };
    scratch_begin();
    return RUN_CASES("outfile", cases);
}
