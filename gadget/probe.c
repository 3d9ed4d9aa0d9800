#include "gadget/probe.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>

#include "base/fd.h"

#define THREAD_NAME "file-storage" /* kthread_create() in f_mass_storage.c */
#define FLAG_KTHREAD 0x00200000    /* PF_KTHREAD, include/linux/sched.h */
#define THREADS_MAX 64             /* far more than functions that a controller has endpoints for */

struct thread {
    int pid;
    uint64_t started; /* clock ticks since boot */
};

struct probe {
    char proc[64];
    size_t count;
    bool found;       /* dirs are right */
    int *dirs;        /* /proc/TID, by function; -1 */
};

/* ---- files of one thread ----------------------------------------------------------------------------------------- */

static bool read_at(int dir, const char *name, char *ret, size_t size)
{
    cleanup_close int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : fd_read_full(fd, ret, size - 1);
    if (n < 0) return false;
    ret[n] = '\0';
    return true;
}

static bool read_number(const char *text, const char *label, uint64_t *ret)
{
    const char *at = strstr(text, label);
    return at && sscanf(at + strlen(label), " %lu", ret) == 1;
}

/* Fields of /proc/TID/stat (proc(5)): 3 is the state, 4 the parent, 9 the flags, 22 the start. */
static bool read_stat(int dir, char name[32], char *ret_state, unsigned *ret_flags, uint64_t *ret_started)
{
    char text[1024];
    if (!read_at(dir, "stat", text, sizeof text)) return false;
    const char *open = strchr(text, '('), *close = strrchr(text, ')');
    if (!open || !close || close - open - 1 >= 32) return false;
    memcpy(name, open + 1, (size_t)(close - open - 1));
    name[close - open - 1] = '\0';
    return sscanf(close + 1,
                  " %c %*d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %lu", ret_state,
                  ret_flags, ret_started) == 3;
}

/* ---- finding them ------------------------------------------------------------------------------------------------ */

static int compare(const void *a, const void *b)
{
    const struct thread *x = a, *y = b;
    if (x->started != y->started) return x->started < y->started ? -1 : 1;
    return x->pid - y->pid;
}

static bool is_storage_thread(int proc_fd, const char *pid, uint64_t *ret_started)
{
    cleanup_close int dir = openat(proc_fd, pid, O_PATH | O_DIRECTORY | O_CLOEXEC);
    char name[32], state;
    unsigned flags;
    return dir >= 0 && read_stat(dir, name, &state, &flags, ret_started) && flags & FLAG_KTHREAD &&
           strcmp(name, THREAD_NAME) == 0;
}

static size_t find_threads(const struct probe *p, struct thread ret[THREADS_MAX])
{
    DIR *dir = opendir(p->proc);
    size_t count = 0;
    for (struct dirent *d; dir && count < THREADS_MAX && (d = readdir(dir));) {
        if (!isdigit((unsigned char)d->d_name[0])) continue;
        if (is_storage_thread(dirfd(dir), d->d_name, &ret[count].started)) ret[count++].pid = atoi(d->d_name);
    }
    if (dir) closedir(dir);
    qsort(ret, count, sizeof *ret, compare);
    return count;
}

static void look(struct probe *p)
{
    struct thread threads[THREADS_MAX];
    size_t count = find_threads(p, threads);
    if (count != p->count) return;
    p->found = true;
    for (size_t i = 0; i < count; i++) {
        char path[96];
        snprintf(path, sizeof path, "%s/%d", p->proc, threads[i].pid);
        p->dirs[i] = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (p->dirs[i] < 0) p->found = false;
    }
    if (!p->found) probe_forget(p);
}

/* ---- what the header promises ------------------------------------------------------------------------------------ */

struct probe *probe_new(const char *proc, size_t count)
{
    struct probe *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    snprintf(p->proc, sizeof p->proc, "%s", proc);
    p->count = count;
    p->dirs = malloc((count ? count : 1) * sizeof *p->dirs);
    if (!p->dirs) {
        free(p);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) p->dirs[i] = -1;
    return p;
}

void probe_forget(struct probe *p)
{
    p->found = false;
    for (size_t i = 0; i < p->count; i++) {
        if (p->dirs[i] >= 0) close(p->dirs[i]);
        p->dirs[i] = -1;
    }
}

void probe_free(struct probe *p)
{
    if (!p) return;
    probe_forget(p);
    free(p->dirs);
    free(p);
}

bool probe_known(struct probe *p, size_t index)
{
    if (!p->found) look(p);
    return p->found && index < p->count;
}

bool probe_sample(struct probe *p, size_t index, struct probe_counters *ret)
{
    if (!probe_known(p, index)) return false;
    int dir = p->dirs[index];
    char text[4096], stack[PROBE_STACK_MAX], name[32], state;
    unsigned flags;
    uint64_t started;
    struct probe_counters now = {.waiting_for = WAITING_UNKNOWN};
    /* A kernel thread that ends answers ESRCH from then on, whoever gets its number. */
    if (!read_at(dir, "io", text, sizeof text) || !read_number(text, "rchar:", &now.read) ||
        !read_number(text, "wchar:", &now.written) || !read_at(dir, "status", text, sizeof text) ||
        !read_number(text, "\nvoluntary_ctxt_switches:", &now.commands)) {
        probe_forget(p);
        return false;
    }
    if (read_stat(dir, name, &state, &flags, &started) && read_at(dir, "stack", stack, sizeof stack)) {
        now.waiting_for = probe_classify(stack, state);
        now.flushing = probe_is_flush(stack);
    }
    *ret = now;
    return true;
}

static bool is_untouched(const struct probe_counters *now, const struct probe_counters *since)
{
    return now->waiting_for == WAITING_NOTHING && now->commands == since->commands && now->read == since->read &&
           now->written == since->written;
}

int probe_interrupt(struct probe *p, size_t index, const struct probe_counters *since, struct err *e)
{
    struct probe_counters now;
    if (!probe_sample(p, index, &now)) return err_set(e, ERR_FORCED_UNAVAILABLE, "It is not known which kernel thread plays this drive");
    if (since && !is_untouched(&now, since)) return err_set(e, ERR_FORCED_UNAVAILABLE, "The host has just used the drive");
    if (now.waiting_for != WAITING_HOST && now.waiting_for != WAITING_NOTHING)
        return err_set(e, ERR_DRIVE_STUCK, "The kernel thread waits for %s; a signal would not help", waiting_for_names[now.waiting_for]);
    /* A directory of /proc serves as a pidfd, if it is not O_PATH; this one cannot have become another thread's. */
    cleanup_close int thread = openat(p->dirs[index], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (thread >= 0 && pidfd_send_signal(thread, SIGUSR1, NULL, 0) == 0) return 0;
    return err_set_errno(e, ERR_INTERNAL, errno, "Cannot signal the kernel thread");
}
