#include <vqpipe/base.h>
VQP_EXPORT int vqp_plugin_v1(void);
int vqp_plugin_v1(void)
{
    return 1;
}
