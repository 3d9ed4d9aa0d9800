/*
 * drive_scenarios.h - plays a scenario of the drive's machine: what happens, line by line, and what the machine does about it.
 * Every forecast (forecast.h) is held to what the machine then does, and its invariants are looked at after each line.
 *
 * Events:
 *   eject N [forced] [patience=MS] [then-force] [release] [if=GENERATION]
 *   insert N IMAGE ro|rw [patience=MS] [forced] [swap] [accept] [reattach] [if-empty] [if=GENERATION]
 *   cancel N, force N         a client changes operation N
 *   ok, busy, error CODE      the result of the action under way; "ok" does to the medium what was asked for,
 *   ok-but-in, ok-but-ro      ... these say so, and the medium is still there, or cannot be written to
 *   error CODE unread         ... and what the kernel shows could not be read
 *   late-ok                   the result of an action that the machine has given up
 *   +MS                       time passes
 *   writes, reads             the host does; "unseen" and "seen": its counters cannot be read, and can again
 *   leaves                    the host ejects, and the kernel lets go of the image
 *   patience-until MS        the storage must be cut so long from now, or the host loses patience; the thread waits for it
 *   cleared, cleared-by-break, cleared-by-host   its function was signalled for a sibling, or reset by the host
 *   polls                     the host has looked at its drives since the medium went in
 *   unbound, bound, reenumerated, held, accept-stale, quarantine MS
 *   look                      nothing; tells how the drive looks
 *
 * What the machine does, in this order: "refused CODE", "joins N", "done N FLAG...", "failed N CODE", "cancelled N",
 * "host-ejected", BREAK, CUT, and the action. "-" is nothing.
 *
 * Include after cmocka.h.
 */
#pragma once

#include <stdio.h>
#include <string.h>

#include "gadget/drive.h"
#include "gadget/forecast.h"

#define START 1000000 /* ms */
#define WORDS_MAX 12

struct line {
    const char *event, *does;
};

struct scenario {
    const char *name;
    const char *start; /* "empty", "1 ro", "2 rw": what is in; then "no-force", "signal", "may-reattach", "never-reattach", "may-cut" */
    struct line lines[24];
};

/* ---- playing one -------------------------------------------------------------------------------------------------- */

struct bench {
    struct drive d;
    msec now;
    struct drive_medium kernel;
    struct drive_action action; /* the newest */
    struct drive_evidence seen;
};

struct words {
    char text[160];
    char *word[WORDS_MAX];
    size_t len;
};

static inline void split(const char *text, struct words *w)
{
    char *save;
    *w = (struct words){0};
    snprintf(w->text, sizeof w->text, "%s", text);
    for (char *p = strtok_r(w->text, " ", &save); p && w->len < WORDS_MAX; p = strtok_r(NULL, " ", &save)) w->word[w->len++] = p;
}

static inline bool has(const struct words *w, const char *word)
{
    for (size_t i = 0; i < w->len; i++)
        if (strcmp(w->word[i], word) == 0) return true;
    return false;
}

static inline long long number(const struct words *w, const char *name, long long otherwise)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < w->len; i++)
        if (strncmp(w->word[i], name, len) == 0) return atoll(w->word[i] + len);
    return otherwise;
}

static inline void begin(struct bench *b, const char *start)
{
    struct words w;
    split(start, &w);
    const struct drive_policy policy = {
        .type = has(&w, "ro") ? DRIVE_CDROM : DRIVE_DISK,
        .reattach = has(&w, "never-reattach") || (has(&w, "no-force") && !has(&w, "may-reattach")) ? REATTACH_NEVER
                                                                                                  : REATTACH_LAST_RESORT,
        .quiet = 2000, .release_quiet = 30000, .dwell = 3000, .stuck_after = 10000, .can_force = !has(&w, "no-force"),
        .can_signal = has(&w, "signal"), .can_break = has(&w, "signal"), .break_after = 1500,
        .cut_after = 5000, .can_cut = has(&w, "may-cut"), .quarantine_for = 60000,
    };
    *b = (struct bench){.now = START, .seen = {.known = true, .waiting_for = WAITING_NOTHING}};
    drive_init(&b->d, &policy);
    drive_restore(&b->d, has(&w, "stale"), 0, 1, 0);
    b->d.observed = b->d.attached = b->d.host_present = true;
    if (!has(&w, "empty")) b->kernel = b->d.medium = (struct drive_medium){(image_key)atoi(w.word[0]), has(&w, "ro")};
    b->d.loaded_since = START;
}

static inline void read_request(const struct words *w, struct drive_request *rq)
{
    bool insert = strcmp(w->word[0], "insert") == 0;
    *rq = (struct drive_request){
        .op = (op_key)atoi(w->word[1]), .action = insert ? OP_INSERT : OP_EJECT,
        .mode = has(w, "forced") ? EJECT_FORCED : EJECT_ORDERLY, .patience = number(w, "patience=", 25000),
        .on_timeout = has(w, "then-force") ? ON_TIMEOUT_FORCE : ON_TIMEOUT_FAIL,
        .lock_policy = has(w, "release") ? LOCK_RELEASE_WHEN_QUIET : LOCK_RESPECT,
        .only_if_medium = (uint64_t)number(w, "if=", 0),
    };
    if (!insert) return;
    rq->image = (image_key)atoi(w->word[2]);
    rq->readonly = has(w, "ro");
    rq->swap_direct = has(w, "swap");
    rq->accept_stale_host = has(w, "accept");
    rq->reattach = has(w, "reattach");
    rq->only_if_empty = has(w, "if-empty");
}

/* What the kernel does for the action under way, and how it looks then. */
static inline void read_result(struct bench *b, const struct words *w, struct drive_result *r)
{
    const struct drive_action *a = &b->action;
    bool well = strncmp(w->word[0], "ok", 2) == 0 || has(w, "late-ok"), obeys = has(w, "ok") || has(w, "ok-but-ro");
    if (obeys && (a->what == DO_ASK || a->what == DO_FORCE || a->what == DO_SIGNAL)) b->kernel = (struct drive_medium){0};
    if (obeys && (a->what == DO_INSERT || a->what == DO_SWAP))
        b->kernel = (struct drive_medium){a->image, a->readonly || has(w, "ok-but-ro")};
    *r = (struct drive_result){
        .ticket = a->ticket, .outcome = well ? OUTCOME_OK : has(w, "busy") ? OUTCOME_BUSY : OUTCOME_ERROR,
        .code = has(w, "error") ? err_from_name(w->word[1]) : ERR_NONE, .medium = b->kernel,
        .medium_known = a->what != DO_OPEN && a->what != DO_SYNC && a->what != DO_REATTACH && !has(w, "unread")};
}

static inline void host_does(struct bench *b, const struct words *w)
{
    if (has(w, "writes")) b->seen.bytes_written += 512, b->seen.last_write_at = b->now;
    if (has(w, "reads")) b->seen.bytes_read += 512, b->seen.last_read_at = b->now;
    if (has(w, "unseen") || has(w, "seen")) b->seen.known = has(w, "seen");
    if (has(w, "stops")) b->seen.waiting_for = WAITING_HOST;
    if (has(w, "storage-stops")) b->seen.waiting_for = WAITING_STORAGE;
    if (has(w, "goes-on")) b->seen.waiting_for = WAITING_NOTHING, b->seen.cut_at = 0;
    if (has(w, "patience-until")) b->seen.waiting_for = WAITING_STORAGE, b->seen.cut_at = b->now + atoll(w->word[1]);
    if (has(w, "polls")) b->seen.noticed = true;
    if (has(w, "leaves")) b->kernel = (struct drive_medium){0};
    if (w->word[0][0] == '+') b->now += atoll(w->word[0] + 1);
}

static inline struct drive_event event_of(struct bench *b, const struct words *w)
{
    static const struct {
        const char *word;
        enum drive_event_kind kind;
    } kinds[] = {
        {"eject", DRIVE_REQUEST},      {"insert", DRIVE_REQUEST},     {"cancel", DRIVE_CANCEL},       {"force", DRIVE_HURRY},
        {"ok", DRIVE_RESULT},          {"busy", DRIVE_RESULT},        {"error", DRIVE_RESULT},        {"ok-but-in", DRIVE_RESULT},
        {"ok-but-ro", DRIVE_RESULT},   {"late-ok", DRIVE_RESULT},     {"leaves", DRIVE_HINT_CLOSED},  {"unbound", DRIVE_LINK},
        {"bound", DRIVE_LINK},         {"reenumerated", DRIVE_REENUMERATED}, {"held", DRIVE_HELD},
        {"accept-stale", DRIVE_ACCEPT_STALE}, {"writes", DRIVE_EVIDENCE}, {"reads", DRIVE_EVIDENCE}, {"seen", DRIVE_EVIDENCE},
        {"unseen", DRIVE_EVIDENCE}, {"stops", DRIVE_EVIDENCE}, {"storage-stops", DRIVE_EVIDENCE}, {"goes-on", DRIVE_EVIDENCE},
        {"patience-until", DRIVE_EVIDENCE},
        {"break", DRIVE_BREAK}, {"cleared", DRIVE_CLEARED}, {"cleared-by-break", DRIVE_CLEARED}, {"cleared-by-host", DRIVE_CLEARED},
        {"polls", DRIVE_EVIDENCE},
    };
    struct drive_event ev = {.kind = DRIVE_EVIDENCE, .attached = !has(w, "unbound"), .host_present = !has(w, "unbound")};
    size_t i = 0;
    while (i < ARRAY_LEN(kinds) && strcmp(kinds[i].word, w->word[0]) != 0) i++;
    if (i < ARRAY_LEN(kinds))
        ev.kind = kinds[i].kind;
    else if (w->word[0][0] != '+')
        fail_msg("what is \"%s\"?", w->word[0]);
    host_does(b, w);
    ev.evidence = b->seen;
    if (ev.kind == DRIVE_REQUEST) read_request(w, &ev.request);
    if (ev.kind == DRIVE_RESULT) read_result(b, w, &ev.result);
    if (ev.kind == DRIVE_CLEARED)
        ev.cleared = has(w, "cleared") ? CLEARED_BY_SIGNAL : has(w, "cleared-by-break") ? CLEARED_BY_BREAK : CLEARED_BY_HOST;
    if (ev.kind == DRIVE_CANCEL || ev.kind == DRIVE_HURRY) ev.op = (op_key)atoi(w->word[1]);
    return ev;
}

static inline void say(char *text, size_t size, const char *fmt, ...) attr_printf(3, 4);

static inline void say(char *text, size_t size, const char *fmt, ...)
{
    size_t len = strlen(text);
    va_list ap;
    va_start(ap, fmt);
    if (len) snprintf(text + len, size - len, " "), len++;
    vsnprintf(text + len, size - len, fmt, ap);
    va_end(ap);
}

static inline void say_finish(char *text, size_t size, const struct drive_finish *f)
{
    static const struct {
        enum drive_fact fact;
        const char *word;
    } facts[] = {
        {FACT_UNCHANGED, "unchanged"}, {FACT_FORCED, "forced"}, {FACT_LOCK_OVERRIDDEN, "overridden"}, {FACT_RACED_WITH_WRITE, "raced"},
        {FACT_STALE_HOST, "stale"}, {FACT_REATTACHED, "reattached"}, {FACT_BROKE_IO, "broke"}, {FACT_NOT_DURABLE, "not-durable"},
        {FACT_CUT, "cut"},
    };
    say(text, size, "%s %llu", op_state_names[f->state], (unsigned long long)f->op);
    if (f->state == OP_FAILED) say(text, size, "%s", err_name(f->code));
    for (size_t i = 0; f->state == OP_DONE && i < ARRAY_LEN(facts); i++)
        if (f->facts & facts[i].fact) say(text, size, "%s", facts[i].word);
}

static inline void tell(const struct drive_output *out, char *text, size_t size)
{
    text[0] = '\0';
    if (out->refused) say(text, size, "refused %s", err_name(out->refused));
    if (out->joined) say(text, size, "joins %llu", (unsigned long long)out->joined);
    for (size_t i = 0; i < out->finished_len; i++) say_finish(text, size, &out->finished[i]);
    if (out->host_ejected) say(text, size, "host-ejected");
    if (out->break_io) say(text, size, "BREAK");
    if (out->cut) say(text, size, "CUT");
    if (out->action.what != DO_NOTHING) say(text, size, "%s", drive_do_names[out->action.what]);
    if (!text[0]) say(text, size, "-");
}

static inline void look(const struct drive *d, char *text, size_t size)
{
    text[0] = '\0';
    say(text, size, "%s", drive_state_names[drive_state(d)]);
    if (d->stale_host) say(text, size, "stale");
    if (d->unannounced) say(text, size, "unannounced");
    if (d->medium.image && d->evidence.lock == LOCK_LOCKED) say(text, size, "locked");
}

/* What the clock was said to bring until `now`, and what it brought. */
static inline void check_forecast(const struct forecast *f, const struct bench *b, const struct drive_output *out)
{
    enum next_step due = b->now >= f->then_at ? f->then : b->now >= f->at ? f->next : NEXT_NOTHING;
    enum drive_do did = out->action.what;
    bool failed = out->finished_len && out->finished[0].state == OP_FAILED;
    bool forcing = did == DO_FORCE || did == DO_ASK || did == DO_SIGNAL || did == DO_REATTACH ||
                   (b->d.queue_len && b->d.queue[0].force_now);
    const struct {
        enum next_step step;
        bool seen;
    } all[] = {
        {NEXT_ASK, did == DO_ASK || did == DO_SWAP},
        {NEXT_FORCE, forcing},
        {NEXT_SIGNAL, did == DO_SIGNAL},
        {NEXT_BREAK_IO, out->break_io || did == DO_SIGNAL},
        {NEXT_REATTACH, did == DO_REATTACH},
        {NEXT_INSERT, did == DO_INSERT},
        {NEXT_FAIL, failed && !b->d.stuck},
        {NEXT_STUCK, b->d.stuck},
        {NEXT_CUT, out->cut},
        {NEXT_FINISH_UNSYNCED, out->finished_len && (out->finished[0].facts & FACT_NOT_DURABLE)},
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (all[i].step == due && !all[i].seen) fail_msg("it was said that it would %s, and it does not", next_step_names[due]);
    }
    bool quiet = (did == DO_NOTHING || did == DO_ANNOUNCE) && !out->finished_len && !out->break_io &&
                 (!out->cut || !b->d.queue_len);
    bool chance = f->next != NEXT_NOTHING && f->at == MSEC_NEVER; /* its moment may have come */
    if (due == NEXT_NOTHING && !quiet && !chance) fail_msg("nothing was said of %s", drive_do_names[did]);
}

static inline void step(struct bench *b, const struct words *w, char *text, size_t size)
{
    struct drive_output out;
    uint64_t generation = b->d.generation;
    const struct forecast f = forecast_of(&b->d, b->now);
    const struct drive_event ev = event_of(b, w);
    drive_step(&b->d, &ev, b->now, &out);
    if (out.action.what != DO_NOTHING) b->action = out.action;
    if (ev.kind == DRIVE_HELD) b->action = (struct drive_action){.what = DO_OBSERVE, .ticket = b->d.ticket};
    if (b->d.generation != generation) /* another medium: nothing was seen of it yet */
        b->seen = (struct drive_evidence){.known = b->seen.known, .waiting_for = b->seen.waiting_for};
    tell(&out, text, size);
    if (w->word[0][0] == '+') check_forecast(&f, b, &out);
    const char *broken = drive_check(&b->d);
    if (broken) fail_msg("an invariant is broken: %s", broken);
    bool waits = b->d.queue_len && b->d.outstanding == DO_NOTHING;
    if (waits && out.wake == MSEC_NEVER && b->d.evidence.known) fail_msg("an operation waits, and nothing will wake it");
    if (waits && out.wake <= b->now) fail_msg("it wants to be looked at in the past");
}

static inline void play(void **state)
{
    const struct scenario *s = *state;
    struct bench b;
    begin(&b, s->start);
    for (size_t i = 0; i < ARRAY_LEN(s->lines) && s->lines[i].event; i++) {
        char text[256];
        struct words w;
        split(s->lines[i].event, &w);
        if (strcmp(w.word[0], "look") == 0) {
            look(&b.d, text, sizeof text);
        } else if (strcmp(w.word[0], "quarantine") == 0) {
            drive_restore(&b.d, b.d.stale_host, b.now + atoll(w.word[1]), b.d.generation, 0);
            strcpy(text, "-");
        } else {
            step(&b, &w, text, sizeof text);
        }
        if (strcmp(text, s->lines[i].does) != 0)
            fail_msg("line %zu, \"%s\": expected \"%s\", got \"%s\"", i + 1, s->lines[i].event, s->lines[i].does, text);
    }
}
