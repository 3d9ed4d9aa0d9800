/*
 * daemon_fixture.h - trayd-gadget's inside in this process, on the simulation: one loop, a directory of its own, two
 * drives (cd0, usb0) and a store with a.iso, b.iso (CDs) and d.img, e.img (disks).
 *
 * Include after cmocka.h. Everything waits at most FIXTURE_PATIENCE, and fails the test then.
 */
#pragma once

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/fd.h"
#include "base/log.h"
#include "gadget/daemon.h"
#include "gadget/request.h"
#include "gadget/state_file.h"

#define FIXTURE_PATIENCE 10000 /* ms; a liveness bound */
#define FIXTURE_PATH_MAX 108   /* of a socket */
#define FIXTURE_HOLD 30        /* ms; less than the configuration accepts: no real host is there to notice */
#define CD0 0
#define USB0 1

struct fixture {
    char dir[40];
    struct gadget_config config;
    struct loop *loop;
    struct daemon *daemon;
};

static inline const char *fixture_path(const struct fixture *f, const char *name, char path[FIXTURE_PATH_MAX])
{
    snprintf(path, FIXTURE_PATH_MAX, "%s/%s", f->dir, name);
    return path;
}

static inline void fixture_image(const struct fixture *f, const char *name, off_t size)
{
    char path[FIXTURE_PATH_MAX], below[64];
    snprintf(below, sizeof below, "images/%s", name);
    int fd = open(fixture_path(f, below, path), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, size), 0);
    close(fd);
}

/* `gadget` and `drive` are further keys of those sections of the configuration. */
static inline struct fixture *fixture_new(const char *gadget, const char *drive)
{
    struct fixture *f = calloc(1, sizeof *f);
    char path[FIXTURE_PATH_MAX], text[1024];
    struct err e = {0};
    assert_non_null(f);
    log_init("test", LOG_LEVEL_ERROR);
    strcpy(f->dir, "/tmp/trayd-unit-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(mkdir(fixture_path(f, "images", path), 0755), 0);
    int n = snprintf(text, sizeof text,
                     "gadget = { socket = \"%s/g.sock\"; runtime_dir = \"%s\"; state_dir = \"%s/state\"; %s };\n"
                     "stores = ( { name = \"main\"; path = \"%s/images\"; } );\n"
                     "drives = ( { name = \"cd0\"; type = \"cdrom\"; dwell = \"0 s\"; quiet = \"0 s\"; %s },\n"
                     "           { name = \"usb0\"; type = \"disk\"; dwell = \"0 s\"; quiet = \"0 s\"; %s } );\n",
                     f->dir, f->dir, f->dir, gadget, f->dir, drive, drive);
    assert_int_equal(fd_replace_file(fixture_path(f, "trayd.conf", path), text, (size_t)n, false, &e), 0);
    if (gadget_config_load(path, &f->config, &e) < 0) fail_msg("%s", e.text);
    f->config.reattach_hold = FIXTURE_HOLD;
    fixture_image(f, "a.iso", 1 << 20);
    fixture_image(f, "b.iso", 1 << 20);
    fixture_image(f, "d.img", 1 << 20);
    fixture_image(f, "e.img", 1 << 20);
    return f;
}

/* From the next start on the simulated kernel outlives the daemon. */
static inline void fixture_keep_kernel(const struct fixture *f)
{
    char path[FIXTURE_PATH_MAX];
    int fd = open(fixture_path(f, "host.sock.kernel", path), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    close(fd);
}

/* A daemon begins; what it finds of an earlier one has been read, and nothing was done yet. */
static inline struct daemon *fixture_start(struct fixture *f)
{
    char path[FIXTURE_PATH_MAX];
    struct err e = {0};
    f->loop = loop_new(&e);
    assert_non_null(f->loop);
    f->daemon = daemon_new(&f->config, f->loop, fixture_path(f, "host.sock", path), &e);
    if (!f->daemon) fail_msg("%s", e.text);
    return f->daemon;
}

static inline void fixture_run_for(struct fixture *f, msec ms);

/* What is being written at that moment would come into a directory that is being removed. */
static inline void fixture_stop(struct fixture *f)
{
    if (!f->daemon) return;
    for (msec give_up = clock_boot_ms() + FIXTURE_PATIENCE; !durable_is_saved(f->daemon->kept.file) && clock_boot_ms() < give_up;)
        fixture_run_for(f, 2);
    daemon_free(f->daemon);
    loop_free(f->loop);
    f->daemon = NULL;
    f->loop = NULL;
}

/* The state file as it is now; the caller's. */
static inline char *fixture_state(const struct fixture *f)
{
    const size_t max = 1 << 20;
    char path[FIXTURE_PATH_MAX], *text = malloc(max);
    assert_non_null(text);
    assert_true(fd_read_text(fixture_path(f, "gadget.state", path), text, max) > 0);
    return text;
}

/* Killed when the state file was `state`, which it takes, and begun again: the next one has done nothing yet. */
static inline void fixture_killed_at(struct fixture *f, char *state)
{
    char path[FIXTURE_PATH_MAX];
    struct err e;
    fixture_stop(f);
    assert_int_equal(fd_replace_file(fixture_path(f, "gadget.state", path), state, strlen(state), false, &e), 0);
    free(state);
    fixture_start(f);
}

static inline void fixture_kill(struct fixture *f)
{
    fixture_killed_at(f, fixture_state(f));
}

static inline void fixture_free(struct fixture *f)
{
    static const char *const files[] = {"images/a.iso", "images/b.iso", "images/d.img", "images/e.img", "images", "trayd.conf",
                                        "gadget.state", "gadget.state.new", "state/kept.json", "state/kept.json.new",
                                        "state/kept.json.broken", "state/kept.json.broken.2", "state", "host.sock.kernel"};
    char path[FIXTURE_PATH_MAX];
    fixture_stop(f);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) remove(fixture_path(f, files[i], path));
    assert_int_equal(rmdir(f->dir), 0);
    free(f);
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

static inline void fixture_tick(struct loop_timer *t, attr_unused msec now)
{
    loop_stop(t->owner);
}

static inline void fixture_run_for(struct fixture *f, msec ms)
{
    struct loop_timer t;
    loop_timer_init(&t, fixture_tick, f->loop);
    loop_timer_set(f->loop, &t, clock_boot_ms() + ms);
    assert_int_equal(loop_run(f->loop), 0);
}

/* until(f, CONDITION): runs the loop until the expression is true. */
#define until(f, condition)                                                                                       \
    do {                                                                                                          \
        msec until_end = clock_boot_ms() + FIXTURE_PATIENCE;                                                      \
        while (!(condition)) {                                                                                    \
            if (clock_boot_ms() > until_end) fail_msg("never: %s", #condition);                                   \
            fixture_run_for(f, 2);                                                                                \
        }                                                                                                         \
    } while (0)

static inline void fixture_ready(struct fixture *f)
{
    fixture_start(f);
    until(f, f->daemon->started && f->daemon->link.configured && f->daemon->units[CD0].machine.observed &&
                 f->daemon->units[USB0].machine.observed && f->daemon->kept.loaded);
}

/* The simulated host (docs/simulation.md). */
static inline void fixture_host_says(struct fixture *f, const char *command, char *answer, size_t size)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    memset(answer, 0, size);
    fixture_path(f, "host.sock", a.sun_path);
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(send(fd, command, strlen(command), MSG_NOSIGNAL), (ssize_t)strlen(command));
    until(f, recv(fd, answer, size - 1, MSG_DONTWAIT) > 0);
    if (strncmp(answer, "ok", 2) != 0) fail_msg("%s: %s", command, answer);
}

static inline void fixture_host(struct fixture *f, const char *command)
{
    char answer[256];
    fixture_host_says(f, command, answer, sizeof answer);
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

/* As it comes over the socket. NULL, with *e, where it is refused. */
static inline struct operation *fixture_ask(struct fixture *f, struct err *e, const char *json)
{
    struct gadget_request rq;
    struct operation *op = NULL;
    cleanup_json json_t *message = json_loads(json, 0, NULL);
    assert_non_null(message);
    *e = (struct err){0};
    if (gadget_request_read(f->daemon, message, &rq, e) < 0) return NULL;
    return daemon_submit(f->daemon, rq.drive, &rq.rq, rq.by, &op, e) < 0 ? NULL : op;
}

static inline struct operation *fixture_begin(struct fixture *f, const char *json)
{
    struct err e;
    struct operation *op = fixture_ask(f, &e, json);
    if (!op) fail_msg("%s: %s", json, e.text);
    return op;
}

static inline struct operation *fixture_do(struct fixture *f, const char *json)
{
    struct operation *op = fixture_begin(f, json);
    until(f, operation_is_finished(op));
    return op;
}

#define INSERT(drive, image, more) "{\"id\": 1, \"do\": \"insert\", \"drive\": \"" drive "\", \"image\": \"" image "\"" more "}"
#define EJECT(drive, more) "{\"id\": 1, \"do\": \"eject\", \"drive\": \"" drive "\"" more "}"
