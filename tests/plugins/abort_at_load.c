/* Aborts while it is being loaded. */
#include "minimal.h"
#include <stdlib.h>

__attribute__((constructor)) static void at_load(void)
{
    abort();
}

MINIMAL_TABLE(table);
MINIMAL_COMPONENT(component, .v.scheduler = &table);
static const struct vqp_component *const list[] = {&component, NULL};
MINIMAL_PLUGIN(list);
