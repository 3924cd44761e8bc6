#include "clock.h"
#include "commands.h"
#include "job.h"
#include "output.h"
#include "say.h"
#include "signals.h"
#include "text.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const phases[] = {"prepare", "step", "finish"};
enum {
    N_PHASES = 3,
    MOST_KINDS = 96
};

struct report {
    const struct vqp_args *args;
    const char *file;
    vqpipe *pipe;
    const vqpipe_bench *bench;
    struct vqpipe_bench_info info;
    uint32_t images;
    double start_up, whole; /* whole: from process start, ceilings left out */
};

/* All ops of one kind in one program. */
struct kind {
    const char *name;
    double seconds, flops, bytes, ceiling;
    uint32_t calls;
    int partly; /* an op of this kind has no ceiling */
};

static void add(struct kind *k, const struct vqpipe_bench_op *op)
{
    k->calls++;
    k->seconds += op->seconds;
    k->flops += op->flops;
    k->bytes += op->bytes;
    k->ceiling += op->ceiling;
    k->partly |= op->ceiling <= 0;
}

static int slower_first(const void *a, const void *b)
{
    const struct kind *x = a, *y = b;
    if (x->seconds != y->seconds)
        return x->seconds < y->seconds ? 1 : -1;
    return strcmp(x->name, y->name);
}

/* The kinds of a program, the slowest first, and *all of them together. */
static uint32_t sum_up(const struct report *r, uint32_t phase, struct kind out[MOST_KINDS], struct kind *all)
{
    uint32_t n = 0;
    const struct vqpipe_bench_op *op;
    *all = (struct kind){.name = "all"};
    for (uint32_t i = 0; (op = vqpipe_bench_at(r->bench, i)); i++) {
        uint32_t k = 0;
        if (op->phase != phase)
            continue;
        while (k < n && strcmp(out[k].name, op->kind))
            k++;
        if (k == n && n == MOST_KINDS)
            continue;
        if (k == n)
            out[n++] = (struct kind){.name = op->kind};
        add(&out[k], op);
        add(all, op);
    }
    qsort(out, n, sizeof *out, slower_first);
    return n;
}

static double phase_seconds(const struct report *r, uint32_t phase)
{
    return phase == 0 ? r->info.prepare : phase == 1 ? r->info.step : r->info.finish;
}

/* ---- text ------------------------------------------------------------------------------------------------------- */

/* "12.3" or "-" where there is nothing to divide by. */
static const char *ratio(double a, double b, double unit, int digits, char buf[32])
{
    if (b > 0)
        snprintf(buf, 32, "%.*f", digits, a / b * unit);
    else
        snprintf(buf, 32, "-");
    return buf;
}

static void print_line(const struct kind *k, double whole)
{
    char rate[32], share[32], ceiling[32];
    printf("%-20s %6u %10.4f %9s %10.3f %7s %8s\n", k->name, k->calls, 1e3 * k->seconds,
           ratio(k->flops, k->seconds, 1e-9, 1, rate), 1e-6 * k->bytes,
           ratio(k->seconds, whole, k->seconds > 0 ? 100 : 0, 1, share),
           ratio(k->ceiling, k->partly ? 0 : k->seconds, 100, 1, ceiling));
}

static void print_program(const struct report *r, uint32_t phase)
{
    struct kind kinds[MOST_KINDS], all;
    uint32_t n = sum_up(r, phase, kinds, &all);
    if (!n)
        return;
    printf("\n%-20s %6s %10s %9s %10s %7s %8s\n", phases[phase], "calls", "ms", "GFLOP/s", "MB", "% time", "% ceil.");
    for (uint32_t i = 0; i < n; i++)
        print_line(&kinds[i], phase_seconds(r, phase));
    all.partly = 1;
    print_line(&all, phase_seconds(r, phase));
}

/* With -v: every op with its shapes and where it was recorded. */
static void print_ops(const struct report *r, uint32_t phase)
{
    const struct vqpipe_bench_op *op;
    printf("\n%s, op by op: ms, GFLOP/s, %% of the ceiling\n", phases[phase]);
    for (uint32_t i = 0; (op = vqpipe_bench_at(r->bench, i)); i++) {
        char rate[32], ceiling[32];
        if (op->phase == phase)
            printf("%9.4f %9s %6s  %-18s %s  @ %s\n", 1e3 * op->seconds, ratio(op->flops, op->seconds, 1e-9, 1, rate),
                   ratio(op->ceiling, op->ceiling > 0 ? op->seconds : 0, 100, 1, ceiling), op->kind, op->shapes,
                   op->scope);
    }
}

/* Whether the same thing took about as long every time. */
static int is_steady(const struct vqpipe_bench_info *b)
{
    return b->step_high <= 1.2 * b->step_low && b->share_high <= 1.2 * b->share_low;
}

static void print_text(const struct report *r)
{
    const struct vqpipe_bench_info *b = &r->info;
    printf("pipeline     %s\n", r->file);
    printf("backend      %s\n", b->backends);
    printf("run          %u image%s, %u at once, %u evaluation%s\n\n", r->images, r->images == 1 ? "" : "s", b->batch,
           b->evals, b->evals == 1 ? "" : "s");
    printf("start-up     %9.4f s   process start to pipeline loaded\n", r->start_up);
    printf("load         %9.4f s   part of it: plugins, model files, recording\n", b->load);
    printf("compile      %9.4f s\n", b->compile);
    printf("prepare      %9.4f s\n", b->prepare);
    printf("first step   %9.4f s\n", b->first_step);
    printf("step         %9.4f s   %.2f steps/s; ", b->step, b->step > 0 ? 1 / b->step : 0);
    if (b->samples)
        printf("median of %u groups, quartiles %.4f to %.4f s\n", b->samples, b->step_low, b->step_high);
    else
        printf("the first and only one\n");
    printf("finish       %9.4f s\n", b->finish);
    printf("whole        %9.4f s   process start to the picture in memory%s\n", r->whole,
           b->measuring > 0 ? ", ceilings left out" : "");
    printf("peak memory  %9.1f MB\n", 1e-6 * (double)b->peak_memory);
    if (b->share > 0)
        printf("\nshare of the ceiling of the step: %.1f %%, quartiles %.1f to %.1f %%; its matrix products alone take "
               "%.4f s "
               "(measured before, amid and after the steps, from %.4f to %.4f s)\n",
               100 * b->share, 100 * b->share_low, 100 * b->share_high, b->ceiling, b->ceiling_low, b->ceiling_high);
    else
        printf("\nshare of the ceiling: not known, %s\n",
               b->no_ceiling ? b->no_ceiling : "the step has no matrix products");
    if (!is_steady(b))
        printf("these numbers scatter: is the machine busy? do not trust the share\n");
    if (b->no_profile)
        printf("time of each op: not known, %s\n", b->no_profile);
    for (uint32_t phase = 0; phase < N_PHASES; phase++)
        print_program(r, phase);
    for (uint32_t phase = 0; phase < N_PHASES && vqp_args_count(r->args, OPT_VERBOSE); phase++)
        print_ops(r, phase);
}

/* ---- JSON ------------------------------------------------------------------------------------------------------- */

static void json_numbers(double seconds, double flops, double bytes, double ceiling)
{
    printf("\"seconds\":%.9f,\"flops\":%.0f,\"bytes\":%.0f,\"ceiling_seconds\":", seconds, flops, bytes);
    if (ceiling > 0)
        printf("%.9f}", ceiling);
    else
        printf("null}");
}

static void json_kinds(const struct report *r, uint32_t phase)
{
    struct kind kinds[MOST_KINDS], all;
    uint32_t n = sum_up(r, phase, kinds, &all);
    for (uint32_t i = 0; i < n; i++) {
        printf("%s{\"kind\":\"%s\",\"calls\":%u,", i ? "," : "", kinds[i].name, kinds[i].calls);
        json_numbers(kinds[i].seconds, kinds[i].flops, kinds[i].bytes, kinds[i].partly ? 0 : kinds[i].ceiling);
    }
}

static void json_ops(const struct report *r, uint32_t phase)
{
    const struct vqpipe_bench_op *op;
    const char *comma = "";
    for (uint32_t i = 0; (op = vqpipe_bench_at(r->bench, i)); i++) {
        if (op->phase != phase)
            continue;
        printf("%s{\"kind\":\"%s\",\"scope\":", comma, op->kind);
        vqp_json_string(stdout, op->scope);
        printf(",\"shapes\":\"%s\",", op->shapes);
        json_numbers(op->seconds, op->flops, op->bytes, op->ceiling);
        comma = ",";
    }
}

static void json_text(const char *key, const char *value)
{
    printf("\"%s\":", key);
    vqp_json_string(stdout, value);
    printf(",");
}

static void print_json(const struct report *r)
{
    const struct vqpipe_bench_info *b = &r->info;
    printf("{\"version\":\"%s\",", vqpipe_version());
    json_text("pipeline", r->file);
    json_text("backend", b->backends);
    printf("\"images\":%u,\"batch\":%u,\"evaluations\":%u,\"start_up\":%.6f,\"load\":%.6f,\"compile\":%.6f,"
           "\"prepare\":%.6f,\"first_step\":%.6f,\"step\":%.9f,\"step_quartiles\":[%.9f,%.9f],\"step_samples\":%u,"
           "\"steady\":%s,"
           "\"steps_per_second\":%.6f,\"finish\":%.6f,\"whole\":%.6f,\"measuring\":%.6f,\"peak_memory_bytes\":%" PRIu64
           ",",
           r->images, b->batch, b->evals, r->start_up, b->load, b->compile, b->prepare, b->first_step, b->step,
           b->step_low, b->step_high, b->samples, is_steady(b) ? "true" : "false", b->step > 0 ? 1 / b->step : 0.0,
           b->finish, r->whole, b->measuring, b->peak_memory);
    if (b->share > 0)
        printf(
            "\"ceiling\":{\"seconds\":%.9f,\"low\":%.9f,\"high\":%.9f,\"share\":%.6f,\"share_quartiles\":[%.6f,%.6f]},",
            b->ceiling, b->ceiling_low, b->ceiling_high, b->share, b->share_low, b->share_high);
    else
        printf("\"ceiling\":null,");
    json_text("no_ceiling", b->no_ceiling);
    json_text("no_profile", b->no_profile);
    printf("\"programs\":{");
    for (uint32_t phase = 0; phase < N_PHASES; phase++) {
        printf("%s\"%s\":{\"seconds\":%.9f,\"kinds\":[", phase ? "," : "", phases[phase], phase_seconds(r, phase));
        json_kinds(r, phase);
        printf("],\"ops\":[");
        json_ops(r, phase);
        printf("]}");
    }
    printf("}}\n");
}

/* ---- the command ------------------------------------------------------------------------------------------------ */

static int measure(struct report *r, vqpipe_bench **bench, vqpipe_result **result)
{
    struct vqp_error err = {0};
    vqp_signals_running(r->pipe);
    vqp_status status = vqpipe_measure(r->pipe, NULL, bench, result, &err);
    vqp_signals_running(NULL);
    if (vqp_signals_code())
        return vqp_signals_code();
    return status ? vqp_say_error(status, &err) : 0;
}

static int save(const struct vqp_output *o, const vqpipe_result *result)
{
    struct vqp_error err = {0};
    vqp_status status = vqpipe_result_save(result, o->pattern, o->metadata, o->scale, NULL, NULL, &err);
    return status ? vqp_say_error(status, &err) : 0;
}

int vqp_cmd_bench(const struct vqp_args *args)
{
    double process = vqp_process_start();
    const char *output = vqp_args_value(args, OPT_OUTPUT);
    struct vqp_job job = {0};
    struct vqp_output out = {0};
    vqpipe_bench *bench = NULL;
    vqpipe_result *result = NULL;
    if (output && strcmp(output, "-") == 0)
        return vqp_say_usage("--output -: stdout takes the report; give a file name");
    vqp_signals_catch();
    int code = vqp_job_load(args, &job);
    struct report r = {.args = args,
                       .file = args->operand,
                       .pipe = job.pipe,
                       .info.struct_size = sizeof r.info,
                       .start_up = vqp_seconds() - process};
    if (!code && output)
        code = vqp_output_settle(job.pipe, 0, &out);
    if (!code)
        code = measure(&r, &bench, &result);
    if (!code) {
        vqpipe_bench_describe(bench, &r.info);
        r.bench = bench;
        r.images = vqpipe_result_images(result);
        r.whole = vqp_seconds() - process - r.info.measuring;
        if (vqp_args_count(args, OPT_JSON))
            print_json(&r);
        else
            print_text(&r);
        code = output ? save(&out, result) : 0;
    }
    free(out.pattern);
    vqpipe_result_destroy(result);
    vqpipe_bench_destroy(bench);
    vqp_job_close(&job);
    return code;
}
