#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gadget/plan.h"

/* ---- values ---- */

static size_t without_end(const char *bytes, size_t len)
{
    while (len > 0 && strchr("\n ", bytes[len - 1])) len--; /* NUL too: strchr finds the end of its string */
    return len;
}

static bool as_number(const char *text, size_t len, unsigned long long *ret)
{
    char copy[24], *end;
    if (len == 0 || len >= sizeof copy || text[0] < '0' || text[0] > '9') return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    *ret = strtoull(copy, &end, 0);
    return *end == '\0';
}

/* 48:6F:73:74:50:43, which the kernel shows in lower case. */
static bool is_network_address(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!memchr("0123456789abcdefABCDEF:", text[i], 23)) return false;
    return len == 17 && text[2] == ':';
}

bool plan_same_value(const struct plan_step *step, const char *bytes, size_t len)
{
    const char *want = step->value;
    unsigned long long a, b;
    if (len == step->value_len && memcmp(bytes, want, len) == 0) return true;
    len = without_end(bytes, len);
    size_t want_len = without_end(want, step->value_len);
    if (len == want_len && memcmp(bytes, want, len) == 0) return true;
    if (as_number(bytes, len, &a) && as_number(want, want_len, &b)) return step->counts ? a >> 4 == b >> 4 : a == b;
    return len == want_len && is_network_address(want, len) && strncasecmp(bytes, want, len) == 0;
}

/* ---- differences ---- */

struct comparison {
    const struct plan *wanted;
    const struct plan_found *found;
    struct plan_verdict *verdict;
    size_t first_wrong;         /* index of the first step that does not stand as planned; wanted->count if none */
    bool extra;                 /* something stands there that is not in the plan */
    bool full;                  /* no more differences fit */
};

static void differs(struct comparison *c, const char *fmt, ...) attr_printf(2, 3);

static void differs(struct comparison *c, const char *fmt, ...)
{
    static const char more[] = "and more";
    char *text = c->verdict->differences, line[2 * PLAN_PATH_MAX + 2 * PLAN_VALUE_MAX];
    size_t len = strlen(text);
    va_list ap;
    if (c->full) return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    c->full = len + strlen(line) + sizeof "\n" + sizeof more > sizeof c->verdict->differences;
    sprintf(text + len, "%s\n", c->full ? more : line);
}

static bool is_text(const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)bytes[i] < 0x20 || bytes[i] == 0x7f) return false;
    return true;
}

static void value_differs(struct comparison *c, const struct plan_step *wanted, const struct plan_step *found)
{
    size_t want_len = without_end(wanted->value, wanted->value_len);
    size_t found_len = without_end(found->value, found->value_len);
    if (is_text(wanted->value, want_len) && is_text(found->value, found_len))
        differs(c, "%s is \"%.*s\", not \"%.*s\"", wanted->path, (int)found_len, found->value, (int)want_len,
                wanted->value);
    else
        differs(c, "%s has other bytes than configured", wanted->path);
}

static bool is_beneath(const char *path, const char *dir)
{
    size_t len = strlen(dir);
    return len == 0 || (strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0'));
}

/* Whether a directory is missing that explains why the step is missing too. */
static bool is_explained(const struct comparison *c, size_t index)
{
    const struct plan_step *s = &c->wanted->steps[index];
    for (size_t i = 0; i < index; i++) {
        const struct plan_step *dir = &c->wanted->steps[i];
        if (dir->kind == PLAN_DIRECTORY && !plan_find(&c->found->tree, PLAN_DIRECTORY, dir->path) &&
            (is_beneath(s->path, dir->path) || (s->kind == PLAN_LINK && is_beneath(s->value, dir->path))))
            return true;
    }
    return false;
}

/* Whether the step stands as planned; says so where it does not. */
static bool compare_step(struct comparison *c, size_t index)
{
    const struct plan_step *wanted = &c->wanted->steps[index];
    const struct plan_step *found = plan_find(&c->found->tree, wanted->kind, wanted->path);
    if (!found) {
        if (wanted->optional) return true;
        if (!is_explained(c, index)) differs(c, "%s is missing", wanted->path);
        return false;
    }
    if (wanted->kind == PLAN_DIRECTORY || wanted->fleeting || plan_same_value(wanted, found->value, found->value_len))
        return true;
    value_differs(c, wanted, found);
    return false;
}

static void compare_trees(struct comparison *c)
{
    const struct plan *found = &c->found->tree;
    c->first_wrong = c->wanted->count;
    for (size_t i = 0; i < c->wanted->count; i++)
        if (!compare_step(c, i)) c->first_wrong = MIN(c->first_wrong, i);
    for (size_t i = 0; i < found->count; i++) {
        if (plan_find(c->wanted, found->steps[i].kind, found->steps[i].path)) continue;
        differs(c, "%s is there, but not configured", found->steps[i].path);
        c->extra = true;
    }
    if (c->wanted->udc[0] && found->udc[0] && strcmp(c->wanted->udc, found->udc) != 0)
        differs(c, "UDC is \"%s\", not \"%s\"", found->udc, c->wanted->udc);
}

/* ---- the verdict ---- */

static bool is_marked(const struct plan *wanted, const struct plan *found)
{
    for (size_t i = 0; i < wanted->count; i++) {
        const struct plan_step *s = &wanted->steps[i];
        const struct plan_step *there = s->mark ? plan_find(found, s->kind, s->path) : NULL;
        if (there && plan_same_value(s, there->value, there->value_len)) return true;
    }
    return false;
}

static bool is_bare(const struct plan *found)
{
    for (size_t i = 0; i < found->count; i++)
        if (is_beneath(found->steps[i].path, "functions") || is_beneath(found->steps[i].path, "configs")) return false;
    return !found->udc[0];
}

/* What stands wrong can be put right as long as nothing that comes after it is linked: linking freezes a function, and
 * the order of the links is the order of the kernel's threads. */
static bool is_completable(const struct comparison *c)
{
    if (c->extra) return false;
    for (size_t i = c->first_wrong; i < c->wanted->count; i++)
        if (c->wanted->steps[i].kind == PLAN_LINK && plan_find(&c->found->tree, PLAN_LINK, c->wanted->steps[i].path))
            return false;
    return true;
}

void plan_compare(const struct plan *wanted, const struct plan_found *found, struct plan_verdict *ret)
{
    struct comparison c = {.wanted = wanted, .found = found, .verdict = ret};
    *ret = (struct plan_verdict){.found = FOUND_NOTHING};
    if (!found->exists) return;
    compare_trees(&c);
    if (!is_marked(wanted, &found->tree) && !is_bare(&found->tree)) {
        ret->found = FOUND_FOREIGN;
    } else if (!ret->differences[0]) {
        ret->found = FOUND_AS_PLANNED;
    } else {
        /* What holds a medium is completed, but not taken down for that. */
        bool completable = is_completable(&c);
        bool stays = found->tree.udc[0] || (found->loaded && !completable);
        ret->found = stays ? FOUND_DIFFERENT : FOUND_HALF_BUILT;
        ret->completable = completable && !stays;
    }
}
