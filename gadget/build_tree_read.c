#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "gadget/build_tree.h"

/*
 * Listed in the order of a plan, with what the kernel makes by itself (lun.0, strings, functions, configs) left out: so
 * the list, taken from its end, is also what has to be removed. Links that are not in the plan come last, and the others
 * in its order: what a killed process leaves of them is then the beginning of the plan, to which the rest can be added.
 */

struct tree_reader {
    const char *dir;
    struct plan_found *found;
    struct err *e;
};

static int add(struct tree_reader *r, enum plan_kind kind, const char *path, const char *value, size_t len)
{
    struct plan_step s = {.kind = kind, .value_len = MIN(len, sizeof s.value)};
    if ((size_t)snprintf(s.path, sizeof s.path, "%s", path) >= sizeof s.path)
        return err_set(r->e, ERR_INTERNAL, "The path %s/%s is too long", r->dir, path);
    memcpy(s.value, value, s.value_len);
    return plan_add(&r->found->tree, &s) < 0 ? err_set(r->e, ERR_UNAVAILABLE, "Out of memory") : 0;
}

typedef int entry_fn(struct tree_reader *r, const char *path, const char *name);

static int is_directory(const struct dirent *d)
{
    return d->d_type == DT_DIR && d->d_name[0] != '.';
}

static int is_link(const struct dirent *d)
{
    return d->d_type == DT_LNK;
}

static void free_names(struct dirent **names, int count)
{
    for (int i = 0; i < count; i++) free(names[i]);
    free(names);
}

/* Calls `each` for what `filter` lets through in `sub`, in the order of names with numbers (lun.2 before lun.10). */
static int each_entry(struct tree_reader *r, const char *sub, int (*filter)(const struct dirent *), entry_fn *each)
{
    char path[BUILD_TREE_PATH_MAX];
    struct dirent **names;
    snprintf(path, sizeof path, "%s/%s", r->dir, sub);
    int count = scandir(path, &names, filter, versionsort), result = 0;
    if (count < 0) return errno == ENOENT ? 0 : err_set_errno(r->e, ERR_INTERNAL, errno, "Cannot list %s", path);
    for (int i = 0; i < count && result == 0; i++) {
        snprintf(path, sizeof path, "%s/%s", sub, names[i]->d_name);
        result = each(r, path, names[i]->d_name);
    }
    free_names(names, count);
    return result;
}

static int add_directory(struct tree_reader *r, const char *path, const char *name attr_unused)
{
    return add(r, PLAN_DIRECTORY, path, "", 0);
}

static bool is_loaded(const char *dir, const char *lun)
{
    char path[BUILD_TREE_PATH_MAX], first;
    snprintf(path, sizeof path, "%s/%s/file", dir, lun);
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && read(fd, &first, 1) == 1 && first != '\n';
}

static int add_lun(struct tree_reader *r, const char *path, const char *name)
{
    if (!r->found->tree.udc[0] && is_loaded(r->dir, path)) r->found->loaded = true;
    return strcmp(name, "lun.0") == 0 ? 0 : add_directory(r, path, name);
}

static int add_luns(struct tree_reader *r, const char *path, const char *name)
{
    return strncmp(name, "mass_storage.", 13) == 0 ? each_entry(r, path, is_directory, add_lun) : 0;
}

static int add_config_strings(struct tree_reader *r, const char *path, const char *name attr_unused)
{
    char sub[PLAN_PATH_MAX + 16];
    snprintf(sub, sizeof sub, "%s/strings", path);
    return each_entry(r, sub, is_directory, add_directory);
}

static int add_link(struct tree_reader *r, const char *path, const char *name attr_unused)
{
    char full[BUILD_TREE_PATH_MAX], target[BUILD_TREE_PATH_MAX];
    if (plan_find(&r->found->tree, PLAN_LINK, path)) return 0;
    snprintf(full, sizeof full, "%s/%s", r->dir, path);
    ssize_t n = readlink(full, target, sizeof target - 1);
    if (n < 0 && errno == ENOENT) return 0;
    if (n < 0) return err_set_errno(r->e, ERR_INTERNAL, errno, "Cannot read the link %s", full);
    target[n] = '\0';
    const char *function = strstr(target, "functions/"); /* ../../../../usb_gadget/NAME/functions/TYPE.INSTANCE */
    return add(r, PLAN_LINK, path, function ? function : target, strlen(function ? function : target));
}

static int add_config_links(struct tree_reader *r, const char *path, const char *name attr_unused)
{
    return each_entry(r, path, is_link, add_link);
}

static int add_links(struct tree_reader *r, const struct plan *wanted)
{
    for (size_t i = 0; i < wanted->count; i++)
        if (wanted->steps[i].kind == PLAN_LINK && add_link(r, wanted->steps[i].path, "") < 0) return -1;
    return each_entry(r, "configs", is_directory, add_config_links);
}

static int add_values(struct tree_reader *r, const struct plan *wanted)
{
    char path[BUILD_TREE_PATH_MAX], value[PLAN_VALUE_MAX];
    for (size_t i = 0; i < wanted->count; i++) {
        const struct plan_step *s = &wanted->steps[i];
        if (s->kind != PLAN_VALUE) continue;
        snprintf(path, sizeof path, "%s/%s", r->dir, s->path);
        cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : fd_read_full(fd, value, sizeof value);
        int result = 0;
        if (n >= 0)
            result = add(r, PLAN_VALUE, s->path, value, (size_t)n);
        else if (access(path, F_OK) == 0) /* an attribute that can only be written: taken to be as planned */
            result = add(r, PLAN_VALUE, s->path, s->value, s->value_len);
        if (result < 0) return -1;
    }
    return 0;
}

int build_tree_read(const char *dir, const struct plan *wanted, struct plan_found *ret, struct err *e)
{
    struct tree_reader r = {dir, ret, e};
    ret->exists = access(dir, F_OK) == 0;
    if (!ret->exists) return 0;
    if (add_directory(&r, "", "") < 0 || each_entry(&r, "strings", is_directory, add_directory) < 0 ||
        each_entry(&r, "functions", is_directory, add_directory) < 0 ||
        each_entry(&r, "functions", is_directory, add_luns) < 0 ||
        each_entry(&r, "configs", is_directory, add_directory) < 0 ||
        each_entry(&r, "configs", is_directory, add_config_strings) < 0 || add_links(&r, wanted) < 0)
        return -1;
    return add_values(&r, wanted);
}
