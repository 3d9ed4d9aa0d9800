/*
 * build_configfs.h - makes sure that the kernel offers gadgets in configfs: mounted, libcomposite loaded.
 */
#pragma once

#include "gadget/config.h"

/* Mounts and loads what is missing. Returns 0 when CONFIGFS/usb_gadget is there, or -1 with *e. Blocks. */
int build_configfs_ready(const struct gadget_config *c, struct err *e);
