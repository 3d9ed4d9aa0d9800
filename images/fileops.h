/*
 * fileops.h - the file operations by which an image gets into a store, as a table.
 *
 * Receiving goes through this table so that the tests can let the Nth operation fail, or end the process at it, for
 * N = 1, 2, 3 ... until none fails. All return a negative value with errno set when they fail.
 */
#pragma once

#include <sys/statvfs.h>
#include <sys/types.h>

struct fileops {
    int (*open)(int dir_fd, const char *path, int flags, mode_t mode); /* fd_open_beneath() */
    int (*mkdir)(int dir_fd, const char *name, mode_t mode);
    int (*room)(int fd, struct statvfs *ret);
    int (*reserve)(int fd, off_t offset, off_t len); /* blocks beyond the end of the file; its size stays */
    ssize_t (*write)(int fd, const void *data, size_t len, off_t offset);
    int (*writeback)(int fd, off_t offset, off_t len); /* begins to write dirty pages out; does not wait for them */
    int (*truncate)(int fd, off_t size);
    int (*set_xattr)(int fd, const char *name, const void *value, size_t len);
    int (*sync)(int fd);
    int (*rename_new)(int from_dir, const char *from, int to_dir, const char *to); /* EEXIST where `to` exists */
    int (*rename_over)(int from_dir, const char *from, int to_dir, const char *to);
    int (*unlink)(int dir_fd, const char *name);
};

extern const struct fileops fileops_kernel;
