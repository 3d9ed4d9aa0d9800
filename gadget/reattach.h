/*
 * reattach.h - leading the whole gadget through unbind, a held pause, and bind; or taking it down and making it anew, as
 * the configuration says now, with the same pause. Media that were in are inserted again then.
 *
 *   IDLE -> DRAINING (no new action; those under way may end) -> UNBINDING -> HOLDING -> BINDING -> SETTLING -> IDLE
 *
 * It disturbs every function of the gadget, so it is refused while another drive has a writable medium that the host
 * wrote to or may have locked (unless allowed), and while a thread waits for its storage: both are looked at when it is
 * asked for, and again when all is drained, for an insert may have ended meanwhile.
 */
#pragma once

#include "gadget/engine.h"
#include "gadget/operations.h"

struct daemon;

enum reattach_state { REATTACH_IDLE, REATTACH_DRAINING, REATTACH_UNBINDING, REATTACH_HOLDING, REATTACH_BINDING, REATTACH_SETTLING };
enum reattach_order { REATTACH_FULL, REATTACH_ONLY_DETACH, REATTACH_ONLY_ATTACH, REATTACH_REBUILD };

typedef void reattach_done(void *owner, const struct err *e); /* e->code ERR_NONE: it went well */

struct reattach {
    enum reattach_state state;
    enum reattach_order order;
    struct loop_timer timer;
    char by[OPERATION_BY_MAX];     /* REBUILD: who ordered it, for the operations that put the media back */
    size_t for_drive;              /* who asked; NO_DRIVE: a person */
    bool allow_collateral;
    size_t eject;                  /* the drive to be emptied while unbound; NO_DRIVE */
    bool ejecting;                 /* that is under way */
    bool taken_down;               /* REBUILD has come so far */
    struct loop_timer no_host;     /* see reattach_consider_rebuild() */
    msec bind_at;                  /* the end of the hold */
    reattach_done *done;
    void *owner;
};

#define NO_DRIVE SIZE_MAX
#define TICKET_REATTACH (UINT32_MAX - 1) /* of the eject in the pause; daemon.c gives the result to reattach_ejected() */

void reattach_init(struct daemon *d);
/* `for_drive` is the drive that asked, NO_DRIVE for a person; `eject`: take its medium out meanwhile. Returns 0 and
 * calls done() later, or -1 with *e. */
int reattach_begin(struct daemon *d, enum reattach_order order, size_t for_drive, bool eject, bool allow_collateral,
                   reattach_done *done, void *owner, struct err *e);
/* The gadget differs from the configuration, and no host is attached: makes it anew as soon as that is sure. Call it
 * whenever a drive, or the link, may have changed. */
void reattach_consider_rebuild(struct daemon *d);
/* Ends one that an earlier process began: holds what is left of the pause, and binds. */
void reattach_resume(struct daemon *d);
bool reattach_under_way(const struct daemon *d);
void reattach_look(struct daemon *d);                                  /* an action has ended, or the link changed */
void reattach_ejected(struct daemon *d);                               /* the order with TICKET_REATTACH came back */
void reattach_result(struct daemon *d, const struct gadget_result *r); /* of GADGET_BIND and GADGET_UNBIND */
