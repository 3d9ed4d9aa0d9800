#include "images/unpack_name.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const packed[] = {".xz", ".gz", ".zst", ".bz2", ".zip", NULL};
static const char *const never[] = {".tar.xz", ".tar.gz", ".tar.zst", ".tar.bz2", NULL};
static const char *const images[] = {".iso", ".img", ".ima", ".raw", ".bin", ".dd",  ".wic", ".dsk", ".flp",
                                     ".vfd", ".fat", ".usb", ".hddimg", ".sdcard", ".image", NULL};

static const char *ending(const char *name, const char *const *list)
{
    size_t len = strlen(name);
    for (; *list; list++) {
        size_t n = strlen(*list);
        if (len >= n && strcasecmp(name + len - n, *list) == 0) return name + len - n;
    }
    return NULL;
}

bool unpack_name_is_packed(const char *name)
{
    return ending(name, packed) && !ending(name, never);
}

bool unpack_name_is_image(const char *name)
{
    return ending(name, images) != NULL;
}

int unpack_name(const char *name, char *ret, size_t max, struct err *e)
{
    const char *end = unpack_name_is_packed(name) ? ending(name, packed) : NULL;
    if (!end) {
        snprintf(ret, max, "%s", name);
        return 0;
    }
    if (end == name) return err_set(e, ERR_INVALID_NAME, "Nothing is left of the name \"%s\" without its ending", name);
    snprintf(ret, max, "%.*s", (int)(end - name), name);
    /* ".xz" is three bytes and ".img" four: the longest of names can be too long then, which name_check() says. */
    if (!unpack_name_is_image(ret) && strlen(ret) + sizeof ".img" <= max) strcat(ret, ".img");
    return 0;
}
