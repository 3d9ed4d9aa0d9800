/* The life of a worker: answers, descriptors, hanging, death, and a lock that somebody else holds. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gadget/priority.h"
#include "gadget/worker.h"

#define LIVENESS 10000 /* ms; nothing here takes a tenth of a second */
#define JOBS_MAX 16

enum ask { ASK_DOUBLE, ASK_HANG, ASK_PID, ASK_FD, ASK_POLICY, ASK_DIE };

struct ask_job {
    struct worker_job job;
    struct request {
        enum ask ask;
        int number;
    } request;
    struct test *test;
};

struct outcome {
    enum worker_end end;
    int number, fd_text;
};

struct test {
    struct loop *loop;
    struct worker *worker;
    struct worker_spec spec;
    struct loop_timer limit;
    struct ask_job jobs[JOBS_MAX];
    size_t submitted, wanted, held, released;
    struct outcome outcomes[JOBS_MAX];
    size_t ended;
    bool first; /* of the next worker that is made */
    pid_t holder;
    int hang[2]; /* whoever reads here hangs until something is written */
    char lock_path[64];
};

/* In the child. */
static void serve(const void *context, const void *request, int fds[PACKET_FDS_MAX], void *answer,
                  int ret_fds[PACKET_FDS_MAX])
{
    (void)context;
    const struct request *r = request;
    char c = 0;
    int *number = answer;
    *number = r->number * 2;
    switch (r->ask) {
    case ASK_DOUBLE: break;
    case ASK_HANG: *number = read(fds[0], &c, 1) == 1 ? c : -1; break;
    case ASK_PID: *number = getpid(); break;
    case ASK_FD: /* what comes as the second goes back as the first */
        ret_fds[0] = fds[1];
        fds[1] = -1;
        *number = fds[0];
        break;
    case ASK_POLICY: *number = sched_getscheduler(0) & ~SCHED_RESET_ON_FORK; break;
    case ASK_DIE: raise(SIGKILL); break;
    }
}

static void enough(struct test *t)
{
    if (t->wanted && t->ended + t->held + t->released >= t->wanted) loop_stop(t->loop);
}

static void done(struct worker_job *job, enum worker_end end, const void *answer, int fds[PACKET_FDS_MAX])
{
    struct test *t = ((struct ask_job *)job)->test;
    struct outcome *o = &t->outcomes[t->ended++];
    char c = 0;
    o->end = end;
    if (answer) o->number = *(const int *)answer;
    if (fds[0] >= 0 && read(fds[0], &c, 1) == 1) o->fd_text = c;
    enough(t);
}

static void on_held(void *owner, pid_t by)
{
    struct test *t = owner;
    t->held++;
    t->holder = by;
    enough(t);
}

static void on_released(void *owner)
{
    struct test *t = owner;
    t->released++;
    enough(t);
}

static void too_long(struct loop_timer *limit, msec now)
{
    (void)now;
    loop_stop(((struct test *)limit->owner)->loop);
    fail_msg("nothing happened for %d ms", LIVENESS);
}

/* Until so many jobs have ended, and held and released were told so often, all in all. */
static void run_until(struct test *t, size_t wanted)
{
    if (t->ended + t->held + t->released >= wanted) return;
    t->wanted = wanted;
    loop_timer_set(t->loop, &t->limit, clock_boot_ms() + LIVENESS);
    assert_int_equal(loop_run(t->loop), 0);
    loop_timer_set(t->loop, &t->limit, MSEC_NEVER);
    t->wanted = 0;
}

static void submit(struct test *t, enum ask ask, int number, int fd0, int fd1)
{
    struct ask_job *j = &t->jobs[t->submitted++];
    *j = (struct ask_job){.job = {.request = &j->request, .fds = {fd0, fd1}, .done = done},
                          .request = {.ask = ask, .number = number},
                          .test = t};
    worker_submit(t->worker, &j->job);
}

static void submit_hang(struct test *t)
{
    submit(t, ASK_HANG, 0, fcntl(t->hang[0], F_DUPFD_CLOEXEC, 0), -1);
}

static void let_go(struct test *t, char c)
{
    assert_int_equal(write(t->hang[1], &c, 1), 1);
}

static void make_worker(struct test *t, bool lock, msec replace_after)
{
    t->spec = (struct worker_spec){.name = "test worker",
                                   .lock_path = lock ? t->lock_path : NULL,
                                   .request_size = sizeof(struct request),
                                   .answer_size = sizeof(int),
                                   .serve = serve,
                                   .first = t->first,
                                   .replace_after = replace_after,
                                   .owner = t,
                                   .held = on_held,
                                   .released = on_released};
    struct err e;
    t->worker = worker_new(t->loop, &t->spec, &e);
    assert_non_null(t->worker);
}

static int setup(void **state)
{
    struct test *t = calloc(1, sizeof *t);
    if (!t) return -1;
    struct err e;
    t->loop = loop_new(&e);
    loop_timer_init(&t->limit, too_long, t);
    snprintf(t->lock_path, sizeof t->lock_path, "/tmp/test-worker-%d.lock", (int)getpid());
    *state = t;
    return pipe2(t->hang, O_CLOEXEC);
}

static int teardown(void **state)
{
    struct test *t = *state;
    worker_free(t->worker);
    loop_free(t->loop);
    close(t->hang[0]);
    close(t->hang[1]);
    unlink(t->lock_path);
    free(t);
    return 0;
}

static void answers_come_in_order(void **state)
{
    struct test *t = *state;
    make_worker(t, true, 0);
    for (int i = 0; i < 5; i++) submit(t, ASK_DOUBLE, i, -1, -1);
    assert_int_equal(t->ended, 0); /* never from inside worker_submit() */
    run_until(t, 5);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(t->outcomes[i].end, WORKER_ANSWERED);
        assert_int_equal(t->outcomes[i].number, 2 * i);
    }
    submit(t, ASK_PID, 0, -1, -1);
    run_until(t, 6);
    assert_int_equal(t->outcomes[5].number, worker_pid(t->worker));
    char text[16] = "";
    int fd = open(t->lock_path, O_RDONLY);
    assert_true(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    assert_int_equal(atoi(text), worker_pid(t->worker));
}

static void descriptors_travel(void **state)
{
    struct test *t = *state;
    make_worker(t, false, 0);
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    submit(t, ASK_FD, 0, -1, ends[0]);
    assert_int_equal(write(ends[1], "x", 1), 1);
    run_until(t, 1);
    assert_int_equal(t->outcomes[0].fd_text, 'x');
    assert_int_equal(t->outcomes[0].number, -1); /* the place that was empty */
    /* Ours was closed once it was sent, the child's when it had answered, the returned one after done(). */
    submit(t, ASK_DOUBLE, 0, -1, -1);
    run_until(t, 2);
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(write(ends[1], "x", 1), -1);
    assert_int_equal(errno, EPIPE);
    close(ends[1]);
}

static void a_worker_that_dies_is_replaced(void **state)
{
    struct test *t = *state;
    make_worker(t, true, 0);
    submit(t, ASK_DIE, 0, -1, -1);
    submit(t, ASK_DOUBLE, 21, -1, -1);
    run_until(t, 2);
    assert_int_equal(t->outcomes[0].end, WORKER_DIED);
    assert_int_equal(t->outcomes[1].end, WORKER_ANSWERED);
    assert_int_equal(t->outcomes[1].number, 42);
    kill(worker_pid(t->worker), SIGKILL);
    submit(t, ASK_DOUBLE, 4, -1, -1);
    run_until(t, 3); /* served, or died over it, as the parent heard of the death before or after */
    submit(t, ASK_DOUBLE, 5, -1, -1);
    run_until(t, 4);
    assert_int_equal(t->outcomes[3].end, WORKER_ANSWERED);
    assert_int_equal(t->held, 0);
}

static void a_worker_that_hangs_holds_its_queue(void **state)
{
    struct test *t = *state;
    make_worker(t, true, 0);
    submit_hang(t);
    submit(t, ASK_DOUBLE, 1, -1, -1);
    let_go(t, 7);
    run_until(t, 2);
    assert_int_equal(t->outcomes[0].number, 7);
    assert_int_equal(t->outcomes[1].number, 2);
}

static void a_worker_that_may_be_is_replaced(void **state)
{
    struct test *t = *state;
    make_worker(t, false, 50);
    submit_hang(t);
    submit(t, ASK_DOUBLE, 1, -1, -1);
    run_until(t, 1);
    assert_int_equal(t->outcomes[0].number, 2); /* the second, beside the first */
    let_go(t, 9);
    run_until(t, 2);
    assert_int_equal(t->outcomes[1].end, WORKER_ANSWERED); /* late */
    assert_int_equal(t->outcomes[1].number, 9);
    submit(t, ASK_DOUBLE, 3, -1, -1);
    run_until(t, 3);
    assert_int_equal(t->outcomes[2].number, 6);
}

static size_t children_of_ours(void)
{
    char path[64], text[256] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    size_t count = 0;
    for (ssize_t i = 0; i < n; i++) count += text[i] == ' ';
    return count;
}

static void stop_loop(struct loop_timer *timer, msec now)
{
    (void)now;
    loop_stop(timer->owner);
}

static void run_for(struct test *t, msec ms)
{
    struct loop_timer timer;
    loop_timer_init(&timer, stop_loop, t->loop);
    loop_timer_set(t->loop, &timer, clock_boot_ms() + ms);
    assert_int_equal(loop_run(t->loop), 0);
}

static void hanging_ones_do_not_pile_up(void **state)
{
    struct test *t = *state;
    size_t before = children_of_ours();
    make_worker(t, false, 10);
    for (int i = 0; i < WORKER_ABANDONED_MAX + 3; i++) submit_hang(t);
    for (msec end = clock_boot_ms() + LIVENESS; children_of_ours() - before <= WORKER_ABANDONED_MAX;) {
        assert_true(clock_boot_ms() < end);
        run_for(t, 10);
    }
    run_for(t, 100); /* time for more, if there were more */
    assert_int_equal(t->ended, 0);
    assert_int_equal(children_of_ours() - before, WORKER_ABANDONED_MAX + 1);
    for (int i = 0; i < WORKER_ABANDONED_MAX + 3; i++) let_go(t, 'x');
    run_until(t, WORKER_ABANDONED_MAX + 3); /* the rest comes to its turn */
}

static bool is_hang(const struct worker_job *job, const void *arg)
{
    (void)arg;
    return ((const struct ask_job *)job)->request.ask == ASK_HANG;
}

static void queued_jobs_can_be_cancelled(void **state)
{
    struct test *t = *state;
    make_worker(t, true, 0);
    submit_hang(t);
    submit(t, ASK_DOUBLE, 1, -1, -1);
    submit_hang(t);
    submit(t, ASK_DOUBLE, 2, -1, -1);
    submit_hang(t);
    worker_cancel(t->worker, is_hang, NULL); /* none has started before the process is ready */
    assert_int_equal(t->ended, 3);
    for (int i = 0; i < 3; i++) assert_int_equal(t->outcomes[i].end, WORKER_CANCELLED);
    submit(t, ASK_DOUBLE, 3, -1, -1);
    run_until(t, 6);
    for (int i = 3; i < 6; i++) assert_int_equal(t->outcomes[i].number, 2 * (i - 2));
}

static void double_more(struct worker_job *job)
{
    ((struct ask_job *)job)->request.number += 10;
}

static void queued_jobs_can_be_changed(void **state)
{
    struct test *t = *state;
    make_worker(t, true, 0);
    submit(t, ASK_DOUBLE, 1, -1, -1);
    submit(t, ASK_DOUBLE, 2, -1, -1);
    worker_each_queued(t->worker, double_more); /* none has started before the process is ready */
    submit(t, ASK_DOUBLE, 3, -1, -1);
    run_until(t, 3);
    static const int doubled[] = {22, 24, 6};
    for (int i = 0; i < 3; i++) assert_int_equal(t->outcomes[i].number, doubled[i]);
}

/* Somebody else who has the lock, until he is killed. */
static pid_t hold_lock(const char *path)
{
    int ready[2];
    char c;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char text[16];
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), n = snprintf(text, sizeof text, "%d\n", (int)getpid());
        if (flock(fd, LOCK_EX) < 0 || write(fd, text, (size_t)n) != n || write(ready[1], "", 1) != 1) _exit(1);
        pause();
        _exit(0);
    }
    assert_int_equal(read(ready[0], &c, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

static void a_lock_that_is_held_is_told(void **state)
{
    struct test *t = *state;
    pid_t holder = hold_lock(t->lock_path);
    make_worker(t, true, 0);
    submit(t, ASK_DOUBLE, 1, -1, -1);
    run_until(t, 2);
    assert_int_equal(t->held, 1);
    assert_int_equal(t->holder, holder);
    assert_int_equal(t->outcomes[0].end, WORKER_CANCELLED); /* not done later, when nobody wants it any more */
    kill(holder, SIGKILL);
    waitpid(holder, NULL, 0);
    run_until(t, 3);
    assert_int_equal(t->released, 1);
    submit(t, ASK_DOUBLE, 8, -1, -1);
    run_until(t, 4);
    assert_int_equal(t->outcomes[1].number, 16);
}

static void a_lock_that_comes_free_soon_is_not_told(void **state)
{
    struct test *t = *state;
    pid_t holder = hold_lock(t->lock_path);
    make_worker(t, true, 0);
    submit(t, ASK_DOUBLE, 1, -1, -1);
    kill(holder, SIGKILL);
    waitpid(holder, NULL, 0);
    run_until(t, 1);
    assert_int_equal(t->held, 0);
    assert_int_equal(t->outcomes[0].number, 2);
}

static void a_worker_dies_with_its_parent(void **state)
{
    struct test *t = *state;
    int told[2];
    assert_int_equal(pipe2(told, O_CLOEXEC), 0);
    pid_t daemon = fork();
    if (daemon == 0) {
        make_worker(t, true, 0);
        submit(t, ASK_PID, 0, -1, -1);
        run_until(t, 1);
        _exit(write(told[1], &t->outcomes[0].number, sizeof(int)) == sizeof(int) && pause() ? 0 : 1);
    }
    pid_t worker = 0;
    assert_int_equal(read(told[0], &worker, sizeof worker), sizeof worker);
    assert_int_equal(kill(worker, 0), 0);
    kill(daemon, SIGKILL);
    waitpid(daemon, NULL, 0);
    close(told[0]);
    close(told[1]);
    make_worker(t, true, 0); /* the old worker is killed by its parent's death */
    submit(t, ASK_DOUBLE, 1, -1, -1);
    run_until(t, 1);
    assert_int_equal(t->outcomes[0].number, 2);
    assert_int_equal(t->held, 0);
}

static void a_lock_that_cannot_be_had_fails_the_queue(void **state)
{
    struct test *t = *state;
    snprintf(t->lock_path, sizeof t->lock_path, "/nonexistent/lock");
    make_worker(t, true, 0);
    submit(t, ASK_DOUBLE, 1, -1, -1);
    submit(t, ASK_DOUBLE, 2, -1, -1);
    run_until(t, 2);
    for (int i = 0; i < 2; i++) assert_int_equal(t->outcomes[i].end, WORKER_DIED);
}

static void free_waits_for_nobody(void **state)
{
    struct test *t = *state;
    make_worker(t, true, 0);
    submit(t, ASK_PID, 0, -1, -1);
    run_until(t, 1);
    pid_t pid = worker_pid(t->worker);
    submit_hang(t);
    submit(t, ASK_DOUBLE, 1, -1, -1);
    worker_free(t->worker);
    t->worker = NULL;
    assert_int_equal(t->ended, 3);
    assert_int_equal(t->outcomes[1].end, WORKER_CANCELLED);
    assert_int_equal(t->outcomes[2].end, WORKER_CANCELLED);
    let_go(t, 1); /* what it does is finished, and then it goes */
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
}

/* An unmount or a modprobe of a worker's is no reason to let others wait. */
static void only_who_says_so_goes_first(void **state)
{
    struct test *t = *state;
    priority_first();
    if (sched_getscheduler(0) != (SCHED_RR | SCHED_RESET_ON_FORK)) skip(); /* without CAP_SYS_NICE */
    for (int first = 0; first < 2; first++) {
        t->first = first;
        make_worker(t, true, 0);
        submit(t, ASK_POLICY, 0, -1, -1);
        run_until(t, (size_t)first + 1);
        worker_free(t->worker);
        t->worker = NULL;
    }
    sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0});
    assert_int_equal(t->outcomes[0].number, SCHED_OTHER);
    assert_int_equal(t->outcomes[1].number, SCHED_RR);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(answers_come_in_order),
        TEST(descriptors_travel),
        TEST(a_worker_that_dies_is_replaced),
        TEST(a_worker_that_hangs_holds_its_queue),
        TEST(a_worker_that_may_be_is_replaced),
        TEST(hanging_ones_do_not_pile_up),
        TEST(queued_jobs_can_be_cancelled),
        TEST(queued_jobs_can_be_changed),
        TEST(a_lock_that_is_held_is_told),
        TEST(a_lock_that_comes_free_soon_is_not_told),
        TEST(a_worker_dies_with_its_parent),
        TEST(a_lock_that_cannot_be_had_fails_the_queue),
        TEST(free_waits_for_nobody),
        TEST(only_who_says_so_goes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
