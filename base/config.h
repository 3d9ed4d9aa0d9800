/*
 * config.h - reading a libconfig file against a table of the keys that may stand in it.
 *
 * The only file that includes libconfig. A configuration is read once at start, into plain structs, and never
 * written. Sizes and durations are strings in the file ("8 GiB", "30 s"), since libconfig 1.5 cuts large integers
 * without a word. An unknown key, a wrong type or a value out of range is an error with file, line and, for a key,
 * the nearest known one.
 *
 * The two processes read the same file. A section that only the other process understands is listed as
 * CONFIG_FOREIGN: it is accepted here and checked there.
 */
#pragma once

#include <stdbool.h>

#include "base/clock.h"
#include "base/err.h"

enum config_kind {
    CONFIG_TEXT,     /* char[size] */
    CONFIG_FLAG,     /* bool */
    CONFIG_NUMBER,   /* int64_t, within min..max; decimal or 0x */
    CONFIG_SIZE,     /* uint64_t bytes, at least min, a string in the file */
    CONFIG_DURATION, /* msec, a string in the file, within min..max ms */
    CONFIG_CHOICE,   /* int: index into `choices` */
    CONFIG_GROUP,    /* { ... }: read by `keys` into the same base, at `offset` */
    CONFIG_LIST,     /* ( {...}, {...} ): `count` items at most, each `size` bytes from `offset`; number at count_offset */
    CONFIG_TEXTS,    /* ( "a", "b" ) or [ "a" ]: up to `count` of char[size]; number at count_offset */
    CONFIG_ENTRIES,  /* { any = "value"; }: group with free names, as struct config_entry; `count` at most */
    CONFIG_FOREIGN,  /* the other process's */
};

struct config_entry { /* an item of CONFIG_ENTRIES: strings, integers and booleans, all as text */
    char name[64];
    char value[256];
    int line;
};

struct config_key {
    const char *name;
    enum config_kind kind;
    size_t offset;                 /* in the struct that is filled */
    size_t size;
    int64_t min, max;
    const char *const *choices;    /* NULL-terminated */
    const struct config_key *keys; /* of a group, or of a list's items; ends with name == NULL */
    size_t count, count_offset;    /* count_offset: of a size_t */
    bool required;
    const char *help;              /* one line for --help-config and the manual page */
    size_t line_offset;            /* of an int that gets the line where the key stands; 0: none wanted */
};

/*
 * Reads `path` into `into`, where the defaults already are; items of lists begin as a copy of `item_default` if the
 * list's first slot was filled before. Returns 0, or -1 with *e = "FILE:LINE: what is wrong".
 */
int config_load(const char *path, const struct config_key *keys, void *into, struct err *e);
