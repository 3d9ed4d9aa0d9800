/*
 * eject_tool.c - ejects in three ways, each timed over the same interval: from just before the order is given until the
 * drive was read back empty. Runs in the guest of tests/bench.
 *
 *   eject_tool trayd SOCKET REQUEST          the request (gadget/protocol.md) to trayd-gadget, until its operation has ended
 *   eject_tool bare LUN [NEXT]               "1" to forced_eject
 *   eject_tool signal LUN PID TRIES [NEXT]   SIGUSR1 to the function's thread, then "\n" to file, up to TRIES times, every
 *                                            0.5 ms while that is refused
 *
 * LUN is a directory in configfs. NEXT is an image that is put in at once. Prints one JSON object: "began_us" (on
 * CLOCK_MONOTONIC), "us" (the interval), "result" ("done", or why not), and "next" and "ms" (the interval between two
 * readings of CLOCK_REALTIME in whole milliseconds, as an operation's accepted_at and emptied_at are) or "operation". With trayd the
 * interval holds more than with the others: the way of the request to the daemon, and that of the answer back. Exits 0
 * when a result was printed.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "gadget/client.h"

#define ASK_EVERY_US 500     /* as the tools that repeat it do; trayd-gadget's own (gadget/lun.c) */
#define REQUEST_ID 1
#define HELLO_ID 2
#define ANSWER_TIMEOUT_S 120 /* longer than any request of the bench takes; then it failed */

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t real_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int fail(const char *what)
{
    fprintf(stderr, "eject_tool: %s: %s\n", what, strerror(errno));
    return 1;
}

static int report(int64_t began, int64_t ended, const char *result, json_t *more)
{
    cleanup_json json_t *o = json_object();
    json_put_int(o, "began_us", began);
    json_put_int(o, "us", ended - began);
    json_put_text(o, "result", result);
    if (more) json_object_update(o, more);
    json_decref(more);
    cleanup_free char *text = json_write(o, false);
    if (!text) return 1;
    puts(text);
    return 0;
}

/* ---- by hand ----------------------------------------------------------------------------------------------------- */

/* 0, or the errno. */
static int put(const char *lun, const char *attribute, const char *value)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", lun, attribute);
    cleanup_close int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    return fd < 0 || write(fd, value, strlen(value)) < 0 ? errno : 0;
}

static bool is_empty(const char *lun)
{
    char path[512], line[512];
    snprintf(path, sizeof path, "%s/file", lun);
    return fd_read_line(path, line, sizeof line) == 0;
}

static const char *name_of(int errnum)
{
    return errnum ? strerrorname_np(errnum) : "done";
}

static int by_hand(const char *lun, pid_t thread, int tries, const char *next)
{
    int64_t began_real = real_ms(), began = now_us();
    int errnum;
    if (thread == 0) {
        errnum = put(lun, "forced_eject", "1");
    } else {
        if (kill(thread, SIGUSR1) < 0) return fail("the thread");
        while ((errnum = put(lun, "file", "\n")) == EBUSY && --tries > 0) usleep(ASK_EVERY_US);
    }
    bool empty = is_empty(lun);
    int64_t ended = now_us(), ended_real = real_ms();
    json_t *inserted = next ? json_string(name_of(put(lun, "file", next))) : NULL;
    json_t *more = json_pack("{s:o*, s:I}", "next", inserted, "ms", (json_int_t)(ended_real - began_real));
    return report(began, ended, errnum ? name_of(errnum) : empty ? "done" : "loaded", more);
}

/* ---- by trayd ---------------------------------------------------------------------------------------------------- */

static int connect_to(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    struct timeval timeout = {.tv_sec = ANSWER_TIMEOUT_S};
    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    cleanup_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) < 0) return -1;
    return connect(fd, (struct sockaddr *)&to, sizeof to) < 0 ? -1 : take_fd(&fd);
}

/* The next message; NULL when there is none. */
static json_t *receive(int fd)
{
    static char packet[GADGET_MESSAGE_MAX];
    ssize_t got = recv(fd, packet, sizeof packet, 0);
    return got > 0 ? json_loadb(packet, (size_t)got, 0, NULL) : NULL;
}

static json_t *answer_to(int fd, int id)
{
    for (;;) {
        json_t *m = receive(fd);
        if (!m || json_int(m, "id", 0) == id) return m;
        json_decref(m);
    }
}

/* The operation as it ended: the event that tells so. */
static json_t *wait_for_end(int fd, const char *id)
{
    for (;;) {
        cleanup_json json_t *m = receive(fd);
        if (!m) return NULL;
        json_t *op = json_object_get(m, "operation");
        if (strcmp(json_text(op, "id"), id) == 0 && *json_text(op, "finished_at")) return json_incref(op);
    }
}

static int by_trayd(const char *socket_path, const char *request)
{
    cleanup_close int fd = connect_to(socket_path);
    if (fd < 0) return fail(socket_path);
    cleanup_json json_t *m = json_loads(request, 0, NULL);
    json_object_set_new(m, "id", json_integer(REQUEST_ID));
    cleanup_free char *text = json_write(m, false);
    const char hello[] = "{\"id\": 2, \"do\": \"hello\"}";
    if (!text || send(fd, hello, strlen(hello), 0) < 0) return fail("hello");
    cleanup_json json_t *greeting = answer_to(fd, HELLO_ID);
    if (!greeting) return fail("hello");

    int64_t began = now_us();
    if (send(fd, text, strlen(text), 0) < 0) return fail("the request");
    cleanup_json json_t *answer = answer_to(fd, REQUEST_ID);
    if (!answer) return fail("the answer");
    const json_t *accepted = json_object_get(json_object_get(answer, "ok"), "operation");
    if (!json_is_object(accepted)) return report(began, now_us(), json_text(json_object_get(answer, "error"), "code"), NULL);
    json_t *op = wait_for_end(fd, json_text(accepted, "id"));
    int64_t ended = now_us();
    if (!op) return fail("the end of the operation");
    const char *code = json_text(op, "code");
    return report(began, ended, *code ? code : json_text(op, "state"), json_pack("{s:o}", "operation", op));
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "trayd") == 0) return by_trayd(argv[2], argv[3]);
    if ((argc == 3 || argc == 4) && strcmp(argv[1], "bare") == 0) return by_hand(argv[2], 0, 1, argv[3]);
    if ((argc == 5 || argc == 6) && strcmp(argv[1], "signal") == 0)
        return by_hand(argv[2], (pid_t)atoi(argv[3]), atoi(argv[4]), argv[5]);
    fputs("usage: eject_tool trayd SOCKET REQUEST | bare LUN [NEXT] | signal LUN PID TRIES [NEXT]\n", stderr);
    return 2;
}
