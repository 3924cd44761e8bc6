/* The conformance suite of backends: small programs, recorded through core's builder and run on the backend under test, whose
 * results are compared with formulas of their own in double.
 *
 *   harness.c   the backend, its host, sessions      compare.c    tolerances and comparisons      tensor.c   random operands
 *   formula_*.c what ops.h says, as plainly as can be            cases_*.c    shapes and values
 *
 * One case at a time: ops_reset() at its end frees all that it made. */
#ifndef VQP_TESTS_OPS_H
#define VQP_TESTS_OPS_H
#include "builder.h"
#include "check.h"
#include <vqpipe/backend.h>
#include <vqpipe/host.h>
#include <vqpipe/plugin.h>

/* ---- tensor.c ---- */

struct tensor {
    uint32_t dtype, role; /* role: VQP_VAL_INPUT, VQP_VAL_WEIGHT or VQP_VAL_CONSTANT */
    struct vqp_shape shape;
    uint64_t count, bytes;
    union {
        void *data;
        float *f;
        int32_t *i;
        uint8_t *u;
        uint16_t *h;
        int8_t *b;
    };
    struct tensor *scale; /* of Q8_0 */
};
void *ops_alloc(size_t n, size_t size); /* zeroed; freed by ops_reset */
void ops_free_all(void);
void ops_seed(uint64_t seed);
double ops_uniform(double low, double high);
struct tensor *ops_zeros(uint32_t dtype, struct vqp_shape shape);
/* Uniform in low..high; F16 and BF16 are rounded towards zero. Those two and Q8_0, which gets
 * a scale in low..high / 127 for every 32, are weights, other dtypes inputs. */
struct tensor *ops_random(uint32_t dtype, struct vqp_shape shape, double low, double high);
struct tensor *ops_as(struct tensor *t, uint32_t role); /* sets the role and returns t */
double ops_at(const struct tensor *t, uint64_t i);      /* element i, exactly */
int64_t ops_dim(const struct tensor *t, int back);      /* dimension counted from the last: 1 is the last */

/* ---- harness.c ---- */

struct ops_target {
    const char *name, *precision, *device, *options; /* options: YAML, may be NULL */
    const struct vqp_component *component;
    const struct vqp_backend_vtbl *v;
    void *self;
    struct vqp_host host;
};
extern struct ops_target ops_target;

/* Creates ops_target's backend; 0, or nonzero after a message. */
int ops_target_open(const char *plugin, const char *precision, const char *device, const char *options);
void ops_target_close(void);
vqp_status ops_target_create(const char *precision, const char *device, void **self, struct vqp_error *err);
void ops_threads(uint32_t threads);
/* The host answers "cancelled" from its (polls+1)-th question on; negative: never. */
void ops_cancel_after(int64_t polls);

/* The program being recorded: P stands for the two first arguments of the functions of ops.h. */
#define P &vqp_program_api_table, ops_program()
vqp_program *ops_program(void);
vqp_val ops_val(struct tensor *t); /* the tensor as a value, in its role; 0 for NULL */
void ops_give(vqp_val v);          /* makes v the program's next output */
int ops_build(void);               /* seals, creates buffers, compiles; nonzero and a failed check where that fails */
const char *ops_refusal(void); /* ops_build where VQP_E_UNSUPPORTED is allowed: its sentence, or NULL: it is built */
void ops_load(void);           /* uploads inputs and the states' initial values */
vqp_status ops_execute(uint32_t times); /* runs; the message of a failure is printed */
void *ops_read(uint32_t output);        /* downloads an output */
void *ops_read_state(vqp_val state);
uint64_t ops_output_bytes(uint32_t output);
vqp_exec *ops_exec(void);
const struct vqp_program_view *ops_view(void);
/* ops_build unless it is built, and run on one thread, again, and on two, from fresh inputs each time: the outputs must be the same
 * bits. NULL after a failure, which is then on record, else output 0. */
void *ops_result(void);
void ops_reset(void);

/* Whether the target runs the op just recorded on operands like these; ops_reset() must follow a no. */
int ops_supported(void);

/* ---- compare.c ---- */

/* A failed check where got and want differ by more than the op's tolerance at the target's precision, relative to the element or
 * to the root mean square of all, whichever is larger. */
void ops_close(uint32_t kind, const float *got, const double *want, uint64_t n);
void ops_equal_f32(const char *what, const float *got, const double *want, uint64_t n);
void ops_equal_i32(const char *what, const int32_t *got, const int32_t *want, uint64_t n);
/* got is the position of the highest of n scores, or of one within `margin` of it. */
int ops_is_best(const double *score, int64_t n, int64_t got, double margin);

/* ---- formula_*.c: one function an op; NULL operands are absent; the caller gives the memory ---- */

double formula_act(uint32_t act, double v);
void formula_embedding(const struct tensor *ids, const struct tensor *table, const struct tensor *pos, double *out);
void formula_linear(const struct tensor *x, const struct tensor *weight, const struct tensor *bias,
                    const struct tensor *residual, const struct tensor *gate, uint32_t act, double *out);
void formula_conv2d(const struct tensor *x, const struct tensor *weight, const struct tensor *bias,
                    const struct tensor *residual, const struct vqp_conv2d_params *c, int64_t oh, int64_t ow,
                    double *out);
void formula_sdpa(const struct tensor *q, const struct tensor *k, const struct tensor *v, int64_t heads, double scale,
                  int causal, double *out);
void formula_rope(const struct tensor *x, const struct tensor *cosine, const struct tensor *sine, int64_t heads,
                  int interleaved, double *out);
void formula_norm(int rms, const struct tensor *x, const struct tensor *weight, const struct tensor *bias,
                  const struct tensor *table, const struct tensor *row, double eps, double *out);
void formula_group_norm(const struct tensor *x, const struct tensor *weight, const struct tensor *bias, int64_t groups,
                        double eps, uint32_t act, double *out);
void formula_l2_norm(const struct tensor *x, double *out);
/* Minus the squared distance of row `row` of x to every code. */
void formula_code_scores(const struct tensor *x, const struct tensor *table, int64_t row, double *score);
void formula_pixel_shuffle(const struct tensor *x, int64_t factor, double *out);
void formula_guide_log_softmax(const struct tensor *logits, const struct tensor *guide, double *out);
/* after[k]: what the classes before k in the order of the definition sum to; out: the result. One column of n classes. */
void formula_truncate(const float *logp, int64_t n, float rate, float low, double *before, double *out);
struct formula_draw { /* operands of the samplers */
    const struct tensor *logp, *tokens, *par, *seed, *eval, *noise;
    uint32_t stream;
};
/* l + gumbel of one column, class by class, into score (C+1 entries); returns their number, 0 where the result must be -1. */
int64_t formula_posterior(const struct formula_draw *d, int64_t b, int64_t n, double *score);
int64_t formula_categorical(const struct formula_draw *d, int64_t b, int64_t n, double *score);
double formula_binary(uint32_t kind, double a, double b);
double formula_unary(uint32_t kind, double v);
int32_t formula_compare(uint32_t cmp, double a, double b);
/* The element of `t` under place `at` (one index an axis) of an array of `rank` axes to which it broadcasts. */
double formula_broadcast(const struct tensor *t, uint32_t rank, const int64_t *at);
/* Line `line` (outer * inner of them) of x along `axis`: its elements into v; returns where its first stands, *step apart. */
uint64_t formula_line(const struct tensor *x, uint32_t axis, uint64_t line, double *v, uint64_t *step);
/* order: positions by descending value; lower first among equals, NaN last. */
void formula_order(const double *v, int64_t n, int64_t *order);
/* place of flat index k in a shape, one index an axis, and back */
void formula_place(const struct vqp_shape *s, uint64_t k, int64_t at[VQP_MAX_RANK]);
uint64_t formula_flat(const struct vqp_shape *s, const int64_t at[VQP_MAX_RANK]);

/* ---- cases_*.c ---- */

#define OPS_CASES(name)                                                                                                \
    extern const struct vqp_case name[];                                                                               \
    extern const size_t name##_n;
OPS_CASES(cases_matrix)
OPS_CASES(cases_norm)
OPS_CASES(cases_move)
OPS_CASES(cases_sample)
OPS_CASES(cases_plain)
OPS_CASES(cases_program)

#endif
