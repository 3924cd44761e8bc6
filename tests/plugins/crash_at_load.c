/* Writes to nowhere while it is being loaded. */
#include "minimal.h"

static int *volatile nowhere;

__attribute__((constructor, no_sanitize("undefined", "address"))) static void crash(void)
{
    *nowhere = 1;
}

MINIMAL_TABLE(table);
MINIMAL_COMPONENT(component, .v.scheduler = &table);
static const struct vqp_component *const list[] = {&component, NULL};
MINIMAL_PLUGIN(list);
