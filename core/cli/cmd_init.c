#include "commands.h"
#include "say.h"
#include <vqpipe/vqpipe.h>

int vqp_cmd_init(const struct vqp_args *args)
{
    struct vqp_error err = {0};
    vqp_status status = vqpipe_describe_model(args->operand, stdout, &err);
    return status ? vqp_say_error(status, &err) : 0;
}
