#include "base/json.h"

#include <math.h>
#include <string.h>

#include "base/parse.h"

json_t *json_parse_object(const char *text, size_t len, size_t max, struct err *e)
{
    if (len > max) {
        err_set(e, ERR_TOO_LARGE, "The body has %zu bytes; at most %zu are accepted here", len, max);
        return NULL;
    }
    json_error_t where;
    json_t *value = json_loadb(text, len, JSON_REJECT_DUPLICATES, &where);
    if (!value) {
        err_set(e, ERR_BAD_REQUEST, "The body is not JSON at line %d, column %d: %s", where.line, where.column,
                where.text);
        return NULL;
    }
    if (!json_is_object(value)) {
        err_set(e, ERR_BAD_REQUEST, "The body must be a JSON object");
        json_decref(value);
        return NULL;
    }
    return value;
}

static int unknown_member(const char *key, const struct json_member *members, size_t count, struct err *e)
{
    const char *names[32];
    size_t n = MIN(count, ARRAY_LEN(names));
    for (size_t i = 0; i < n; i++) names[i] = members[i].name;
    const char *near = parse_nearest(key, names, n);
    if (near) return err_set(e, ERR_BAD_REQUEST, "Unknown member \"%.40s\"; did you mean \"%s\"?", key, near);
    return err_set(e, ERR_BAD_REQUEST, "Unknown member \"%.40s\"", key);
}

static int read_text(const struct json_member *m, const json_t *value, struct err *e)
{
    if (!json_is_string(value)) return err_set(e, ERR_BAD_REQUEST, "\"%s\" must be a string", m->name);
    size_t len = json_string_length(value);
    if (len >= m->size)
        return err_set(e, ERR_BAD_REQUEST, "\"%s\" has %zu bytes; at most %zu fit", m->name, len, m->size - 1);
    if (memchr(json_string_value(value), 0, len))
        return err_set(e, ERR_BAD_REQUEST, "\"%s\" contains U+0000", m->name);
    memcpy(m->ret, json_string_value(value), len + 1);
    return 0;
}

static int read_number(const struct json_member *m, const json_t *value, struct err *e)
{
    if (!json_is_integer(value)) return err_set(e, ERR_BAD_REQUEST, "\"%s\" must be an integer", m->name);
    int64_t number = json_integer_value(value);
    if (number < m->min || number > m->max)
        return err_set(e, ERR_BAD_REQUEST, "\"%s\" must be from %lld to %lld", m->name, (long long)m->min,
                       (long long)m->max);
    *(int64_t *)m->ret = number;
    return 0;
}

static int read_duration(const struct json_member *m, const json_t *value, struct err *e)
{
    if (!json_is_number(value)) return err_set(e, ERR_BAD_REQUEST, "\"%s\" must be a number of seconds", m->name);
    double ms = json_number_value(value) * 1000;
    if (!(ms >= (double)m->min && ms <= (double)m->max))
        return err_set(e, ERR_BAD_REQUEST, "\"%s\" must be from %g to %g seconds", m->name, (double)m->min / 1000,
                       (double)m->max / 1000);
    *(msec *)m->ret = (msec)llround(ms);
    return 0;
}

static int read_member(const struct json_member *m, const json_t *value, struct err *e)
{
    switch (m->kind) {
    case JSON_TEXT: return read_text(m, value, e);
    case JSON_NUMBER: return read_number(m, value, e);
    case JSON_DURATION: return read_duration(m, value, e);
    case JSON_FLAG:
        if (!json_is_boolean(value)) return err_set(e, ERR_BAD_REQUEST, "\"%s\" must be true or false", m->name);
        *(bool *)m->ret = json_is_true(value);
        return 0;
    case JSON_MEMBERS:
        if (!json_is_object(value)) return err_set(e, ERR_BAD_REQUEST, "\"%s\" must be an object", m->name);
        *(const json_t **)m->ret = value;
        return 0;
    }
    return err_set(e, ERR_INTERNAL, "\"%s\" has no kind", m->name);
}

int json_read(const json_t *object, const struct json_member *members, size_t count, struct err *e)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value) {
        size_t i = 0;
        while (i < count && strcmp(members[i].name, key) != 0) i++;
        if (i == count) return unknown_member(key, members, count, e);
        if (read_member(&members[i], value, e) < 0) return -1;
        if (members[i].ret_given) *members[i].ret_given = true;
    }
    for (size_t i = 0; i < count; i++)
        if (members[i].required && !json_object_get(object, members[i].name))
            return err_set(e, ERR_BAD_REQUEST, "\"%s\" is missing", members[i].name);
    return 0;
}

void json_put(json_t *object, const char *name, json_t *value)
{
    json_object_set_new(object, name, value ? value : json_null());
}

void json_put_text(json_t *object, const char *name, const char *text)
{
    if (!text) {
        json_put(object, name, NULL);
        return;
    }
    json_t *value = json_string(text);
    if (!value) { /* not UTF-8: a file name that came to the store by another way */
        char *copy = strdup(text);
        for (char *p = copy; p && *p; p++)
            if ((unsigned char)*p >= 0x80) *p = '?';
        value = copy ? json_string(copy) : NULL;
        free(copy);
    }
    json_put(object, name, value);
}

void json_put_int(json_t *object, const char *name, int64_t value)
{
    json_put(object, name, json_integer(value));
}

void json_put_flag(json_t *object, const char *name, bool value)
{
    json_put(object, name, json_boolean(value));
}

void json_put_seconds(json_t *object, const char *name, msec value)
{
    json_put(object, name, value % 1000 ? json_real((double)value / 1000) : json_integer(value / 1000));
}

void json_put_time(json_t *object, const char *name, msec real)
{
    char text[CLOCK_TEXT_MAX];
    json_put_text(object, name, real ? clock_format_rfc3339(real, text) : NULL);
}

char *json_write(const json_t *value, bool sorted)
{
    return json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(13) | (sorted ? JSON_SORT_KEYS : 0));
}

const char *json_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

int64_t json_int(const json_t *object, const char *name, int64_t otherwise)
{
    const json_t *value = json_object_get(object, name);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

bool json_flag(const json_t *object, const char *name)
{
    return json_is_true(json_object_get(object, name));
}
