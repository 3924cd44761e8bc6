/* A recorded program taken apart at its HOST_CALLs. */
#ifndef VQP_CUT_H
#define VQP_CUT_H
#include "arena.h"
#include "builder.h"

/* Ops first .. end - 1: without a HOST_CALL, or one alone. */
struct vqp_range {
    uint32_t first, end;
};
/* The next range at or after op `from`, *r, or 0 where there is none. */
int vqp_cut_next(const struct vqp_program_view *whole, uint32_t from, struct vqp_range *r);

/* The part of a sealed program in `r` as a program of its own, *out, in memory of `a` and of the whole one. Values keep their numbers.
 * What another part wrote and this one reads is an INPUT, what this one writes and another reads an OUTPUT, both under the name
 * "PROGRAM/NUMBER"; whatever it has no use for is a TEMP that no op names. A HOST_CALL's part has no ops. */
vqp_status vqp_cut_part(const struct vqp_program_view *whole, struct vqp_range r, const char *name, struct vqp_arena *a,
                        struct vqp_program_view *out, struct vqp_error *err);

#endif
