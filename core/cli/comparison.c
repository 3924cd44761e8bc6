#include "comparison.h"
#include "text.h"
#include <inttypes.h>
#include <math.h>

enum {
    DIFFERS = 1 /* exit code, as of cmp and diff */
};

/* JSON has no NaN and no infinity. */
static void put_number(const char *key, double v)
{
    if (isfinite(v))
        printf(",\"%s\":%.9g", key, v);
    else
        printf(",\"%s\":\"%s\"", key, isnan(v) ? "nan" : v > 0 ? "inf" : "-inf");
}

static void put_string(const char *key, const char *v)
{
    printf(",\"%s\":", key);
    vqp_json_string(stdout, v);
}

static void print_json(const struct vqpipe_comparison *c)
{
    printf("{\"agree\":%s", c->differs ? "false" : "true");
    put_string("first_backend", c->first_backend);
    put_string("second_backend", c->second_backend);
    printf(",\"evals\":%u,\"evals_total\":%u,\"ops\":%" PRIu64 ",\"near_ties\":%" PRIu64, c->evals, c->evals_total,
           c->ops, c->near_ties);
    put_number("largest_error", c->worst);
    printf(",\"kinds\":[");
    for (uint32_t i = 0; i < c->n_kinds; i++)
        printf("%s{\"kind\":\"%s\",\"ops\":%" PRIu64 ",\"largest_error\":%.9g}", i ? "," : "", c->kinds[i].kind,
               c->kinds[i].ops, c->kinds[i].worst);
    printf("]");
    put_string("phase", c->phase);
    put_string("op", c->op);
    put_string("scope", c->scope);
    put_string("operands", c->operands);
    printf(",\"eval\":%u", c->eval);
    if (c->differs) {
        printf(",\"output\":%u", c->output);
        put_string("index", c->index);
        put_number("first", c->first);
        put_number("second", c->second);
        put_number("allowed", c->allowed);
        printf(",\"different\":%" PRIu64 ",\"elements\":%" PRIu64, c->n_different, c->n_elements);
    }
    printf("}\n");
}

static void print_text(const struct vqpipe_comparison *c)
{
    char step[64] = "";
    if (c->phase[0] == 's')
        snprintf(step, sizeof step, ", evaluation %u of %u", c->eval + 1, c->evals_total);
    if (c->differs) {
        printf("%s and %s differ: %s in %s%s\n", c->first_backend, c->second_backend, c->op, c->scope, step);
        printf("  %s\n", c->operands);
        printf("  result %u at %s: %.9g on %s, %.9g on %s; %.3g apart, allowed %.3g\n", c->output, c->index, c->first,
               c->first_backend, c->second, c->second_backend, fabs(c->first - c->second), c->allowed);
        printf("  %" PRIu64 " of %" PRIu64 " elements differ; %" PRIu64 " ops before it agree\n", c->n_different,
               c->n_elements, c->ops - 1);
        return;
    }
    printf("%s and %s agree: %" PRIu64
           " ops in prepare, %u of %u evaluations and finish; largest error %.2g of what is "
           "allowed%s%s%s%s%s",
           c->first_backend, c->second_backend, c->ops, c->evals, c->evals_total, c->worst, c->op[0] ? ", " : "", c->op,
           c->op[0] ? " in " : "", c->scope, step);
    const char *before = "; by kind ";
    for (uint32_t i = 0; i < c->n_kinds; i++)
        if (c->kinds[i].worst > 0) {
            printf("%s%s %.2g", before, c->kinds[i].kind, c->kinds[i].worst);
            before = ", ";
        }
    if (c->near_ties)
        printf("; %" PRIu64 " near-ties", c->near_ties);
    printf("\n");
}

int vqp_comparison_print(const struct vqpipe_comparison *c, int json)
{
    if (json)
        print_json(c);
    else
        print_text(c);
    return c->differs ? DIFFERS : 0;
}
