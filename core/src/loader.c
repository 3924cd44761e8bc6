#include "options.h"
#include "registry.h"
#include "text.h"
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MAX_STRING = 256,
    MAX_COMPONENTS = 256,
    MAX_OPTS_BYTES = 1 << 20,
    REASON_TEXT = 400
};

#define REFUSE(err, ...) vqp_fail((err), VQP_E_PLUGIN, __VA_ARGS__)

const char *vqp_iface_name(uint32_t iface)
{
    static const char *const names[] = {
        [VQP_IFACE_TOKENIZER] = "tokenizer",   [VQP_IFACE_TEXT_ENCODER] = "text_encoder",
        [VQP_IFACE_DENOISER] = "denoiser",     [VQP_IFACE_SCHEDULER] = "scheduler",
        [VQP_IFACE_VQ_DECODER] = "vq_decoder", [VQP_IFACE_BACKEND] = "backend"};
    return iface < sizeof names / sizeof *names && names[iface] ? names[iface] : "component";
}

/* ---- the file, before it is opened as code ---------------------------------------------------------------------- */

/* Who else could put code here? A sticky folder lets nobody replace another's file. */
static vqp_status check_owner(const struct stat *st, const char *what, struct vqp_error *err)
{
    if ((st->st_mode & S_IWOTH) && !(S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX)))
        return REFUSE(err, "unsafe path: %s can be written by everybody; chmod o-w it", what);
    if (st->st_uid != 0 && st->st_uid != geteuid())
        return REFUSE(err,
                      "unsafe path: %s belongs to user %u, neither root nor you; copy the plugin to a folder of your"
                      " own",
                      what, (unsigned)st->st_uid);
    return VQP_OK;
}

static vqp_status check_folder(const char *path, struct vqp_error *err)
{
    char folder[PATH_MAX];
    struct stat st;
    memcpy(folder, path, strlen(path) + 1);
    if (stat(dirname(folder), &st))
        return REFUSE(err, "its folder cannot be examined: %s", strerror(errno));
    return check_owner(&st, "its folder", err);
}

/* Segments that reach beyond the end of the file would be mapped all the same and end the process at the first touch. */
static vqp_status check_segments(int fd, const ElfW(Ehdr) * h, uint64_t size, struct vqp_error *err)
{
    if (h->e_phentsize != sizeof(ElfW(Phdr)))
        return REFUSE(err, "damaged ELF file: its program headers have %u bytes each", h->e_phentsize);
    for (unsigned i = 0; i < h->e_phnum; i++) {
        ElfW(Phdr) p;
        uint64_t at, end;
        if (__builtin_add_overflow(h->e_phoff, (uint64_t)i * sizeof p, &at) || at > INT64_MAX ||
            pread(fd, &p, sizeof p, (off_t)at) != (ssize_t)sizeof p ||
            __builtin_add_overflow((uint64_t)p.p_offset, (uint64_t)p.p_filesz, &end) || end > size)
            return REFUSE(err, "truncated ELF file: it has %llu bytes and needs more; copy or build it again",
                          (unsigned long long)size);
    }
    return VQP_OK;
}

static vqp_status check_elf(int fd, uint64_t size, struct vqp_error *err)
{
    extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden"))); /* our own header, from the linker */
    ElfW(Ehdr) h = {0};
    ssize_t n = pread(fd, &h, sizeof h, 0);
    if (n < 0)
        return REFUSE(err, "cannot be read: %s", strerror(errno));
    if (n < SELFMAG || memcmp(h.e_ident, ELFMAG, SELFMAG))
        return REFUSE(err, "not an ELF shared object; is it a text file or a linker script?");
    if ((size_t)n < sizeof h)
        return REFUSE(err, "truncated ELF file: %zd bytes are less than its header; copy or build it again", n);
    if (h.e_ident[EI_CLASS] != __ehdr_start.e_ident[EI_CLASS] || h.e_ident[EI_DATA] != __ehdr_start.e_ident[EI_DATA] ||
        h.e_machine != __ehdr_start.e_machine)
        return REFUSE(err,
                      "built for another machine (ELF class %u, data %u, machine %u; this is %u, %u, %u); rebuild it"
                      " here",
                      h.e_ident[EI_CLASS], h.e_ident[EI_DATA], h.e_machine, __ehdr_start.e_ident[EI_CLASS],
                      __ehdr_start.e_ident[EI_DATA], __ehdr_start.e_machine);
    if (h.e_type != ET_DYN)
        return REFUSE(err, "an ELF file of type %u, not a shared object; link it with -shared", h.e_type);
    return check_segments(fd, &h, size, err);
}

static vqp_status check_file(const char *path, struct vqp_error *err)
{
    vqp_status s = VQP_OK;
    struct stat st;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY); /* a FIFO must not block */
    if (fd < 0 || fstat(fd, &st))
        s = REFUSE(err, "cannot be opened: %s", strerror(errno));
    else if (!S_ISREG(st.st_mode))
        s = REFUSE(err, "not a regular file");
    if (s == VQP_OK)
        s = check_owner(&st, "the file", err);
    if (s == VQP_OK)
        s = check_folder(path, err);
    if (s == VQP_OK)
        s = check_elf(fd, (uint64_t)st.st_size, err);
    if (fd >= 0)
        close(fd);
    return s;
}

/* ---- the symbol ------------------------------------------------------------------------------------------------- */

static vqp_status no_symbol(void *so, struct vqp_error *err)
{
    for (int major = 0; major < 10; major++) {
        char name[32];
        snprintf(name, sizeof name, "vqp_plugin_v%d", major);
        if (dlsym(so, name))
            return REFUSE(err,
                          "built for ABI major %d, this vqpipe has %d; rebuild the plugin with this vqpipe's headers",
                          major, VQP_ABI_MAJOR);
    }
    return REFUSE(err, "not a vqpipe plugin: it does not export " VQP_PLUGIN_SYMBOL);
}

static vqp_status open_object(const char *path, const struct vqp_plugin **out, struct vqp_error *err)
{
    char reason[REASON_TEXT];
    void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!so) {
        const char *why = dlerror();
        size_t n = strlen(path);
        if (why && !strncmp(why, path, n) && !strncmp(why + n, ": ", 2))
            why += n + 2; /* the caller names the file */
        return REFUSE(err, "cannot be loaded: %s",
                      why ? vqp_quote(why, strlen(why), reason, sizeof reason) : "for no reason given");
    }
    const void *symbol = dlsym(so, VQP_PLUGIN_SYMBOL);
    if (!symbol)
        return no_symbol(so, err);
    /* A function under this name would otherwise be read as a table. */
    Dl_info info;
    const ElfW(Sym) *sym = NULL;
    if (dladdr1(symbol, &info, (void **)&sym, RTLD_DL_SYMENT) && sym &&
        (ELF64_ST_TYPE(sym->st_info) != STT_OBJECT || sym->st_size < sizeof(uint32_t)))
        return REFUSE(err, VQP_PLUGIN_SYMBOL " is not data; define it with VQP_PLUGIN(...)");
    *out = symbol;
    if ((*out)->struct_size < sizeof(struct vqp_plugin) || (sym && sym->st_size < sizeof(struct vqp_plugin)))
        return REFUSE(err, VQP_PLUGIN_SYMBOL " has %u bytes, at least %zu are needed; define it with VQP_PLUGIN(...)",
                      (*out)->struct_size, sizeof(struct vqp_plugin));
    return VQP_OK;
}

/* ---- the tables ------------------------------------------------------------------------------------------------- */

struct function {
    const char *name;
    uint32_t offset;
};
#define FUNCTION(vtbl, f)                                                                                              \
    {                                                                                                                  \
#f, (uint32_t)offsetof(struct vtbl, f)                                                                         \
    }

/* What components.h and backend.h do not mark as optional. */
static const struct function tokenizer_functions[] = {
    FUNCTION(vqp_tokenizer_vtbl, info), FUNCTION(vqp_tokenizer_vtbl, encode), {0}};
static const struct function text_encoder_functions[] = {
    FUNCTION(vqp_text_encoder_vtbl, info), FUNCTION(vqp_text_encoder_vtbl, record), {0}};
static const struct function denoiser_functions[] = {
    FUNCTION(vqp_denoiser_vtbl, info), FUNCTION(vqp_denoiser_vtbl, record_step), {0}};
static const struct function scheduler_functions[] = {
    FUNCTION(vqp_scheduler_vtbl, plan), FUNCTION(vqp_scheduler_vtbl, record_step), {0}};
static const struct function vq_decoder_functions[] = {
    FUNCTION(vqp_vq_decoder_vtbl, info), FUNCTION(vqp_vq_decoder_vtbl, record), {0}};
static const struct function backend_functions[] = {
    FUNCTION(vqp_backend_vtbl, info),          FUNCTION(vqp_backend_vtbl, supports),
    FUNCTION(vqp_backend_vtbl, buffer_create), FUNCTION(vqp_backend_vtbl, buffer_destroy),
    FUNCTION(vqp_backend_vtbl, upload),        FUNCTION(vqp_backend_vtbl, download),
    FUNCTION(vqp_backend_vtbl, compile),       FUNCTION(vqp_backend_vtbl, run),
    FUNCTION(vqp_backend_vtbl, exec_destroy),  {0}};
static const struct function *const functions[] = {
    [VQP_IFACE_TOKENIZER] = tokenizer_functions,   [VQP_IFACE_TEXT_ENCODER] = text_encoder_functions,
    [VQP_IFACE_DENOISER] = denoiser_functions,     [VQP_IFACE_SCHEDULER] = scheduler_functions,
    [VQP_IFACE_VQ_DECODER] = vq_decoder_functions, [VQP_IFACE_BACKEND] = backend_functions};

/* One line of printable UTF-8, bounded. */
static int is_line(const char *s)
{
    size_t n = s ? strnlen(s, MAX_STRING + 1) : 0;
    if (!n || n > MAX_STRING || vqp_utf8_check(s, n) != n)
        return 0;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7F)
            return 0;
    return 1;
}

static int is_component_name(const char *s)
{
    size_t n = s ? strnlen(s, 65) : 0;
    return n && n < 65 && s[0] != '.' && s[0] != '_' && s[0] != '-' &&
           strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789._-") == n;
}

static vqp_status check_functions(const struct vqp_component *c, struct vqp_error *err)
{
    const char *vtbl = (const char *)c->v.backend; /* all members are pointers to tables that begin with struct_size */
    uint32_t size;
    if (!vtbl)
        return REFUSE(err, "component '%s': its table of functions is NULL", c->name);
    memcpy(&size, vtbl, sizeof size);
    for (const struct function *f = functions[c->iface]; f->name; f++) {
        if (size < f->offset + sizeof(void *))
            return REFUSE(err,
                          "component '%s': its %s table has %u bytes and ends before '%s'; set struct_size to its"
                          " sizeof",
                          c->name, vqp_iface_name(c->iface), size, f->name);
        void (*function)(void);
        memcpy(&function, vtbl + f->offset, sizeof function);
        if (!function)
            return REFUSE(err, "component '%s': mandatory function '%s' of its %s table is NULL", c->name, f->name,
                          vqp_iface_name(c->iface));
    }
    return VQP_OK;
}

static vqp_status check_options(const struct vqp_component *c, struct vqp_error *err)
{
    static const char *const core[] = {"use", "path", "precision", "device", "backend"};
    char reason[REASON_TEXT];
    const char *why = c->opts_size > MAX_OPTS_BYTES ? "its options struct is larger than 1 MiB"
                                                    : vqp_options_check(c->opts, c->opts_size, reason, sizeof reason);
    if (why)
        return REFUSE(err, "component '%s': %s", c->name, why);
    for (const struct vqp_option *o = c->opts; o && o->name; o++)
        for (size_t i = 0; i < sizeof core / sizeof *core; i++)
            if (!strcmp(o->name, core[i]))
                return REFUSE(err, "component '%s': option '%s' has the name of one of the host's own keys; rename it",
                              c->name, o->name);
    return VQP_OK;
}

static vqp_status check_component(const struct vqp_component *c, struct vqp_error *err)
{
    if (c->struct_size < sizeof *c)
        return REFUSE(err,
                      "a component's struct_size is %u, at least %zu is needed; set it to sizeof(struct vqp_component)",
                      c->struct_size, sizeof *c);
    if (!is_component_name(c->name))
        return REFUSE(err,
                      "a component's name is missing or not made of a-z, 0-9, '.', '_' and '-' (at most 64, the first a"
                      " letter or digit)");
    if (c->iface >= sizeof functions / sizeof functions[0] || !functions[c->iface])
        return REFUSE(err, "component '%s': interface number %u is not known to this vqpipe; a newer one may know it",
                      c->name, c->iface);
    if (!is_line(c->summary))
        return REFUSE(err, "component '%s': its summary is missing or not one line of UTF-8 (at most %d bytes)",
                      c->name, MAX_STRING);
    if (!c->create || !c->destroy)
        return REFUSE(err, "component '%s': mandatory function '%s' is NULL", c->name,
                      c->create ? "destroy" : "create");
    vqp_status s = check_functions(c, err);
    return s == VQP_OK ? check_options(c, err) : s;
}

static vqp_status check_plugin(const struct vqp_plugin *p, struct vqp_error *err)
{
    const char *const strings[] = {p->id, p->version, p->license}, *const names[] = {"id", "version", "license"};
    for (int i = 0; i < 3; i++)
        if (!is_line(strings[i]))
            return REFUSE(err, "its %s is missing or not one line of UTF-8 (at most %d bytes)", names[i], MAX_STRING);
    if (!p->components || !p->components[0])
        return REFUSE(err, "its list of components is empty");
    for (uint32_t i = 0; p->components[i]; i++) {
        if (i == MAX_COMPONENTS)
            return REFUSE(err, "it lists more than %d components; is the NULL at the end missing?", MAX_COMPONENTS);
        vqp_status s = check_component(p->components[i], err);
        if (s != VQP_OK)
            return s;
        for (uint32_t j = 0; j < i; j++)
            if (p->components[i]->iface == p->components[j]->iface &&
                !strcmp(p->components[i]->name, p->components[j]->name))
                return REFUSE(err, "two of its components are called '%s'", p->components[i]->name);
    }
    return VQP_OK;
}

vqp_status vqp_loader_open(const char *path, const struct vqp_plugin **out, struct vqp_error *err)
{
    char real[PATH_MAX];
    const struct vqp_plugin *p = NULL;
    if (!realpath(path, real)) /* a link is judged by what it points to */
        return REFUSE(err, "cannot be found: %s", strerror(errno));
    vqp_status s = check_file(real, err);
    if (s == VQP_OK)
        s = open_object(real, &p, err);
    if (s == VQP_OK)
        s = check_plugin(p, err);
    if (s == VQP_OK)
        *out = p;
    return s;
}
