/*
 * sysfs_fixture.h - a tree of small files, made as a test likes it, that plays /sys or /proc/sys.
 *
 * Include after cmocka.h. Made in the setup, removed in the teardown.
 */
#pragma once

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char tree[40];

static inline const char *tree_path(const char *name, char path[512])
{
    snprintf(path, 512, "%s/%s", tree, name);
    return path;
}

/* Makes the directories on the way to the file, or those of "a/b/" itself, and the file. */
static inline void tree_file(const char *name, const char *text)
{
    char path[512];
    tree_path(name, path);
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0755);
        *slash = '/';
    }
    if (name[strlen(name) - 1] == '/') return;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static inline void tree_link(const char *name, const char *target)
{
    char path[512];
    assert_int_equal(symlink(target, tree_path(name, path)), 0);
}

static inline void assert_tree_file(const char *name, const char *wanted)
{
    char path[512], text[256] = "";
    int fd = open(tree_path(name, path), O_RDONLY | O_CLOEXEC);
    if (fd < 0) fail_msg("there is no %s", name);
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    assert_true(n >= 0);
    text[strcspn(text, "\n")] = '\0';
    if (strcmp(text, wanted) != 0) fail_msg("%s is \"%s\", not \"%s\"", name, text, wanted);
}

static inline int tree_begin(void **state)
{
    (void)state;
    strcpy(tree, "/tmp/trayd-tree-XXXXXX");
    return mkdtemp(tree) ? 0 : -1;
}

static inline int tree_remove(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static inline int tree_end(void **state)
{
    (void)state;
    return nftw(tree, tree_remove, 8, FTW_DEPTH | FTW_PHYS);
}

#define TREE_TEST(f) cmocka_unit_test_setup_teardown(f, tree_begin, tree_end)
