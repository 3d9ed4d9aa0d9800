/*
 * work.h - what the kernel engine's workers are asked and what they answer: one struct each way for all of them.
 *
 * The three sorts of workers (of a function, of a store, of the gadget) run the same work_serve(); what keeps them
 * apart is only which work the engine gives to whom.
 */
#pragma once

#include "gadget/image.h"
#include "gadget/lun.h"
#include "gadget/worker.h"

#define IMAGE_NAME_MAX 1024 /* path of an image below its store */

enum work_kind {
    WORK_LUN,    /* of a function: `lun` on drive's attributes. fds: image to put in, image known to be in.
                    Answers result, and the medium's descriptor where the engine did not have it */
    WORK_OPEN,   /* of a store: open name. Answers result and the descriptor */
    WORK_FLUSH,  /* of a store's flusher: fds[0], as flusher_write_back(). Answers result */
    WORK_CUT,    /* of nobody in particular: `backing`. Answers result */
    WORK_SYNC,   /* of a store, or of its flusher where that has been at work: fds[0] to the disk. Answers result */
    WORK_CLOSE,  /* of a store: fds[0]. The last close of an image without a name has blocks to free */
    WORK_WATCH,  /* of a store: inotify fds[0] on image fds[1], mask. Answers wd, or -1 and result.err */
    WORK_BREAK,  /* of nobody in particular: drive's break_io attribute. Answers result */
    WORK_FENCE,  /* of a store, or of its flusher: lets go of what it holds there; what was asked before is over then */
    WORK_STORE,  /* of a store that is taken away: step, with store_path and mount. Answers store */
    WORK_GADGET, /* of the gadget: order. Answers gadget, and capabilities */
};

struct work {
    enum work_kind kind;
    size_t drive;
    uint32_t ticket;
    struct lun_order lun;          /* LUN; of OPEN: type and readonly; the descriptors in it are the worker's */
    bool store_readonly;           /* OPEN */
    bool store_mount;              /* OPEN */
    enum store_cut store_cut;      /* OPEN */
    struct backing backing;        /* CUT */
    char store_path[STORE_PATH_MAX];
    char name[IMAGE_NAME_MAX];
    uint32_t mask;                 /* WATCH */
    enum departure_step step;      /* STORE */
    struct store_mount mount;
    enum gadget_order order;       /* GADGET */
};

struct work_answer {
    struct engine_result result;
    int wd;
    struct store_result store;
    struct gadget_result gadget;
    bool has_forced_eject[DRIVES_MAX], has_break_io[DRIVES_MAX];
};

/* A worker_serve_fn; context is the struct gadget_config. */
void work_serve(const void *context, const void *request, int fds[PACKET_FDS_MAX], void *answer,
                int ret_fds[PACKET_FDS_MAX]);
