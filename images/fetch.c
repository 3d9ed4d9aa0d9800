#include "images/fetch.h"

#include <errno.h>
#include <string.h>

#include "images/helper.h"

#define PIECE_BYTES (256 * 1024)
#define WAIT_MOST 60000 /* ms; the helper has deadlines of its own, this is only for check() */

enum phase { UNDER_WAY, ENDED, CHANGED, FAILED };

struct fetching {
    struct helper helper;
    const struct fetch_sink *sink;
    enum phase phase;
    struct err why; /* of FAILED */
    uint8_t *piece;
};

static json_t *make_order(const struct fetch_source *s, const struct fetch_config *c)
{
    json_t *order = json_object();
    json_put_text(order, "url", s->url);
    json_put_text(order, "username", s->username);
    json_put_text(order, "password", s->password);
    json_put_int(order, "offset", s->offset);
    json_put_int(order, "total", s->total);
    json_put_text(order, "validator", s->validator);
    json_put_flag(order, "private", c->private_addresses);
    json_put_flag(order, "link_local", c->link_local);
    json_put_flag(order, "loopback", c->loopback);
    json_put_seconds(order, "stall_timeout", c->stall_timeout);
    json_put_int(order, "retries", c->retries);
    json_put_seconds(order, "retry_pause", c->retry_pause);
    json_put_int(order, "rate", (int64_t)MIN(c->rate, INT64_MAX));
    json_put_int(order, "largest", (int64_t)MIN(s->largest, INT64_MAX));
    json_put_text(order, "ca_file", c->ca_file);
    return order;
}

static int hear_again(const struct fetching *f, const json_t *event)
{
    struct err why;
    err_set(&why, ERR_SOURCE_FAILED, "%s", json_text(event, "text"));
    f->sink->again(f->sink->owner, &why, (msec)(json_number_value(json_object_get(event, "pause")) * 1000));
    return 0;
}

static int hear(struct fetching *f, struct err *e)
{
    cleanup_json json_t *event = NULL;
    int result = helper_event(&f->helper, &event, e);
    if (result <= 0) return result;
    const char *what = json_text(event, "event");
    if (strcmp(what, "begin") == 0)
        return f->sink->begin(f->sink->owner, json_int(event, "offset", 0), json_int(event, "total", -1),
                              json_text(event, "validator"), e);
    if (strcmp(what, "again") == 0) return hear_again(f, event);
    if (strcmp(what, "failed") == 0) helper_failure(event, &f->why);
    f->phase = f->why.code ? FAILED : strcmp(what, "changed") == 0 ? CHANGED : ENDED;
    return 0;
}

static int take(struct fetching *f, struct err *e)
{
    ssize_t n = read(f->helper.out, f->piece, PIECE_BYTES);
    if (n < 0) return errno == EAGAIN || errno == EINTR ? 0 : err_set_errno(e, ERR_INTERNAL, errno, "Cannot fetch");
    if (n > 0) return f->sink->take(f->sink->owner, f->piece, (size_t)n, e);
    close(take_fd(&f->helper.out));
    return 0;
}

/* The "begin" is told before the first byte, and is read before it. After an "end" the last bytes are still to come, and
 * after a "failed" bytes with which somebody may go on later. */
static int run(struct fetching *f, struct err *e)
{
    while (f->phase == UNDER_WAY || (f->phase != CHANGED && f->helper.out >= 0)) {
        struct helper_ready ready;
        helper_wait(&f->helper, false, WAIT_MOST, &ready);
        if (f->sink->check(f->sink->owner, e) < 0) return -1;
        if (ready.control && f->phase == UNDER_WAY && hear(f, e) < 0) return -1;
        if (ready.out && take(f, e) < 0) return -1;
    }
    if (f->phase != FAILED) return f->phase == CHANGED;
    *e = f->why;
    return -1;
}

int fetch_from(const struct fetch_source *source, const struct fetch_config *config, const struct fetch_sink *sink,
               struct err *e)
{
    struct fetching f = {.helper = HELPER_NONE, .sink = sink, .piece = malloc(PIECE_BYTES)};
    cleanup_json json_t *order = make_order(source, config);
    int result = -1;
    if (!f.piece || !order)
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
    else if (helper_start("fetch", -1, order, &f.helper, e) == 0) {
        f.helper.wake = source->wake;
        result = run(&f, e);
    }
    helper_done(&f.helper);
    free(f.piece);
    return result;
}
