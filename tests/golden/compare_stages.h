/* A dump of ours against one of the reference pipeline, stage by stage, by the rules of tools/oracle/compare.py. */
#ifndef VQP_TESTS_GOLDEN_COMPARE_STAGES_H
#define VQP_TESTS_GOLDEN_COMPARE_STAGES_H
#include <stdint.h>

struct stage_report {
    double states, logp, image; /* largest absolute differences */
    unsigned ids;               /* ids compared, of prompts and steps */
    unsigned ties;              /* classes cut by truncation on one side only that a tie explains */
    unsigned bad;               /* stages that fall short; each has printed one line */
};

struct stage_tolerances {
    double states, logp, image;
    double near;  /* a tie: of probabilities at the truncation rate, of log-probabilities, of a draw */
    unsigned ids; /* 1: ids are equal after every step; 0: nothing is asked of them */
};
/* f32: against the reference. f16: against a run in f32 whose ids it was fed. docs/numerics.md has both. */
extern const struct stage_tolerances stages_f32, stages_f16;

/* `reference` holds tokens.npy and margin.npy for all steps, or one file a step; and logp of some steps, the last among them. */
void compare_stages(const char *reference, const char *dump, uint32_t steps, double truncation,
                    const struct stage_tolerances *allowed, struct stage_report *out);

#endif
