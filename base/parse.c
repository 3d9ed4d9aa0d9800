#include "base/parse.h"

#include <ctype.h>
#include <string.h>

int parse_u64(const char *text, uint64_t *ret)
{
    uint64_t value = 0;
    if (!*text) return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9') return -1;
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (unsigned)(*text - '0'), &value))
            return -1;
    }
    *ret = value;
    return 0;
}

struct unit {
    const char *name;
    uint64_t factor;
};

/* A decimal number with an optional fraction, times the factor of the unit behind it. Exact: no floating point. */
static int scaled(const char *text, const struct unit *units, size_t count, uint64_t *ret)
{
    uint64_t whole = 0, part = 0, part_scale = 1;
    const char *p = text;
    if (*p < '0' || *p > '9') return -1;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(whole, 10u, &whole) || __builtin_add_overflow(whole, (unsigned)(*p - '0'), &whole))
            return -1;
    if (*p == '.') {
        p++;
        if (*p < '0' || *p > '9') return -1;
        for (; *p >= '0' && *p <= '9'; p++) {
            if (part_scale >= 1000000) return -1; /* a millionth is finer than any unit here needs */
            part = part * 10 + (unsigned)(*p - '0');
            part_scale *= 10;
        }
    }
    if (*p == ' ' && p[1]) p++; /* a blank belongs to a unit */
    for (size_t i = 0; i < count; i++) {
        if (strcmp(p, units[i].name) != 0) continue;
        uint64_t value, fraction;
        if (__builtin_mul_overflow(whole, units[i].factor, &value) ||
            __builtin_mul_overflow(part, units[i].factor, &fraction))
            return -1;
        if (fraction % part_scale || __builtin_add_overflow(value, fraction / part_scale, &value)) return -1;
        *ret = value;
        return 0;
    }
    return -1;
}

int parse_size(const char *text, uint64_t *ret_bytes)
{
    static const struct unit units[] = {
        {"", 1},           {"B", 1},
        {"kB", 1000},      {"KB", 1000},      {"KiB", 1u << 10}, {"K", 1u << 10},
        {"MB", 1000000},   {"MiB", 1u << 20}, {"M", 1u << 20},
        {"GB", 1000000000}, {"GiB", 1u << 30}, {"G", 1u << 30},
        {"TB", 1000000000000}, {"TiB", 1ull << 40}, {"T", 1ull << 40},
    };
    uint64_t bytes;
    if (scaled(text, units, ARRAY_LEN(units), &bytes) < 0 || bytes > INT64_MAX) return -1;
    *ret_bytes = bytes;
    return 0;
}

int parse_duration(const char *text, msec *ret)
{
    static const struct unit units[] = {
        {"", 1000}, {"ms", 1}, {"s", 1000}, {"min", 60000}, {"h", 3600000}, {"d", 86400000},
    };
    uint64_t ms;
    if (scaled(text, units, ARRAY_LEN(units), &ms) < 0 || ms > INT64_MAX / 2) return -1;
    *ret = (msec)ms;
    return 0;
}

int parse_bool(const char *text, bool *ret)
{
    if (strcmp(text, "true") == 0)
        *ret = true;
    else if (strcmp(text, "false") == 0)
        *ret = false;
    else
        return -1;
    return 0;
}

/* Length of the well-formed sequence at p (RFC 3629, table of section 4), 0 where there is none. */
static size_t utf8_sequence(const unsigned char *p, size_t left, uint32_t *ret_code)
{
    static const struct {
        unsigned char first_min, first_max, second_min, second_max, extra;
    } forms[] = {
        {0x01, 0x7f, 0, 0, 0},          {0xc2, 0xdf, 0x80, 0xbf, 1}, {0xe0, 0xe0, 0xa0, 0xbf, 2},
        {0xe1, 0xec, 0x80, 0xbf, 2},    {0xed, 0xed, 0x80, 0x9f, 2}, {0xee, 0xef, 0x80, 0xbf, 2},
        {0xf0, 0xf0, 0x90, 0xbf, 3},    {0xf1, 0xf3, 0x80, 0xbf, 3}, {0xf4, 0xf4, 0x80, 0x8f, 3},
    };
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        if (p[0] < forms[i].first_min || p[0] > forms[i].first_max) continue;
        size_t extra = forms[i].extra;
        if (extra >= left) return 0;
        if (extra == 0) {
            *ret_code = p[0];
            return 1;
        }
        if (p[1] < forms[i].second_min || p[1] > forms[i].second_max) return 0;
        uint32_t code = p[0] & (0x3fu >> extra);
        for (size_t k = 1; k <= extra; k++) {
            if ((p[k] & 0xc0) != 0x80) return 0;
            code = code << 6 | (p[k] & 0x3f);
        }
        *ret_code = code;
        return extra + 1;
    }
    return 0;
}

bool parse_is_utf8(const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text;
    uint32_t code;
    for (size_t i = 0, n; i < len; i += n)
        if ((n = utf8_sequence(p + i, len - i, &code)) == 0) return false;
    return true;
}

/* Characters that make a name print as something else than it is: C0, DEL, C1, line and paragraph separators,
 * and the bidirectional controls (Unicode TR 36). */
static bool is_deceptive(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

int parse_percent(const char *text, size_t len, char *ret, size_t max)
{
    size_t out = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = (uint8_t)text[i];
        if (text[i] == '%') {
            char hex[3] = {0};
            if (len - i < 3) return -1;
            memcpy(hex, text + i + 1, 2);
            if (parse_hex(hex, &byte, 1) < 0 || byte == 0) return -1;
            i += 2;
        }
        if (out + 1 >= max) return -1;
        ret[out++] = (char)byte;
    }
    ret[out] = '\0';
    return 0;
}

int name_check(const char *name, struct err *e)
{
    size_t len = strlen(name);
    if (len == 0) return err_set(e, ERR_INVALID_NAME, "The name is empty");
    if (len > NAME_BYTES_MAX)
        return err_set(e, ERR_INVALID_NAME, "The name has %zu bytes; at most %d fit", len, NAME_BYTES_MAX);
    if (name[0] == '.') return err_set(e, ERR_INVALID_NAME, "The name begins with a dot");
    if (strchr(name, '/')) return err_set(e, ERR_INVALID_NAME, "The name contains a '/'");
    const unsigned char *p = (const unsigned char *)name;
    uint32_t code;
    for (size_t i = 0, n; i < len; i += n) {
        if ((n = utf8_sequence(p + i, len - i, &code)) == 0)
            return err_set(e, ERR_INVALID_NAME, "The name is not UTF-8 at byte %zu", i);
        if (is_deceptive(code))
            return err_set(e, ERR_INVALID_NAME, "The name contains the control character U+%04X", (unsigned)code);
    }
    return 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int parse_hex(const char *text, uint8_t *ret, size_t len)
{
    if (strlen(text) != 2 * len) return -1;
    for (size_t i = 0; i < 2 * len; i++)
        if (hex_digit(text[i]) < 0) return -1;
    for (size_t i = 0; i < len; i++) ret[i] = (uint8_t)(hex_digit(text[2 * i]) << 4 | hex_digit(text[2 * i + 1]));
    return 0;
}

void parse_to_hex(const uint8_t *bytes, size_t len, char *ret_text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        ret_text[2 * i] = digits[bytes[i] >> 4];
        ret_text[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret_text[2 * len] = '\0';
}

#define NEAREST_WORD_MAX 40 /* longer than any key or member that we have */

static size_t edit_distance(const char *a, const char *b)
{
    size_t la = strlen(a), lb = strlen(b);
    if (la > NEAREST_WORD_MAX || lb > NEAREST_WORD_MAX) return NEAREST_WORD_MAX;
    size_t row[NEAREST_WORD_MAX + 1];
    for (size_t j = 0; j <= lb; j++) row[j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t above = row[j], change = diagonal + (a[i - 1] != b[j - 1]);
            row[j] = MIN(change, MIN(above, row[j - 1]) + 1);
            diagonal = above;
        }
    }
    return row[lb];
}

const char *parse_nearest(const char *word, const char *const *names, size_t count)
{
    const char *best = NULL;
    size_t best_distance = strlen(word) / 3 + 2; /* a third of the letters may be wrong, and one more */
    for (size_t i = 0; i < count; i++) {
        size_t d = edit_distance(word, names[i]);
        if (d < best_distance) {
            best_distance = d;
            best = names[i];
        }
    }
    return best;
}

static int base64_value(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

ssize_t parse_base64(const char *text, size_t len, uint8_t *ret, size_t max)
{
    uint32_t bits = 0;
    size_t out = 0, digits = len;
    int have = 0;
    if (len % 4 != 0) return -1;
    while (digits > 0 && len - digits < 2 && text[digits - 1] == '=') digits--;
    for (size_t i = 0; i < digits; i++) {
        int value = base64_value(text[i]);
        if (value < 0) return -1;
        bits = bits << 6 | (uint32_t)value;
        have += 6;
        if (have < 8) continue;
        have -= 8;
        if (out == max) return -1;
        if (ret) ret[out] = (uint8_t)(bits >> have);
        out++;
    }
    bool nothing_left = (bits & ((1U << have) - 1)) == 0;
    return nothing_left ? (ssize_t)out : -1;
}
