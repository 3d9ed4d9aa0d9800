#include "images/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/device.h"
#include "base/fd.h"
#include "images/hidden.h"

int store_init(struct store *s, const struct store_config *config, struct err *e)
{
    *s = (struct store){.config = *config};
    atomic_store(&s->leftovers, !config->readonly);
    pthread_mutex_init(&s->lock, NULL);
    s->thread = store_thread_new(e);
    return s->thread ? 0 : -1;
}

#define PROBE_BYTES 4096 /* of a direct read: the largest block that disks have */

void store_done(struct store *s)
{
    store_thread_free(s->thread);
    s->thread = NULL;
    pthread_mutex_destroy(&s->lock);
}

enum err_code store_code_for_errno(int errnum)
{
    switch (errnum) {
    case ESTALE:   /* NFS: the server forgot the directory */
    case EIO:      /* the device was pulled */
    case ENODEV:
    case ENXIO:
    case ESHUTDOWN:
    case ENOTCONN: /* FUSE: its process is gone */
    case EHOSTDOWN:
    case ETIMEDOUT: return ERR_STORE_DETACHED;
    case EMFILE:
    case ENFILE: return ERR_UNAVAILABLE;
    default: return err_code_for_errno(errnum);
    }
}

static int open_root(const struct store_config *s, struct err *e)
{
    int fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) return fd;
    bool ours = errno == EMFILE || errno == ENFILE || errno == ENOMEM;
    return err_set_errno(e, ours ? ERR_UNAVAILABLE : ERR_STORE_DETACHED, errno, "Cannot open the store \"%s\"",
                         s->name);
}

static int open_folder(int root_fd, const char *folder, struct err *e)
{
    int fd = fd_open_beneath(root_fd, *folder ? folder : ".", O_RDONLY | O_DIRECTORY, 0);
    if (fd >= 0) return fd;
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == EXDEV || errno == ENAMETOOLONG)
        return err_set(e, ERR_NOT_FOUND, "There is no folder \"%.256s\" in the store", folder);
    return err_set_errno(e, store_code_for_errno(errno), errno, "Cannot open the folder \"%.256s\"", folder);
}

int store_enter_directly(const struct store_config *s, const char *folder, struct store_entry *ret, struct err *e)
{
    cleanup_close int root_fd = open_root(s, e);
    if (root_fd < 0) return -1;
    struct statvfs room;
    struct stat st;
    if (s->mount && !fd_is_mount(root_fd))
        return err_set(e, ERR_STORE_DETACHED, "Nothing is mounted at %s, where the store \"%s\" should be", s->path, s->name);
    if (fstat(root_fd, &st) == 0 && device_is_gone("/sys", st.st_dev))
        return err_set(e, ERR_STORE_DETACHED, "The storage under the store \"%s\" has gone", s->name);
    if (fstatvfs(root_fd, &room) < 0)
        return err_set_errno(e, ERR_STORE_DETACHED, errno, "The store \"%s\" does not work", s->name);
    cleanup_close int folder_fd = open_folder(root_fd, folder, e);
    if (folder_fd < 0) return -1;
    *ret = (struct store_entry){
        .root_fd = take_fd(&root_fd),
        .folder_fd = take_fd(&folder_fd),
        .readonly = s->readonly || (room.f_flag & ST_RDONLY),
        .size = (uint64_t)room.f_blocks * room.f_frsize,
        .free = (uint64_t)room.f_bavail * room.f_frsize,
    };
    return 0;
}

void store_leave(struct store_entry *in)
{
    util_close_fd(&in->folder_fd);
    util_close_fd(&in->root_fd);
    in->root_fd = in->folder_fd = -1;
}

struct enter_job {
    struct store_job job;
    struct store_config config; /* a copy: a job that got stuck can outlive the store */
    char folder[FOLDER_PATH_MAX];
    char doubted[sizeof(((struct store *)0)->doubted)];
    struct store_entry entry;
    int result;
    struct err err;
};

/* O_DIRECT: what is in memory proves nothing. Where a file system does not know that, it is believed. */
static bool storage_answers(int root_fd, const char *image)
{
    _Alignas(PROBE_BYTES) char block[PROBE_BYTES];
    cleanup_close int fd = fd_open_beneath(root_fd, image, O_RDONLY | O_DIRECT | O_NONBLOCK, 0);
    if (fd < 0) return store_code_for_errno(errno) != ERR_STORE_DETACHED;
    return pread(fd, block, sizeof block, 0) >= 0 || store_code_for_errno(errno) != ERR_STORE_DETACHED;
}

static void enter_run(struct store_job *job)
{
    struct enter_job *j = (struct enter_job *)job;
    j->result = store_enter_directly(&j->config, j->folder, &j->entry, &j->err);
    if (j->result < 0 || !j->doubted[0] || storage_answers(j->entry.root_fd, j->doubted)) return;
    store_leave(&j->entry);
    j->result = err_set(&j->err, ERR_STORE_DETACHED, "The storage under the store \"%s\" was cut", j->config.name);
}

void store_doubt(struct store *s, const char *folder, const char *image)
{
    pthread_mutex_lock(&s->lock);
    snprintf(s->doubted, sizeof s->doubted, "%s%s%s", folder, *folder ? "/" : "", image);
    pthread_mutex_unlock(&s->lock);
}

/* Unless somebody has doubted anew. */
static void trust(struct store *s, const char *doubted)
{
    pthread_mutex_lock(&s->lock);
    if (strcmp(s->doubted, doubted) == 0) s->doubted[0] = '\0';
    pthread_mutex_unlock(&s->lock);
}

static void enter_drop(struct store_job *job)
{
    struct enter_job *j = (struct enter_job *)job;
    store_leave(&j->entry);
    free(j);
}

static int pass_door(struct store *s, enum store_door up_to, struct err *e)
{
    if (atomic_load(&s->door) <= up_to) return 0;
    return err_set(e, ERR_STORE_DETACHED, "The store \"%s\" is being taken away, or was", s->config.name);
}

int store_may_enter(struct store *s, struct err *e)
{
    return pass_door(s, STORE_OPEN, e);
}

static struct enter_job *begin_to_enter(struct store *s, const char *folder, struct err *e)
{
    struct enter_job *j = malloc(sizeof *j);
    if (!j) {
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        return NULL;
    }
    *j = (struct enter_job){
        .job = {.run = enter_run, .drop = enter_drop}, .config = s->config, .entry = STORE_OUTSIDE};
    strcpy(j->folder, folder); /* of a store_ref: it fits */
    pthread_mutex_lock(&s->lock);
    strcpy(j->doubted, s->doubted);
    pthread_mutex_unlock(&s->lock);
    store_thread_post(s->thread, &j->job);
    return j;
}

struct enter_job *store_enter_begin(struct store *s, const char *folder, struct err *e)
{
    return store_may_enter(s, e) < 0 ? NULL : begin_to_enter(s, folder, e);
}

int store_enter_end(struct store *s, struct enter_job *j, msec deadline, struct store_entry *ret, struct err *e)
{
    if (store_thread_wait(s->thread, &j->job, deadline, NULL, e) < 0)
        return err_prefix(e, "Store \"%s\"", s->config.name);
    int result = j->result;
    if (result < 0 && e) *e = j->err;
    if (result == 0 && j->doubted[0]) trust(s, j->doubted);
    if (result == 0) {
        *ret = j->entry;
        j->entry = (struct store_entry)STORE_OUTSIDE;
    }
    enter_drop(&j->job);
    return result;
}

int store_enter(struct store *s, const char *folder, struct store_entry *ret, struct err *e)
{
    struct enter_job *j = store_enter_begin(s, folder, e);
    return j ? store_enter_end(s, j, clock_boot_ms() + STORE_PATIENCE, ret, e) : -1;
}

int store_enter_to_end(struct store *s, const char *folder, struct store_entry *ret, struct err *e)
{
    struct enter_job *j = pass_door(s, STORE_ENDING, e) < 0 ? NULL : begin_to_enter(s, folder, e);
    return j ? store_enter_end(s, j, clock_boot_ms() + STORE_PATIENCE, ret, e) : -1;
}

void store_collect(struct store *s, const struct store_entry *in)
{
    if (in->readonly || !atomic_exchange(&s->leftovers, false)) return;
    cleanup_close int hidden_fd = fd_open_beneath(in->root_fd, HIDDEN_DIR, O_RDONLY | O_DIRECTORY, 0);
    if (hidden_fd < 0 ? errno != ENOENT : hidden_collect(&fileops_kernel, hidden_fd) < 0)
        atomic_store(&s->leftovers, true);
}
