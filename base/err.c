#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *title, *remedy;
    int status;
} table[ERR_COUNT] = {
    [ERR_NONE] = {"ok", "Done", "", 200},
#define X(sym, name, status, title, remedy) [sym] = {name, title, remedy, status},
    ERR_TABLE(X)
#undef X
};

static size_t known(enum err_code code)
{
    return (unsigned)code < ERR_COUNT ? code : ERR_INTERNAL;
}

const char *err_name(enum err_code code)
{
    return table[known(code)].name;
}

const char *err_title(enum err_code code)
{
    return table[known(code)].title;
}

const char *err_remedy(enum err_code code)
{
    return table[known(code)].remedy;
}

int err_status(enum err_code code)
{
    return table[known(code)].status;
}

enum err_code err_from_name(const char *name)
{
    for (size_t i = 0; name && i < ERR_COUNT; i++)
        if (strcmp(table[i].name, name) == 0) return (enum err_code)i;
    return ERR_INTERNAL;
}

const char *err_strerror(int errnum)
{
    if (errnum == KERNEL_ETOOSMALL) return "Image too small for the mass-storage gadget";
    const char *text = strerrordesc_np(errnum);
    return text ? text : "Unknown error";
}

int err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
    if (!e) return -1;
    va_list ap;
    va_start(ap, fmt);
    e->code = code;
    e->errnum = 0;
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    return -1;
}

int err_set_errno(struct err *e, enum err_code code, int errnum, const char *fmt, ...)
{
    if (!e) return -1;
    va_list ap;
    va_start(ap, fmt);
    e->code = code;
    e->errnum = errnum;
    int n = vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof e->text)
        snprintf(e->text + n, sizeof e->text - (size_t)n, ": %s", err_strerror(errnum));
    return -1;
}

int err_prefix(struct err *e, const char *fmt, ...)
{
    if (!e) return -1;
    char prefix[ERR_TEXT_MAX / 2];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(prefix, sizeof prefix, fmt, ap);
    va_end(ap);
    size_t head = strlen(prefix), tail = strlen(e->text);
    tail = MIN(tail, sizeof e->text - head - 3); /* ": " and the end */
    memmove(e->text + head + 2, e->text, tail);
    memcpy(e->text, prefix, head);
    memcpy(e->text + head, ": ", 2);
    e->text[head + 2 + tail] = '\0';
    return -1;
}

enum err_code err_code_for_errno(int errnum)
{
    switch (errnum) {
    case ENOENT: return ERR_NOT_FOUND;
    case EEXIST: return ERR_EXISTS;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return ERR_NO_SPACE;
    case EROFS: return ERR_STORE_READ_ONLY;
    case ENOMEM: return ERR_UNAVAILABLE;
    default: return ERR_INTERNAL;
    }
}
