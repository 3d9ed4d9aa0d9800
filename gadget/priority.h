/*
 * priority.h - the processes whose turns stand between an order and the kernel go before those that copy for the host.
 */
#pragma once

/*
 * Called by the event loop and by the functions' workers, each for itself: what a process starts is scheduled as usual.
 * Where real time is not allowed (CAP_SYS_NICE) it is nice -10, which children inherit, and else nothing: merely slower.
 */
void priority_first(void);
