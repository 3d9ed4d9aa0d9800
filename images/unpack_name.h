/*
 * unpack_name.h - which names say that an image is packed, and what it is called when it is not. Pure.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

/* Does the name end like something that is unpacked by default: ".xz", ".gz", ".zst", ".bz2", ".zip"? But for tar
 * archives, whose content is no image. */
bool unpack_name_is_packed(const char *name);

/* Without that ending; "a.img.xz" is "a.img". What then does not end like an image gets ".img". A name that is not
 * packed stays. `ret` has room for `max` bytes. Returns 0, or -1 with *e (invalid_name) where nothing is left. */
int unpack_name(const char *name, char *ret, size_t max, struct err *e);

/* Does the name of a file in an archive end like an image: ".iso", ".img", ...? */
bool unpack_name_is_image(const char *name);
