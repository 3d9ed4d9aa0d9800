/*
 * events_stream.c - GET /api/v1/events: the events as a stream without end.
 */
#include "api/handlers.h"
#include "api/system.h"

#define WAIT_MS 1000 /* the transport looks after its own affairs in between (http.h) */

struct events_stream {
    struct api_stream stream; /* first: the transport's pointer is ours */
    struct events_listener *listener;
};

static ssize_t stream_read(struct api_stream *s, char *buf, size_t max)
{
    return events_read(((struct events_stream *)s)->listener, buf, max, WAIT_MS);
}

static void stream_close(struct api_stream *s)
{
    events_unlisten(((struct events_stream *)s)->listener);
    free(s);
}

static void add_event(json_t *events, const char *kind, json_t *data)
{
    json_array_append_new(events, json_pack("{s:s, s:o}", "event", kind, "data", data));
}

/* Where a listener begins who has missed what came before: every drive and the system, as they are. */
static json_t *snapshot(void *owner)
{
    struct api *a = owner;
    size_t i;
    json_t *drive, *events = json_array();
    cleanup_json json_t *drives = gadget_client_connected(a->gadget) ? gadget_client_drives(a->gadget) : NULL;
    json_array_foreach(drives, i, drive) add_event(events, "drive", json_incref(drive));
    add_event(events, "system", system_now(a));
    return events;
}

/* GET /api/v1/events */
void api_stream_events(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    struct err e;
    rs->content_type = "text/event-stream";
    api_header(rs, "Cache-Control", "no-store");
    api_header(rs, "X-Accel-Buffering", "no"); /* nginx would keep the events back otherwise */
    if (rq->method == API_HEAD) return;
    struct events_stream *s = calloc(1, sizeof *s);
    if (!s) {
        api_json(rs, 200, NULL);
        return;
    }
    s->stream = (struct api_stream){stream_read, stream_close};
    s->listener = events_listen(a->events, rq->header(rq, "Last-Event-ID"), snapshot, a, &e);
    if (!s->listener) {
        free(s);
        api_problem(rs, &e);
        return;
    }
    rs->stream = &s->stream;
}
