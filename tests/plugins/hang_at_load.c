/* Does not come back from being loaded, and starts a process that keeps every descriptor open. */
#include "minimal.h"
#include <unistd.h>

__attribute__((constructor)) static void at_load(void)
{
    if (fork() >= 0)
        sleep(60);
}

MINIMAL_TABLE(table);
MINIMAL_COMPONENT(component, .v.scheduler = &table);
static const struct vqp_component *const list[] = {&component, NULL};
MINIMAL_PLUGIN(list);
