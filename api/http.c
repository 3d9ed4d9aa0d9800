#include "api/http.h"

#include <stdio.h>
#include <stdarg.h>
#include <string.h>

#define RETRY_UNAVAILABLE_S 2 /* a restart of trayd-gadget takes about one */
#define RETRY_QUARANTINE_S 30 /* where its end is not known: a look now and then, until something re-enumerates */

void api_response_init(struct api_response *rs)
{
    *rs = (struct api_response){.status = 200, .fd = -1};
}

/* Empties the body only: the headers stay. */
static void drop_body(struct api_response *rs)
{
    json_decref(rs->json);
    free(rs->bytes);
    if (rs->fd >= 0) close(rs->fd);
    if (rs->stream) rs->stream->close(rs->stream);
    rs->json = NULL;
    rs->bytes = NULL;
    rs->fd = -1;
    rs->stream = NULL;
}

void api_response_done(struct api_response *rs)
{
    drop_body(rs);
    for (size_t i = 0; i < rs->headers_len; i++) free(rs->headers[i].value);
    rs->headers_len = 0;
}

void api_header(struct api_response *rs, const char *name, const char *fmt, ...)
{
    char *value;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&value, fmt, ap);
    va_end(ap);
    if (n < 0) return; /* out of memory: an answer without it is better than none */
    if (rs->headers_len == API_HEADERS_MAX) {
        free(value);
        return;
    }
    for (char *p = value; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f) *p = '?';
    rs->headers[rs->headers_len].name = name;
    rs->headers[rs->headers_len++].value = value;
}

void api_json(struct api_response *rs, int status, json_t *body)
{
    if (!body) {
        struct err e;
        err_set(&e, ERR_UNAVAILABLE, "Out of memory");
        api_problem(rs, &e);
        return;
    }
    drop_body(rs);
    rs->status = status;
    rs->content_type = "application/json";
    rs->json = body;
}

static void retry_after(struct api_response *rs, enum err_code code, const json_t *more)
{
    msec until;
    if (code == ERR_UNAVAILABLE) {
        api_header(rs, "Retry-After", "%d", RETRY_UNAVAILABLE_S);
    } else if (code == ERR_QUARANTINE) {
        long long seconds = RETRY_QUARANTINE_S;
        if (clock_parse_rfc3339(json_text(more, "quarantine_until"), &until) == 0)
            seconds = MAX((until - clock_real_ms() + 999) / 1000, 1);
        api_header(rs, "Retry-After", "%lld", seconds);
    }
}

void api_problem_with(struct api_response *rs, const struct err *e, json_t *more)
{
    char type[80];
    enum err_code code = e->code == ERR_NONE ? ERR_INTERNAL : e->code;
    snprintf(type, sizeof type, "/problems/%s", err_name(code));
    json_t *body = json_object();
    json_put_text(body, "type", type);
    json_put_text(body, "title", err_title(code));
    json_put_int(body, "status", err_status(code));
    json_put_text(body, "detail", e->text);
    json_put_text(body, "code", err_name(code));
    json_put_text(body, "remedy", err_remedy(code));
    if (more) json_object_update_missing(body, more);

    drop_body(rs);
    rs->status = err_status(code);
    rs->content_type = "application/problem+json";
    rs->json = body; /* NULL when memory is out: the status alone says enough */
    retry_after(rs, code, more);
    json_decref(more);
}

void api_problem(struct api_response *rs, const struct err *e)
{
    api_problem_with(rs, e, NULL);
}
