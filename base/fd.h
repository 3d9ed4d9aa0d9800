/*
 * fd.h - files, carefully.
 *
 * All return a negative value and leave errno set when they fail, unless they take a `struct err`.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

int fd_write_full(int fd, const void *data, size_t len);     /* 0, or -1; goes on after EINTR and short writes */
ssize_t fd_read_full(int fd, void *data, size_t len);        /* bytes read; fewer than len only at the end */

/*
 * Opens `path`, which may not leave `dir_fd` nor pass through a symbolic link (openat2: RESOLVE_BENEATH,
 * RESOLVE_NO_SYMLINKS). O_CLOEXEC is added. Fails with ELOOP or EXDEV where the path tries to.
 */
int fd_open_beneath(int dir_fd, const char *path, int flags, mode_t mode);

/* Whether the directory is the root of a mount. Linux 5.8; before, nobody knows, and it is believed to be. */
bool fd_is_mount(int fd);

/*
 * Replaces the file `path` by `data` so that after a crash there is the old content or the new: temporary name
 * beside it, write, fsync, rename, fsync of the directory (the fsyncs only where `durable`; a file under /run
 * needs none). Returns 0, or -1 with *e filled.
 */
int fd_replace_file(const char *path, const void *data, size_t len, bool durable, struct err *e);

/* Reads a whole small file (at most max - 1 bytes, then EFBIG) into `text` and ends it with a NUL. Returns the length. */
ssize_t fd_read_text(const char *path, char *text, size_t max);

/* As fd_read_text(), without the newline at the end. */
ssize_t fd_read_line(const char *path, char *text, size_t max);
