#include "images/blank.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "images/store.h"

#define SECTOR 512
#define ARGUMENTS_MAX 6
#define IMAGE_FD 3
#define IMAGE_PATH "/proc/self/fd/3"

const char *const blank_names[] = {
#define X(sym, name) name,
    BLANK_TABLE(X)
#undef X
    NULL,
};

/* The arguments end with the option of a label; without one they end before it. */
static const struct {
    const char *program, *package;
    const char *arguments[ARGUMENTS_MAX];
    int64_t min, max;
} makers[BLANK_COUNT] = {
    [BLANK_NONE] = {.min = BLANK_SIZE_MIN, .max = INT64_MAX},
    [BLANK_FAT32] = {"mkfs.fat", "dosfstools", {"-F", "32", "-n"}, BLANK_FAT32_MIN, BLANK_FAT32_MAX},
    [BLANK_EXFAT] = {"mkfs.exfat", "exfatprogs", {"-L"}, BLANK_EXFAT_MIN, INT64_MAX},
};

int blank_check(const struct blank_request *rq, char ret_label[BLANK_LABEL_MAX + 1], struct err *e)
{
    const char *name = blank_names[rq->filesystem];
    size_t len = strlen(rq->label);
    if (rq->size % SECTOR != 0 || rq->size < makers[rq->filesystem].min || rq->size > makers[rq->filesystem].max)
        return err_set(e, ERR_BAD_REQUEST,
                       "With the filesystem \"%s\", size must be a multiple of 512 from %lld to %lld", name,
                       (long long)makers[rq->filesystem].min, (long long)makers[rq->filesystem].max);
    if (len > BLANK_LABEL_MAX || (len > 0 && rq->filesystem == BLANK_NONE))
        return err_set(e, ERR_BAD_REQUEST, "A label has at most %d characters, and belongs to a filesystem",
                       BLANK_LABEL_MAX);
    for (size_t i = 0; i <= len; i++) {
        char c = rq->label[i];
        if (c && (c < ' ' || c > '~' || strchr("*?.,;:/\\|+=<>[]\"", c)))
            return err_set(e, ERR_BAD_REQUEST, "A label is of ASCII letters, digits and blanks, without *?.,;:/\\|+=<>[]\"");
        bool lower = rq->filesystem == BLANK_FAT32 && c >= 'a' && c <= 'z';
        ret_label[i] = (char)(lower ? c - 'a' + 'A' : c);
    }
    if (len > 0 && (ret_label[0] == ' ' || ret_label[0] == '-'))
        return err_set(e, ERR_BAD_REQUEST, "A label does not begin with a blank or '-'");
    return 0;
}

/* ---- mkfs ---- */

static int start(enum blank_filesystem kind, int fd, const char *label, pid_t *ret, struct err *e)
{
    char *argv[ARGUMENTS_MAX + 4] = {(char *)(uintptr_t)makers[kind].program};
    static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", utf8[] = "LC_ALL=C.UTF-8";
    char *env[] = {path, utf8, NULL};
    size_t n = 1;
    for (size_t i = 0; makers[kind].arguments[i]; i++) argv[n++] = (char *)(uintptr_t)makers[kind].arguments[i];
    if (*label) argv[n++] = (char *)(uintptr_t)label;
    else n--; /* the option itself */
    argv[n++] = (char *)(uintptr_t)IMAGE_PATH;
    argv[n] = NULL;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, fd, IMAGE_FD);
    int errnum = posix_spawnp(ret, makers[kind].program, &actions, NULL, argv, env);
    posix_spawn_file_actions_destroy(&actions);
    if (errnum == ENOENT)
        return err_set(e, ERR_UNAVAILABLE, "%s is not installed; it is in the package %s", makers[kind].program,
                       makers[kind].package);
    return errnum ? err_set_errno(e, ERR_UNAVAILABLE, errnum, "Cannot start %s", makers[kind].program) : 0;
}

static int wait_for(pid_t pid, const char *program, struct err *e)
{
    cleanup_close int fd = (int)syscall(SYS_pidfd_open, pid, 0); /* Linux 5.3 */
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int status, n = fd < 0 ? 1 : poll(&p, 1, BLANK_PATIENCE);
    if (n == 0) kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return err_set_errno(e, ERR_INTERNAL, errno, "Cannot wait for %s", program);
    if (n == 0) return err_set(e, ERR_UNAVAILABLE, "%s took longer than %d s", program, BLANK_PATIENCE / 1000);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
    return err_set(e, ERR_INTERNAL, "%s failed; see the service's log", program);
}

static int fill(int fd, const struct blank_request *rq, const char *label, struct err *e)
{
    pid_t pid;
    if (ftruncate(fd, rq->size) < 0) {
        if (errno == EFBIG) return err_set(e, ERR_NO_SPACE, "The store's file system cannot hold so large a file");
        return err_set_errno(e, store_code_for_errno(errno), errno, "Cannot make the image");
    }
    if (rq->filesystem == BLANK_NONE) return 0;
    /* Above the number that the child gets, which then loses its close-on-exec. */
    cleanup_close int copy = fcntl(fd, F_DUPFD_CLOEXEC, IMAGE_FD + 1);
    if (copy < 0) return err_set_errno(e, ERR_UNAVAILABLE, errno, "Cannot open one more file");
    if (start(rq->filesystem, copy, label, &pid, e) < 0) return -1;
    return wait_for(pid, makers[rq->filesystem].program, e);
}

json_t *blank_make(struct library *l, const struct blank_request *rq, struct err *e)
{
    char label[BLANK_LABEL_MAX + 1];
    bool exists, replaced;
    struct err why = {0};
    if (blank_check(rq, label, e) < 0) return NULL;
    if (rq->size > library_upload_max(l)) {
        err_set(e, ERR_TOO_LARGE, "At most %lld bytes are accepted", (long long)library_upload_max(l));
        return NULL;
    }
    const struct library_upload_request up = {
        .store = rq->store, .name = rq->name, .length = -1, .user = rq->user, .peer = rq->peer,
        .kind = TRANSFER_CONVERSION, .method = "blank",
    };
    struct library_upload *u = library_upload_begin(l, &up, &exists, e);
    if (!u) return NULL;
    if (fill(library_upload_fd(u), rq, label, &why) == 0 && library_upload_filled(u, &why) == 0)
        return library_upload_finish(u, &replaced, e);
    library_upload_fail(u, &why);
    *e = why;
    return NULL;
}
