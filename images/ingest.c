#include "images/ingest.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/parse.h"
#include "images/hasher.h"
#include "images/incoming.h"

struct ingest {
    struct incoming file;
    struct hasher *hasher;
    _Atomic int64_t received;
    uint8_t *piece;               /* being filled */
    size_t piece_len;
    bool failed, sealed;
    bool filled;                  /* by somebody else, so that there is no digest */
    char sha256[SHA256_TEXT_MAX];
};

/* ---- begin and end ---- */

static int open_file(struct ingest *in, struct err *e)
{
    in->file.fd = hidden_create(in->file.ops, in->file.hidden_fd, in->file.name, e);
    return in->file.fd < 0 ? -1 : incoming_reserve(&in->file, e);
}

struct ingest *ingest_begin(const struct fileops *ops, struct store *store, const struct store_entry *entry,
                            int64_t length, struct err *e)
{
    struct ingest *in = calloc(1, sizeof *in);
    if (!in) {
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        return NULL;
    }
    if (incoming_open(&in->file, ops, store, entry, length, e) < 0 || open_file(in, e) < 0 ||
        !(in->hasher = hasher_new(e))) {
        ingest_free(in);
        return NULL;
    }
    return in;
}

void ingest_free(struct ingest *in)
{
    if (!in) return;
    hasher_free(in->hasher);
    struct incoming *file = &in->file;
    if (file->name[0] && file->ops->unlink(file->hidden_fd, file->name) < 0 && errno != ENOENT)
        atomic_store(&file->store->leftovers, true); /* the next upload tries again */
    incoming_done(file);
    free(in);
}

/* ---- bytes ---- */

/* The hasher has the piece while it is written: both only read it, and it is not filled again before this returns. */
static int hand_over_piece(struct ingest *in, struct err *e)
{
    uint8_t *piece = take_ptr(in->piece);
    size_t len = in->piece_len;
    in->piece_len = 0;
    hasher_submit(in->hasher, len);
    return incoming_write(&in->file, piece, len, e);
}

static int take(struct ingest *in, const uint8_t *data, size_t len, struct err *e)
{
    if (in->file.length >= 0 && (int64_t)len > in->file.length - in->received)
        return err_set(e, ERR_BAD_REQUEST, "More bytes came than the %" PRId64 " that were announced", in->file.length);
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

int ingest_expect(struct ingest *in, int64_t length, struct err *e)
{
    if (in->failed || in->sealed) return failed_before(e);
    in->file.length = length;
    in->failed = incoming_reserve(&in->file, e) < 0;
    return in->failed ? -1 : 0;
}

int ingest_fd(const struct ingest *in)
{
    return in->file.fd;
}

int ingest_filled(struct ingest *in, struct err *e)
{
    struct stat st;
    if (in->failed || in->sealed) return failed_before(e);
    in->failed = fstat(in->file.fd, &st) < 0 && incoming_error(e) < 0;
    in->file.written = st.st_size;
    in->received = st.st_size;
    in->filled = true;
    return in->failed ? -1 : 0;
}

int64_t ingest_received(const struct ingest *in)
{
    return in->received;
}

/* ---- complete ---- */

static int check(struct ingest *in, const char *sha256, struct err *e)
{
    if (in->file.length >= 0 && in->received != in->file.length)
        return err_set(e, ERR_BAD_REQUEST, "Only %" PRId64 " of the announced %" PRId64 " bytes came", in->received,
                       in->file.length);
    if (in->filled) return 0;
    if (in->piece_len > 0 && hand_over_piece(in, e) < 0) return -1;
    uint8_t digest[SHA256_BYTES];
    hasher_finish(in->hasher, digest);
    parse_to_hex(digest, sizeof digest, in->sha256);
    if (sha256 && strcasecmp(sha256, in->sha256) != 0)
        return err_set(e, ERR_DIGEST_MISMATCH, "The content has the SHA-256 %s, not %s", in->sha256, sha256);
    return 0;
}

int ingest_seal(struct ingest *in, const char *sha256, struct err *e)
{
    if (in->failed || in->sealed) return failed_before(e);
    in->failed = check(in, sha256, e) < 0 || incoming_settle(&in->file, in->filled ? NULL : in->sha256, e) < 0;
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
    int result = incoming_publish(&in->file, name, replace, if_match, &unknown, e);
    in->failed = result < 0;
    if (unknown) atomic_store(&in->file.store->leftovers, true); /* an unlink now would wait for the same store */
    return result;
}

int ingest_sync_name(struct ingest *in, struct err *e)
{
    return incoming_sync_name(&in->file, e);
}
