/* Prints while it is being loaded, through stdio and past it, text that would break a line of JSON. */
#include "minimal.h"
#include <stdio.h>
#include <unistd.h>

__attribute__((constructor)) static void at_load(void)
{
    printf("hello \"\x1b[31m\n");
    if (write(STDOUT_FILENO, "there\n", 6) < 0)
        perror("print_at_load");
}

MINIMAL_TABLE(table);
MINIMAL_COMPONENT(component, .v.scheduler = &table);
static const struct vqp_component *const list[] = {&component, NULL};
MINIMAL_PLUGIN(list);
