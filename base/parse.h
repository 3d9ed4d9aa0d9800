/*
 * parse.h - numbers, sizes and durations as people write them, and names.
 *
 * All of these take the whole string or fail: no leading or trailing blanks, no silent overflow. They return 0, or
 * -1 with *ret untouched.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/err.h"

int parse_u64(const char *text, uint64_t *ret);            /* decimal digits only */
int parse_size(const char *text, uint64_t *ret_bytes);     /* "512", "8 GiB", "700MB", "2.4 GB"; units B, k/K/M/G/T with B or iB */
int parse_duration(const char *text, msec *ret);           /* "30 s", "250 ms", "5 min", "2 h", "1 d", "1.5 s"; bare numbers are seconds */
int parse_bool(const char *text, bool *ret);               /* "true" and "false" */
bool parse_is_utf8(const char *text, size_t len);          /* RFC 3629, no NUL, no surrogates, no overlong forms */
int parse_hex(const char *text, uint8_t *ret, size_t len); /* exactly 2 * len hexadecimal digits */
void parse_to_hex(const uint8_t *bytes, size_t len, char *ret_text); /* lower case, 2 * len + 1 bytes */

/*
 * Base64 of RFC 4648, section 4: whole groups of four with '=' at the end, and no bits left over. Returns the number of
 * bytes, or -1 where the text is something else or has more than `max`. ret may be NULL.
 */
ssize_t parse_base64(const char *text, size_t len, uint8_t *ret, size_t max);
/* Percent-decodes `len` bytes into ret (with the NUL at most `max` bytes). -1, with anything in ret, where they are
 * malformed, too long, or have %00. */
int parse_percent(const char *text, size_t len, char *ret, size_t max);

#define NAME_BYTES_MAX 255 /* NAME_MAX of every Linux file system */

/* The rule for the name of an image (API.md): UTF-8, 1 to 255 bytes, no control or format-override characters,
 * no '/', no leading dot. Unicode normalisation is looked after by images/name.c, where names are made. */
int name_check(const char *name, struct err *e);

/* Which of `count` names is nearest to `word` (edit distance); NULL where none is near. For "did you mean". */
const char *parse_nearest(const char *word, const char *const *names, size_t count);
