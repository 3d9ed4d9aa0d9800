/*
 * order.h - the orders in which images are listed, and cursors into them.
 *
 * Every order is total (key, then name, then store), so that a page ends at an exact place: a cursor holds the key,
 * name and store of the last image shown, and the next page begins with what comes after that, whatever was added or
 * deleted meanwhile. To a client a cursor is an opaque word.
 */
#pragma once

#include <stdbool.h>

#include "images/name.h"

enum order_by { ORDER_NAME, ORDER_SIZE, ORDER_MODIFIED };

struct order {
    enum order_by by;
    bool reverse;
};

struct order_item { /* what an image is sorted by; the texts are borrowed */
    const char *name;
    const char *store;  /* reference */
    int64_t key;        /* bytes, or ns of modification; 0 where sorted by name */
};

/* 2 hexadecimal digits for each byte of a sort word, a number, a reference and a name, with newlines between. */
#define ORDER_CURSOR_MAX (2 * (16 + 24 + STORE_REF_MAX + NAME_BYTES_MAX + 4) + 1)

/* "name", "size", "modified", with '-' before it reversed; NULL: by name. Returns 0, or -1 with *e. */
int order_parse(const char *text, struct order *ret, struct err *e);

/* Negative, 0, positive, as strcmp(). Names: ASCII letters without their case, then bytes. */
int order_compare(struct order order, const struct order_item *a, const struct order_item *b);

void order_cursor_format(struct order order, const struct order_item *last, char ret[ORDER_CURSOR_MAX]);

/* Reads a cursor that was made for the same order. `room` keeps the texts of *ret. Returns 0, or -1 with *e. */
int order_cursor_parse(struct order order, const char *cursor, char room[ORDER_CURSOR_MAX], struct order_item *ret,
                       struct err *e);
