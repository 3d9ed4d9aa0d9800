#include "server/http_target.h"

#include <string.h>

#include "base/parse.h"

static int bad(struct err *e, const char *what, const char *piece)
{
    return err_set(e, ERR_BAD_REQUEST, "%s in the address: \"%.120s\"", what, piece);
}

/*
 * Decodes `piece` to *into, which is moved behind the NUL that ends it: decoding never makes a text longer, so that
 * all pieces of a target fit where the target fits.
 */
static int decode(const char *piece, bool in_query, char **into, struct err *e)
{
    char *out = *into, *start = out;
    for (const char *p = piece; *p; p++) {
        uint8_t byte = (uint8_t)*p;
        if (byte == '%') {
            char digits[3] = {p[1], p[1] ? p[2] : '\0', '\0'};
            if (parse_hex(digits, &byte, 1) < 0) return bad(e, "Bad percent-encoding", piece);
            p += 2;
            if (!in_query && (byte == '/' || byte == '\\')) return bad(e, "An encoded slash or backslash", piece);
        } else if (byte == '+' && in_query) {
            byte = ' '; /* as HTML forms and URLSearchParams write it */
        }
        if (byte < 0x20 || byte == 0x7f) return bad(e, "A control character", piece);
        *out++ = (char)byte;
    }
    if (!parse_is_utf8(start, (size_t)(out - start))) return bad(e, "Bytes that are not UTF-8", piece);
    *out++ = '\0';
    *into = out;
    return 0;
}

static int check_raw(const char *raw, struct err *e)
{
    if (strlen(raw) > HTTP_TARGET_MAX)
        return err_set(e, ERR_URI_TOO_LONG, "The address has %zu bytes; at most %d are accepted", strlen(raw),
                       HTTP_TARGET_MAX);
    if (raw[0] != '/') return bad(e, "Only a path that begins with '/' is served here; there is something else", raw);
    for (const char *p = raw; *p; p++) {
        if ((unsigned char)*p <= 0x20 || *p == 0x7f) return bad(e, "A space or control character", raw);
        if ((unsigned char)*p >= 0x80) return bad(e, "Bytes that must be percent-encoded", raw);
        if (*p == '\\' || *p == '#') return bad(e, "A backslash or '#'", raw);
    }
    return 0;
}

static int add_segment(struct http_target *t, const char *piece, bool last, char **into, struct err *e)
{
    if (!piece[0] && last)
        return bad(e, "A trailing '/' (a name is missing behind it)", t->raw);
    if (!piece[0]) return bad(e, "An empty segment ('//')", t->raw);
    if (t->segments_len == HTTP_SEGMENTS_MAX)
        return err_set(e, ERR_NOT_FOUND, "No address here has that many segments");
    const char *segment = *into;
    if (decode(piece, false, into, e) < 0) return -1;
    if (strcmp(segment, ".") == 0 || strcmp(segment, "..") == 0) return bad(e, "A '.' or '..' segment", t->raw);
    t->segments[t->segments_len++] = segment;
    return 0;
}

static int add_parameter(struct http_target *t, char *piece, char **into, struct err *e)
{
    if (t->query_len == API_QUERY_MAX)
        return err_set(e, ERR_BAD_REQUEST, "There are more than %d query parameters", API_QUERY_MAX);
    char *equals = strchr(piece, '=');
    if (equals) *equals = '\0';
    struct api_pair *pair = &t->query[t->query_len];
    pair->name = *into;
    if (decode(piece, true, into, e) < 0) return -1;
    pair->value = *into;
    if (decode(equals ? equals + 1 : "", true, into, e) < 0) return -1;
    if (!pair->name[0]) return err_set(e, ERR_BAD_REQUEST, "A query parameter has no name");
    for (size_t i = 0; i < t->query_len; i++)
        if (strcmp(t->query[i].name, pair->name) == 0)
            return err_set(e, ERR_BAD_REQUEST, "The query parameter \"%.80s\" is given twice", pair->name);
    t->query_len++;
    return 0;
}

int http_target_parse(const char *raw, struct http_target *ret, struct err *e)
{
    *ret = (struct http_target){0};
    if (check_raw(raw, e) < 0) return -1;
    size_t len = strlen(raw);
    cleanup_free char *work = strdup(raw);
    ret->raw = strdup(raw);
    /* each parameter may take one byte more than it has in the target: a missing '=' */
    ret->decoded = malloc(len + API_QUERY_MAX + 2);
    if (!work || !ret->raw || !ret->decoded) return err_set(e, ERR_UNAVAILABLE, "Out of memory");

    char *into = ret->decoded, *query = strchr(work, '?');
    if (query) *query++ = '\0';
    ret->raw[strcspn(ret->raw, "?")] = '\0';

    char *rest = work + 1;
    while (rest && (rest[0] || ret->segments_len)) {
        const char *piece = strsep(&rest, "/");
        if (add_segment(ret, piece, !rest, &into, e) < 0) return -1;
    }
    while (query && query[0])
        if (add_parameter(ret, strsep(&query, "&"), &into, e) < 0) return -1;
    return 0;
}

void http_target_done(struct http_target *t)
{
    free(t->raw);
    free(t->decoded);
    *t = (struct http_target){0};
}

int http_target_check_query(const struct http_target *t, const char *const *known, struct err *e)
{
    size_t count = 0;
    while (known && known[count]) count++;
    for (size_t i = 0; i < t->query_len; i++) {
        const char *name = t->query[i].name;
        size_t k = 0;
        while (k < count && strcmp(known[k], name) != 0) k++;
        if (k < count) continue;
        const char *near = parse_nearest(name, known, count);
        if (near)
            return err_set(e, ERR_BAD_REQUEST, "Unknown query parameter \"%.80s\"; did you mean \"%s\"?", name, near);
        return err_set(e, ERR_BAD_REQUEST, "Unknown query parameter \"%.80s\"", name);
    }
    return 0;
}
