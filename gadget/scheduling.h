/*
 * scheduling.h - schedules in trayd-gadget: what schedule.h decides is written down, and then done.
 *
 *   a client's change   is in the table at once, but `pending`; it counts, and the client is answered, when it is on
 *                       the disk. Where it cannot be written it is taken back, and the client hears why.
 *   a schedule is due   it is FIRING; when that is on the disk, its operation is submitted, by "schedule:ID". So it
 *                       fires at most once, whenever this process is killed: the next one finds FIRING, looks for an
 *                       operation by that name, and where there is none says that it does not know.
 *   its operation ends  FAILED where that failed or was cancelled, else FIRED still; the reason is kept.
 */
#pragma once

#include "gadget/schedule.h"

struct daemon;
struct operation;
struct schedule_request;
struct scheduling;

#define SCHEDULE_BY "schedule:" /* and the id: who asked for its operation */

struct scheduling *scheduling_new(struct daemon *d); /* NULL: out of memory */
void scheduling_free(struct scheduling *g);          /* who waits is told that the service ends */

struct schedule_time scheduling_now(void);           /* both clocks, and what adjtimex(2) says */

/* ---- what happens ---- */

void scheduling_loaded(struct daemon *d);            /* kept.h: the file was read */
void scheduling_saved(struct daemon *d, uint64_t version, const struct err *e); /* durable.h: as `saved` */
void scheduling_look(struct daemon *d);              /* a drive may look otherwise, or the gadget was started */
void scheduling_host_reset(struct daemon *d);
void scheduling_host_ejected(struct daemon *d, size_t drive);
void scheduling_operation_ended(struct daemon *d, const struct operation *op);

/* ---- requests. 0: done() is called once, later or (where nothing is to be changed) at once; or -1 with *e, and it is
 * not. ---- */

/* s: as it is now; NULL with *e where it could not be written down. */
typedef void scheduling_done(void *owner, const struct schedule *s, const struct err *e);

int scheduling_add(struct daemon *d, const struct schedule_request *rq, scheduling_done *done, void *owner, struct err *e);
int scheduling_change(struct daemon *d, const struct schedule_request *rq, scheduling_done *done, void *owner, struct err *e);
int scheduling_cancel(struct daemon *d, const struct schedule_request *rq, scheduling_done *done, void *owner, struct err *e);

/* ---- for people ---- */

/* Is it known which there are? 0, or -1 with *e. */
int scheduling_ready(const struct daemon *d, struct err *e);

/* Of a drive, for schedule.h. */
struct schedule_seen scheduling_seen(const struct daemon *d, size_t drive);

/* schedule_view.c: as the API shows it. */
json_t *schedule_view(const struct daemon *d, const struct schedule *s);
