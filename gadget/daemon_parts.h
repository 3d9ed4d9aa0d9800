/*
 * daemon_parts.h - between the three files of the daemon, and for nobody else: daemon.c (life and requests),
 * daemon_turn.c (a turn of a drive's machine) and daemon_sink.c (what the engine tells).
 */
#pragma once

#include "gadget/daemon.h"

#define TICKET_NOBODY UINT32_MAX /* of an order whose result nobody waits for */

/* Gives the machine the event, with fresh evidence, and carries out what it decides. */
void daemon_turn(struct unit *u, struct drive_event *ev, struct drive_output *out);
void daemon_on_wake(struct loop_timer *t, msec now);

/* At the first look after a restart: a writable medium is gone that an earlier process was taking. */
void daemon_doubt_the_host(struct unit *u, bool was_writable, bool empty);

struct engine_sink daemon_sink(struct daemon *d);
