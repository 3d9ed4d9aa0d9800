#include "images/ingest.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/parse.h"
#include "images/hasher.h"
#include "images/hidden.h"
#include "images/rename_job.h"

#define RESERVE_STEP ((off_t)64 << 20)   /* where the length is not known: few extents, and little to give back */
#define WRITEBACK_STEP ((off_t)8 << 20)  /* dirty bytes before the disk is set to work: a short fsync at the end */
#define IMAGE_MODE 0640                  /* as the service's umask would have it; trayd-gadget is root */

struct ingest {
    const struct fileops *ops;
    struct store *store;
    struct hasher *hasher;
    const struct store_entry *entry; /* the caller's */
    int fd, hidden_fd;
    char name[HIDDEN_NAME_MAX];   /* in the hidden directory; "" when there is no file there (any more) */
    int64_t length;               /* -1: unknown */
    int64_t promised;             /* of store->promised, ours */
    _Atomic int64_t received;
    off_t written, reserved, flushed;
    bool reserving;               /* the file system can reserve */
    uint8_t *piece;               /* being filled */
    size_t piece_len;
    bool failed, sealed;
    char sha256[SHA256_TEXT_MAX];
};

/* ---- room ---- */

static int too_small(struct err *e, int64_t wanted, int64_t there)
{
    return err_set(e, ERR_NO_SPACE, "The image needs %" PRId64 " bytes; the store has %" PRId64 " left", wanted,
                   MAX(there, 0));
}

static int write_error(struct err *e)
{
    int errnum = errno;
    if (errnum == EFBIG) return err_set(e, ERR_NO_SPACE, "The store's file system cannot hold so large a file");
    return err_set_errno(e, store_code_for_errno(errnum), errnum, "Cannot write the image");
}

static bool cannot_reserve(int errnum)
{
    return errnum == EOPNOTSUPP || errnum == ENOSYS || errnum == EINVAL;
}

/*
 * The statvfs check comes first, since its message can say the numbers. What fallocate reserved is missing from the
 * free bytes that others see; where it cannot, store->promised takes its place.
 */
static int reserve_all(struct ingest *in, struct err *e)
{
    struct statvfs room;
    if (in->ops->room(in->fd, &room) < 0) return write_error(e);
    int64_t free_bytes = (int64_t)((uint64_t)room.f_bavail * room.f_frsize) - atomic_load(&in->store->promised);
    if (in->length > free_bytes) return too_small(e, in->length, free_bytes);
    if (in->length == 0) return 0;
    if (in->ops->reserve(in->fd, 0, in->length) == 0) {
        in->reserved = in->length;
        return 0;
    }
    if (errno == ENOSPC || errno == EDQUOT) return too_small(e, in->length, free_bytes);
    if (!cannot_reserve(errno)) return write_error(e);
    in->reserving = false;
    in->promised = in->length;
    atomic_fetch_add(&in->store->promised, in->promised);
    return 0;
}

/* Of an image whose length is not known: what is next. A store that has less than a whole step left is filled to its
 * end; the write says when it is full. */
static void reserve_next(struct ingest *in, size_t len)
{
    if (!in->reserving || in->length >= 0 || in->written + (off_t)len <= in->reserved) return;
    if (in->ops->reserve(in->fd, in->written, RESERVE_STEP) == 0 || !cannot_reserve(errno))
        in->reserved = in->written + RESERVE_STEP; /* also after ENOSPC: ext4 then keeps what it found */
    else
        in->reserving = false;
}

static void keep_promise(struct ingest *in, int64_t bytes)
{
    bytes = MIN(bytes, in->promised);
    in->promised -= bytes;
    atomic_fetch_sub(&in->store->promised, bytes);
}

/* ---- begin and end ---- */

/* A rename cannot leave its file system. Better to say so now than after the last byte. */
static int check_same_device(const struct ingest *in, struct err *e)
{
    struct stat hidden, folder;
    if (fstat(in->hidden_fd, &hidden) < 0 || fstat(in->entry->folder_fd, &folder) < 0)
        return err_set_errno(e, store_code_for_errno(errno), errno, "Cannot look at the store");
    if (hidden.st_dev == folder.st_dev) return 0;
    return err_set(e, ERR_BAD_REQUEST, "The folder is a mount of its own; configure it as a store to upload into it");
}

static int open_files(struct ingest *in, struct err *e)
{
    in->hidden_fd = hidden_open(in->ops, in->entry->root_fd, e);
    if (in->hidden_fd < 0 || check_same_device(in, e) < 0) return -1;
    in->fd = hidden_create(in->ops, in->hidden_fd, in->name, e);
    return in->fd < 0 ? -1 : 0;
}

struct ingest *ingest_begin(const struct fileops *ops, struct store *store, const struct store_entry *entry,
                            int64_t length, struct err *e)
{
    struct ingest *in = calloc(1, sizeof *in);
    if (!in) {
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        return NULL;
    }
    in->ops = ops;
    in->store = store;
    in->entry = entry;
    in->fd = in->hidden_fd = -1;
    in->length = length;
    in->reserving = true;
    if (open_files(in, e) < 0 || (length >= 0 && reserve_all(in, e) < 0) || !(in->hasher = hasher_new(e))) {
        ingest_free(in);
        return NULL;
    }
    return in;
}

void ingest_free(struct ingest *in)
{
    if (!in) return;
    hasher_free(in->hasher);
    keep_promise(in, in->promised);
    if (in->name[0] && in->ops->unlink(in->hidden_fd, in->name) < 0 && errno != ENOENT)
        atomic_store(&in->store->leftovers, true); /* the next upload tries again */
    util_close_fd(&in->fd); /* and with it the lock */
    util_close_fd(&in->hidden_fd);
    free(in);
}

/* ---- bytes ---- */

static int write_piece(struct ingest *in, const uint8_t *data, size_t len, struct err *e)
{
    reserve_next(in, len);
    keep_promise(in, (int64_t)len);
    while (len > 0) {
        ssize_t n = in->ops->write(in->fd, data, len, in->written);
        if (n == 0) errno = EIO;
        if (n <= 0) return write_error(e);
        data += n;
        len -= (size_t)n;
        in->written += n;
    }
    if (in->written - in->flushed >= WRITEBACK_STEP) {
        in->ops->writeback(in->fd, in->flushed, in->written - in->flushed); /* a hint: the fsync reports errors */
        in->flushed = in->written;
    }
    return 0;
}

/* The hasher has the piece while it is written: both only read it, and it is not filled again before this returns. */
static int hand_over_piece(struct ingest *in, struct err *e)
{
    uint8_t *piece = take_ptr(in->piece);
    size_t len = in->piece_len;
    in->piece_len = 0;
    hasher_submit(in->hasher, len);
    return write_piece(in, piece, len, e);
}

static int take(struct ingest *in, const uint8_t *data, size_t len, struct err *e)
{
    if (in->length >= 0 && (int64_t)len > in->length - in->received)
        return err_set(e, ERR_BAD_REQUEST, "More bytes came than the %" PRId64 " that were announced", in->length);
    while (len > 0) {
        if (!in->piece) in->piece = hasher_piece(in->hasher);
        size_t part = MIN(len, HASHER_PIECE_BYTES - in->piece_len);
        memcpy(in->piece + in->piece_len, data, part);
        in->piece_len += part;
        data += part;
        len -= part;
        in->received += (int64_t)part;
        if (in->piece_len == HASHER_PIECE_BYTES && hand_over_piece(in, e) < 0) return -1;
    }
    return 0;
}

static int failed_before(struct err *e)
{
    return err_set(e, ERR_INTERNAL, "The upload has failed already");
}

int ingest_write(struct ingest *in, const void *data, size_t len, struct err *e)
{
    if (in->failed || in->sealed) return failed_before(e);
    int result = take(in, data, len, e);
    in->failed = result < 0;
    return result;
}

int64_t ingest_received(const struct ingest *in)
{
    return in->received;
}

/* ---- complete ---- */

static int check(struct ingest *in, const char *sha256, struct err *e)
{
    if (in->length >= 0 && in->received != in->length)
        return err_set(e, ERR_BAD_REQUEST, "Only %" PRId64 " of the announced %" PRId64 " bytes came", in->received,
                       in->length);
    if (in->piece_len > 0 && hand_over_piece(in, e) < 0) return -1;
    uint8_t digest[SHA256_BYTES];
    hasher_finish(in->hasher, digest);
    parse_to_hex(digest, sizeof digest, in->sha256);
    if (sha256 && strcasecmp(sha256, in->sha256) != 0)
        return err_set(e, ERR_DIGEST_MISMATCH, "The content has the SHA-256 %s, not %s", in->sha256, sha256);
    return 0;
}

static int settle(struct ingest *in, struct err *e)
{
    bool give_back = in->reserved > in->written;
    if (give_back && in->ops->truncate(in->fd, in->written) < 0) return write_error(e);
    if (fchmod(in->fd, IMAGE_MODE) < 0 && errno != EPERM && errno != EOPNOTSUPP) return write_error(e);
    stored_digest_write(in->ops, in->fd, in->sha256); /* without it the digest will be unknown, no more */
    return in->ops->sync(in->fd) < 0 ? write_error(e) : 0;
}

int ingest_seal(struct ingest *in, const char *sha256, struct err *e)
{
    if (in->failed || in->sealed) return failed_before(e);
    in->failed = check(in, sha256, e) < 0 || settle(in, e) < 0;
    in->sealed = !in->failed;
    return in->failed ? -1 : 0;
}

const char *ingest_sha256(const struct ingest *in)
{
    return in->sha256;
}

int ingest_publish(struct ingest *in, const char *name, bool replace, const char *if_match, struct err *e)
{
    if (in->failed || !in->sealed) return failed_before(e);
    bool unknown;
    struct rename_request rq = {
        .from_dir = in->hidden_fd, .from = in->name, .to_dir = in->entry->folder_fd, .to = name,
        .replace = replace, .if_match = if_match,
    };
    int result = store_rename(in->store, in->ops, &rq, &unknown, e);
    in->failed = result < 0;
    if (unknown) atomic_store(&in->store->leftovers, true); /* an unlink now would wait for the same store */
    if (unknown || result == 0) in->name[0] = '\0';
    return result;
}

static int sync_directory(const struct ingest *in, int fd)
{
    if (in->ops->sync(fd) == 0 || errno == EINVAL || errno == EOPNOTSUPP) return 0; /* FUSE: not every one can */
    return -1;
}

int ingest_sync_name(struct ingest *in, struct err *e)
{
    /* The hidden directory first: on a file system without a journal, a power failure between the two may lose the
     * name, but must not leave two names for the same blocks (FAT). */
    if (sync_directory(in, in->hidden_fd) == 0 && sync_directory(in, in->entry->folder_fd) == 0) return 0;
    return err_set_errno(e, store_code_for_errno(errno), errno,
                         "The image is there, but its directory could not be synced");
}
