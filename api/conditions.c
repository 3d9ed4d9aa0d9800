#include "api/conditions.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *skip_blanks(const char *p)
{
    while (*p == ' ' || *p == '\t' || *p == ',') p++; /* empty list elements are legal: RFC 9110, 5.6.1 */
    return p;
}

/* One entity tag at p: its opaque part with quotes in *ret, its length in *ret_len. Returns what follows, NULL if
 * there is none. */
static const char *one_tag(const char *p, bool *ret_weak, const char **ret, size_t *ret_len)
{
    *ret_weak = strncmp(p, "W/", 2) == 0;
    if (*ret_weak) p += 2;
    if (*p != '"') return NULL;
    const char *end = p + 1;
    while (*end && *end != '"' && ((unsigned char)*end > 0x20) && *end != 0x7f) end++;
    if (*end != '"') return NULL;
    end++;
    *ret = p;
    *ret_len = (size_t)(end - p);
    while (*end == ' ' || *end == '\t') end++;
    return !*end || *end == ',' ? end : NULL;
}

int etag_list_parse(const char *name, const char *value, struct etag_list *ret, struct err *e)
{
    struct etag_list list = {0};
    const char *p = skip_blanks(value);
    if (strcmp(p, "*") == 0) {
        ret->any = true;
        ret->count = 0;
        ret->only[0] = '\0';
        return 0;
    }
    while (*p) {
        bool weak;
        const char *tag;
        size_t len;
        p = one_tag(p, &weak, &tag, &len);
        if (!p) break;
        if (++list.count == 1 && !weak && len < sizeof list.only)
            snprintf(list.only, sizeof list.only, "%.*s", (int)len, tag);
        else
            list.only[0] = '\0';
        p = skip_blanks(p);
    }
    if (!p || !list.count)
        return err_set(e, ERR_BAD_REQUEST, "%s must be * or a list of entity tags in double quotes, not '%.100s'", name,
                       value);
    *ret = list;
    return 0;
}

bool etag_list_has(const char *value, const char *etag, bool weak)
{
    const char *p = skip_blanks(value);
    if (strcmp(p, "*") == 0) return true;
    while (p && *p) {
        bool is_weak;
        const char *tag;
        size_t len;
        p = one_tag(p, &is_weak, &tag, &len);
        if (!p) return false;
        if ((weak || !is_weak) && strlen(etag) == len && memcmp(tag, etag, len) == 0) return true;
        p = skip_blanks(p);
    }
    return false;
}

int conditions_check(const struct conditions *c, const char *etag, msec modified, struct err *e)
{
    struct etag_list list;
    msec since;
    msec second = modified - modified % 1000; /* dates on the wire have no fractions */
    if (c->if_match) {
        if (etag_list_parse("If-Match", c->if_match, &list, e) < 0) return -1;
        if (!etag_list_has(c->if_match, etag, false)) return CONDITIONS_FAIL;
    } else if (c->if_unmodified_since && modified && http_date_parse(c->if_unmodified_since, &since) == 0) {
        if (second > since) return CONDITIONS_FAIL;
    }
    if (c->if_none_match) {
        if (etag_list_parse("If-None-Match", c->if_none_match, &list, e) < 0) return -1;
        return etag_list_has(c->if_none_match, etag, true) ? CONDITIONS_UNCHANGED : CONDITIONS_HOLD;
    }
    if (c->if_modified_since && modified && http_date_parse(c->if_modified_since, &since) == 0 && second <= since)
        return CONDITIONS_UNCHANGED;
    return CONDITIONS_HOLD;
}

/* Not strftime(): the names are English whatever the locale is. */
static const char *const day_names[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char *const month_names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

const char *http_date_format(msec real, char text[HTTP_DATE_MAX])
{
    time_t seconds = (time_t)(real / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    snprintf(text, HTTP_DATE_MAX, "%s, %02d %s %04d %02d:%02d:%02d GMT", day_names[tm.tm_wday], tm.tm_mday,
             month_names[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
    return text;
}

int http_date_parse(const char *text, msec *ret_real)
{
    char month[4], again[HTTP_DATE_MAX];
    struct tm tm = {0};
    if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d", &tm.tm_mday, month, &tm.tm_year, &tm.tm_hour,
               &tm.tm_min, &tm.tm_sec) != 6)
        return -1;
    while (tm.tm_mon < 12 && strcmp(month, month_names[tm.tm_mon]) != 0) tm.tm_mon++;
    if (tm.tm_mon == 12) return -1;
    tm.tm_year -= 1900;
    msec real = (msec)timegm(&tm) * 1000;
    if (strcmp(http_date_format(real, again), text) != 0) return -1; /* anything that is not exactly this form */
    *ret_real = real;
    return 0;
}
