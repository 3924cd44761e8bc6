/* The three recorded programs on their backends: buffers, bindings, pieces, copies between backends. */
#ifndef VQP_SESSION_H
#define VQP_SESSION_H
#include "assembly.h"
#include "builder.h"

enum {
    VQP_PREPARE,
    VQP_STEP,
    VQP_FINISH,
    VQP_N_PHASES
};
/* What a recording depends on. Everything else varies without recording or compiling anew. */
struct vqp_session_key {
    uint32_t batch, guided, encode_negative, truncates, noise, dump;
    uint32_t start;      /* run.start_step is above 0: the start ids are noised */
    uint32_t pinned;     /* run.pin is given */
    uint32_t table_rows; /* capacity of the evaluation table */
};
struct vqp_slot { /* a value that lives in bound buffers, under one name in all programs */
    struct vqp_slot *next;
    const char *name;
    uint32_t dtype;
    struct vqp_shape shape;
    uint64_t bytes;
    vqp_buffer *buffer[VQP_MAX_BACKENDS]; /* by backend index; NULL: not needed there */
    uint8_t valid[VQP_MAX_BACKENDS], host_valid;
    void *host; /* a host call reads or writes it here; NULL: none does */
};
struct vqp_bound { /* a slot as one piece sees it */
    struct vqp_slot *slot;
    vqp_val val;
    uint32_t role;
};
struct vqp_host_piece { /* a component's own function in the place of a program */
    const struct vqp_host_call *call;
    const char *scope;              /* "scheduler/draw" */
    const struct vqp_instance *who; /* NULL: core */
    struct vqp_tensor_view in[VQP_OP_MAX_IN];
    void *out[VQP_OP_MAX_OUT];
};
struct vqp_piece { /* a program, or a part of one, on one backend; or a host call */
    struct vqp_piece *next;
    vqp_program *program; /* all parts of it point there; the first one owns it */
    int owns_program;
    const struct vqp_program_view *view;  /* of this part; without ops where it is a host call */
    struct vqp_backend_instance *backend; /* of a host call: the one before and after it */
    struct vqp_host_piece *host;          /* NULL: not a host call */
    struct vqp_bound *bound;
    uint32_t n_bound;
    vqp_exec *exec; /* NULL: a host call */
};
struct vqp_session {
    struct vqp_session *next;
    struct vqp_session_key key;
    struct vqp_assembly *assembly;
    struct vqp_arena arena;
    struct vqp_piece *piece[VQP_N_PHASES];
    struct vqp_slot *slots;
    uint32_t image_h, image_w, compiled;
};

/* Makes or finds the slot of that name; the same name with another dtype or shape is VQP_E_INTERNAL. */
vqp_status vqp_session_slot(struct vqp_session *s, const char *name, uint32_t dtype, const struct vqp_shape *shape,
                            struct vqp_slot **out, struct vqp_error *err);
struct vqp_slot *vqp_session_find(const struct vqp_session *s, const char *name);
/* Asks supports() for every op, makes buffers, compiles every piece. Once. */
vqp_status vqp_session_compile(struct vqp_session *s, struct vqp_error *err);
/* Sets every STATE but core's to its initial value. */
vqp_status vqp_session_reset(struct vqp_session *s, struct vqp_error *err);
/* n bytes from the start into every buffer of the slot. A name nobody uses is fine. */
vqp_status vqp_session_upload(struct vqp_session *s, const char *name, const void *data, uint64_t n,
                              struct vqp_error *err);
vqp_status vqp_session_download(struct vqp_session *s, const char *name, void *data, uint64_t n, struct vqp_error *err);
/* Runs a phase's pieces in order, `times` times; several pieces allow only 1. */
vqp_status vqp_session_run(struct vqp_session *s, uint32_t phase, uint32_t times, struct vqp_error *err);
/* The same for one piece; those before it in its phase have run. */
vqp_status vqp_session_run_piece(struct vqp_session *s, struct vqp_piece *piece, uint32_t times, struct vqp_error *err);
/* Bytes that one run of the phase copies between backends, or between a backend and a host call. */
uint64_t vqp_session_crossing(const struct vqp_session *s, uint32_t phase);
void vqp_session_destroy(struct vqp_session *s);

#endif
