/* Changes what belongs to the process while it is being loaded. */
#include "minimal.h"
#include <fenv.h>
#include <locale.h>
#include <signal.h>
#include <unistd.h>

__attribute__((constructor)) static void meddle(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    setlocale(LC_ALL, "C.UTF-8");
    fesetround(FE_UPWARD);
    if (chdir("/"))
        return;
}

MINIMAL_TABLE(table);
MINIMAL_COMPONENT(component, .v.scheduler = &table);
static const struct vqp_component *const list[] = {&component, NULL};
MINIMAL_PLUGIN(list);
