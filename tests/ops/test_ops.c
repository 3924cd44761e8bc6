/* test_ops [PLUGIN.so]... [--precision P] [--device D] [--options YAML]: the conformance suite on each backend; without a plugin, on every
 * backend-*.so of the build tree whose device is there. */
#include "ops.h"
#include <glob.h>

static int run_suite(const char *plugin, const char *precision, const char *device, const char *options, int optional)
{
    static const struct {
        const struct vqp_case *cases;
        const size_t *n;
    } groups[] = {
        {cases_matrix, &cases_matrix_n}, {cases_norm, &cases_norm_n},   {cases_move, &cases_move_n},
        {cases_sample, &cases_sample_n}, {cases_plain, &cases_plain_n}, {cases_program, &cases_program_n},
    };
    struct vqp_case all[128];
    size_t n = 0;
    char name[64];
    vqp_status st = ops_target_open(plugin, precision, device, options);
    if (st == VQP_E_DEVICE && optional) {
        printf("SKIPPED: %s: no device\n", plugin);
        ops_target_close();
        return 0;
    }
    if (st) {
        ops_target_close();
        return 2;
    }
    for (size_t g = 0; g < sizeof groups / sizeof *groups; g++)
        for (size_t i = 0; i < *groups[g].n && n < sizeof all / sizeof *all; i++)
            all[n++] = groups[g].cases[i];
    snprintf(name, sizeof name, "backend %s, %s", ops_target.name, precision);
    int failures = run_cases(name, all, n);
    ops_target_close();
    return failures;
}

int main(int argc, char **argv)
{
    const char *precision = "f32", *device = NULL, *options = NULL;
    int status = 0, plugins = 0, optional = 0;
    for (int i = 1; i < argc; i++) {
        if (i + 1 < argc && !strcmp(argv[i], "--precision"))
            precision = argv[++i];
        else if (i + 1 < argc && !strcmp(argv[i], "--device"))
            device = argv[++i];
        else if (!strcmp(argv[i], "--optional")) /* no device: skipped */
            optional = 1;
        else if (i + 1 < argc && !strcmp(argv[i], "--options"))
            options = argv[++i];
        else
            argv[++plugins] = argv[i];
    }
    for (int i = 1; i <= plugins; i++)
        status |= run_suite(argv[i], precision, device, options, optional);
    if (plugins == 0) {
        glob_t found;
        if (glob(VQP_BUILD_DIR "/lib/vqpipe/backend-*.so", 0, NULL, &found)) {
            fprintf(stderr, "no backend in " VQP_BUILD_DIR "/lib/vqpipe\n");
            return 2;
        }
        for (size_t i = 0; i < found.gl_pathc; i++)
            status |= run_suite(found.gl_pathv[i], precision, device, options, 1);
        globfree(&found);
    }
    return status;
}
