#include "images/make.h"

#include <string.h>

#define LABEL_DEFAULT "FILES"
#define LABEL_FAT_MAX 11

const char *const make_names[] = {
#define X(sym, name) name,
    MAKE_TABLE(X)
#undef X
    NULL,
};

int make_kind(const char *name, int *ret, struct err *e)
{
    for (int i = 0; i < MAKE_COUNT; i++)
        if (strcmp(make_names[i], name) == 0) {
            *ret = i;
            return 0;
        }
    return err_set(e, ERR_BAD_REQUEST, "A disc can be \"iso9660\" or \"fat32\", not \"%.40s\"", name);
}

int make_label(enum make_kind kind, const char *label, char ret[MAKE_LABEL_MAX + 1], struct err *e)
{
    size_t len = strlen(label), max = kind == MAKE_FAT32 ? LABEL_FAT_MAX : MAKE_LABEL_MAX;
    if (len > max) return err_set(e, ERR_BAD_REQUEST, "A label of %s has at most %zu characters", make_names[kind], max);
    for (size_t i = 0; i <= len; i++) {
        char c = label[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (c && !letter && c != '_' && c != '-' && (c != ' ' || i == 0))
            return err_set(e, ERR_BAD_REQUEST, "A label is of ASCII letters, digits, '_', '-' and blanks");
        ret[i] = (char)(kind == MAKE_FAT32 && c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    }
    if (len == 0) strcpy(ret, LABEL_DEFAULT);
    return 0;
}

int make_put(struct make_out *out, const void *data, size_t len, struct err *e)
{
    if (len == 0) return 0;
    out->at += len;
    return out->write(out->owner, data, len, e);
}

int make_zeros_to(struct make_out *out, uint64_t at, struct err *e)
{
    static const uint8_t zeros[64 * 1024];
    while (out->at < at)
        if (make_put(out, zeros, MIN(sizeof zeros, at - out->at), e) < 0) return -1;
    return 0;
}
