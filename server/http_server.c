#include "server/http.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "server/http_door.h"
#include "server/http_request.h"
#include "server/http_response.h"

/*
 * A body is handed to us in pieces of half of it at most. Measured with uploads into a sink that discards: 0.19 CPU s
 * per GiB with 32 KiB, 0.15 from 128 KiB on. Half of it is touched for every connection, and all of it is cleared
 * between two requests: with 512 KiB, 32 listeners for events took 9.5 MiB, with 128 KiB they take 3.5.
 */
#define CONNECTION_MEMORY (128 * 1024)
/* Handlers run on it; the deepest are SQLite and jansson, whose parser recurses 2048 deep before it refuses. Only
 * what is used of it is ever touched. */
#define CONNECTION_STACK (1024 * 1024)

static void panic(void *cls attr_unused, const char *file, unsigned line, const char *reason)
{
    log_error("libmicrohttpd cannot go on (%s:%u: %s)", file, line, reason ? reason : "");
    abort(); /* its invariants are broken; drives and images do not depend on this process */
}

static void log_message(void *cls attr_unused, const char *fmt, va_list ap) attr_printf(2, 0);
static void log_message(void *cls attr_unused, const char *fmt, va_list ap)
{
    char text[256];
    vsnprintf(text, sizeof text, fmt, ap);
    text[strcspn(text, "\n")] = '\0';
    log_debug("libmicrohttpd: %s", text);
}

static void connection_notice(void *cls, struct MHD_Connection *mhd, void **context,
                              enum MHD_ConnectionNotificationCode what)
{
    struct http_server *s = cls;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
        *context = info ? http_connections_served(s->connections, info->connect_fd) : NULL;
    } else if (*context) {
        http_connections_remove(s->connections, *context);
        *context = NULL;
    }
}

static void enter(void *owner, int fd, const struct address *peer)
{
    struct http_server *s = owner;
    if (MHD_add_connection(s->daemon, fd, &peer->any, peer->len) != MHD_YES)
        log_debug("libmicrohttpd refused a connection");
}

static intptr_t function(void (*f)(void))
{
    return (intptr_t)f;
}

static int start_daemon(struct http_server *s, struct err *e)
{
    struct MHD_OptionItem options[] = {
        {MHD_OPTION_EXTERNAL_LOGGER, function((void (*)(void))log_message), NULL},
        {MHD_OPTION_NOTIFY_CONNECTION, function((void (*)(void))connection_notice), s},
        {MHD_OPTION_NOTIFY_COMPLETED, function((void (*)(void))http_request_end), s},
        {MHD_OPTION_URI_LOG_CALLBACK, function((void (*)(void))http_request_begin), s},
        {MHD_OPTION_CONNECTION_LIMIT, HTTP_CONNECTIONS_MAX, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, NULL},
        {MHD_OPTION_THREAD_STACK_SIZE, CONNECTION_STACK, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC |
                     MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG;
    MHD_set_panic_func(panic, NULL);
    s->daemon = MHD_start_daemon(flags, 0, NULL, NULL, http_request_run, s, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    return s->daemon ? 0 : err_set(e, ERR_UNAVAILABLE, "libmicrohttpd cannot start");
}

struct http_server *http_server_new(int listen_fd, const struct http_config *c, struct api *a, struct err *e)
{
    struct http_server *s = calloc(1, sizeof *s);
    if (s) {
        s->config = *c;
        s->api = a;
        s->connections = http_connections_new();
        s->out_of_memory = http_response_out_of_memory();
    }
    if (!s || !s->connections || !s->out_of_memory) {
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
    } else if (start_daemon(s, e) == 0) {
        struct http_door_config door = {take_fd(&listen_fd), c->header_timeout, s->connections, s, enter};
        s->door = http_door_open(&door, e);
        if (s->door) return s;
    }
    if (listen_fd >= 0) close(listen_fd);
    http_server_free(s);
    return NULL;
}

void http_server_free(struct http_server *s)
{
    if (!s) return;
    atomic_store(&s->stopping, true);
    http_door_close(s->door);
    if (s->daemon) MHD_stop_daemon(s->daemon);
    if (s->out_of_memory) MHD_destroy_response(s->out_of_memory);
    http_connections_free(s->connections);
    free(s);
}
