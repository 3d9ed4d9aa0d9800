#include "gadget/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/log.h"

#define WORKER_RESTART 1000 /* ms */

enum process_state { PROCESS_LOCKING, PROCESS_IDLE, PROCESS_BUSY };

struct process {
    struct worker *worker;
    struct process *next;       /* among the abandoned ones */
    enum process_state state;
    pid_t pid;
    int pidfd, socket;
    struct loop_watch answers, death;
    struct worker_job *job;     /* under way */
    msec busy_since;
};

struct worker {
    struct loop *loop;
    struct worker_spec spec;
    struct process *current, *abandoned;
    size_t abandoned_count;
    struct worker_job *queue, **queue_end;
    struct loop_timer timer;    /* see set_timer() */
    bool cannot_start;          /* fail the queue from the loop */
    bool lock_taken;            /* by somebody else, */
    msec lock_taken_since;
    pid_t holder;
    bool held;                  /* and the owner was told */
    msec restart_at;            /* the process that waited for the lock died: another must wait */
    void *answer;               /* answer_size bytes, for one answer at a time */
};

static void start_next(struct worker *w);
static void set_timer(struct worker *w);

static void finish(struct worker_job *job, enum worker_end end, const void *answer, int fds[PACKET_FDS_MAX])
{
    int none[PACKET_FDS_MAX] = {-1, -1};
    packet_close(job->fds);
    job->done(job, end, answer, fds ? fds : none);
    packet_close(fds ? fds : none);
}

static struct worker_job *take_first(struct worker *w)
{
    struct worker_job *job = w->queue;
    if (!job) return NULL;
    w->queue = job->next;
    if (!w->queue) w->queue_end = &w->queue;
    job->next = NULL;
    return job;
}

/* Ends what is queued now; what a callback adds meanwhile is left. */
static void finish_queue(struct worker *w, enum worker_end end)
{
    struct worker_job *job = w->queue;
    w->queue = NULL;
    w->queue_end = &w->queue;
    while (job) {
        struct worker_job *next = job->next;
        job->next = NULL;
        finish(job, end, NULL, NULL);
        job = next;
    }
}

/* ---- processes --------------------------------------------------------------------------------------------------- */

/* Lets go of a process; it ends by itself when it finds its socket closed, unless it is dead already. */
static void process_free(struct process *p)
{
    loop_remove(p->worker->loop, &p->answers);
    loop_remove(p->worker->loop, &p->death);
    close(p->socket);
    close(p->pidfd);
    free(p);
}

static void forget(struct process *p)
{
    struct worker *w = p->worker;
    if (w->current == p) w->current = NULL;
    for (struct process **at = &w->abandoned; *at; at = &(*at)->next) {
        if (*at != p) continue;
        *at = p->next;
        w->abandoned_count--;
        break;
    }
}

static void on_answer(struct process *p, int fds[PACKET_FDS_MAX])
{
    struct worker *w = p->worker;
    struct worker_job *job = p->job;
    p->job = NULL;
    p->state = PROCESS_IDLE;
    if (p != w->current) shutdown(p->socket, SHUT_RDWR); /* it was replaced: nothing more to do for it */
    if (job) finish(job, WORKER_ANSWERED, w->answer, fds);
}

static void on_ready(struct process *p)
{
    struct worker *w = p->worker;
    bool was_held = w->held;
    p->state = PROCESS_IDLE;
    w->lock_taken = w->held = false;
    if (was_held && w->spec.released) w->spec.released(w->spec.owner);
}

static void on_lock_taken(struct worker *w, pid_t by)
{
    w->lock_taken = true;
    w->lock_taken_since = clock_boot_ms();
    w->holder = by;
}

/* Takes in what the process has sent. Returns false when the other end is closed. */
static bool receive(struct process *p)
{
    struct packet_head head;
    int fds[PACKET_FDS_MAX], got;
    while ((got = packet_receive(p->socket, &head, p->worker->answer, p->worker->spec.answer_size, fds)) == 1) {
        switch ((enum worker_message)head.kind) {
        case WORKER_SAYS_HELD: on_lock_taken(p->worker, (pid_t)head.value); break;
        case WORKER_SAYS_READY: on_ready(p); break;
        case WORKER_SAYS_ANSWER: on_answer(p, fds); break;
        case WORKER_SAYS_BROKEN:
            log_error("%s cannot take its lock %s: %s", p->worker->spec.name, p->worker->spec.lock_path,
                      err_strerror((int)head.value));
            break;
        }
        packet_close(fds);
    }
    return got < 0 && errno == EAGAIN;
}

static void on_packet(struct loop_watch *watch, uint32_t events)
{
    (void)events;
    struct process *p = watch->owner;
    struct worker *w = p->worker;
    if (!receive(p)) loop_remove(w->loop, watch); /* its death is told by the pidfd */
    start_next(w);
}

static void on_death(struct loop_watch *watch, uint32_t events)
{
    (void)events;
    struct process *p = watch->owner;
    struct worker *w = p->worker;
    receive(p); /* it may have answered before */
    siginfo_t how = {0};
    waitid(P_PIDFD, (id_t)p->pidfd, &how, WEXITED | WNOHANG);
    bool was_current = p == w->current, never_ready = p->state == PROCESS_LOCKING;
    struct worker_job *job = p->job;
    if (was_current)
        log_warning("%s (process %d) died: %s %d", w->spec.name, (int)p->pid,
                    how.si_code == CLD_EXITED ? "exit status" : "signal", how.si_status);
    forget(p);
    process_free(p);
    if (job) finish(job, WORKER_DIED, NULL, NULL);
    if (was_current && never_ready) finish_queue(w, WORKER_DIED); /* the next would fare no better */
    if (was_current) w->lock_taken = false;
    if (was_current && w->held) w->restart_at = clock_boot_ms() + WORKER_RESTART;
    start_next(w);
}

static struct process *spawn(struct worker *w, struct err *e)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        err_set_errno(e, ERR_UNAVAILABLE, errno, "No socket for %s", w->spec.name);
        return NULL;
    }
    cleanup_close int ours = ends[0], theirs = ends[1], pidfd = -1;
    struct process *p = calloc(1, sizeof *p);
    pid_t parent = getpid(), pid = p ? fork() : -1;
    if (pid == 0) worker_child_run(&w->spec, theirs, parent);
    if (pid > 0) pidfd = pidfd_open(pid, 0);
    if (pid < 0 || pidfd < 0) {
        err_set_errno(e, ERR_UNAVAILABLE, errno, "Cannot start %s", w->spec.name);
        free(p);
        return NULL; /* a child that was made finds its socket closed, and ends */
    }
    *p = (struct process){.worker = w, .pid = pid, .state = PROCESS_LOCKING, .socket = ours, .pidfd = pidfd};
    fcntl(ours, F_SETFL, O_NONBLOCK); /* our end only; one request at a time always fits */
    if (loop_add(w->loop, &p->answers, ours, EPOLLIN, on_packet, p) < 0 ||
        loop_add(w->loop, &p->death, pidfd, EPOLLIN, on_death, p) < 0) {
        err_set_errno(e, ERR_UNAVAILABLE, errno, "Cannot watch %s", w->spec.name);
        loop_remove(w->loop, &p->answers);
        free(p);
        return NULL;
    }
    take_fd(&ours);
    take_fd(&pidfd);
    return p;
}

/* ---- the queue --------------------------------------------------------------------------------------------------- */

static void start_job(struct process *p, struct worker_job *job)
{
    struct worker *w = p->worker;
    p->job = job;
    p->state = PROCESS_BUSY;
    p->busy_since = clock_boot_ms();
    /* Where this fails the process is dying, and its pidfd will say so. */
    if (packet_send(p->socket, 0, 0, job->request, w->spec.request_size, job->fds) < 0)
        log_debug("%s: cannot send a request: %m", w->spec.name);
    packet_close(job->fds);
}

static void start_next(struct worker *w)
{
    if (w->queue && !w->current) {
        struct err e;
        if (worker_start(w, &e) < 0) {
            log_error("%s", e.text);
            w->cannot_start = true;
        }
    }
    if (w->queue && w->current && w->current->state == PROCESS_IDLE) start_job(w->current, take_first(w));
    set_timer(w);
}

static msec replace_at(const struct worker *w)
{
    bool waited_for = w->spec.replace_after && w->queue && w->current && w->current->state == PROCESS_BUSY;
    return waited_for && w->abandoned_count < WORKER_ABANDONED_MAX ? w->current->busy_since + w->spec.replace_after
                                                                   : MSEC_NEVER;
}

static msec held_at(const struct worker *w)
{
    return w->lock_taken && !w->held ? w->lock_taken_since + WORKER_HELD_GRACE : MSEC_NEVER;
}

static void set_timer(struct worker *w)
{
    msec at = MIN(MIN(replace_at(w), held_at(w)), w->restart_at);
    loop_timer_set(w->loop, &w->timer, w->cannot_start ? 0 : at);
}

static void abandon_current(struct worker *w)
{
    log_warning("%s (process %d) has been in one call for %lld ms, and is replaced", w->spec.name,
                (int)w->current->pid, (long long)(clock_boot_ms() - w->current->busy_since));
    w->current->next = w->abandoned;
    w->abandoned = w->current;
    w->abandoned_count++;
    w->current = NULL;
}

static void report_held(struct worker *w)
{
    w->held = true;
    log_warning("%s: process %d of an earlier trayd-gadget is still in a call", w->spec.name, (int)w->holder);
    if (!w->spec.held) return; /* the queue waits */
    finish_queue(w, WORKER_CANCELLED);
    w->spec.held(w->spec.owner, w->holder);
}

static void on_timer(struct loop_timer *t, msec now)
{
    struct worker *w = t->owner;
    if (w->cannot_start) {
        w->cannot_start = false;
        finish_queue(w, WORKER_DIED);
    }
    if (held_at(w) <= now) report_held(w);
    if (w->restart_at <= now) {
        struct err e;
        w->restart_at = worker_start(w, &e) < 0 ? now + WORKER_RESTART : MSEC_NEVER;
    }
    if (replace_at(w) <= now) abandon_current(w);
    start_next(w);
}

/* ---- what the header promises ------------------------------------------------------------------------------------ */

struct worker *worker_new(struct loop *l, const struct worker_spec *spec, struct err *e)
{
    struct worker *w = calloc(1, sizeof *w);
    void *answer = calloc(1, spec->answer_size);
    if (!w || !answer) {
        err_set(e, ERR_UNAVAILABLE, "No memory for %s", spec->name);
        free(w);
        free(answer);
        return NULL;
    }
    w->loop = l;
    w->spec = *spec;
    w->answer = answer;
    w->queue_end = &w->queue;
    w->restart_at = MSEC_NEVER;
    loop_timer_init(&w->timer, on_timer, w);
    return w;
}

int worker_start(struct worker *w, struct err *e)
{
    if (!w->current) w->current = spawn(w, e);
    return w->current ? 0 : -1;
}

void worker_submit(struct worker *w, struct worker_job *job)
{
    job->next = NULL;
    *w->queue_end = job;
    w->queue_end = &job->next;
    start_next(w);
}

void worker_cancel(struct worker *w, bool (*which)(const struct worker_job *job, const void *arg), const void *arg)
{
    struct worker_job *cancelled = NULL, **at = &w->queue;
    while (*at) {
        struct worker_job *job = *at;
        if (which(job, arg)) {
            *at = job->next;
            job->next = cancelled;
            cancelled = job;
        } else {
            at = &job->next;
        }
    }
    w->queue_end = at;
    while (cancelled) {
        struct worker_job *job = cancelled;
        cancelled = job->next;
        job->next = NULL;
        finish(job, WORKER_CANCELLED, NULL, NULL);
    }
}

void worker_each_queued(struct worker *w, void (*each)(struct worker_job *job))
{
    for (struct worker_job *job = w->queue; job; job = job->next) each(job);
}

pid_t worker_pid(const struct worker *w)
{
    return w->current ? w->current->pid : 0;
}

static void dismiss(struct process *p)
{
    if (p->job) finish(p->job, WORKER_CANCELLED, NULL, NULL);
    if (p->state != PROCESS_BUSY) pidfd_send_signal(p->pidfd, SIGKILL, NULL, 0);
    process_free(p);
}

void worker_free(struct worker *w)
{
    if (!w) return;
    loop_timer_set(w->loop, &w->timer, MSEC_NEVER);
    finish_queue(w, WORKER_CANCELLED);
    if (w->current) dismiss(w->current);
    while (w->abandoned) {
        struct process *p = w->abandoned;
        w->abandoned = p->next;
        dismiss(p);
    }
    free(w->answer);
    free(w);
}
