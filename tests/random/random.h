/*
 * random.h - random operations on four drives, checked against a model of what may be.
 *
 * Runs in the virtual machine, where both ends of the cable are. Threads: one for each drive that asks trayd for
 * operations (operator.c), one for each drive that is the host computer (computer.c), and one that kills, detaches and
 * reattaches (chaos.c). They act for a while, then all of them rest, and when nothing is under way any more everything
 * is compared (check.c): the API, the kernel, what the host reads, and every sector of every image. Then the next round.
 *
 * Every choice comes from the seed; when each thread gets to run does not.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "base/clock.h"
#include "base/json.h"

#define DRIVES 4
#define IMAGES 9
#define IMAGE_BYTES (1024 * 1024) /* a CD has at least 300 sectors of 2048 bytes; small ones are scanned quickly */
#define BLOCK 512
#define STORE "/srv/trayd/images"
#define ORIGINAL 0                /* `write` of a sector that no host has written to */

struct drive_about {
    const char *name, *lun; /* path in configfs, below functions/ */
    bool is_cdrom;
};
extern const struct drive_about drives[DRIVES];

/* ---- choices: dice.c ---- */

struct dice { uint64_t state; };
struct weighted { int weight; void (*act)(void *owner); const char *name; };

struct dice dice_new(uint64_t seed, unsigned stream);
unsigned dice_below(struct dice *d, unsigned n);        /* 0 .. n - 1 */
bool dice_percent(struct dice *d, unsigned percent);
const struct weighted *dice_choose(struct dice *d, const struct weighted *table, size_t count);

/* ---- what happened: journal.c. The newest lines are printed when something is wrong. ---- */

void journal(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A disagreement: prints it, the seed and the journal, and ends the program. */
_Noreturn void disagree(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern uint64_t journal_seed;

/* ---- acting and resting: rounds.c ---- */

bool may_act(void);               /* a thread that acts asks before each act; in a pause it waits here */
void doing(const char *what);     /* of this thread, for the text when it does not come to rest */
bool nap(struct dice *d, unsigned max_ms); /* a random while, cut short when the round ends; false when it has ended */
void rounds_begin(void);          /* all act */
void rounds_rest(void);           /* returns when all rest */
void rounds_thread(const char *name, void (*act)(void *owner), void *owner);

/* ---- talking with trayd: client.c ---- */

/* One request. Returns the HTTP status, or -1 where nobody answered (trayd is being restarted). *ret_answer may be NULL. */
int client_call(const char *method, const char *path, const char *body, bool wait, json_t **ret_answer);
const char *client_text(const json_t *object, const char *name); /* "" where it is absent or null */


/* ---- sectors: sectors.c ---- */

struct sector { int image; unsigned block, write; };
const char *image_name(int image);
int image_by_name(const char *name);    /* -1 */
bool image_is_cd(int image);
bool image_is_never_writable(int image);
void sector_fill(void *block, int image, unsigned number, unsigned write);
bool sector_read(const void *block, struct sector *ret); /* false: it carries nothing of ours */
void images_make(void);

/* ---- the kernel: kernel.c ---- */

int kernel_medium(int drive, bool *ret_readonly);  /* image, -1 when empty */
void kernel_log_read(void);         /* takes note of resets and enumerations */
void kernel_excuse(msec boot, const char *why); /* something that may make a host reset the device, from then on */
void kernel_log_check(void);        /* each reset has its excuse */

/* ---- the actors ---- */

struct actor { int drive; struct dice dice; };

void operator_act(void *actor);
void computer_act(void *actor);
void chaos_act(void *actor);
void chaos_repair(void);            /* the gadget is attached, both services answer */

/* The guest's `host` command; false: it said no. ret_line may be NULL. */
bool host_command(const char *const words[], char *ret_line, size_t size);
bool computer_node(int drive, const char *wait_seconds, char *node, size_t size);
int computer_reads(int drive, const char *node); /* all of it; the image, -1 where it cannot be read */

extern atomic_uint host_ejects[DRIVES]; /* rises before each, and after it */
extern atomic_uint restarts;            /* of trayd-gadget */

/* ---- at rest: check.c ---- */

void check_begin(void);             /* what the model starts from */
void check_all(void);
void check_totals(void);            /* prints what was done, for people */
