/*
 * fake_gadget.h - trayd-gadget as tests play it: one end of its socket, with every word written by the test.
 *
 * Include after cmocka.h. Everything waits at most FAKE_PATIENCE, and fails the test then.
 */
#pragma once

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/json.h"

#define FAKE_PATIENCE 10000 /* ms; a liveness bound */

struct fake_gadget {
    char dir[40], path[80];
    int listening, peer;
};

static inline void fake_listen(struct fake_gadget *g)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", g->path);
    unlink(g->path);
    g->listening = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(g->listening, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(g->listening, 4), 0);
}

static inline void fake_begin(struct fake_gadget *g)
{
    *g = (struct fake_gadget){.listening = -1, .peer = -1};
    strcpy(g->dir, "/tmp/trayd-unit-XXXXXX");
    assert_non_null(mkdtemp(g->dir));
    snprintf(g->path, sizeof g->path, "%s/gadget.sock", g->dir);
    fake_listen(g);
}

static inline void fake_end(struct fake_gadget *g)
{
    if (g->peer >= 0) close(g->peer);
    close(g->listening);
    unlink(g->path);
    rmdir(g->dir);
}

static inline void fake_accept(struct fake_gadget *g)
{
    struct pollfd ready = {.fd = g->listening, .events = POLLIN};
    assert_int_equal(poll(&ready, 1, FAKE_PATIENCE), 1);
    g->peer = accept4(g->listening, NULL, NULL, SOCK_CLOEXEC);
    assert_true(g->peer >= 0);
}

static inline void fake_hang_up(struct fake_gadget *g)
{
    close(g->peer);
    g->peer = -1;
}

static inline void fake_tell(struct fake_gadget *g, const char *text)
{
    assert_int_equal(send(g->peer, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static inline void fake_tell_json(struct fake_gadget *g, json_t *message)
{
    char *text = json_dumps(message, JSON_COMPACT);
    fake_tell(g, text);
    free(text);
    json_decref(message);
}

/* The next request; a new reference. */
static inline json_t *fake_hear(struct fake_gadget *g)
{
    char text[8192];
    struct pollfd ready = {.fd = g->peer, .events = POLLIN};
    assert_int_equal(poll(&ready, 1, FAKE_PATIENCE), 1);
    ssize_t n = recv(g->peer, text, sizeof text, 0);
    assert_true(n > 0);
    json_t *message = json_loadb(text, (size_t)n, 0, NULL);
    assert_non_null(message);
    return message;
}

/* Accepts the client and answers its hello. */
static inline void fake_greet(struct fake_gadget *g, const char *answer)
{
    fake_accept(g);
    json_t *hello = fake_hear(g);
    assert_string_equal(json_text(hello, "do"), "hello");
    json_decref(hello);
    fake_tell(g, answer);
}
