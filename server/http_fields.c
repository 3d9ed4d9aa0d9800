#include "server/http_fields.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"

void http_fields_add(struct http_fields *f, const char *name, const char *value)
{
    f->bytes += strlen(name) + strlen(value) + 4; /* ": " and the line's end */
    if (f->len == HTTP_FIELDS_MAX)
        f->overflow = true;
    else
        f->items[f->len++] = (struct api_pair){name, value};
}

const char *http_fields_get(const struct http_fields *f, const char *name)
{
    for (size_t i = 0; i < f->len; i++)
        if (strcasecmp(f->items[i].name, name) == 0) return f->items[i].value;
    return NULL;
}

size_t http_fields_count(const struct http_fields *f, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < f->len; i++) count += strcasecmp(f->items[i].name, name) == 0;
    return count;
}

bool http_is_token(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)text[i]) && (!text[i] || !strchr("!#$%&'*+-.^_`|~", text[i]))) return false;
    return len > 0;
}

static int check_grammar(const struct http_fields *f, struct err *e)
{
    if (f->overflow)
        return err_set(e, ERR_HEADERS_TOO_LARGE, "There are more than %d header fields", HTTP_FIELDS_MAX);
    if (f->bytes > HTTP_HEAD_BYTES_MAX)
        return err_set(e, ERR_HEADERS_TOO_LARGE, "The header fields have %zu bytes; at most %d are accepted", f->bytes,
                       HTTP_HEAD_BYTES_MAX);
    for (size_t i = 0; i < f->len; i++) {
        const char *name = f->items[i].name;
        if (!http_is_token(name, strlen(name)))
            return err_set(e, ERR_BAD_REQUEST, "Bad header field name \"%.80s\"", name);
        for (const char *p = f->items[i].value; *p; p++)
            if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f)
                return err_set(e, ERR_BAD_REQUEST, "A control character in the header field %.80s", name);
    }
    return 0;
}

static int check_once(const struct http_fields *f, struct err *e)
{
    static const char *const singles[] = {
        "Host",           "Content-Length", "Transfer-Encoding", "Content-Type", "Origin",
        "Sec-Fetch-Site", "Expect",         "Authorization",     "Range",        "If-Range",
        "If-Match",       "If-None-Match",  "Prefer",            "Last-Event-ID",
        "Tus-Resumable",  "Upload-Offset",  "Upload-Length",     "Upload-Metadata",
        "Upload-Checksum", "X-HTTP-Method-Override",
    };
    for (size_t i = 0; i < ARRAY_LEN(singles); i++)
        if (http_fields_count(f, singles[i]) > 1)
            return err_set(e, ERR_BAD_REQUEST, "The header field %s is given more than once", singles[i]);
    return 0;
}

int http_fields_check(const struct http_fields *f, bool http_1_1, struct http_body *ret, struct err *e)
{
    if (check_grammar(f, e) < 0 || check_once(f, e) < 0) return -1;
    const char *length = http_fields_get(f, "Content-Length"), *encoding = http_fields_get(f, "Transfer-Encoding");
    const char *expect = http_fields_get(f, "Expect");
    struct http_body body = {.length = -1};
    if (http_1_1 && !http_fields_get(f, "Host")) return err_set(e, ERR_BAD_REQUEST, "The header field Host is missing");
    if (expect && strcasecmp(expect, "100-continue") != 0)
        return err_set(e, ERR_BAD_REQUEST, "The only Expect known is 100-continue, not \"%.80s\"", expect);
    if (length && encoding)
        return err_set(e, ERR_BAD_REQUEST, "Content-Length and Transfer-Encoding exclude each other");
    if (encoding && (!http_1_1 || strcasecmp(encoding, "chunked") != 0))
        return err_set(e, ERR_BAD_REQUEST, "The only Transfer-Encoding known is chunked, with HTTP/1.1; not \"%.80s\"",
                       encoding);
    if (length) {
        uint64_t value;
        if (parse_u64(length, &value) < 0 || value > INT64_MAX)
            return err_set(e, ERR_BAD_REQUEST, "The Content-Length \"%.80s\" is not a number of bytes", length);
        body.length = (int64_t)value;
    }
    body.declared = length || encoding;
    body.present = encoding || body.length > 0;
    *ret = body;
    return 0;
}

bool http_fields_is_json(const struct http_fields *f)
{
    static const char json[] = "application/json";
    const char *type = http_fields_get(f, "Content-Type");
    if (!type || strncasecmp(type, json, strlen(json)) != 0) return false;
    type += strlen(json);
    type += strspn(type, " \t");
    return *type == '\0' || *type == ';';
}
