/*
 * udc.h - the USB device controllers: which one is there, whether our gadget is bound to it, what the host made of it.
 *
 * Read from /sys/class/udc, which never waits, not even while a bind hangs; the gadget's own `UDC` attribute can. News
 * come by poll(2) on `state` and by uevents. `state` stays "configured" after an unbind, so `function` has to be looked
 * at as well; and some controllers do not notice that the host lost power: a hint, no proof.
 */
#pragma once

#include "gadget/engine.h"

struct udc;

/*
 * `wanted`: name of the controller, "" for any: the one that `gadget` is bound to, else the first by name. changed():
 * something may look different now; appeared: perhaps a controller that was not there. Where there are no uevents (no
 * permission), a controller that appears later goes unnoticed; that is logged.
 */
struct udc *udc_new(struct loop *l, const char *class_dir, const char *wanted, const char *gadget,
                    void (*changed)(void *owner, bool appeared), void *owner, struct err *e);
void udc_free(struct udc *u);

/* Looks again, and fills *ret. */
void udc_read(struct udc *u, struct engine_link *ret);
