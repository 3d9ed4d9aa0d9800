#include "server/directories.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PATH_BYTES_MAX 512
#define OPEN_DIRECTORIES 16 /* of nftw(); deeper trees only make it slower */

static int make_one(const char *path, const struct identity *owner, mode_t mode, struct err *e)
{
    if (mkdir(path, mode) < 0) {
        if (errno == EEXIST) return 0;
        return err_set_errno(e, err_code_for_errno(errno), errno, "Cannot make the directory %s", path);
    }
    if (chmod(path, mode) < 0 || (owner && chown(path, owner->uid, owner->gid) < 0))
        return err_set_errno(e, err_code_for_errno(errno), errno, "Cannot set owner and mode of %s", path);
    return 0;
}

int directories_make(const char *path, const struct identity *owner, mode_t mode, struct err *e)
{
    char part[PATH_BYTES_MAX];
    size_t len = strlen(path);
    if (len >= sizeof part) return err_set(e, ERR_BAD_REQUEST, "The path is too long: %.100s...", path);
    while (len > 1 && path[len - 1] == '/') len--;
    for (size_t i = 1; i < len; i++) {
        if (path[i] != '/') continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (access(part, F_OK) < 0 && make_one(part, NULL, 0755, e) < 0) return -1;
    }
    memcpy(part, path, len);
    part[len] = '\0';
    return make_one(part, owner, mode, e);
}

int directories_make_for(const char *path, const struct identity *owner, mode_t mode, struct err *e)
{
    char directory[PATH_BYTES_MAX];
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path) return 0;
    if ((size_t)snprintf(directory, sizeof directory, "%.*s", (int)(slash - path), path) >= sizeof directory)
        return err_set(e, ERR_BAD_REQUEST, "The path is too long: %.100s...", path);
    return directories_make(directory, owner, mode, e);
}

static int remove_one(const char *path, const struct stat *st attr_unused, int kind attr_unused,
                      struct FTW *where attr_unused)
{
    remove(path); /* what stays behind stays in a temporary directory */
    return 0;
}

void directories_remove(const char *path)
{
    nftw(path, remove_one, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}
