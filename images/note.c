#include "images/note.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/parse.h"
#include "images/store.h"

#define ATTRIBUTE "user.trayd.note"

static bool is_text(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (((unsigned char)text[i] < ' ' && text[i] != '\n' && text[i] != '\t') || text[i] == 0x7f) return false;
    return parse_is_utf8(text, len);
}

int note_check(const char *text, struct err *e)
{
    size_t len = strlen(text);
    if (len <= NOTE_BYTES_MAX && is_text(text, len)) return 0;
    return err_set(e, ERR_BAD_REQUEST, "A note is UTF-8 without control characters, at most %d bytes", NOTE_BYTES_MAX);
}

static void keep(char ret[NOTE_BYTES_MAX + 1], ssize_t len)
{
    if (len < 0 || !is_text(ret, (size_t)len)) len = 0;
    ret[len] = '\0';
}

void note_read(int fd, char ret[NOTE_BYTES_MAX + 1])
{
    keep(ret, fgetxattr(fd, ATTRIBUTE, ret, NOTE_BYTES_MAX));
}

/* Through /proc, since there is no getxattrat() before Linux 6.13. It asks the file's inode and opens nothing. */
void note_read_at(int folder_fd, const char *name, char ret[NOTE_BYTES_MAX + 1])
{
    char path[32 + NAME_BYTES_MAX + 1];
    snprintf(path, sizeof path, "/proc/self/fd/%d/%s", folder_fd, name);
    keep(ret, lgetxattr(path, ATTRIBUTE, ret, NOTE_BYTES_MAX));
}

int note_write(const struct fileops *ops, int fd, const char *text, struct err *e)
{
    if (ops->set_xattr(fd, ATTRIBUTE, text, strlen(text)) < 0) {
        if (errno == EOPNOTSUPP && !*text) return 0; /* there can be none */
        if (errno == EOPNOTSUPP) return err_set(e, ERR_STORE_CANNOT, "The store's file system cannot keep notes");
        return err_set_errno(e, store_code_for_errno(errno), errno, "Cannot keep the note");
    }
    return ops->sync(fd) < 0 ? err_set_errno(e, store_code_for_errno(errno), errno, "Cannot keep the note") : 0;
}
