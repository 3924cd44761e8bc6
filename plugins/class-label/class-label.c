/* class-label: a tokenizer and a text encoder for models that draw one of a set of classes: the prompt is the class's number, and the
 * denoiser gets that number as "class". */
#include <vqpipe/components.h>
#include <vqpipe/host.h>
#include <vqpipe/ops.h>
#include <vqpipe/plugin.h>

#include <stdlib.h>

struct options {
    int64_t num_classes, null_class;
};
static const struct vqp_option option_table[] = {
    VQP_OPT(struct options, num_classes, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG | VQP_OPT_REQUIRED, .min = 1,
            .max = 1 << 24, .help = "classes; a prompt names 0 to one less"),
    VQP_OPT(struct options, null_class, .type = VQP_OPT_INT, .flags = VQP_OPT_CONFIG, .min = -1, .max = 1 << 24,
            .def = "-1", .help = "the class that stands for none, for guidance; -1: num_classes itself"),
    {.name = NULL},
};

struct labels {
    const struct vqp_program_api *api;
    uint32_t classes;
    int32_t null;
};

static vqp_status create(const struct vqp_create_args *args, void **self, struct vqp_error *err)
{
    const struct options *o = args->opts;
    if (o->null_class > o->num_classes)
        return vqp_fail(err, VQP_E_ARG, "null_class %lld is above num_classes %lld; give one of 0 to %lld",
                        (long long)o->null_class, (long long)o->num_classes, (long long)o->num_classes);
    struct labels *m = malloc(sizeof *m);
    if (!m)
        return vqp_fail(err, VQP_E_NOMEM, "no memory for the component");
    *m = (struct labels){.api = args->host->program,
                         .classes = (uint32_t)o->num_classes,
                         .null = (int32_t)(o->null_class < 0 ? o->num_classes : o->null_class)};
    *self = m;
    return VQP_OK;
}

static void destroy(void *self)
{
    free(self);
}

/* ---- tokenizer -------------------------------------------------------------------------------------------------- */

static void tokenizer_info(void *self, uint32_t *context_length, uint32_t *vocab_size)
{
    const struct labels *m = self;
    *context_length = 1;
    *vocab_size = m->classes + 1;
}

static int is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static vqp_status encode(void *self, const char *utf8, size_t n, struct vqp_text *io, struct vqp_error *err)
{
    const struct labels *m = self;
    size_t i = 0;
    uint64_t label = 0;
    for (; n && is_space(utf8[n - 1]); n--) {
    }
    for (; i < n && is_space(utf8[i]); i++) {
    }
    size_t digits = 0;
    for (; i < n && utf8[i] >= '0' && utf8[i] <= '9' && label <= m->classes; i++, digits++)
        label = label * 10 + (uint64_t)(utf8[i] - '0');
    if (!digits || (i < n && label <= m->classes))
        return vqp_fail(err, VQP_E_ARG,
                        "'%.*s' is no class; this model draws classes by number: give one of 0 to %u, such as -p %u",
                        (int)(n < 60 ? n : 60), utf8, m->classes - 1, 207 % m->classes);
    if (label >= m->classes)
        return vqp_fail(err, VQP_E_ARG, "there is no class %.*s; give one of 0 to %u", (int)(n < 60 ? n : 60), utf8,
                        m->classes - 1);
    io->ids[0] = (int32_t)label;
    io->used = 1;
    io->truncated = 0;
    io->end = 0;
    return VQP_OK;
}

static const struct vqp_tokenizer_vtbl tokenizer_vtbl = {
    .struct_size = sizeof tokenizer_vtbl, .info = tokenizer_info, .encode = encode};
static const struct vqp_component tokenizer = {.struct_size = sizeof tokenizer,
                                               .iface = VQP_IFACE_TOKENIZER,
                                               .name = "class-label",
                                               .summary = "takes the prompt as the number of a class",
                                               .opts_size = sizeof(struct options),
                                               .opts = option_table,
                                               .create = create,
                                               .destroy = destroy,
                                               .v.tokenizer = &tokenizer_vtbl};

/* ---- text encoder ----------------------------------------------------------------------------------------------- */

static void encoder_info(void *self, struct vqp_text_encoder_info *out)
{
    const struct labels *m = self;
    out->context_length = 1;
    out->vocab_size = m->classes + 1;
    out->has_null = 1;
    out->n_conds = 1;
    out->conds[0] = (struct vqp_cond){.name = "class", .dtype = VQP_I32, .shape = vqp_shape1(1)};
}

/* The number itself; a copy, as an input cannot be given out. */
static void record(void *self, vqp_program *p, const struct vqp_text_inputs *in)
{
    const struct labels *m = self;
    m->api->output(p, "cond.class", vqp_cast(m->api, p, in->ids, VQP_I32));
}

static void record_null(void *self, vqp_program *p)
{
    const struct labels *m = self;
    struct vqp_shape row = vqp_shape2(1, 1);
    vqp_val null = m->api->constant(p, "null", VQP_I32, &row, &m->null);
    m->api->output(p, "cond.class", vqp_cast(m->api, p, null, VQP_I32));
}

static const struct vqp_text_encoder_vtbl encoder_vtbl = {
    .struct_size = sizeof encoder_vtbl, .info = encoder_info, .record = record, .record_null = record_null};
static const struct vqp_component encoder = {.struct_size = sizeof encoder,
                                             .iface = VQP_IFACE_TEXT_ENCODER,
                                             .name = "class-label",
                                             .summary = "gives the denoiser the number of a class",
                                             .opts_size = sizeof(struct options),
                                             .opts = option_table,
                                             .create = create,
                                             .destroy = destroy,
                                             .v.text_encoder = &encoder_vtbl};

static const struct vqp_component *const components[] = {&tokenizer, &encoder, NULL};
VQP_PLUGIN(.id = "org.vqpipe.class-label", .version = "0.1.0", .license = "MIT", .components = components);
