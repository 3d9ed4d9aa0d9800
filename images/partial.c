#include "images/partial.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/fd.h"
#include "images/store.h"

static int write_all(const struct fileops *ops, int fd, const char *data, size_t len, off_t at)
{
    while (len > 0) {
        ssize_t n = ops->write(fd, data, len, at);
        if (n == 0) errno = EIO;
        if (n <= 0) return -1;
        data += n;
        len -= (size_t)n;
        at += n;
    }
    return 0;
}

/* ---- the record ---- */

static int write_mark(struct partial *p, int64_t offset)
{
    struct record_mark next = {.offset = offset, .number = p->mark.number + 1};
    char text[RECORD_MARK_BYTES + 1];
    record_mark_format(&next, text);
    if (write_all(p->file.ops, p->record_fd, text, RECORD_MARK_BYTES, record_mark_at(next.number)) < 0) return -1;
    if (p->file.ops->sync(p->record_fd) < 0) return -1;
    p->mark = next;
    return 0;
}

/* The newest valid mark. None where both are spoilt: then all is sent again. */
static struct record_mark read_marks(int fd)
{
    struct record_mark newest = {0}, m;
    char text[RECORD_MARK_BYTES];
    for (uint64_t i = 0; i < 2; i++)
        if (pread(fd, text, sizeof text, record_mark_at(i)) == (ssize_t)sizeof text && record_mark_parse(text, &m) &&
            m.number >= newest.number)
            newest = m;
    return newest;
}

static int read_record(int fd, struct record *ret, struct err *e)
{
    cleanup_free char *text = malloc(RECORD_TEXT_MAX);
    if (!text) return err_set(e, ERR_UNAVAILABLE, "Out of memory");
    ssize_t n = pread(fd, text, RECORD_TEXT_MAX, RECORD_TEXT_AT);
    if (n < 0) return err_set_errno(e, store_code_for_errno(errno), errno, "Cannot read the upload's record");
    struct err why;
    if (record_parse(text, (size_t)n, ret, &why) == 0) return 0;
    return err_set(e, ERR_NOT_FOUND, "The upload's record cannot be used: %.200s", why.text);
}

/* ---- create, open, close ---- */

static void none(struct partial *p, const char *id)
{
    *p = (struct partial){.record_fd = -1, .file = {.fd = -1, .hidden_fd = -1}};
    snprintf(p->id, sizeof p->id, "%s", id);
}

static int write_record(struct partial *p, struct err *e)
{
    char name[HIDDEN_NAME_MAX];
    const struct fileops *ops = p->file.ops;
    cleanup_free char *text = record_format(&p->record);
    if (!text || strlen(text) > RECORD_TEXT_MAX) return err_set(e, ERR_UNAVAILABLE, "Out of memory");
    hidden_partial_name(p->id, true, name);
    p->record_fd = ops->open(p->file.hidden_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (p->record_fd < 0 || write_all(ops, p->record_fd, text, strlen(text), RECORD_TEXT_AT) < 0 ||
        write_mark(p, 0) < 0 || (ops->sync(p->file.hidden_fd) < 0 && errno != EINVAL && errno != EOPNOTSUPP))
        return incoming_error(e);
    return 0;
}

static int create(struct partial *p, struct err *e)
{
    struct stat st;
    struct incoming *file = &p->file;
    hidden_partial_name(p->id, false, file->name);
    file->fd = hidden_make_file(file->ops, file->hidden_fd, file->name, e);
    if (file->fd < 0) {
        file->name[0] = '\0';
        return -1;
    }
    if (fstat(file->fd, &st) < 0) return incoming_error(e);
    p->record.inode = (uint64_t)st.st_ino;
    return incoming_reserve(file, e) < 0 ? -1 : write_record(p, e);
}

static void take_back(struct partial *p)
{
    if (p->file.name[0] && partial_remove(p->file.ops, p->file.entry->root_fd, p->id, NULL) < 0)
        atomic_store(&p->file.store->leftovers, true); /* a later upload tries again */
    int64_t promised = partial_close(p);
    atomic_fetch_sub(&p->file.store->promised, promised);
}

int partial_create(struct partial *p, const struct fileops *ops, struct store *store, const struct store_entry *entry,
                   const char *id, const struct record *record, struct err *e)
{
    none(p, id);
    p->record = *record;
    if (incoming_open(&p->file, ops, store, entry, record->size, e) == 0 && create(p, e) == 0) return 0;
    take_back(p);
    return -1;
}

static int open_record(struct partial *p, struct err *e)
{
    char name[HIDDEN_NAME_MAX];
    hidden_partial_name(p->id, true, name);
    p->record_fd = hidden_open_file(p->file.ops, p->file.hidden_fd, name, false, e);
    if (p->record_fd < 0 || read_record(p->record_fd, &p->record, e) < 0) return -1;
    p->mark = read_marks(p->record_fd);
    return 0;
}

/*
 * What was reserved is given back where the file does not show all of it. On FAT it is still in the file's chain after a
 * power failure, but its inode does not know: the next cluster would then make the file system read-only
 * (fs/fat/misc.c, fat_chain_add()). What lies beyond the mark goes as well; it counts for nothing.
 */
static int settle_reserved(struct partial *p, const struct stat *st, struct err *e)
{
    if ((int64_t)st->st_blocks * 512 >= p->record.size) return 0;
    return p->file.ops->truncate(p->file.fd, p->mark.offset) < 0 ? incoming_error(e) : 0;
}

/* A mark that lies beyond the file was true once: somebody cut the file, and what is gone must come again. */
static int open_data(struct partial *p, struct err *e)
{
    struct stat st;
    struct incoming *file = &p->file;
    hidden_partial_name(p->id, false, file->name);
    file->fd = hidden_open_file(file->ops, file->hidden_fd, file->name, true, e);
    if (file->fd < 0) return -1;
    if (fstat(file->fd, &st) < 0) return incoming_error(e);
    if (st.st_nlink != 1) return err_set(e, ERR_NOT_FOUND, "The upload is finished, or was removed");
    p->mark.offset = MIN(p->mark.offset, (int64_t)st.st_size);
    file->length = p->record.size;
    file->written = file->flushed = p->mark.offset;
    if (file->written == file->length) return 0; /* all is here, and has a digest that a change of its time would spoil */
    return settle_reserved(p, &st, e) < 0 ? -1 : incoming_reserve(file, e);
}

int partial_open(struct partial *p, const struct fileops *ops, struct store *store, const struct store_entry *entry,
                 const char *id, int64_t promised, struct err *e)
{
    none(p, id);
    int result = incoming_open(&p->file, ops, store, entry, -1, e);
    p->file.promised = promised;
    if (result < 0) return -1;
    return open_record(p, e) < 0 || open_data(p, e) < 0 ? -1 : 0;
}

int64_t partial_close(struct partial *p)
{
    if (p->follow) follow_rest(p->follow);
    int64_t promised = p->file.promised;
    p->file.promised = 0; /* it goes to the caller */
    incoming_done(&p->file);
    util_close_fd(&p->record_fd);
    p->record_fd = -1;
    return promised;
}

/* ---- bytes ---- */

int partial_begin(struct partial *p, struct follow *follow, bool held, struct err *e)
{
    if (follow_at(follow) > p->mark.offset) follow_rewind(follow);
    if (follow_start(follow, p->file.fd, e) < 0) return -1;
    p->follow = follow;
    p->held = held;
    follow_to(follow, p->mark.offset);
    return 0;
}

void partial_forget(struct partial *p)
{
    p->file.written = p->file.flushed = p->mark.offset;
    if (!p->follow) return;
    follow_rest(p->follow);
    if (follow_at(p->follow) > p->mark.offset) follow_rewind(p->follow);
    p->follow = NULL;
}

int partial_keep(struct partial *p, struct err *e)
{
    int64_t offset = MIN((int64_t)p->file.written, MAX(p->record.size - 1, 0)); /* the last byte: see above */
    if (offset <= p->mark.offset) return 0;
    if (incoming_sync(&p->file, e) < 0) return -1;
    return write_mark(p, offset) < 0 ? incoming_error(e) : 0;
}

int partial_write(struct partial *p, const void *data, size_t len, struct err *e)
{
    if ((int64_t)len > p->record.size - p->file.written)
        return err_set(e, ERR_TOO_LARGE, "More bytes came than the %" PRId64 " that were announced", p->record.size);
    if (incoming_write(&p->file, data, len, e) < 0) return -1;
    if (p->held) return 0;
    follow_to(p->follow, p->file.written);
    return p->file.written - p->mark.offset >= PARTIAL_KEEP_STEP ? partial_keep(p, e) : 0;
}

/* ---- complete ---- */

int partial_seal(struct partial *p, struct err *e)
{
    uint8_t digest[SHA256_BYTES];
    struct follow *follow = take_ptr(p->follow);
    follow_to(follow, p->file.written);
    if (follow_finish(follow, digest, e) < 0) return -1;
    parse_to_hex(digest, sizeof digest, p->sha256);
    const char *wanted = p->record.sha256;
    if (wanted[0] && strcasecmp(wanted, p->sha256) != 0)
        return err_set(e, ERR_DIGEST_MISMATCH, "The content has the SHA-256 %s, not %s", p->sha256, wanted);
    return incoming_settle(&p->file, p->sha256, e);
}

int partial_arrived(struct partial *p, struct err *e)
{
    return write_mark(p, p->record.size) < 0 ? incoming_error(e) : 0;
}

int partial_spend(struct partial *p, struct err *e)
{
    if (p->file.ops->unlink(p->file.hidden_fd, p->file.name) < 0 && errno != ENOENT) return incoming_error(e);
    p->file.ops->sync(p->file.hidden_fd); /* should it come back, the same image is made again */
    return 0;
}

int partial_publish(struct partial *p, bool *ret_unknown, struct err *e)
{
    const struct record *r = &p->record;
    return incoming_publish(&p->file, r->name, r->replace, r->if_match[0] ? r->if_match : NULL, ret_unknown, e);
}

int partial_done(struct partial *p, struct err *e)
{
    int result = incoming_sync_name(&p->file, e);
    write_mark(p, p->record.size); /* where that fails, the image's inode tells it as well */
    return result;
}

/* ---- without opening it ---- */

/* Did the data become the image of that name? */
static bool became_image(int root_fd, const struct record *r)
{
    struct stat st;
    cleanup_close int folder_fd = fd_open_beneath(root_fd, r->folder[0] ? r->folder : ".", O_RDONLY | O_DIRECTORY, 0);
    return folder_fd >= 0 && image_stat_at(folder_fd, r->name, &st, NULL) > 0 && S_ISREG(st.st_mode) &&
           (uint64_t)st.st_ino == r->inode && st.st_size == r->size;
}

static int stat_of(int fd, struct stat *ret, struct err *e)
{
    return fstat(fd, ret) < 0 ? incoming_error(e) : 0;
}

int partial_look(const struct fileops *ops, int root_fd, const char *id, struct partial_look *ret, struct err *e)
{
    struct err why;
    struct stat st;
    char name[HIDDEN_NAME_MAX];
    hidden_partial_name(id, true, name);
    cleanup_close int hidden_fd = ops->open(root_fd, HIDDEN_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (hidden_fd < 0 && errno == ENOENT) return PARTIAL_NONE;
    if (hidden_fd < 0) return incoming_error(e);
    cleanup_close int fd = hidden_open_file(ops, hidden_fd, name, false, &why);
    if (fd < 0 || read_record(fd, &ret->record, &why) < 0 || stat_of(fd, &st, &why) < 0) {
        if (why.code == ERR_NOT_FOUND) return PARTIAL_NONE;
        if (e) *e = why;
        return -1;
    }
    ret->mark = read_marks(fd);
    ret->touched = image_modified(&st);
    hidden_partial_name(id, false, name);
    if (image_stat_at(hidden_fd, name, &st, NULL) > 0 && st.st_nlink == 1) {
        ret->mark.offset = MIN(ret->mark.offset, (int64_t)st.st_size); /* as open_data() */
        return PARTIAL_WAITING;
    }
    bool finished = ret->mark.offset == ret->record.size || became_image(root_fd, &ret->record);
    return finished ? PARTIAL_FINISHED : PARTIAL_NONE;
}

int partial_remove(const struct fileops *ops, int root_fd, const char *id, struct err *e)
{
    char name[HIDDEN_NAME_MAX];
    cleanup_close int hidden_fd = ops->open(root_fd, HIDDEN_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (hidden_fd < 0 && errno == ENOENT) return 0;
    if (hidden_fd < 0) return incoming_error(e);
    for (int record = 1; record >= 0; record--) {
        hidden_partial_name(id, record, name);
        if (ops->unlink(hidden_fd, name) < 0 && errno != ENOENT)
            return err_set_errno(e, store_code_for_errno(errno), errno, "Cannot remove the upload");
    }
    ops->sync(hidden_fd); /* should the name come back, it is an upload that expires */
    return 0;
}
