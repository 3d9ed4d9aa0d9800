/*
 * device.h - whether the block device under a file system has gone.
 *
 * A file system whose device was pulled or disconnected goes on answering from memory: the directory opens, lists, and
 * says how much is free. Who would believe that finds out with the first byte. So the kernel is asked about the device:
 *
 *   not in /sys any more                   pulled
 *   no size                                its driver has let go of it
 *   a network block device without a pid   disconnected (pid_show() in drivers/block/nbd.c)
 *
 * File systems without a block device of their own (NFS, FUSE, tmpfs, btrfs) have an anonymous device number; nothing is
 * known of them here, and they answer for themselves. Reads /sys only; waits for nothing.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* `sys` is "/sys"; device: st_dev of the file system. false where it is not known. */
bool device_is_gone(const char *sys, dev_t device);
