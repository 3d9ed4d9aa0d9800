/*
 * build_udc.h - USB device controllers: which are there, who uses them, binding and unbinding.
 *
 * Who uses a controller is read from /sys/class/udc/X/function, which holds the gadget's name and can always be read;
 * reading the gadget's own `UDC` waits for a bind or unbind under way, for ever if the storage hangs. Everything else
 * blocks, and is for a worker process.
 */
#pragma once

#include <stdbool.h>

#include "gadget/config.h"

#define UDC_NAME_MAX 64

/* Whether the gadget of the configuration is bound; *ret is the controller then, else "". */
bool build_udc_of_gadget(const struct gadget_config *c, char ret[UDC_NAME_MAX]);

/*
 * The controller to bind to: the configured one, or the first by name that nobody uses; "" in *ret while there is none.
 * Returns 0, or -1 with *e (gadget_detached) where other gadgets use what there is.
 */
int build_udc_choose(const struct gadget_config *c, char ret[UDC_NAME_MAX], struct err *e);

int build_udc_bind(const struct gadget_config *c, const char *udc, struct err *e);
int build_udc_unbind(const struct gadget_config *c, struct err *e); /* fine where it is not bound */
