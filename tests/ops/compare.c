#include "ops.h"
#include "tolerance.h"
#include <math.h>

void ops_close(uint32_t kind, const float *got, const double *want, uint64_t n)
{
    double squares = 0, allowed = vqp_op_tolerance(kind, ops_target.precision);
    for (uint64_t i = 0; i < n; i++)
        squares += want[i] * want[i];
    double rms = sqrt(squares / (double)n);
    for (uint64_t i = 0; i < n; i++) {
        double scale = fabs(want[i]) > rms ? fabs(want[i]) : rms;
        if (fabs((double)got[i] - want[i]) <= allowed * scale)
            continue;
        printf("\n    %s: element %llu of %llu is %.9g, expected %.9g; off by %.2g of %.3g, allowed %.2g",
               vqp_op_name(kind), (unsigned long long)i, (unsigned long long)n, (double)got[i], want[i],
               fabs((double)got[i] - want[i]) / scale, scale, allowed);
        CU_FAIL("out of tolerance");
        return;
    }
}

void ops_equal_f32(const char *what, const float *got, const double *want, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        if (got[i] == (float)want[i] || (isnan(got[i]) && isnan(want[i])))
            continue;
        printf("\n    %s: element %llu of %llu is %.9g, expected %.9g", what, (unsigned long long)i,
               (unsigned long long)n, (double)got[i], want[i]);
        CU_FAIL("not equal");
        return;
    }
}

void ops_equal_i32(const char *what, const int32_t *got, const int32_t *want, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        if (got[i] == want[i])
            continue;
        printf("\n    %s: element %llu of %llu is %d, expected %d", what, (unsigned long long)i, (unsigned long long)n,
               got[i], want[i]);
        CU_FAIL("not equal");
        return;
    }
}

int ops_is_best(const double *score, int64_t n, int64_t got, double margin)
{
    if (got < 0 || got >= n)
        return 0;
    for (int64_t k = 0; k < n; k++)
        if (score[k] > score[got] + margin)
            return 0;
    return 1;
}
