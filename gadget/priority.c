#include <sched.h>
#include <sys/resource.h>

#include "base/log.h"
#include "gadget/priority.h"

/*
 * A forced eject is many short turns of the event loop and a worker, while the function's kernel thread copies at full
 * speed. Measured in guests with one processor, time until empty against a bare write to `forced_eject`: as all others
 * 19 ms against 7 (6.1); with nice -10 4 against 7 on 6.1, but 17.5 against 6 on 6.12, whose scheduler (EEVDF, since 6.6)
 * lets who wakes up wait for the end of the other's slice, whatever the two are worth, and a shorter slice of our own
 * (sched_attr.sched_runtime) changed nothing. As SCHED_RR 5.0 against 5.5 there. The lowest priority will do: nothing else
 * of ours is real time, and each turn is short; the kernel keeps 5 % of each second for others in any case
 * (sched_rt_runtime_us).
 */
#define POLICY (SCHED_RR | SCHED_RESET_ON_FORK)
#define REAL_TIME 1
#define NICE (-10) /* where real time is not allowed, or not to be had (CONFIG_RT_GROUP_SCHED) */

void priority_first(void)
{
    const struct sched_param lowest = {.sched_priority = REAL_TIME};
    if (sched_setscheduler(0, POLICY, &lowest) == 0) return;
    log_debug("No real-time scheduling here: %m");
    setpriority(PRIO_PROCESS, 0, NICE);
}
