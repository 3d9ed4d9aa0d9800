/*
 * sim.h - a kernel and a host in memory: what engine_sim.c plays the drives on, and what its control socket steers.
 *
 * It does what f_mass_storage was seen to do, no more; the conformance script holds it to the real kernels. Pure, but
 * for the image's own file, which engine_sim.c opens for real.
 */
#pragma once

#include "gadget/engine.h"

#define SIM_BYTES_PER_MS 20000 /* of a host that reads or writes at full speed: high-speed USB, about */

enum sim_hang { SIM_HANG_NOT, SIM_HANG_HOST, SIM_HANG_STORAGE };

struct sim_lun {
    unsigned sector;                   /* bytes: 2048 of a CD, 512 of a disk */
    struct engine_medium medium;
    bool locked;                       /* a program of the host's holds the drive open */
    bool cleared;                      /* the kernel has forgotten that, by a signal */
    bool changed;                      /* the kernel has yet to tell the host of another medium */
    uint64_t believed;                 /* bytes of the medium that the host last knew of; 0: of none */
    bool reading, writing;             /* as do these, at full speed, since: */
    msec since;
    uint64_t bytes_read, bytes_written, commands;
    enum sim_hang hang;
};

/* Lets the host's activity go on until now. Returns whether bytes moved. */
bool sim_run(struct sim_lun *l, msec now);

/* One order, as the kernel would do it; `opened` is the image of the last OPEN. */
void sim_order(struct sim_lun *l, const struct engine_order *o, const struct engine_medium *opened, bool can_force,
               struct engine_result *ret);

/* One command of the host: "lock", "unlock", "eject", "read BYTES", "write BYTES", "reading on|off", "writing on|off",
 * "hang host|storage|off". 0, or -1 with *e. *ret_left: the medium was let go of. As eject(1) does, "eject" allows the
 * removal first, whoever has the drive open. */
int sim_host(struct sim_lun *l, const char *verb, const char *argument, msec now, bool *ret_left, struct err *e);

/* A signal to the function's thread: the kernel forgets locks, and what it has yet to tell. */
void sim_clear(struct sim_lun *l);

/* A program of the host's opens the drive and closes it again: the bytes that it finds, by the host's caches; 0: no medium. */
uint64_t sim_host_look(struct sim_lun *l);

/* The gadget was unbound: the host is gone, and its locks with it. */
void sim_disconnect(struct sim_lun *l);

/* What the host sees of the medium: whole sectors. 0 where there is none. */
uint64_t sim_host_bytes(const struct sim_lun *l);
