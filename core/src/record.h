/* The three programs, recorded by the components. */
#ifndef VQP_RECORD_H
#define VQP_RECORD_H
#include "session.h"

/* The name of the state that holds the evaluation's index, one for each program of a step. */
#define VQP_COUNTER_NAME "eval.%u"

/* Records all three phases; the session keeps pointing at the assembly. */
vqp_status vqp_record_session(struct vqp_assembly *a, const struct vqp_session_key *key, struct vqp_session **out,
                              struct vqp_error *err);

/* Records the decoder's encoder into a program that is thrown away, so that its tensors count as used. */
void vqp_record_encoder(struct vqp_assembly *a);

#endif
