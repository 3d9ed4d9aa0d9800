/*
 * daemon_parts.h - between the four files of the daemon, and for nobody else: daemon.c (life and requests),
 * daemon_turn.c (a turn of a drive's machine), daemon_storage.c (storage that is slow or hangs) and daemon_sink.c (what
 * the engine tells).
 */
#pragma once

#include "gadget/daemon.h"

#define TICKET_NOBODY UINT32_MAX /* of an order whose result nobody waits for */

/* Gives the machine the event, with fresh evidence, and carries out what it decides. */
void daemon_turn(struct unit *u, struct drive_event *ev, struct drive_output *out);
void daemon_on_wake(struct loop_timer *t, msec now);

/* ---- daemon_storage.c ---- */

void daemon_note_stall(struct unit *u, msec now);      /* of the sample just taken */
void daemon_note_dropped(struct daemon *d, msec now);  /* whether the host has given the device up meanwhile */
void daemon_note_gone(struct unit *u);                 /* whether the device under the medium is there still */
bool daemon_may_cut(const struct unit *u);
void daemon_cut(struct unit *u, msec now);             /* as the machine has decided */
void daemon_on_cut(void *owner, size_t drive, const struct err *e);
void daemon_flush(struct unit *u, msec now);
msec daemon_storage_look_at(const struct unit *u, msec now); /* when the thread is to be looked at again; MSEC_NEVER */

/* At the first look after a restart: a writable medium is gone that an earlier process was taking. */
void daemon_doubt_the_host(struct unit *u, bool was_writable, bool empty);

struct engine_sink daemon_sink(struct daemon *d);
