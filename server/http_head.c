#include "server/http_head.h"

#include <string.h>

#include "server/http_target.h"

#define METHOD_MAX 32 /* far longer than any registered one */
#define TLS_HANDSHAKE 0x16 /* content type of the first record, RFC 8446 section 5.1 */

static int bad(struct err *e, const char *what)
{
    return err_set(e, ERR_BAD_REQUEST, "%s", what);
}

/* "GET /path HTTP/1.1" */
static int check_request_line(char *line, bool *ret_http_1_1, struct err *e)
{
    for (const char *p = line; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f) return bad(e, "A control character in the request line");
    char *rest = line, *method = strsep(&rest, " "), *target = rest ? strsep(&rest, " ") : NULL;
    if (strlen(method) > METHOD_MAX || !http_is_token(method, strlen(method)))
        return bad(e, "The request does not begin with a method");
    if (!target || !target[0] || !rest)
        return bad(e, "The request line must be METHOD /path HTTP/1.1, with single spaces");
    if (strlen(target) > HTTP_TARGET_MAX)
        return err_set(e, ERR_URI_TOO_LONG, "The address has %zu bytes; at most %d are accepted", strlen(target),
                       HTTP_TARGET_MAX);
    *ret_http_1_1 = strcmp(rest, "HTTP/1.1") == 0;
    if (!*ret_http_1_1 && strcmp(rest, "HTTP/1.0") != 0)
        return err_set(e, ERR_BAD_REQUEST, "HTTP/1.1 and HTTP/1.0 are spoken here, not \"%.40s\"", rest);
    return 0;
}

static int add_field(struct http_fields *f, char *line, struct err *e)
{
    if (*line == ' ' || *line == '\t')
        return bad(e, "A header field that is continued on the next line (obsolete folding)");
    char *colon = strchr(line, ':');
    if (!colon) return err_set(e, ERR_BAD_REQUEST, "A header field without a colon: \"%.80s\"", line);
    *colon++ = '\0';
    colon += strspn(colon, " \t");
    for (size_t len = strlen(colon); len && strchr(" \t", colon[len - 1]); len--) colon[len - 1] = '\0';
    http_fields_add(f, line, colon);
    return 0;
}

/* The head is complete, and ends in an empty line. */
static int check(char *head, struct err *e)
{
    struct http_fields fields = {0};
    struct http_body body;
    bool http_1_1 = false;
    for (char *line = head; *line;) {
        char *end = strstr(line, "\r\n"); /* there is always one more */
        *end = '\0';
        if (strchr(line, '\n')) return bad(e, "A line that ends without a carriage return");
        if ((line == head ? check_request_line(line, &http_1_1, e) : add_field(&fields, line, e)) < 0) return -1;
        line = end + 2;
    }
    return http_fields_check(&fields, http_1_1, &body, e);
}

enum http_head http_head_check(char *bytes, size_t len, struct err *e)
{
    size_t skip = 0;
    while (skip + 2 <= len && bytes[skip] == '\r' && bytes[skip + 1] == '\n') skip += 2; /* RFC 9112, section 2.2 */
    bytes += skip;
    len -= skip;
    if (len && (unsigned char)bytes[0] == TLS_HANDSHAKE) {
        bad(e, "This is TLS; here plain HTTP is spoken");
        return HTTP_HEAD_BAD;
    }
    char *end = memmem(bytes, len, "\r\n\r\n", 4);
    size_t head_len = end ? (size_t)(end - bytes) + 2 : len;
    if (memchr(bytes, '\0', head_len)) {
        bad(e, "A NUL in the request");
        return HTTP_HEAD_BAD;
    }
    if (head_len > HTTP_HEAD_BYTES_MAX || (!end && len + skip >= HTTP_HEAD_BYTES_MAX)) {
        bool in_first_line = !memmem(bytes, len, "\r\n", 2);
        err_set(e, in_first_line ? ERR_URI_TOO_LONG : ERR_HEADERS_TOO_LARGE,
                "The %s longer than the %d bytes that are accepted",
                in_first_line ? "request line is" : "header fields are", HTTP_HEAD_BYTES_MAX);
        return HTTP_HEAD_BAD;
    }
    if (!end) {
        const char *newline = memchr(bytes, '\n', len);
        if (!newline || (newline > bytes && newline[-1] == '\r')) return HTTP_HEAD_MORE;
        bad(e, "A line that ends without a carriage return");
        return HTTP_HEAD_BAD;
    }
    bytes[head_len] = '\0';
    return check(bytes, e) < 0 ? HTTP_HEAD_BAD : HTTP_HEAD_OK;
}
