#include <vqpipe/base.h>
VQP_EXPORT int some_library(void);
int some_library(void)
{
    return 42;
}
