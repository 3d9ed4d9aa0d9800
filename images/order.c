#include "images/order.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const sort_words[] = {[ORDER_NAME] = "name", [ORDER_SIZE] = "size", [ORDER_MODIFIED] = "modified"};

int order_parse(const char *text, struct order *ret, struct err *e)
{
    struct order order = {.by = ORDER_NAME};
    if (text && *text == '-') {
        order.reverse = true;
        text++;
    }
    for (size_t i = 0; text; i++) {
        if (i == ARRAY_LEN(sort_words))
            return err_set(e, ERR_BAD_REQUEST, "Images are sorted by name, size or modified, not by \"%.40s\"", text);
        order.by = (enum order_by)i;
        if (strcmp(text, sort_words[i]) == 0) break;
    }
    *ret = order;
    return 0;
}

static int fold(char c)
{
    return c >= 'A' && c <= 'Z' ? c + 32 : (unsigned char)c;
}

static int compare_folded(const char *a, const char *b)
{
    while (*a && fold(*a) == fold(*b)) {
        a++;
        b++;
    }
    return fold(*a) - fold(*b);
}

int order_compare(struct order order, const struct order_item *a, const struct order_item *b)
{
    int c = (a->key > b->key) - (a->key < b->key);
    if (!c) c = compare_folded(a->name, b->name);
    if (!c) c = strcmp(a->name, b->name);
    if (!c) c = strcmp(a->store, b->store);
    return order.reverse ? -c : c;
}

void order_cursor_format(struct order order, const struct order_item *last, char ret[ORDER_CURSOR_MAX])
{
    char text[ORDER_CURSOR_MAX / 2];
    int len = snprintf(text, sizeof text, "%s%s\n%" PRId64 "\n%s\n%s", order.reverse ? "-" : "", sort_words[order.by],
                       last->key, last->store, last->name);
    parse_to_hex((const uint8_t *)text, MIN((size_t)len, sizeof text - 1), ret);
}

static int bad_cursor(struct err *e)
{
    return err_set(e, ERR_BAD_REQUEST, "\"after\" is not a cursor that an earlier page of this order gave");
}

static int parse_key(const char *text, int64_t *ret)
{
    uint64_t magnitude; /* times before 1970 are negative */
    bool negative = *text == '-';
    if (parse_u64(text + negative, &magnitude) < 0 || magnitude > INT64_MAX) return -1;
    *ret = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    return 0;
}

int order_cursor_parse(struct order order, const char *cursor, char room[ORDER_CURSOR_MAX], struct order_item *ret,
                       struct err *e)
{
    size_t len = strlen(cursor) / 2;
    if (len >= ORDER_CURSOR_MAX / 2 || parse_hex(cursor, (uint8_t *)room, len) < 0 || memchr(room, 0, len))
        return bad_cursor(e);
    room[len] = '\0';
    char *rest = room, *sort = strsep(&rest, "\n"), *key = strsep(&rest, "\n"), *store = strsep(&rest, "\n");
    struct order made_for;
    if (!rest || order_parse(sort, &made_for, NULL) < 0 || made_for.by != order.by || made_for.reverse != order.reverse)
        return bad_cursor(e);
    struct order_item item = {.store = store, .name = rest};
    if (parse_key(key, &item.key) < 0) return bad_cursor(e);
    *ret = item;
    return 0;
}
