/*
 * containers.h - files that hold an image but are none: compressed, or in another program's format. Pure.
 */
#pragma once

#include "images/inspect_source.h"

#define CONTAINER_HEAD_BYTES 512

struct container {
    const char *name;               /* on the wire: "xz", "qcow2" */
    enum inspect_format format;     /* INSPECT_COMPRESSED or INSPECT_FOREIGN */
};

/* By the first CONTAINER_HEAD_BYTES (zeros where there are fewer). NULL: it is none. */
const struct container *container_of_head(const uint8_t *head);

/* By the last bytes; one read. */
const struct container *container_of_tail(struct source *s);

/* Is there the last sector that a VHD of fixed size has behind a plain disk image? One read. */
bool container_has_vhd_footer(struct source *s);
