#include "base/config.h"

#include <libconfig.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"

struct reader {
    const char *path;
    struct err *e;
};

static int wrong(const struct reader *r, const config_setting_t *s, const char *fmt, ...) attr_printf(3, 4);

static int wrong(const struct reader *r, const config_setting_t *s, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX / 2];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    const char *file = config_setting_source_file(s);
    return err_set(r->e, ERR_BAD_REQUEST, "%s:%u: %s", file ? file : r->path, config_setting_source_line(s), text);
}

static int read_group(const struct reader *r, const config_setting_t *group, const struct config_key *keys, char *into);

static int want_string(const struct reader *r, const config_setting_t *s, const struct config_key *k, const char *example)
{
    if (config_setting_type(s) == CONFIG_TYPE_STRING) return 0;
    return wrong(r, s, "%s must be a string, such as \"%s\"", k->name, example);
}

static int store_text(const struct reader *r, const config_setting_t *s, const struct config_key *k, char *into, size_t size)
{
    if (config_setting_type(s) != CONFIG_TYPE_STRING) return wrong(r, s, "%s must be a string in quotes", k->name);
    const char *text = config_setting_get_string(s);
    if (strlen(text) >= size) return wrong(r, s, "%s is longer than %zu bytes", k->name, size - 1);
    strcpy(into, text);
    return 0;
}

static int read_number(const struct reader *r, const config_setting_t *s, const struct config_key *k, int64_t *into)
{
    int64_t value;
    if (config_setting_type(s) == CONFIG_TYPE_INT)
        value = config_setting_get_int(s);
    else if (config_setting_type(s) == CONFIG_TYPE_INT64)
        value = config_setting_get_int64(s);
    else
        return wrong(r, s, "%s must be an integer", k->name);
    if (value < k->min || value > k->max)
        return wrong(r, s, "%s must be from %lld to %lld", k->name, (long long)k->min, (long long)k->max);
    *into = value;
    return 0;
}

static int read_duration(const struct reader *r, const config_setting_t *s, const struct config_key *k, msec *into)
{
    msec value;
    if (want_string(r, s, k, "30 s") < 0) return -1;
    if (parse_duration(config_setting_get_string(s), &value) < 0)
        return wrong(r, s, "%s: \"%s\" is not a duration such as \"30 s\" or \"250 ms\"", k->name,
                     config_setting_get_string(s));
    if (value < k->min || value > k->max)
        return wrong(r, s, "%s must be from %g s to %g s", k->name, (double)k->min / 1000, (double)k->max / 1000);
    *into = value;
    return 0;
}

static int read_choice(const struct reader *r, const config_setting_t *s, const struct config_key *k, int *into)
{
    char all[200] = "";
    if (want_string(r, s, k, k->choices[0]) < 0) return -1;
    const char *text = config_setting_get_string(s);
    for (int i = 0; k->choices[i]; i++) {
        if (strcmp(text, k->choices[i]) == 0) {
            *into = i;
            return 0;
        }
        size_t len = strlen(all);
        snprintf(all + len, sizeof all - len, "%s\"%s\"", i ? ", " : "", k->choices[i]);
    }
    return wrong(r, s, "%s: \"%s\" is none of %s", k->name, text, all);
}

static int read_list(const struct reader *r, const config_setting_t *s, const struct config_key *k, char *base)
{
    if (config_setting_type(s) != CONFIG_TYPE_LIST) return wrong(r, s, "%s must be a list: ( { ... }, ... )", k->name);
    size_t n = (size_t)config_setting_length(s);
    if (n > k->count) return wrong(r, s, "%s has %zu items; at most %zu fit", k->name, n, k->count);
    cleanup_free char *defaults = malloc(k->size);
    if (!defaults) return wrong(r, s, "out of memory");
    memcpy(defaults, base + k->offset, k->size);
    for (size_t i = 0; i < n; i++) {
        config_setting_t *item = config_setting_get_elem(s, (unsigned)i);
        char *slot = base + k->offset + i * k->size;
        if (config_setting_type(item) != CONFIG_TYPE_GROUP) return wrong(r, item, "an item of %s must be a group: { ... }", k->name);
        memcpy(slot, defaults, k->size);
        if (read_group(r, item, k->keys, slot) < 0) return -1;
    }
    *(size_t *)(void *)(base + k->count_offset) = n;
    return 0;
}

static int read_texts(const struct reader *r, const config_setting_t *s, const struct config_key *k, char *base)
{
    if (config_setting_type(s) != CONFIG_TYPE_LIST && config_setting_type(s) != CONFIG_TYPE_ARRAY)
        return wrong(r, s, "%s must be a list of strings: [ \"a\", \"b\" ]", k->name);
    size_t n = (size_t)config_setting_length(s);
    if (n > k->count) return wrong(r, s, "%s has %zu items; at most %zu fit", k->name, n, k->count);
    for (size_t i = 0; i < n; i++)
        if (store_text(r, config_setting_get_elem(s, (unsigned)i), k, base + k->offset + i * k->size, k->size) < 0)
            return -1;
    *(size_t *)(void *)(base + k->count_offset) = n;
    return 0;
}

static int read_entries(const struct reader *r, const config_setting_t *s, const struct config_key *k, char *base)
{
    if (config_setting_type(s) != CONFIG_TYPE_GROUP) return wrong(r, s, "%s must be a group: { name = value; }", k->name);
    size_t n = (size_t)config_setting_length(s);
    if (n > k->count) return wrong(r, s, "%s has %zu entries; at most %zu fit", k->name, n, k->count);
    struct config_entry *entries = (void *)(base + k->offset);
    for (size_t i = 0; i < n; i++) {
        config_setting_t *item = config_setting_get_elem(s, (unsigned)i);
        if (strlen(config_setting_name(item)) >= sizeof entries[i].name) return wrong(r, item, "the name is too long");
        strcpy(entries[i].name, config_setting_name(item));
        entries[i].line = (int)config_setting_source_line(item);
        switch (config_setting_type(item)) {
        case CONFIG_TYPE_INT:
            snprintf(entries[i].value, sizeof entries[i].value, "%d", config_setting_get_int(item));
            break;
        case CONFIG_TYPE_BOOL:
            snprintf(entries[i].value, sizeof entries[i].value, "%d", config_setting_get_bool(item) != 0);
            break;
        default:
            if (store_text(r, item, &(struct config_key){.name = config_setting_name(item)}, entries[i].value,
                           sizeof entries[i].value) < 0)
                return -1;
        }
    }
    *(size_t *)(void *)(base + k->count_offset) = n;
    return 0;
}

static int read_key(const struct reader *r, const config_setting_t *s, const struct config_key *k, char *base)
{
    char *into = base + k->offset;
    switch (k->kind) {
    case CONFIG_TEXT: return store_text(r, s, k, into, k->size);
    case CONFIG_FLAG:
        if (config_setting_type(s) != CONFIG_TYPE_BOOL) return wrong(r, s, "%s must be true or false", k->name);
        *(bool *)into = config_setting_get_bool(s) != 0;
        return 0;
    case CONFIG_NUMBER: return read_number(r, s, k, (int64_t *)(void *)into);
    case CONFIG_SIZE:
        if (want_string(r, s, k, "8 GiB") < 0) return -1;
        if (parse_size(config_setting_get_string(s), (uint64_t *)(void *)into) < 0)
            return wrong(r, s, "%s: \"%s\" is not a size such as \"8 GiB\"", k->name, config_setting_get_string(s));
        if (*(uint64_t *)(void *)into < (uint64_t)k->min)
            return wrong(r, s, "%s must be at least %lld bytes", k->name, (long long)k->min);
        return 0;
    case CONFIG_DURATION: return read_duration(r, s, k, (msec *)(void *)into);
    case CONFIG_CHOICE: return read_choice(r, s, k, (int *)(void *)into);
    case CONFIG_GROUP:
        if (config_setting_type(s) != CONFIG_TYPE_GROUP) return wrong(r, s, "%s must be a group: { ... }", k->name);
        return read_group(r, s, k->keys, into);
    case CONFIG_LIST: return read_list(r, s, k, base);
    case CONFIG_TEXTS: return read_texts(r, s, k, base);
    case CONFIG_ENTRIES: return read_entries(r, s, k, base);
    case CONFIG_FOREIGN: return 0;
    }
    return wrong(r, s, "%s has no kind", k->name);
}

#define CONFIG_KEYS_MAX 64 /* of one group: more than any group of ours has */

static int unknown_key(const struct reader *r, const config_setting_t *s, const struct config_key *keys)
{
    const char *names[CONFIG_KEYS_MAX];
    size_t n = 0;
    for (; keys[n].name && n < CONFIG_KEYS_MAX; n++) names[n] = keys[n].name;
    const char *near = parse_nearest(config_setting_name(s), names, n);
    return near ? wrong(r, s, "unknown key \"%s\"; did you mean \"%s\"?", config_setting_name(s), near)
                : wrong(r, s, "unknown key \"%s\"", config_setting_name(s));
}

static int read_group(const struct reader *r, const config_setting_t *group, const struct config_key *keys, char *into)
{
    for (int i = 0; i < config_setting_length(group); i++) {
        config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
        const struct config_key *k = keys;
        while (k->name && strcmp(k->name, config_setting_name(s)) != 0) k++;
        if (!k->name) return unknown_key(r, s, keys);
        if (read_key(r, s, k, into) < 0) return -1;
        if (k->line_offset) *(int *)(void *)(into + k->line_offset) = (int)config_setting_source_line(s);
    }
    for (const struct config_key *k = keys; k->name; k++)
        if (k->required && !config_setting_get_member(group, k->name)) return wrong(r, group, "%s is missing", k->name);
    return 0;
}

int config_load(const char *path, const struct config_key *keys, void *into, struct err *e)
{
    config_t parsed;
    struct reader r = {path, e};
    int result = -1;
    config_init(&parsed);
    if (config_read_file(&parsed, path) == CONFIG_TRUE)
        result = read_group(&r, config_root_setting(&parsed), keys, into);
    else if (config_error_type(&parsed) == CONFIG_ERR_FILE_IO)
        err_set(e, ERR_NOT_FOUND, "Cannot read the configuration %s", path);
    else
        err_set(e, ERR_BAD_REQUEST, "%s:%d: %s", config_error_file(&parsed) ? config_error_file(&parsed) : path,
                config_error_line(&parsed), config_error_text(&parsed));
    config_destroy(&parsed);
    return result;
}
