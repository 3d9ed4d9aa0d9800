/*
 * kept.h - what trayd-gadget keeps over reboots: the schedules, and what was put into the drives last.
 *
 * STATE_DIR/kept.json, one JSON object; kept_json.c makes and reads it, durable.c writes it. It is read once, at the
 * start; kept_is_loaded() says when that is over. What is in it for drives that the configuration does not have (any
 * more) is kept as it stands. A file that makes no sense is put aside as kept.json.broken and reported, and all begins
 * empty; where single entries make none, the others are taken.
 */
#pragma once

#include "gadget/durable.h"
#include "gadget/images.h"
#include "gadget/schedule.h"

#define BOOT_ID_MAX 40

struct daemon;

struct kept_medium {                 /* what an operation put in last, and nobody took out */
    bool there;
    bool touched;                    /* it changed before the file was read */
    char store[IMAGE_STORE_MAX], image[256];
    bool readonly;
    char boot_id[BOOT_ID_MAX];       /* of the boot in which it was put in, or its restoring was begun */
};

struct kept {
    struct schedules table;
    struct kept_medium media[DRIVES_MAX];
    json_t *strange_schedules, *strange_media; /* of drives that are not configured; NULL: none */
    struct durable *file;
    bool loaded;
    char trouble[ERR_TEXT_MAX];      /* why the file cannot be read or written just now; "" */
    char aside[ERR_TEXT_MAX];        /* that it made no sense when it was read; "" */
};

/* Returns 0, or -1 with *e. What comes of the file is told to scheduling.h and restore.h. */
int kept_init(struct daemon *d, struct err *e);
void kept_done(struct daemon *d);

/* Something is to be saved. Returns the version to wait for. */
uint64_t kept_changed(struct daemon *d);

/* ---- kept_json.c: pure ---- */

/* What the file is to say. drives: their names, in the order of the indices. */
char *kept_write(const struct kept *k, const struct gadget_config *c, const char *boot_id, msec real);

/* Reads it into a fresh *k. Returns 0; 1 with *e where some of it made no sense and was left out; -1 with *e where all
 * of it makes none. */
int kept_read(struct kept *k, const struct gadget_config *c, const char *text, size_t len, const char *boot_id,
              const struct schedule_time *now, struct err *e);

/* The `when` of a schedule: {"at": ...} and so on; as it came. */
json_t *kept_trigger_json(const struct schedule_trigger *t);
/* Reads one. Pure but for what is allowed: `now` is what `at` must be after, 0: anything. Returns 0, or -1 with *e. */
int kept_trigger_read(const json_t *when, msec now, struct schedule_trigger *ret, struct err *e);
