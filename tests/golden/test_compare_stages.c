/* The comparison itself, on folders of one step, one token and four classes: what it must see, and what it must forgive. */
#include "check.h"
#include "compare_stages.h"
#include "npy.h"
#include <math.h>
#include <sys/stat.h>

#define REFERENCE VQP_BUILD_DIR "/golden-compare-reference"
#define DUMP      VQP_BUILD_DIR "/golden-compare-dump"

struct stages {
    int32_t input_ids[2], token;
    float states[2], logp[4], margin, image[3];
};
/* Probabilities .5, .36, .1, .04: cut at 0.86, the sum of the first two lies at the rate. */
static const struct stages good = {{1, 2}, 3,           {0.6F, 0.8F}, {-0.693147F, -1.021651F, -2.302585F, -70},
                                   0.5F,   {0, 0.5F, 1}};

static void save(const char *dir, const char *name, uint32_t dtype, struct vqp_shape shape, const void *data)
{
    char path[1024];
    struct vqp_error err = {0};
    snprintf(path, sizeof path, "%s/%s.npy", dir, name);
    CU_ASSERT_EQUAL(vqp_npy_save(path, dtype, &shape, data, &err), VQP_OK);
}

/* stacked: as oracle.py --stack writes it. */
static void write_stages(const char *dir, const struct stages *s, int stacked)
{
    struct vqp_shape step = stacked ? vqp_shape3(1, 1, 1) : vqp_shape2(1, 1);
    mkdir(dir, 0755);
    save(dir, "input_ids", VQP_I32, vqp_shape2(1, 2), s->input_ids);
    save(dir, "text_states", VQP_F32, vqp_shape3(1, 1, 2), s->states);
    save(dir, "logp-000", VQP_F32, vqp_shape3(1, 4, 1), s->logp);
    save(dir, stacked ? "tokens" : "tokens-000", VQP_I32, step, &s->token);
    save(dir, stacked ? "margin" : "margin-000", VQP_F32, step, &s->margin);
    save(dir, "image", VQP_F32, vqp_shape4(1, 1, 1, 3), s->image);
}

static struct stage_report compare(const struct stages *dump, double truncation)
{
    struct stage_report report;
    write_stages(REFERENCE, &good, 1);
    write_stages(DUMP, dump, 0);
    compare_stages(REFERENCE, DUMP, 1, truncation, &stages_f32, &report);
    return report;
}

static void equal_is_good(void)
{
    struct stage_report r = compare(&good, 1);
    CU_ASSERT_EQUAL(r.bad, 0);
    CU_ASSERT_EQUAL(r.ids, 3);
    CU_ASSERT_TRUE(r.states <= 0 && r.logp <= 0 && r.image <= 0);
}

static void sees_every_stage(void)
{
    struct stages s = good;
    s.input_ids[1] = 0;
    CU_ASSERT_EQUAL(compare(&s, 1).bad, 1);
    s = good;
    s.token = 2;
    CU_ASSERT_EQUAL(compare(&s, 1).bad, 1);
    s = good;
    s.states[0] += 2e-5F;
    CU_ASSERT_EQUAL(compare(&s, 1).bad, 1);
    s = good;
    s.logp[1] += 2e-3F;
    CU_ASSERT_EQUAL(compare(&s, 1).bad, 1);
    s = good;
    s.image[2] = NAN;
    CU_ASSERT_EQUAL(compare(&s, 1).bad, 1);
}

static void small_differences_pass(void)
{
    struct stages s = good;
    s.states[0] += 5e-6F;
    s.logp[1] += 5e-4F;
    s.image[1] += 5e-4F;
    struct stage_report r = compare(&s, 1);
    CU_ASSERT_EQUAL(r.bad, 0);
    CU_ASSERT_DOUBLE_EQUAL(r.logp, 5e-4, 1e-6);
}

static void forgives_a_cut_at_the_rate(void)
{
    struct stages s = good;
    s.logp[2] = -70; /* the reference kept it: without it the sum is 0.86, with it 0.96 */
    struct stage_report r = compare(&s, 0.86);
    CU_ASSERT_EQUAL(r.bad, 0);
    CU_ASSERT_EQUAL(r.ties, 1);
    CU_ASSERT_EQUAL(compare(&s, 0.9).bad, 1);
    CU_ASSERT_EQUAL(compare(&s, 1).bad, 1);
}

static void forgives_equal_classes_trading_places(void)
{
    struct stages s = good;
    s.logp[2] = -70;
    s.logp[3] = good.logp[2];
    struct stage_report r = compare(&s, 0.5);
    CU_ASSERT_EQUAL(r.bad, 0);
    CU_ASSERT_EQUAL(r.ties, 2);
    s.logp[3] += 2e-3F;
    CU_ASSERT_EQUAL(compare(&s, 0.5).bad, 1);
}

static void missing_stages_are_bad(void)
{
    struct stages s = good;
    compare(&s, 1);
    remove(DUMP "/logp-000.npy");
    remove(DUMP "/image.npy");
    struct stage_report report;
    compare_stages(REFERENCE, DUMP, 1, 1, &stages_f32, &report);
    CU_ASSERT_EQUAL(report.bad, 2);
    compare_stages(REFERENCE, DUMP, 2, 1, &stages_f32, &report); /* the reference holds one step */
    CU_ASSERT_TRUE(report.bad >= 2);
}

int main(void)
{
    static const struct vqp_case cases[] = {
        {"equal stages are good", equal_is_good},
        {"a difference in any one stage is seen", sees_every_stage},
        {"differences within the tolerances pass", small_differences_pass},
        {"a class cut where the sum meets the rate is a tie", forgives_a_cut_at_the_rate},
        {"equally likely classes that trade places are a tie", forgives_equal_classes_trading_places},
        {"a missing stage is bad", missing_stages_are_bad},
    };
    return RUN_CASES("golden_compare", cases);
}
