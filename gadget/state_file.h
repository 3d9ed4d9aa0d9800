/*
 * state_file.h - what must survive trayd-gadget and cannot be read from the kernel.
 *
 * RUNTIME_DIR/gadget.state, a JSON object, replaced by rename before each call into the kernel that it describes:
 * quarantine and stale marks, generations, who inserted what and where the thread's counters stood, the operations
 * that are not finished and what is being done for them, the outcomes that no client has heard of, whether the gadget is
 * to be bound and since when it is not, the stores that were taken away, the incarnation. It lies under /run: a reboot ends all of it.
 */
#pragma once

#include "gadget/daemon.h"

/* Writes the file where what it would say has changed. A failure is logged; the drive's work goes on. */
void state_file_save(struct daemon *d);

/*
 * Reads it back into a daemon whose drives are fresh. Returns false where there is none that fits this boot (then
 * the caller assumes the worst for a gadget that it finds).
 */
bool state_file_load(struct daemon *d);
