/*
 * restore.h - after a reboot of the appliance, media go back into the drives whose configuration says `restore`.
 *
 * What an operation puts into such a drive is noted in the kept file (kept.h), and forgotten when it is taken out, by
 * an operation or by the host. A note of another boot is acted upon once: first it is marked with this boot, on the
 * disk, then an ordinary insert is submitted, by "restore", read-only as before, and only if the drive is still empty.
 * Nothing is ever put back within the boot in which it went.
 *
 *   NOTHING <-- no note, or of this boot
 *   ATTACHING -- a controller is there --> LOOKING -- the image is there, or RESTORE_WAIT is over --> MARKING -- saved
 *   --> submitted. An image that is missing then makes the operation fail with that reason, and the drive stays empty.
 *
 * Stores that are mounted late are looked at by a worker: what opens an image may hang.
 */
#pragma once

#include "gadget/drive.h"

struct daemon;
struct unit;
struct restore;

#define RESTORE_BY "restore"
#define RESTORE_WAIT 120000 /* ms from the first look; network mounts give up or succeed within 90 s (systemd's DefaultTimeoutStartSec) */
#define RESTORE_LOOK 2000   /* ms between two looks for the image */

struct restore *restore_new(struct daemon *d); /* NULL: out of memory */
void restore_free(struct restore *r);

void restore_look(struct daemon *d);                      /* the file was read, or a drive or the gadget looks otherwise */
void restore_saved(struct daemon *d, uint64_t version);   /* that much of the kept file is on the disk */
void restore_note(struct unit *u, bool by_operation);     /* the drive's medium has changed */
