/*
 * plan.h - the gadget as it should stand in configfs, and what to make of what stands there. Pure.
 *
 * A plan is a list of steps in the order in which the kernel wants them: the gadget with its ids and strings; the
 * functions with their LUNs and attributes, LUNs while they are empty; the configuration; the links that put the
 * functions into it, mass storage first, which helps some firmware. Binding to a UDC comes after the last step and is
 * not one of them, since only the moment tells which UDC is there. Taken from the end a plan takes the gadget down:
 * links and directories are removed, values go with their directory.
 *
 * What is found in configfs has the same form: the steps that would have made it. plan_compare() judges it:
 *
 *   FOUND_NOTHING     there is no directory of our name
 *   FOUND_FOREIGN     it is not ours. Ours is known by its serial number, which is written before the first function is
 *                     made, or by its configuration's string, which does not depend on trayd.conf. Where neither is
 *                     there, only a directory that is not bound and has no function and no configuration may be what a
 *                     killed process of ours left
 *   FOUND_AS_PLANNED  no difference; bound or not
 *   FOUND_HALF_BUILT  differs, but is not bound and holds no medium: nobody can be using it, and it may be completed or
 *                     made afresh. Left by a process killed while building or taking down, or by an older configuration
 *   FOUND_DIFFERENT   differs, and is bound or holds a medium: to be adopted as it is
 *
 * Values are compared by what they mean: the kernel shows 500 for 0x1f4 and ends lines. The medium is no part of a
 * plan, and neither is `ro` of a disk, which goes with the medium.
 */
#pragma once

#include "gadget/engine.h"

#define PLAN_PATH_MAX 160  /* "functions/", the longest name that the kernel takes (39), "/", an attribute (63) */
#define PLAN_VALUE_MAX 256 /* a config_entry's value; strings have at most 126 bytes */

#define PLAN_OUR_MARK "trayd" /* the configuration's string */

enum plan_kind {
    PLAN_DIRECTORY,
    PLAN_VALUE, /* the bytes in the file `path` */
    PLAN_LINK,  /* to the function `value`, a path like the others */
};

struct plan_step {
    enum plan_kind kind;
    bool optional;              /* not every kernel has it: left out where it is missing */
    bool fleeting;              /* written, but not compared: changes while the gadget is in use */
    bool mark;                  /* by this value our own are known */
    bool counts;                /* the last digit, which is not compared, counts how often the gadget was bound */
    char path[PLAN_PATH_MAX];   /* below the gadget's directory; "" is that directory */
    char value[PLAN_VALUE_MAX]; /* may hold any byte; a NUL follows where it fits */
    size_t value_len;
};

struct plan {
    char udc[64];               /* wanted: the configured one, "" for any; found: the one it is bound to, "" for none */
    struct plan_step *steps;
    size_t count, room;
};

struct plan_found {
    bool exists;
    bool loaded;                /* a LUN holds a medium; only looked at while not bound */
    struct plan tree;
};

struct plan_verdict {
    enum gadget_found found;
    bool completable;           /* HALF_BUILT: the plan can be carried out over it; else take it down first */
    char differences[sizeof ((struct gadget_result *)0)->differences]; /* one a line */
};

/* The plan for a configuration. Returns 0, or -1 when out of memory. Release it with plan_done(). */
int plan_make(const struct gadget_config *c, struct plan *ret, struct err *e);

/* Appends a copy. Returns 0, or -1 when out of memory. */
int plan_add(struct plan *p, const struct plan_step *step);

/* The step of that kind and path, NULL if there is none. */
const struct plan_step *plan_find(const struct plan *p, enum plan_kind kind, const char *path);

void plan_done(struct plan *p); /* harmless on a zeroed one */

void plan_compare(const struct plan *wanted, const struct plan_found *found, struct plan_verdict *ret);

/* Whether `bytes`, read from the step's file, mean what the step would write. */
bool plan_same_value(const struct plan_step *step, const char *bytes, size_t len);
