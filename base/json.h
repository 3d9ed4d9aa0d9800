/*
 * json.h - JSON from outside, bounded and strict; a thin layer over jansson.
 *
 * What comes from a client or over the gadget's socket is parsed here and nowhere else: the size is bounded before
 * the parser sees it (jansson needs up to 79 bytes of memory for a byte of input), duplicates are refused, and an
 * object is read against a table of its members, so that a misspelt member is an error that names it.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/clock.h"
#include "base/err.h"

DEFINE_CLEANUP(json_t *, json_decref_ptr, json_decref)
#define cleanup_json cleanup(json_decref_ptr)

/* Parses exactly one object of at most `max` bytes. NULL with *e (bad_request or too_large) when it is not one. */
json_t *json_parse_object(const char *text, size_t len, size_t max, struct err *e);

enum json_kind {
    JSON_TEXT,     /* ret: char[size]; too long is an error, as is a NUL inside */
    JSON_FLAG,     /* ret: bool */
    JSON_NUMBER,   /* ret: int64_t, within min..max */
    JSON_DURATION, /* ret: msec; seconds on the wire, fractions allowed, within min..max ms */
    JSON_MEMBERS,  /* ret: const json_t *, an object that stays owned by the parent */
};

struct json_member {
    const char *name;
    enum json_kind kind;
    void *ret;        /* untouched where the member is absent, so put the default there first */
    size_t size;      /* of a JSON_TEXT */
    int64_t min, max; /* of a JSON_NUMBER or JSON_DURATION */
    bool required;
    bool *ret_given;  /* may be NULL */
};

/* Reads the members of `object`. Returns 0, or -1 with *e: unknown member (with the nearest known), wrong type,
 * out of range, missing. */
int json_read(const json_t *object, const struct json_member *members, size_t count, struct err *e);

/* Sets `name` to value (whose reference is taken, as with json_object_set_new), null where value is NULL. */
void json_put(json_t *object, const char *name, json_t *value);
void json_put_text(json_t *object, const char *name, const char *text);  /* NULL text gives null; bytes that are not UTF-8 are replaced */
void json_put_int(json_t *object, const char *name, int64_t value);
void json_put_flag(json_t *object, const char *name, bool value);
void json_put_seconds(json_t *object, const char *name, msec value);     /* a duration */
void json_put_time(json_t *object, const char *name, msec real);         /* RFC 3339; null where real is 0 */

/* As we write JSON everywhere: compact, members sorted where `sorted` (equal values give equal texts), fractions to the
 * digits that a millisecond needs. malloc'd; NULL when out of memory. */
char *json_write(const json_t *value, bool sorted);

/* "" where absent or not a string: for messages from our own processes. Never NULL. */
const char *json_text(const json_t *object, const char *name);
int64_t json_int(const json_t *object, const char *name, int64_t otherwise);
bool json_flag(const json_t *object, const char *name);
