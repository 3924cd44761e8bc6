/* Its list of components points to nowhere. */
#include "minimal.h"
VQP_PLUGIN(.id = "org.vqpipe.test", .version = "1.0", .license = "MIT",
           .components = (const struct vqp_component *const *)(uintptr_t)16);
