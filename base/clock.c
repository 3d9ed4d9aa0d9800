#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static msec now_on(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (msec)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

msec clock_boot_ms(void)
{
    return now_on(CLOCK_BOOTTIME);
}

msec clock_real_ms(void)
{
    return now_on(CLOCK_REALTIME);
}

const char *clock_format_rfc3339(msec real, char text[CLOCK_TEXT_MAX])
{
    time_t seconds = (time_t)(real / 1000);
    int fraction = (int)(real % 1000);
    if (fraction < 0) {
        fraction += 1000;
        seconds--;
    }
    struct tm tm;
    gmtime_r(&seconds, &tm);
    size_t n = strftime(text, CLOCK_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
    if (fraction)
        snprintf(text + n, CLOCK_TEXT_MAX - n, ".%03dZ", fraction);
    else
        snprintf(text + n, CLOCK_TEXT_MAX - n, "Z");
    return text;
}

static int digits(const char **p, int count, int *ret)
{
    int value = 0;
    for (int i = 0; i < count; i++, (*p)++) {
        if (**p < '0' || **p > '9') return -1;
        value = value * 10 + (**p - '0');
    }
    *ret = value;
    return 0;
}

static int literal(const char **p, const char *any_of)
{
    if (!**p || !strchr(any_of, **p)) return -1;
    (*p)++;
    return 0;
}

int clock_parse_rfc3339(const char *text, msec *ret_real)
{
    struct tm tm = {0};
    int fraction = 0, offset_h = 0, offset_m = 0, sign = 0;
    const char *p = text;
    if (digits(&p, 4, &tm.tm_year) || literal(&p, "-") || digits(&p, 2, &tm.tm_mon) || literal(&p, "-") ||
        digits(&p, 2, &tm.tm_mday) || literal(&p, "Tt ") || digits(&p, 2, &tm.tm_hour) || literal(&p, ":") ||
        digits(&p, 2, &tm.tm_min) || literal(&p, ":") || digits(&p, 2, &tm.tm_sec))
        return -1;
    if (*p == '.') {
        int scale = 100, any = 0;
        for (p++; *p >= '0' && *p <= '9'; p++, any = 1, scale /= 10) fraction += (*p - '0') * scale;
        if (!any) return -1;
    }
    if (*p == 'Z' || *p == 'z') {
        p++;
    } else {
        sign = *p == '+' ? 1 : *p == '-' ? -1 : 0;
        if (!sign) return -1;
        p++;
        if (digits(&p, 2, &offset_h) || literal(&p, ":") || digits(&p, 2, &offset_m)) return -1;
    }
    if (*p || tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 ||
        tm.tm_min > 59 || tm.tm_sec > 60 || offset_h > 23 || offset_m > 59)
        return -1;
    int day = tm.tm_mday;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    time_t seconds = timegm(&tm);
    if (tm.tm_mday != day) return -1; /* the 31st of April */
    *ret_real = ((msec)seconds - sign * (offset_h * 3600 + offset_m * 60)) * 1000 + fraction;
    return 0;
}
