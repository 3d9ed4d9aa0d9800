/*
 * images_fixture.h - a library over directories of its own, and short ways to fill and look at them.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/parse.h"
#include "images/hidden.h"
#include "images/library_state.h"

struct fixture {
    char dir[64];              /* contains the stores main, second, ... */
    struct store_list stores;
    struct library *library;
    bool used, writable;       /* what the usage callback answers, for the image of that name: */
    char used_name[NAME_BYTES_MAX + 1];
    int changes;
    json_t *last_change;
    bool xattrs;               /* the file system keeps them */
};

static inline bool fixture_in_use(void *owner, const char *store, const char *name, json_t *drives, bool *ret_writable)
{
    struct fixture *f = owner;
    (void)store;
    if (!f->used || strcmp(name, f->used_name) != 0) return false;
    json_array_append_new(drives, json_string("usb0"));
    *ret_writable = f->writable;
    return true;
}

static inline void fixture_changed(void *owner, const json_t *image)
{
    struct fixture *f = owner;
    f->changes++;
    json_decref(f->last_change);
    f->last_change = json_deep_copy(image);
}

static inline void fixture_start(struct fixture *f)
{
    struct err e = {0};
    f->library = library_new(&f->stores, &e);
    if (!f->library) fail_msg("library_new: %s", e.text);
    library_set_usage(f->library, &(struct library_usage){.owner = f, .in_use = fixture_in_use});
    library_set_listener(f->library, fixture_changed, f);
}

static inline bool keeps_xattrs(const char *dir)
{
    return setxattr(dir, "user.trayd.test", "1", 1, 0) == 0;
}

static inline int fixture_setup(void **state)
{
    char dir[] = P_tmpdir "/trayd-images-XXXXXX";
    struct fixture *f = calloc(1, sizeof *f);
    if (!f || !mkdtemp(dir)) return -1;
    strcpy(f->dir, dir);
    log_init("test", LOG_LEVEL_ERROR);
    static const char *const names[] = {"main", "second"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct store_config *s = &f->stores.items[f->stores.count++];
        snprintf(s->name, sizeof s->name, "%s", names[i]);
        snprintf(s->path, sizeof s->path, "%s/%s", dir, names[i]);
        if (mkdir(s->path, 0755) < 0) return -1;
    }
    f->xattrs = keeps_xattrs(f->stores.items[0].path);
    fixture_start(f);
    *state = f;
    return 0;
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    library_free(f->library);
    json_decref(f->last_change);
    nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

#define FIXTURE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

/* trayd-helper of the same build: the tests lie in a directory beside it. */
static inline const char *fixture_helper(char path[4096])
{
    ssize_t n = readlink("/proc/self/exe", path, 4000);
    if (n < 0) return NULL;
    path[n] = '\0';
    strcpy(strrchr(path, '/'), "/../trayd-helper");
    return path;
}

/* "FIXTURE/relative"; in one of a few buffers that are used in turn. */
static inline const char *path_in(const struct fixture *f, const char *relative)
{
    static char paths[4][1024];
    static unsigned turn;
    char *path = paths[turn++ % ARRAY_LEN(paths)];
    snprintf(path, sizeof paths[0], "%s/%s", f->dir, relative);
    return path;
}

static inline void put_file(const struct fixture *f, const char *relative, const void *data, size_t len)
{
    int fd = open(path_in(f, relative), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_full(fd, data, len), 0);
    close(fd);
}

static inline int64_t size_of_file(const struct fixture *f, const char *relative)
{
    struct stat st;
    return lstat(path_in(f, relative), &st) == 0 ? st.st_size : -1;
}

/* Names in a directory but for "." and ".."; -1 where there is no such directory. */
static inline int count_names(const struct fixture *f, const char *relative)
{
    DIR *dir = opendir(path_in(f, relative));
    if (!dir) return -1;
    int count = -2;
    while (readdir(dir)) count++;
    closedir(dir);
    return count;
}

#define HIDDEN_OF_MAIN "main/" HIDDEN_DIR

static inline void assert_nothing_left(const struct fixture *f)
{
    assert_true(count_names(f, HIDDEN_OF_MAIN) <= 0);
}

#define assert_code(e, wanted)                                                                                     \
    do {                                                                                                           \
        if ((e).code != (wanted)) fail_msg("%s instead of %s: %s", err_name((e).code), err_name(wanted), (e).text); \
    } while (0)

/* Bytes that differ everywhere, so that pieces at wrong places are noticed. */
static inline void fill_pattern(uint8_t *data, size_t len)
{
    uint32_t x = 0x12345678;
    for (size_t i = 0; i < len; i++) {
        x = x * 1664525 + 1013904223;
        data[i] = (uint8_t)(x >> 24);
    }
}

/* The whole of an upload; NULL with *e where any step fails. Written in pieces of an odd size. */
static inline json_t *upload(struct library *l, const struct library_upload_request *rq, const void *data, size_t len,
                             struct err *e)
{
    bool exists, replaced;
    struct library_upload *u = library_upload_begin(l, rq, &exists, e);
    if (!u) return NULL;
    for (size_t at = 0; at < len; at += 12345) {
        if (library_upload_write(u, (const char *)data + at, MIN(len - at, 12345), e) < 0) {
            library_upload_abort(u);
            return NULL;
        }
    }
    return library_upload_finish(u, &replaced, e);
}
