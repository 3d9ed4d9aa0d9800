/*
 * flusher.h - in a flusher's process: brings what hosts write to the storage, and keeps the file open for that.
 *
 * The file is opened with the first write and stays open until the image was synced. A write error is told once to each
 * file that was open when it happened (errseq.h in the kernel); the gadget's own file, which is synced when the host
 * allows the removal, would otherwise be the only one to hear of it, and it tells nobody. Also, an open and a close for
 * every second of writing would look like the host's eject to who watches the image.
 *
 * Everything here may hang with the storage. A process has one file for each drive.
 */
#pragma once

#include "gadget/image.h"

/* `fd` is the image's O_PATH descriptor. As image_write_back() and image_sync(): 0, or -1 with *e. */
int flusher_write_back(size_t drive, int fd, struct err *e);
int flusher_sync(size_t drive, int fd, struct err *e);

void flusher_let_go(void); /* of every file */
