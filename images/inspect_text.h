/*
 * inspect_text.h - labels and names out of an image, as UTF-8 that can be shown anywhere. Pure.
 *
 * Control characters and those that turn the direction of text become U+FFFD; blanks at the end go; what does not
 * fit is cut between two characters. `room` includes the NUL.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ends at the first NUL. UTF-8 where all of it is, else Latin-1. */
void text_from_bytes(char *ret, size_t room, const uint8_t *data, size_t len);

/* `units` of 16 bits; ends at the first that is 0. */
void text_from_utf16(char *ret, size_t room, const uint8_t *data, size_t units, bool big_endian);

/* OSTA compressed unicode: a byte that says 8 or 16 bits, then the characters (UDF 2.1.1). */
void text_from_osta(char *ret, size_t room, const uint8_t *data, size_t len);

/* The same in a field of fixed size whose last byte says how much of it is used (UDF 2.1.3). */
void text_from_dstring(char *ret, size_t room, const uint8_t *field, size_t size);
