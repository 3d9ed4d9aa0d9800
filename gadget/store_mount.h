/*
 * store_mount.h - the mount under a store's directory: synced, taken away, proven to be free, and brought back. Runs inside a
 * worker: every call here may hang with the storage, but for the pure ones.
 *
 * Who unmounts depends on whose mount it is. Where systemd runs, by its mount unit: systemctl takes the directory for the
 * unit's name, stops what depends on the mount first, and does it in the host's own mount namespace, from where it goes to
 * the namespaces of its services (ours has one: PrivateTmp= and ProtectHome=). Without systemd by umount2(2), and only
 * where this process is in the namespace of process 1: a mount that goes in a copy only is as busy as before. Never lazily
 * and never by force: both would say "done" while somebody still writes.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

struct store_mount {          /* zero: not known */
    bool there;               /* the directory is where a file system is mounted */
    bool part;                /* ... of which it shows a part (a bind mount): nobody could mount that again as it was */
    bool block;               /* a block device is under it */
    uint32_t major, minor;    /* of the file system */
    uint64_t flags;           /* MS_*, */
    char source[256];         /* ... and what else mount(2) needs to do it again */
    char type[64];
    char options[512];
};

/* Reads the topmost mount at `dir` (absolute, no symbolic links in it) from the text of /proc/self/mountinfo (proc(5)). Pure.
 * False where there is none, or one that does not fit into the struct. */
bool store_mount_parse(const char *mountinfo, const char *dir, struct store_mount *ret);

/* Brings everything to the storage that was written to it, and looks at what is mounted there, unless *m knows already and
 * it is mounted no more, or its device has gone. 0, or -1 with *e: store_detached (it does not work), no_space, ... */
int store_mount_sync(const char *dir, struct store_mount *m, struct err *e);

/* 0 also where it is unmounted already. store_in_use: a file is open there, or something is mounted below;
 * unmount_unavailable: it is no mount, part of one, or not ours. */
int store_mount_unmount(const char *dir, struct store_mount *m, struct err *e);

/* The device can be opened exclusively, the whole disk where it is a partition: nobody uses it any more, be it by a mount
 * in another namespace, another partition, or a mapping. Nothing to do for what has no device. store_in_use. */
int store_mount_check(const struct store_mount *m, struct err *e);

/* Mounts again what store_mount_unmount() has unmounted; 0 also where something is mounted there, or nothing ever was.
 * store_detached: the device is not there. */
int store_mount_again(const char *dir, const struct store_mount *m, struct err *e);
