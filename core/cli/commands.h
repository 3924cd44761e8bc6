/* One function a sub-command: takes parsed arguments, returns the exit code. */
#ifndef VQP_CLI_COMMANDS_H
#define VQP_CLI_COMMANDS_H
#include "args.h"
#include <vqpipe/plugin.h>

int vqp_cmd_run(const struct vqp_args *args);
int vqp_cmd_validate(const struct vqp_args *args);
int vqp_cmd_program(const struct vqp_args *args);
int vqp_cmd_plugins(const struct vqp_args *args);
int vqp_cmd_inspect(const struct vqp_args *args);
int vqp_cmd_inspect_picture(const struct vqp_args *args); /* inspect of a .png */
int vqp_cmd_devices(const struct vqp_args *args);
int vqp_cmd_bench(const struct vqp_args *args);
int vqp_cmd_pull(const struct vqp_args *args);
int vqp_cmd_init(const struct vqp_args *args);
int vqp_cmd_convert(const struct vqp_args *args);

/* Whether stdout was open when the program started. */
extern int vqp_stdout_given;

/* "scheduler" */
const char *vqp_interface_name(uint32_t iface);

#endif
