/*
 * clock.h - the two clocks, and times as text.
 *
 * Deadlines are milliseconds on CLOCK_BOOTTIME: it never jumps, goes on while the box sleeps, and is the same in
 * both processes. What people read is CLOCK_REALTIME, in UTC, as RFC 3339. Pure code takes the time as argument.
 */
#pragma once

#include "base/util.h"

typedef int64_t msec; /* milliseconds; the name of a variable says on which clock where it matters */

#define MSEC_NEVER INT64_MAX
#define CLOCK_TEXT_MAX 32

msec clock_boot_ms(void);
msec clock_real_ms(void);

/* "2026-11-21T02:10:00.250Z" (the fraction only where it is not zero) into text; returns text. */
const char *clock_format_rfc3339(msec real, char text[CLOCK_TEXT_MAX]);

/* Reads RFC 3339 with any offset. Returns 0, or -1 where text is not such a time. */
int clock_parse_rfc3339(const char *text, msec *ret_real);
