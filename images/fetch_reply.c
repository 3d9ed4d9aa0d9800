#include "images/fetch_reply.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"

#define DATE_IS_STRONG_AFTER 60 /* s; a file that changed twice within a second keeps its date */
#define PAUSE_MOST 60000        /* ms; a server that comes back is noticed within a minute */

void fetch_reply_init(struct fetch_reply *r, int status)
{
    *r = (struct fetch_reply){
        .status = status, .length = -1, .range_first = -1, .range_total = -1, .modified = -1, .date = -1};
}

/* ---- headers ---- */

static int64_t number(const char *text, size_t len)
{
    char digits[24];
    uint64_t value;
    if (len >= sizeof digits) return -1;
    memcpy(digits, text, len);
    digits[len] = '\0';
    return parse_u64(digits, &value) == 0 && value <= INT64_MAX ? (int64_t)value : -1;
}

/* "bytes 100-199/1000", or with a '*' for either part. */
static void read_range(struct fetch_reply *r, const char *value)
{
    if (strncasecmp(value, "bytes ", 6) != 0) return;
    const char *first = value + 6, *slash = strchr(first, '/');
    if (!slash) return;
    r->range_first = number(first, strcspn(first, "-/"));
    r->range_total = number(slash + 1, strlen(slash + 1));
}

static void read_etag(struct fetch_reply *r, const char *value)
{
    size_t len = strlen(value);
    if (value[0] == '"' && len >= 2 && value[len - 1] == '"' && len < sizeof r->etag) memcpy(r->etag, value, len + 1);
}

void fetch_reply_header(struct fetch_reply *r, const char *line, size_t len, int64_t (*date)(const char *text))
{
    char text[1024]; /* no header that is read here needs more */
    if (len >= sizeof text || memchr(line, '\0', len)) return;
    memcpy(text, line, len);
    text[len] = '\0';
    char *value = strchr(text, ':');
    if (!value) return;
    *value++ = '\0';
    value += strspn(value, " \t");
    for (size_t n = strlen(value); n > 0 && strchr(" \t\r\n", value[n - 1]); n--) value[n - 1] = '\0';

    if (strcasecmp(text, "Content-Length") == 0) r->length = number(value, strlen(value));
    else if (strcasecmp(text, "Content-Range") == 0) read_range(r, value);
    else if (strcasecmp(text, "ETag") == 0) read_etag(r, value);
    else if (strcasecmp(text, "Last-Modified") == 0) r->modified = date(value);
    else if (strcasecmp(text, "Date") == 0) r->date = date(value);
    else if (strcasecmp(text, "Retry-After") == 0)
        r->again_after = (int)MIN(MAX(number(value, strlen(value)), 0), FETCH_AGAIN_AFTER_MAX);
}

void fetch_reply_validator(const struct fetch_reply *r, char ret[FETCH_VALIDATOR_MAX])
{
    ret[0] = '\0';
    if (r->etag[0]) memcpy(ret, r->etag, FETCH_VALIDATOR_MAX);
    else if (r->modified >= 0 && r->date >= 0 && r->date - r->modified >= DATE_IS_STRONG_AFTER)
        snprintf(ret, FETCH_VALIDATOR_MAX, "@%" PRId64, r->modified);
}

/* ---- what it means ---- */

static bool is_same(const struct fetch_have *have, const struct fetch_reply *r, int64_t total)
{
    char validator[FETCH_VALIDATOR_MAX];
    fetch_reply_validator(r, validator);
    if (have->total >= 0 && total >= 0 && have->total != total) return false;
    return have->validator[0] && strcmp(validator, have->validator) == 0;
}

/* A 206 that answers If-Range may leave the validator out (RFC 9110, 15.3.7); one that names it must name ours. */
static bool is_same_part(const struct fetch_have *have, const struct fetch_reply *r)
{
    char validator[FETCH_VALIDATOR_MAX];
    fetch_reply_validator(r, validator);
    if (have->total >= 0 && r->range_total >= 0 && have->total != r->range_total) return false;
    if (have->validator[0] == '@') return r->modified < 0 || strtoll(have->validator + 1, NULL, 10) == r->modified;
    return have->validator[0] && (!validator[0] || validator[0] == '@' || strcmp(validator, have->validator) == 0);
}

static enum fetch_verdict judge_part(const struct fetch_have *have, const struct fetch_reply *r, struct err *e)
{
    if (!is_same_part(have, r)) return FETCH_CHANGED;
    if (r->range_first == have->offset && have->offset > 0) return FETCH_GO_ON;
    err_set(e, ERR_SOURCE_FAILED, "The server was asked for the bytes from %" PRId64 " on, and sends others",
            have->offset);
    return FETCH_FAILED;
}

static enum fetch_verdict judge_refusal(int status, struct err *e)
{
    static const int passing[] = {408, 425, 429, 500, 502, 503, 504};
    err_set(e, ERR_SOURCE_FAILED, "The server answers %d%s", status,
            status == 401   ? ": it wants a user name and a password, or others than these"
            : status == 403 ? ": it refuses to give this"
            : status == 404 ? ": there is nothing at that address"
                            : "");
    for (size_t i = 0; i < ARRAY_LEN(passing); i++)
        if (passing[i] == status) return FETCH_AGAIN;
    return FETCH_FAILED;
}

enum fetch_verdict fetch_judge(const struct fetch_have *have, const struct fetch_reply *r, struct err *e)
{
    switch (r->status) {
    case 200:
        if (have->offset == 0) return FETCH_FROM_START;
        return is_same(have, r, r->length) ? FETCH_SKIP : FETCH_CHANGED;
    case 206: return judge_part(have, r, e);
    case 416: return have->offset > 0 && r->range_total == have->offset && is_same_part(have, r) ? FETCH_WHOLE
                                                                                                : FETCH_CHANGED;
    default: return judge_refusal(r->status, e);
    }
}

msec fetch_pause(msec first, unsigned tries)
{
    msec pause = first;
    for (unsigned i = 1; i < tries && pause < PAUSE_MOST; i++) pause *= 2;
    return MIN(pause, PAUSE_MOST);
}
