#include "images/incoming.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "images/rename_job.h"
#include "images/stored_digest.h"

#define RESERVE_STEP ((off_t)64 << 20)   /* where the length is not known: few extents, and little to give back */
#define WRITEBACK_STEP ((off_t)8 << 20)  /* dirty bytes before the disk is set to work: a short fsync at the end */
#define IMAGE_MODE 0640                  /* as the service's umask would have it; trayd-gadget is root */

/* ---- room ---- */

static int too_small(const struct incoming *in, int64_t wanted, int64_t there, struct err *e)
{
    uint64_t reserve = in->store->config.reserve;
    char kept[64] = "";
    if (reserve) snprintf(kept, sizeof kept, ", besides %" PRIu64 " that stay free", reserve);
    return err_set(e, ERR_NO_SPACE, "The image needs %" PRId64 " byte%s; the store has %" PRId64 " left%s", wanted,
                   wanted == 1 ? "" : "s", MAX(there, 0), kept);
}

int incoming_error(struct err *e)
{
    int errnum = errno;
    if (errnum == EFBIG) return err_set(e, ERR_NO_SPACE, "The store's file system cannot hold so large a file");
    return err_set_errno(e, store_code_for_errno(errnum), errnum, "Cannot write the image");
}

static bool cannot_reserve(int errnum)
{
    return errnum == EOPNOTSUPP || errnum == ENOSYS || errnum == EINVAL;
}

/* What the file occupies is missing from the free bytes already. */
static int64_t there_already(const struct incoming *in)
{
    struct stat st;
    return fstat(in->fd, &st) < 0 ? 0 : MIN((int64_t)st.st_blocks * 512, in->length);
}

/* What may still be taken: not what was promised to others, nor what is to stay free. Negative: that is gone already. */
static int look_for_room(const struct incoming *in, int64_t *ret, struct err *e)
{
    struct statvfs room;
    if (in->ops->room(in->fd, &room) < 0) return incoming_error(e);
    *ret = (int64_t)((uint64_t)room.f_bavail * room.f_frsize) - atomic_load(&in->store->promised) + in->promised -
           (int64_t)MIN(in->store->config.reserve, (uint64_t)INT64_MAX / 2);
    return 0;
}

/*
 * The statvfs check comes first, since its message can say the numbers. What fallocate reserved is missing from the
 * free bytes that others see; where it cannot, store->promised takes its place.
 */
int incoming_reserve(struct incoming *in, struct err *e)
{
    int64_t left;
    if (look_for_room(in, &left, e) < 0) return -1;
    if (in->length < 0) return left > 0 ? 0 : too_small(in, 1, left, e); /* or it is sparse, and grows later */
    int64_t needed = in->length - there_already(in);
    if (needed > 0 && needed > left) return too_small(in, in->length, left, e);
    if (in->length == 0) return 0;
    if (needed == 0) { /* not once more: XFS wants so much free although it is there (xfs_alloc_file_space()) */
        in->reserved = in->length;
        return 0;
    }
    if (in->ops->reserve(in->fd, 0, in->length) == 0) {
        in->reserved = in->length;
        return 0;
    }
    if (errno == ENOSPC || errno == EDQUOT) return too_small(in, in->length, left, e);
    if (!cannot_reserve(errno)) return incoming_error(e);
    in->reserving = false;
    int64_t promised = in->length - in->written;
    atomic_fetch_add(&in->store->promised, promised - in->promised);
    in->promised = promised;
    return 0;
}

/* Of an image whose length is not known: what is next. A store that has less than a whole step left is filled to its
 * reserve, or to its end: the write says when it is full. */
static int reserve_next(struct incoming *in, size_t len, struct err *e)
{
    off_t step = RESERVE_STEP;
    int64_t left;
    if (in->length >= 0 || in->written + (off_t)len <= in->allowed) return 0;
    if (in->store->config.reserve) {
        if (look_for_room(in, &left, e) < 0) return -1;
        if (left < (int64_t)len) return too_small(in, in->written + (int64_t)len, in->written + left, e);
        step = MIN(step, (off_t)left);
    }
    in->allowed = in->written + step;
    if (!in->reserving) return 0;
    if (in->ops->reserve(in->fd, in->written, step) == 0 || !cannot_reserve(errno))
        in->reserved = in->allowed; /* also after ENOSPC: ext4 then keeps what it found */
    else
        in->reserving = false;
    return 0;
}

static void keep_promise(struct incoming *in, int64_t bytes)
{
    bytes = MIN(bytes, in->promised);
    in->promised -= bytes;
    atomic_fetch_sub(&in->store->promised, bytes);
}

/* ---- open and done ---- */

/* A rename cannot leave its file system. Better to say so now than after the last byte. */
static int check_same_device(const struct incoming *in, struct err *e)
{
    struct stat hidden, folder;
    if (fstat(in->hidden_fd, &hidden) < 0 || fstat(in->entry->folder_fd, &folder) < 0)
        return err_set_errno(e, store_code_for_errno(errno), errno, "Cannot look at the store");
    if (hidden.st_dev == folder.st_dev) return 0;
    return err_set(e, ERR_BAD_REQUEST, "The folder is a mount of its own; configure it as a store to upload into it");
}

int incoming_open(struct incoming *in, const struct fileops *ops, struct store *store,
                  const struct store_entry *entry, int64_t length, struct err *e)
{
    *in = (struct incoming){
        .ops = ops, .store = store, .entry = entry, .fd = -1, .hidden_fd = -1, .length = length, .reserving = true,
    };
    in->hidden_fd = hidden_open(ops, entry->root_fd, e);
    return in->hidden_fd < 0 ? -1 : check_same_device(in, e);
}

void incoming_done(struct incoming *in)
{
    if (in->promised) keep_promise(in, in->promised);
    util_close_fd(&in->fd); /* and with it the lock */
    util_close_fd(&in->hidden_fd);
    in->fd = in->hidden_fd = -1;
}

/* ---- bytes ---- */

int incoming_write(struct incoming *in, const uint8_t *data, size_t len, struct err *e)
{
    if (reserve_next(in, len, e) < 0) return -1;
    keep_promise(in, (int64_t)len);
    while (len > 0) {
        ssize_t n = in->ops->write(in->fd, data, len, in->written);
        if (n == 0) errno = EIO;
        if (n <= 0) return incoming_error(e);
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

int incoming_sync(struct incoming *in, struct err *e)
{
    return in->ops->sync(in->fd) < 0 ? incoming_error(e) : 0;
}

/* ---- complete ---- */

int incoming_settle(struct incoming *in, const char *sha256, struct err *e)
{
    bool give_back = in->reserved > in->written;
    if (give_back && in->ops->truncate(in->fd, in->written) < 0) return incoming_error(e);
    if (fchmod(in->fd, IMAGE_MODE) < 0 && errno != EPERM && errno != EOPNOTSUPP) return incoming_error(e);
    if (sha256) stored_digest_write(in->ops, in->fd, sha256); /* without it the digest will be unknown, no more */
    return in->ops->sync(in->fd) < 0 ? incoming_error(e) : 0;
}

int incoming_publish(struct incoming *in, const char *name, bool replace, const char *if_match, bool *ret_unknown,
                     struct err *e)
{
    struct rename_request rq = {
        .from_dir = in->hidden_fd, .from = in->name, .to_dir = in->entry->folder_fd, .to = name,
        .replace = replace, .if_match = if_match,
    };
    int result = store_rename(in->store, in->ops, &rq, ret_unknown, e);
    if (*ret_unknown || result == 0) in->name[0] = '\0';
    return result;
}

static int sync_directory(const struct incoming *in, int fd)
{
    if (in->ops->sync(fd) == 0 || errno == EINVAL || errno == EOPNOTSUPP) return 0; /* FUSE: not every one can */
    return -1;
}

int incoming_sync_name(const struct incoming *in, struct err *e)
{
    /* The hidden directory first: on a file system without a journal, a power failure between the two may lose the
     * name, but must not leave two names for the same blocks (FAT). Then the file once more: FAT keeps its size and its
     * first cluster in the directory's entry, the new one has none (vfat_rename()), and gets them only with the inode. */
    if (sync_directory(in, in->hidden_fd) == 0 && in->ops->sync(in->fd) == 0 &&
        sync_directory(in, in->entry->folder_fd) == 0)
        return 0;
    return err_set_errno(e, store_code_for_errno(errno), errno,
                         "The image is there, but its directory could not be synced");
}
