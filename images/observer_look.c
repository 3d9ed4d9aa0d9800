#include "images/observer_look.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/fd.h"

#define EVENTS                                                                                                       \
    (IN_CLOSE_WRITE | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

/* What linux/magic.h of older systems does not name. */
#define MAGIC_CIFS 0xff534d42
#define MAGIC_SMB2 0xfe534d42
#define MAGIC_9P 0x01021997
#define MAGIC_CEPH 0x00c36400

static bool is_remote(int fd)
{
    static const unsigned long remote[] = {NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, MAGIC_CIFS, MAGIC_SMB2,
                                           MAGIC_9P,        MAGIC_CEPH,      FUSE_SUPER_MAGIC};
    struct statfs fs;
    if (fstatfs(fd, &fs) < 0) return true; /* looked at more often than need be */
    for (size_t i = 0; i < ARRAY_LEN(remote); i++)
        if (((unsigned long)fs.f_type & 0xffffffff) == remote[i]) return true;
    return false;
}

/* FNV-1a */
static void mix(uint64_t *hash, const void *data, size_t len)
{
    for (const unsigned char *p = data; len; p++, len--) *hash = (*hash ^ *p) * 0x100000001b3;
}

static void watch(struct observer_look *l, int fd, const char *path)
{
    char link[32];
    struct stat st = {0};
    struct observed_folder *f = malloc(sizeof *f + strlen(path) + 1);
    if (!f) return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    f->wd = inotify_add_watch(l->inotify_fd, link, EVENTS);
    strcpy(f->path, path);
    fstat(fd, &st);
    mix(&l->signature, path, strlen(path) + 1);
    mix(&l->signature, &st.st_dev, sizeof st.st_dev); /* times are no finer than a tick: two mounts may share one */
    mix(&l->signature, &st.st_ino, sizeof st.st_ino);
    mix(&l->signature, &st.st_mtim, sizeof st.st_mtim);
    l->folders[l->count++] = f;
}

static bool is_folder(int dir_fd, const struct dirent *entry)
{
    struct stat st;
    if (entry->d_name[0] == '.' || !image_name_usable(entry->d_name)) return false;
    if (entry->d_type != DT_UNKNOWN) return entry->d_type == DT_DIR;
    return fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static int level_of(const char *path)
{
    int level = *path != '\0';
    for (; *path; path++) level += *path == '/';
    return level;
}

/* Each folder that is found is appended, and so has its turn later: no recursion. */
static void add_folders_of(struct observer_look *l, int root_fd, const char *path)
{
    cleanup_close int fd = fd_open_beneath(root_fd, *path ? path : ".", O_RDONLY | O_DIRECTORY, 0);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) return;
    int dir_fd = take_fd(&fd);
    for (struct dirent *entry; l->count < LISTING_FOLDERS_MAX && (entry = readdir(dir));) {
        char below[FOLDER_PATH_MAX];
        if (!is_folder(dir_fd, entry) || level_of(path) == FOLDER_LEVELS_MAX) continue;
        if ((size_t)snprintf(below, sizeof below, "%s%s%s", path, *path ? "/" : "", entry->d_name) >= sizeof below) continue;
        cleanup_close int folder_fd = fd_open_beneath(root_fd, below, O_RDONLY | O_DIRECTORY, 0);
        if (folder_fd >= 0) watch(l, folder_fd, below);
    }
    closedir(dir);
}

static void run(struct store_job *job)
{
    struct observer_look *l = (struct observer_look *)job;
    struct store_entry in cleanup_store = STORE_OUTSIDE;
    struct err e;
    l->signature = 0xcbf29ce484222325;
    l->remote = true;
    l->there = !l->closed && store_enter_directly(&l->config, "", &in, &e) == 0;
    if (!l->there) return;
    l->remote = is_remote(in.root_fd);
    watch(l, in.root_fd, "");
    for (size_t i = 0; i < l->count; i++) add_folders_of(l, in.root_fd, l->folders[i]->path);
}

static void drop(struct store_job *job)
{
    struct observer_look *l = (struct observer_look *)job;
    for (size_t i = 0; i < l->count; i++) free(l->folders[i]);
    free(l->folders);
    util_close_fd(&l->inotify_fd);
    free(l);
}

struct observer_look *observer_look_new(struct store *store, int inotify_fd)
{
    struct observer_look *l = calloc(1, sizeof *l);
    if (!l) return NULL;
    l->job = (struct store_job){.run = run, .drop = drop};
    l->config = store->config;
    l->closed = store_may_enter(store, NULL) < 0;
    l->inotify_fd = fcntl(inotify_fd, F_DUPFD_CLOEXEC, 0);
    l->folders = calloc(LISTING_FOLDERS_MAX, sizeof *l->folders);
    if (l->inotify_fd >= 0 && l->folders) return l;
    drop(&l->job);
    return NULL;
}
