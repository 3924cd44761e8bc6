#include "minimal.h"
VQP_PLUGIN(.id = "org.vqpipe.test", .version = "1.0", .license = "MIT");
