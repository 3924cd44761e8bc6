#include "commands.h"
#include "job.h"
#include "say.h"

/* Loads the pipeline and prints what `print` has to say about it. */
static int load_and_print(const struct vqp_args *args,
                          vqp_status (*print)(vqpipe *pipe, FILE *f, struct vqp_error *err))
{
    struct vqp_job job = {0};
    struct vqp_error err = {0};
    int code = vqp_job_load(args, &job);
    if (!code) {
        vqp_status status = print(job.pipe, stdout, &err);
        code = status ? vqp_say_error(status, &err) : 0;
    }
    vqp_job_close(&job);
    return code;
}

int vqp_cmd_validate(const struct vqp_args *args)
{
    return load_and_print(args, vqpipe_print_summary);
}

int vqp_cmd_program(const struct vqp_args *args)
{
    return load_and_print(args, vqpipe_print_programs);
}
