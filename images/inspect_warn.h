/*
 * inspect_warn.h - what is wrong with an image, or will not work, in sentences for people. Pure.
 */
#pragma once

#include "base/util.h"
#include "images/inspect.h"

void inspect_warn(struct inspect_result *r, enum inspect_warning_code code, const char *fmt, ...) attr_printf(3, 4);

/* The image has `size` bytes and `what` in it ("Its file system") needs `needed`. Says nothing where that fits, and
 * only the first time. */
void inspect_warn_truncated(struct inspect_result *r, const char *what, uint64_t needed, uint64_t size);

/* Everything that follows from the format, the size and who can boot. */
void inspect_warn_of_choices(struct inspect_result *r, uint64_t size);
