/*
 * events.c - the ring of the newest events, and its listeners.
 *
 * Event n lies in slot n % EVENTS_KEPT. The ring holds the events [oldest, next). A listener knows the number of the
 * event that it wants next; that is all there is between them, so that a slow listener costs nothing but its own
 * place: when the ring has passed it by, it gets a snapshot and goes on from there.
 *
 * A snapshot is taken after the listener's place in the ring was set. What happens meanwhile is in both, and comes a
 * second time: an event is the state of a thing, so that does no harm, whereas a gap would.
 */
#include "api/events.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/cond.h"

struct event {
    char *text; /* as it goes out, with id */
    size_t len;
};

struct events {
    pthread_mutex_t lock;
    pthread_cond_t news;
    struct event ring[EVENTS_KEPT];
    uint64_t oldest, next;
    size_t bytes;
    unsigned boot;
    int listeners;
    bool stopped;
};

struct events_listener {
    struct events *ev;
    uint64_t wants;
    bool snapshot_due;
    json_t *(*snapshot)(void *owner);
    void *owner;
    char *piece; /* what is being sent, */
    size_t piece_len, piece_sent;
    msec last_sent;
};

struct events *events_new(void)
{
    struct events *ev = calloc(1, sizeof *ev);
    if (!ev) return NULL;
    pthread_mutex_init(&ev->lock, NULL);
    cond_init(&ev->news);
    if (getrandom(&ev->boot, sizeof ev->boot, GRND_NONBLOCK) != sizeof ev->boot) ev->boot = (unsigned)clock_real_ms();
    ev->oldest = ev->next = 1;
    return ev;
}

static void drop_oldest(struct events *ev)
{
    struct event *old = &ev->ring[ev->oldest++ % EVENTS_KEPT];
    ev->bytes -= old->len;
    free(old->text);
    *old = (struct event){0};
}

void events_free(struct events *ev)
{
    if (!ev) return;
    while (ev->oldest < ev->next) drop_oldest(ev);
    pthread_cond_destroy(&ev->news);
    pthread_mutex_destroy(&ev->lock);
    free(ev);
}

void events_publish(struct events *ev, const char *kind, const json_t *data)
{
    cleanup_free char *json = json_write(data, false);
    if (!json) return; /* out of memory: the next event of this thing carries its state again */
    pthread_mutex_lock(&ev->lock);
    struct event now;
    int len = asprintf(&now.text, "id: %08x-%llu\nevent: %s\ndata: %s\n\n", ev->boot, (unsigned long long)ev->next,
                       kind, json);
    if (len >= 0) {
        now.len = (size_t)len;
        while (ev->oldest < ev->next &&
               (ev->next - ev->oldest == EVENTS_KEPT || ev->bytes + now.len > EVENTS_BYTES_KEPT))
            drop_oldest(ev);
        ev->ring[ev->next++ % EVENTS_KEPT] = now;
        ev->bytes += now.len;
        pthread_cond_broadcast(&ev->news);
    }
    pthread_mutex_unlock(&ev->lock);
}

void events_stop(struct events *ev)
{
    pthread_mutex_lock(&ev->lock);
    ev->stopped = true;
    pthread_cond_broadcast(&ev->news);
    pthread_mutex_unlock(&ev->lock);
}

/* Where a listener with this Last-Event-ID goes on; false where that is not known any more. */
static bool resume(const struct events *ev, const char *last_event_id, uint64_t *ret_wants)
{
    unsigned boot;
    unsigned long long number;
    int used = 0;
    if (!last_event_id || sscanf(last_event_id, "%8x-%llu%n", &boot, &number, &used) != 2 || last_event_id[used])
        return false;
    if (boot != ev->boot || number >= ev->next || number + 1 < ev->oldest) return false;
    *ret_wants = number + 1;
    return true;
}

struct events_listener *events_listen(struct events *ev, const char *last_event_id, json_t *(*snapshot)(void *owner),
                                      void *owner, struct err *e)
{
    struct events_listener *l = calloc(1, sizeof *l);
    char *greeting = strdup("retry: 2000\n\n");
    if (!l || !greeting) {
        free(l);
        free(greeting);
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        return NULL;
    }
    *l = (struct events_listener){.ev = ev, .snapshot = snapshot, .owner = owner, .piece = greeting,
                                  .piece_len = strlen(greeting), .last_sent = clock_boot_ms()};
    pthread_mutex_lock(&ev->lock);
    bool full = ev->listeners == EVENTS_LISTENERS_MAX;
    if (!full) ev->listeners++;
    l->snapshot_due = !resume(ev, last_event_id, &l->wants);
    pthread_mutex_unlock(&ev->lock);
    if (full) {
        err_set(e, ERR_TOO_MANY_REQUESTS, "There are %d listeners already", EVENTS_LISTENERS_MAX);
        free(l->piece);
        free(l);
        return NULL;
    }
    return l;
}

void events_unlisten(struct events_listener *l)
{
    if (!l) return;
    pthread_mutex_lock(&l->ev->lock);
    l->ev->listeners--;
    pthread_mutex_unlock(&l->ev->lock);
    free(l->piece);
    free(l);
}

/* Only the last event of a snapshot carries the id: who is cut off in the middle of it gets all of it again. */
static void take_snapshot(struct events_listener *l, uint64_t last)
{
    char *text = NULL;
    size_t len = 0, i;
    json_t *item;
    cleanup_json json_t *all = l->snapshot(l->owner);
    FILE *f = open_memstream(&text, &len);
    if (!f) return;
    json_array_foreach(all, i, item) {
        cleanup_free char *data = json_write(json_object_get(item, "data"), false);
        if (i + 1 == json_array_size(all)) fprintf(f, "id: %08x-%llu\n", l->ev->boot, (unsigned long long)last);
        if (data) fprintf(f, "event: %s\ndata: %s\n\n", json_text(item, "event"), data);
    }
    if (fclose(f) != 0) {
        free(text);
        return;
    }
    l->piece = text;
    l->piece_len = len;
}

/* Makes the next piece, if there is something to say. Waits once, so that a caller is never held longer than wished.
 * False: the stream ends, because the service does or because memory is out (the client will come back). */
static bool next_piece(struct events_listener *l, msec wait_ms)
{
    struct events *ev = l->ev;
    uint64_t last = 0;
    bool out_of_memory = false;
    pthread_mutex_lock(&ev->lock);
    if (!ev->stopped && !l->snapshot_due && l->wants == ev->next)
        cond_wait_ms(&ev->news, &ev->lock, wait_ms);
    bool stopped = ev->stopped;
    if (!stopped && (l->snapshot_due || l->wants < ev->oldest)) {
        l->snapshot_due = true;
        l->wants = ev->next;
        last = ev->next - 1;
    } else if (!stopped && l->wants < ev->next) {
        const struct event *due = &ev->ring[l->wants++ % EVENTS_KEPT];
        l->piece = malloc(due->len);
        if (l->piece) memcpy(l->piece, due->text, due->len);
        l->piece_len = due->len;
        out_of_memory = !l->piece;
    }
    pthread_mutex_unlock(&ev->lock);
    if (stopped || out_of_memory) return false;
    if (l->snapshot_due) {
        take_snapshot(l, last);
        if (!l->piece) return false;
        l->snapshot_due = false;
    }
    if (!l->piece && clock_boot_ms() - l->last_sent >= EVENTS_HEARTBEAT) {
        l->piece = strdup(":\n\n");
        l->piece_len = l->piece ? 3 : 0;
    }
    return true;
}

ssize_t events_read(struct events_listener *l, char *buf, size_t max, msec wait_ms)
{
    if (!l->piece) {
        l->piece_len = l->piece_sent = 0;
        if (!next_piece(l, wait_ms)) return -1;
    }
    size_t len = MIN(l->piece_len - l->piece_sent, max);
    if (len > 0) memcpy(buf, l->piece + l->piece_sent, len);
    l->piece_sent += len;
    if (l->piece_sent == l->piece_len) {
        free(l->piece);
        l->piece = NULL;
    }
    if (len > 0) l->last_sent = clock_boot_ms();
    return (ssize_t)len;
}
