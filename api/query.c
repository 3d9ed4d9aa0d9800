#include "api/query.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"

/* Plain decimal only: strtod() alone would take "inf", "nan", "0x10" and blanks as well. */
static int parse_seconds(const char *text, double *ret)
{
    char *end;
    if (!text[0] || text[strspn(text, "0123456789.")] || strlen(text) > 20) return -1;
    errno = 0;
    double value = strtod(text, &end);
    if (*end || errno || end == text) return -1;
    *ret = value;
    return 0;
}

static int read_choice(const struct query_param *q, const char *value, struct err *e)
{
    char all[200] = "";
    for (size_t i = 0; q->choices[i]; i++) {
        if (strcmp(q->choices[i], value) == 0) {
            *(const char **)q->ret = value;
            return 0;
        }
        size_t len = strlen(all);
        snprintf(all + len, sizeof all - len, "%s%s", i ? ", " : "", q->choices[i]);
    }
    return err_set(e, ERR_BAD_REQUEST, "%s=%.60s is none of %s", q->name, value, all);
}

static int read_number(const struct query_param *q, const char *value, struct err *e)
{
    uint64_t number;
    if (parse_u64(value, &number) < 0 || number > INT64_MAX || (int64_t)number < q->min || (int64_t)number > q->max)
        return err_set(e, ERR_BAD_REQUEST, "%s=%.60s must be an integer from %lld to %lld", q->name, value,
                       (long long)q->min, (long long)q->max);
    *(int64_t *)q->ret = (int64_t)number;
    return 0;
}

static int read_duration(const struct query_param *q, const char *value, struct err *e)
{
    double seconds;
    if (parse_seconds(value, &seconds) < 0 || seconds * 1000 < (double)q->min || seconds * 1000 > (double)q->max)
        return err_set(e, ERR_BAD_REQUEST, "%s=%.60s must be a number of seconds from %g to %g", q->name, value,
                       (double)q->min / 1000, (double)q->max / 1000);
    *(msec *)q->ret = (msec)llround(seconds * 1000);
    return 0;
}

static int read_one(const struct query_param *q, const char *value, struct err *e)
{
    switch (q->kind) {
    case QUERY_TEXT:
        if (!value[0]) return err_set(e, ERR_BAD_REQUEST, "%s= is empty", q->name);
        *(const char **)q->ret = value;
        return 0;
    case QUERY_CHOICE: return read_choice(q, value, e);
    case QUERY_FLAG:
        if (parse_bool(value, q->ret) < 0)
            return err_set(e, ERR_BAD_REQUEST, "%s=%.60s must be true or false", q->name, value);
        return 0;
    case QUERY_NUMBER: return read_number(q, value, e);
    case QUERY_DURATION: return read_duration(q, value, e);
    }
    return err_set(e, ERR_INTERNAL, "%s has no kind", q->name);
}

int query_read(const struct api_request *rq, const struct query_param *params, size_t count, struct err *e)
{
    for (size_t i = 0; i < count; i++) {
        bool seen = false;
        for (size_t k = 0; k < rq->query_len; k++) {
            if (strcmp(rq->query[k].name, params[i].name) != 0) continue;
            if (seen) return err_set(e, ERR_BAD_REQUEST, "%s= is given twice", params[i].name);
            seen = true;
            if (read_one(&params[i], rq->query[k].value ? rq->query[k].value : "", e) < 0) return -1;
            if (params[i].ret_given) *params[i].ret_given = true;
        }
    }
    return 0;
}

json_t *query_page(json_t *items, size_t limit, const char *name)
{
    bool more = json_array_size(items) > limit;
    if (more) json_array_remove(items, limit);
    json_t *page = json_object();
    json_put_text(page, "next", more ? json_text(json_array_get(items, limit - 1), "id") : NULL);
    json_put(page, name, items);
    return page;
}
