#include "images/inspect_text.h"

#include <string.h>

#include "base/parse.h"

#define REPLACEMENT 0xfffd

struct text {
    char *at;
    size_t left; /* without the NUL */
    bool full;
};

static bool is_fit_to_show(uint32_t c)
{
    if (c < 0x20 || (c >= 0x7f && c < 0xa0)) return false;
    if (c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069)) return false;
    return c != 0xfeff && !(c >= 0xd800 && c <= 0xdfff) && c <= 0x10ffff;
}

static void add(struct text *t, uint32_t c)
{
    uint8_t bytes[4];
    size_t len;
    if (!is_fit_to_show(c)) c = REPLACEMENT;
    if (c < 0x80) {
        bytes[0] = (uint8_t)c;
        len = 1;
    } else if (c < 0x800) {
        bytes[0] = (uint8_t)(0xc0 | c >> 6);
        bytes[1] = (uint8_t)(0x80 | (c & 0x3f));
        len = 2;
    } else if (c < 0x10000) {
        bytes[0] = (uint8_t)(0xe0 | c >> 12);
        bytes[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        bytes[2] = (uint8_t)(0x80 | (c & 0x3f));
        len = 3;
    } else {
        bytes[0] = (uint8_t)(0xf0 | c >> 18);
        bytes[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
        bytes[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        bytes[3] = (uint8_t)(0x80 | (c & 0x3f));
        len = 4;
    }
    if (t->full || len > t->left) {
        t->full = true; /* nothing shorter may follow the character that did not fit */
        return;
    }
    memcpy(t->at, bytes, len);
    t->at += len;
    t->left -= len;
}

static void end(struct text *t, const char *start)
{
    while (t->at > start && t->at[-1] == ' ') t->at--;
    *t->at = '\0';
}

/* One character of text that is known to be UTF-8. */
static uint32_t next_utf8(const uint8_t **p)
{
    const uint8_t *b = *p;
    if (b[0] < 0x80) return *(*p)++;
    if (b[0] < 0xe0) {
        *p += 2;
        return (uint32_t)(b[0] & 0x1f) << 6 | (b[1] & 0x3f);
    }
    if (b[0] < 0xf0) {
        *p += 3;
        return (uint32_t)(b[0] & 0x0f) << 12 | (uint32_t)(b[1] & 0x3f) << 6 | (b[2] & 0x3f);
    }
    *p += 4;
    return (uint32_t)(b[0] & 0x07) << 18 | (uint32_t)(b[1] & 0x3f) << 12 | (uint32_t)(b[2] & 0x3f) << 6 | (b[3] & 0x3f);
}

void text_from_bytes(char *ret, size_t room, const uint8_t *data, size_t len)
{
    struct text t = {.at = ret, .left = room - 1};
    const uint8_t *nul = len ? memchr(data, 0, len) : NULL, *stop = nul ? nul : data + len;
    bool utf8 = parse_is_utf8((const char *)data, (size_t)(stop - data));
    while (data < stop) add(&t, utf8 ? next_utf8(&data) : *data++);
    end(&t, ret);
}

void text_from_utf16(char *ret, size_t room, const uint8_t *data, size_t units, bool big_endian)
{
    struct text t = {.at = ret, .left = room - 1};
    uint32_t high = 0;
    for (size_t i = 0; i < units; i++) {
        uint32_t c = big_endian ? (uint32_t)data[2 * i] << 8 | data[2 * i + 1]
                                : (uint32_t)data[2 * i + 1] << 8 | data[2 * i];
        if (!c) break;
        bool low = c >= 0xdc00 && c <= 0xdfff;
        if (high && !low) add(&t, REPLACEMENT);
        if (c >= 0xd800 && c <= 0xdbff) {
            high = c;
            continue;
        }
        add(&t, high && low ? 0x10000 + ((high - 0xd800) << 10) + (c - 0xdc00) : c);
        high = 0;
    }
    if (high) add(&t, REPLACEMENT);
    end(&t, ret);
}

void text_from_osta(char *ret, size_t room, const uint8_t *data, size_t len)
{
    ret[0] = '\0';
    if (len > 1 && data[0] == 16) {
        text_from_utf16(ret, room, data + 1, (len - 1) / 2, true);
    } else if (len > 1 && data[0] == 8) {
        struct text t = {.at = ret, .left = room - 1};
        for (size_t i = 1; i < len && data[i]; i++) add(&t, data[i]);
        end(&t, ret);
    }
}

void text_from_dstring(char *ret, size_t room, const uint8_t *field, size_t size)
{
    size_t used = field[size - 1];
    text_from_osta(ret, room, field, used < size ? used : size - 1);
}
