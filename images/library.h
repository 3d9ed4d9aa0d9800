/*
 * library.h - the images in the stores: listing, receiving, reading back, deleting.
 *
 * A library knows its stores from the configuration. What is on the disk is the truth; the library holds no list that
 * could disagree with it. Images that are being received live under a temporary name in the hidden directory
 * ".trayd" of their store and become visible by a rename, complete and synced.
 *
 * Thread-safe. A name is checked by image_name_check() (name_check(), and NFC); a store is "" (the default), "main"
 * or "main/sub/folder". A NULL store is the default too, but for a list, where it is all stores.
 *
 * A store that does not answer fails with `unavailable` after STORE_PATIENCE, and delays nobody else; one that is not
 * there fails with `store_detached`, and is found again by itself when it is back.
 */
#pragma once

#include "base/json.h"
#include "base/store_config.h"
#include "images/name.h"
#include "images/transfers.h"

struct library;

/* Is this image in a drive, or about to be? The API answers from the gadget's mirror. */
struct library_usage {
    void *owner;
    /* Adds to the image's JSON who uses it; returns true where it is in use. *ret_writable: by a writable medium. */
    bool (*in_use)(void *owner, const char *store, const char *name, json_t *ret_drives, bool *ret_writable);
};

/*
 * Marks of unclean images (unclean.h) that could not be kept with their image: its store is away, or has no place for
 * them. Their owner may be asked from any thread, with any lock of the library held but `lock`.
 */
struct library_marks {
    void *owner;
    json_t *(*get)(void *owner, const char *store, const char *name); /* as unclean_json(); NULL: there is none */
    /* The image has another name now; NULL: it is gone, was replaced, or somebody took the mark away. */
    void (*moved)(void *owner, const char *store, const char *name, const char *to);
};

/* What the observer sees; called on its thread. The files that trayd itself publishes are among them. */
struct library_news {
    void *owner;
    void (*file)(void *owner, const char *store, const char *name); /* it appeared, or was written to */
    void (*store)(void *owner, const char *name); /* it is there, after it was not, or has changed as a whole */
};

struct library_limits {
    int64_t upload_max;  /* bytes of one image */
    msec upload_expires; /* ms that an upload which can be continued is kept after its last byte */
};

#define LIBRARY_LIMITS_DEFAULT {.upload_max = INT64_MAX, .upload_expires = (msec)24 * 60 * 60 * 1000}

struct library *library_new(const struct store_list *stores, struct err *e); /* with the default limits */
struct library *library_new_limited(const struct store_list *stores, const struct library_limits *limits,
                                    struct err *e);
void library_free(struct library *l);
void library_set_usage(struct library *l, const struct library_usage *u);
void library_set_news(struct library *l, const struct library_news *n); /* the one before may be called once more */
void library_set_marks(struct library *l, const struct library_marks *m);

/* Called on each change with the image's JSON ({"name", "store", ..., "deleted": true} when it is gone). */
void library_set_listener(struct library *l, void (*changed)(void *owner, const json_t *image), void *owner);

/*
 * Begins to notice what happens in the stores without the library (observer.h): image listeners hear of files that other
 * programs put there, replaced or removed, and `changed` of stores that went, came back, or changed as a whole, with
 * the store's JSON. NULL ends it; a call that is under way has then returned. Returns 0, or -1 with *e.
 */
int library_observe(struct library *l, void (*changed)(void *owner, const json_t *store), void *owner, struct err *e);

/* Looks at the store again, and tells the listener. Returns the store's JSON as it is now, or NULL with *e. */
json_t *library_rescan(struct library *l, const char *store, struct err *e);
void library_look(struct library *l, const char *store); /* the same, and returns at once */
int64_t library_upload_max(const struct library *l); /* of the limits */
/* A store reference in its canonical form, with the default store's name. Returns 0, or -1 with *e. */
int library_store_ref(struct library *l, const char *store, char ret[STORE_REF_MAX], struct err *e);

/* Waits until nothing is being received, `ms` at most. Returns whether that is so. */
bool library_wait_quiet(struct library *l, msec ms);

/* The transfers of this library: every upload is one. Lives as long as the library. */
struct transfers *library_transfers(struct library *l);

struct library_query {
    const char *store;  /* NULL: all stores */
    const char *search; /* part of the name or note, case-insensitive; NULL: any */
    const char *sort;   /* "name", "size", "modified"; a leading '-' reverses; NULL: name */
    int limit;          /* 1 to 1000 */
    const char *after;  /* cursor of the previous page, NULL for the first */
};

/* {"images": [...], "next": cursor or null}, and "skipped" where there are files whose names cannot be used: how many.
 * Each image is as library_get() shows it, but without what an inspection found; "format" and "bootable" are there as
 * far as an earlier look at the same file told, and null otherwise. Stores that are not there are left out when all are
 * listed. A store includes its folders. */
json_t *library_list(struct library *l, const struct library_query *q, struct err *e);

/*
 * An image as JSON: name, store, size, modified, complete, note (or null), readonly (nobody has write permission, or the
 * store is read-only), sha256 (or null), unclean (its mark, or null), drives, filesystem_dirty, suggested_type ("cdrom",
 * "disk"), suggested_reason, etag (null while the image is writable in a drive), and what an inspection found
 * (inspect_json.h): format, bootable, container, label,
 * filesystem, installer, partitions, warnings. One that is being received has complete: false, "received", its
 * announced size or null, null for what is not known yet, and none of the details; one that is being replaced is shown
 * as it was.
 */
json_t *library_get(struct library *l, const char *store, const char *name, struct err *e);

/* [{"name", "path", "readonly", "attached", "size", "free", "reserve"}], sizes null where it is not attached. */
json_t *library_stores(struct library *l);
json_t *library_store(struct library *l, const char *name, struct err *e);

/* ---- a store that is taken away (library_leave.c) ---- */

enum library_door {
    LIBRARY_OPEN,    /* to everybody */
    LIBRARY_ENDING,  /* nothing new begins there; what is under way goes on and ends */
    LIBRARY_CLOSED,  /* nobody enters, and nothing is watched; the store is not attached */
};

/* `store` is a store's name, without a folder: library_store_name() of what a client says. Where it opens or closes, the
 * observer looks at it and tells. Waits for nothing. With the use lock held where inserts must not slip through. */
int library_store_name(struct library *l, const char *store, char ret[STORE_NAME_MAX], struct err *e);
void library_set_door(struct library *l, const char *name, enum library_door door);

/* Is the door open? 0, or -1 with *e. */
int library_may_use(struct library *l, const char *store, struct err *e);

/* How many files and directories of that store this process has open, whoever opened them for what. *ret_what (may be NULL)
 * names one of them. */
size_t library_open_files(struct library *l, const char *name, char *ret_what, size_t size);

/* Ends what is under way there: an upload that can be continued pauses, anything else is cancelled. Returns at once. */
void library_end_transfers(struct library *l, const char *name);

/* The storage under this image was cut: its store is not attached until it reads from its storage again (store.h). */
void library_doubt(struct library *l, const char *store, const char *image);

/* ---- receiving ---- */

struct library_upload;

/* Ends the wait for an upload's next bytes, in another thread, with *e as the reason. Called at any time until the
 * upload has ended, with a lock held: it must neither wait nor call back. */
struct library_interrupt {
    void *owner;
    void (*run)(void *owner, const struct err *e);
};

struct library_upload_request {
    const char *store, *name;
    int64_t length;         /* -1: unknown (chunked) */
    const char *sha256;     /* 64 hexadecimal digits that the content must have, or NULL */
    const char *if_match;   /* strong ETag of the content that may be replaced, "*" for any, or NULL */
    bool must_not_exist;    /* If-None-Match: * */
    const char *user, *peer; /* who sends it, for those who look at the transfers; peer may be NULL */
    struct library_interrupt interrupt; /* run NULL: there is nothing to end */
    enum transfer_kind kind;            /* how it is shown: by default an upload, */
    const char *method, *source;        /* "put", from nowhere else (a URL without credentials) */
    const char *work;                   /* of one that can be continued: what is sent is no image yet (convert.h); or NULL */
};

/* Decides everything that can be decided before the first byte: names, existence, use, space (reserved with
 * fallocate: no_space). *ret_exists is set where the same name with the declared digest is there already: then the
 * return value is NULL, *e has ERR_NONE and nothing needs to be transferred. (If the digest of what is there is not
 * known it is computed now, which takes as long as reading the file.) At most UPLOADS_MAX at once. */
struct library_upload *library_upload_begin(struct library *l, const struct library_upload_request *rq,
                                            bool *ret_exists, struct err *e);
int library_upload_write(struct library_upload *u, const void *data, size_t len, struct err *e);
/* Length and digest checked, fsync, rename, fsync of the directory. Returns the image's JSON; the upload is gone
 * either way, and after a failure so is every byte of it. (Only where the directory's fsync fails is the image there
 * all the same: complete, but perhaps not after a power failure.) *ret_replaced: the name existed before. */
json_t *library_upload_finish(struct library_upload *u, bool *ret_replaced, struct err *e);
void library_upload_abort(struct library_upload *u);

/* ---- receiving from elsewhere: what becomes known only on the way ---- */

const char *library_upload_id(const struct library_upload *u); /* of its transfer */

/* Ends it like library_upload_abort(), with the reason. */
void library_upload_fail(struct library_upload *u, const struct err *why);

/* 0, or -1 with *e: it was cancelled. */
int library_upload_check(struct library_upload *u, struct err *e);

/* The image will have so many bytes: reserves the room (no_space). Before the first byte. */
int library_upload_expect(struct library_upload *u, int64_t length, struct err *e);

/* It must have this SHA-256. Before the end. */
void library_upload_digest(struct library_upload *u, const char *sha256);

/* What the transfer shows is counted in other bytes than the image's: those that come in before they are unpacked. The
 * first call decides it; `size` is -1 where nobody knows. */
void library_upload_source(struct library_upload *u, int64_t bytes, int64_t size);

/* It pauses between two tries, and goes on. */
void library_upload_pause(struct library_upload *u, const struct err *why);
void library_upload_resume(struct library_upload *u);

/* All bytes so far were wrong: it begins anew, of unknown length. */
int library_upload_restart(struct library_upload *u, struct err *e);

/* A member for the image's JSON at the end; `value` is taken. */
void library_upload_add(struct library_upload *u, const char *name, json_t *value);

/* A program fills the file: its descriptor, the upload's; and afterwards, that it is complete. Its digest is unknown. */
int library_upload_fd(const struct library_upload *u);
int library_upload_filled(struct library_upload *u, struct err *e);

/* ---- receiving in pieces ---- */

/*
 * An upload that can be continued has an id, which is that of its transfer as well, and keeps its name and its room until
 * it is finished, cancelled, or was not touched for so long as the limits say. It survives the end of the service: see
 * partial.h for what is on the disk when. Such an upload is paused, or busy with one piece.
 */
struct library_partial_status {
    char id[TRANSFER_ID_MAX];
    int64_t offset, length;
    bool finished;             /* the image is there; otherwise the last byte is missing at least, */
    bool packed;               /* or all bytes are here and safe, and the image is still to be made of them (convert.h): */
    bool converting;           /* that is under way */
    msec expires;              /* real time; 0 where it is finished */
    char note[4096 + 1];       /* RECORD_NOTE_MAX: as it was given */
};

/* Decides what library_upload_begin() decides; the length must be known. `method`: a word for the list of transfers;
 * note: whatever its maker wants back. A finished one that has the name already is `exists` as well. */
int library_partial_create(struct library *l, const struct library_upload_request *rq, const char *method,
                           const char *note, struct library_partial_status *ret, struct err *e);

/*
 * An upload in one piece to which no byte has come becomes one that can be continued, `length` bytes long, with the id
 * that it has. The upload is gone where this returns 0; after a failure it is as before.
 */
int library_partial_from(struct library_upload *u, int64_t length, const char *note, struct err *e);

/* Those that were left by an earlier life, or came back with their store, of that method: calls `found` with the id of
 * each, without a lock. */
void library_partial_each(struct library *l, const char *method, void (*found)(void *owner, const char *id),
                          void *owner);

/* Where it stands. A piece that is coming is ended first, and kept as far as it came: who asks wants to go on, and the
 * other request may hang on a line that is dead. not_found, upload_expired, upload_busy (it does not end). */
int library_partial_status(struct library *l, const char *id, struct library_partial_status *ret, struct err *e);

/* Throws it away. One that is finished is forgotten; its image stays. */
int library_partial_delete(struct library *l, const char *id, struct err *e);

/* Throws it away as failed, with the reason. Nobody may be receiving it. */
void library_partial_fail(struct library *l, const char *id, const struct err *why);

struct library_piece;

/* A piece that begins at `offset`: offset_differs, upload_busy, not_found, no_space, ... `held`: nothing of it is kept
 * unless its end is reached and is good. */
struct library_piece *library_piece_begin(struct library *l, const char *id, int64_t offset, bool held,
                                          const struct library_interrupt *interrupt, struct err *e);
int64_t library_piece_left(const struct library_piece *piece); /* bytes that are missing in all */
int library_piece_write(struct library_piece *piece, const void *data, size_t len, struct err *e);
int library_piece_check(const struct library_piece *piece, struct err *e); /* 0, or -1 with *e: enough */

/* It is shown as paused, and as going on; where it comes from. */
void library_piece_pause(struct library_piece *piece, const struct err *why);
void library_piece_resume(struct library_piece *piece);
void library_piece_source(struct library_piece *piece, const char *source);

/* All bytes so far were wrong, and others will come, `length` of them. After a failure the piece can only be aborted or
 * failed. */
int library_piece_restart(struct library_piece *piece, int64_t length, const char *note, struct err *e);

/* Nothing of the upload is of any use: it ends with the reason. */
void library_piece_fail(struct library_piece *piece, const struct err *why);

/* The piece is complete, and on the disk when this returns 0. With the last one the image is published: *ret_image
 * (NULL otherwise; the caller's). The piece is gone in any case; after a failure the upload stands where *ret says,
 * unless its digest was wrong: then it is gone too. `good` false: the piece is dropped, and that is no failure. */
int library_piece_end(struct library_piece *piece, bool good, struct library_partial_status *ret, json_t **ret_image,
                      struct err *e);

/* Its client is gone, or a write failed. What came is kept, unless it was held. */
void library_piece_abort(struct library_piece *piece);

/* ---- an image out of what was received in pieces (convert.h does it) ---- */

/*
 * Of an upload that is `packed`: its bytes, and an image beside it that takes its name at the end. Nothing is lost until
 * then: after a kill -9 it is simply begun again. Whoever asks for the upload meanwhile hears that it is packed.
 */
struct library_conversion;

/* -1 with *e in the end: upload_busy, not_found, ... */
struct library_conversion *library_conversion_begin(struct library *l, const char *id,
                                                    const struct library_interrupt *interrupt, struct err *e);
int library_conversion_fd(const struct library_conversion *c);           /* read-only, at 0, the conversion's */
const char *library_conversion_work(const struct library_conversion *c);
const char *library_conversion_name(const struct library_conversion *c);
msec library_conversion_started(const struct library_conversion *c);     /* real time; the same after a restart */
int library_conversion_check(const struct library_conversion *c, struct err *e); /* -1 with *e: enough */
int library_conversion_expect(struct library_conversion *c, int64_t length, struct err *e); /* no_space, too_large */
int library_conversion_write(struct library_conversion *c, const void *data, size_t len, struct err *e);
void library_conversion_progress(struct library_conversion *c, int64_t bytes); /* of what is expected, or of what is packed */

/* The image is complete. *more (taken, may be NULL): members for its JSON. Returns 0, or -1 with *e; it is gone in any case,
 * and after a failure so is the upload. */
int library_conversion_finish(struct library_conversion *c, json_t *more, struct err *e);

/* Nothing will come of it, and the upload goes too; but where the service stops, the store has gone or somebody else wants
 * the upload, it rests. */
void library_conversion_fail(struct library_conversion *c, const struct err *why);

/* Looks for uploads in stores that were not there before. */
void library_partial_find(struct library *l);

/* ---- out and away ---- */

struct library_content {
    int fd;                 /* the caller's */
    uint64_t size;
    char etag[80];          /* with quotes; "" while the image is writable in a drive */
    msec modified;          /* real time */
};

int library_content_open(struct library *l, const char *store, const char *name, struct library_content *ret,
                         struct err *e);
/* An image that is still being received is cancelled: the upload's next step fails with `cancelled`. */
int library_delete(struct library *l, const char *store, const char *name, const char *if_match, struct err *e);

struct unclean;

/*
 * Marks the image as unclean, in the place of an older mark, and tells the listener, within STORE_PATIENCE. Returns 0, or
 * -1 with *e (never NULL): image_missing, store_cannot (no place for it), store_detached, unavailable, ...
 */
int library_mark_unclean(struct library *l, const char *store, const char *name, const struct unclean *mark,
                         struct err *e);

struct library_edit {
    const char *name;     /* the new one, in the same folder; NULL: as it is */
    const char *note;     /* "" removes it; NULL: as it is */
    const bool *readonly; /* the default for inserts; NULL: as it is */
    bool acknowledge;     /* takes the mark `unclean` away */
    const char *if_match; /* strong ETag, "*" or NULL */
};

/* Changes what is given, or nothing where that can be told beforehand: exists, image_in_use (a new name for one that is
 * in a drive), image_incomplete, store_cannot, ... Returns the image as it is then. */
json_t *library_edit_image(struct library *l, const char *store, const char *name, const struct library_edit *edit,
                           struct err *e);

/*
 * Between an insert's acceptance by trayd-gadget and a delete there must be no gap: the API takes this lock around
 * sending an insert, and the library takes it around looking at the usage and unlinking or replacing.
 */
void library_use_lock(struct library *l);
void library_use_unlock(struct library *l);
