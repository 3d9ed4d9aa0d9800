#include "server/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/loop.h"
#include "server/directories.h"
#include "server/gadget_process.h"

#define PAUSE_FIRST 500   /* ms before the first restart, */
#define PAUSE_MOST 30000  /* doubled each time up to this, */
#define STEADY 60000      /* and forgotten once it ran for so long */
#define END_PATIENCE 5000 /* ms for trayd-gadget to end; it may hang in the kernel, and then nobody can help */

struct keeping {
    const struct keeper_config *config;
    struct loop *loop;
    struct loop_watch parent, signals;
    struct loop_timer restart, give_up;
    pid_t pid; /* of trayd-gadget; 0: it does not run */
    msec started_at, pause;
    bool ending;
};

static void start(struct keeping *k)
{
    struct err e;
    k->started_at = clock_boot_ms();
    k->pid = gadget_process_spawn(k->config->program_fd, k->config->arguments, &e);
    if (k->pid > 0) return;
    log_error("%s", e.text);
    k->pid = 0;
    loop_timer_set(k->loop, &k->restart, k->started_at + PAUSE_MOST);
}

static void restart(struct loop_timer *t, msec now attr_unused)
{
    start(t->owner);
}

static void give_up(struct loop_timer *t, msec now attr_unused)
{
    struct keeping *k = t->owner;
    log_warning("trayd-gadget (%d) does not end; it is left to its fate", (int)k->pid);
    loop_stop(k->loop);
}

static void end(struct keeping *k)
{
    if (k->ending) return;
    k->ending = true;
    loop_remove(k->loop, &k->parent);
    loop_timer_set(k->loop, &k->restart, MSEC_NEVER);
    if (k->pid == 0) {
        loop_stop(k->loop);
        return;
    }
    kill(k->pid, SIGTERM);
    loop_timer_set(k->loop, &k->give_up, clock_boot_ms() + END_PATIENCE);
}

static void gadget_ended(struct keeping *k, int status)
{
    msec now = clock_boot_ms();
    k->pid = 0;
    if (k->ending) {
        loop_stop(k->loop);
        return;
    }
    if (now - k->started_at >= STEADY) k->pause = PAUSE_FIRST;
    if (WIFSIGNALED(status))
        log_warning("trayd-gadget was ended by signal %d (%s); it is started again", WTERMSIG(status),
                    strsignal(WTERMSIG(status)));
    else
        log_warning("trayd-gadget ended with status %d; it is started again in %lld ms", WEXITSTATUS(status),
                    (long long)k->pause);
    loop_timer_set(k->loop, &k->restart, now + k->pause);
    k->pause = MIN(2 * k->pause, PAUSE_MOST);
}

static void signal_came(struct loop_watch *w, uint32_t events attr_unused)
{
    struct keeping *k = w->owner;
    struct signalfd_siginfo info;
    while (read(w->fd, &info, sizeof info) == (ssize_t)sizeof info) {
        int status;
        if (info.ssi_signo != SIGCHLD) end(k);
        while (k->pid && waitpid(k->pid, &status, WNOHANG) == k->pid) gadget_ended(k, status);
    }
}

/* A byte is an orderly end; none, that trayd was killed. */
static void parent_ended(struct loop_watch *w, uint32_t events attr_unused)
{
    struct keeping *k = w->owner;
    char byte;
    ssize_t n = read(w->fd, &byte, 1);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n > 0 || k->config->end_with_parent) {
        end(k);
        return;
    }
    log_warning("trayd is gone; trayd-gadget goes on (to end both: kill %d)", (int)getpid());
    loop_remove(k->loop, &k->parent);
}

static int keep(const struct keeper_config *c, int fd)
{
    struct err e;
    struct keeping k = {.config = c, .pause = PAUSE_FIRST, .loop = loop_new(&e)};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (!k.loop || signals < 0 || loop_add(k.loop, &k.parent, fd, EPOLLIN, parent_ended, &k) < 0 ||
        loop_add(k.loop, &k.signals, signals, EPOLLIN, signal_came, &k) < 0) {
        log_error("Cannot keep trayd-gadget running: %s", err_strerror(errno));
        return 1;
    }
    loop_timer_init(&k.restart, restart, &k);
    loop_timer_init(&k.give_up, give_up, &k);
    start(&k);
    int result = loop_run(k.loop) < 0;
    if (c->remove_directory) directories_remove(c->remove_directory);
    return result;
}

int keeper_start(const struct keeper_config *c, struct keeper *ret, struct err *e)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
        close(c->program_fd);
        return err_set_errno(e, ERR_UNAVAILABLE, errno, "Cannot make a pipe");
    }
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_NAME, "trayd-keeper");
        setsid(); /* Ctrl-C is for trayd, which ends us in order */
        close(ends[1]);
        if (c->listening_fd > 0) close(c->listening_fd);
        _exit(keep(c, ends[0]));
    }
    close(ends[0]);
    close(c->program_fd);
    if (pid < 0) {
        close(ends[1]);
        return err_set_errno(e, ERR_UNAVAILABLE, errno, "Cannot start the keeper of trayd-gadget");
    }
    *ret = (struct keeper){.pid = pid, .fd = ends[1]};
    return 0;
}

void keeper_stop(struct keeper *k)
{
    if (k->pid <= 0) return;
    ssize_t n = write(k->fd, "q", 1);
    (void)n; /* it fails where the keeper has ended already */
    close(k->fd);
    while (waitpid(k->pid, NULL, 0) < 0 && errno == EINTR) continue;
    k->pid = 0;
}
