/* Core's own sections of a descriptor, as option tables like any component's. */
#ifndef VQP_SETTINGS_TABLES_H
#define VQP_SETTINGS_TABLES_H
#include <vqpipe/plugin.h>

extern const struct vqp_option vqp_run_options[], vqp_output_options[];

#endif
