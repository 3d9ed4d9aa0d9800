#include "images/unpacker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "images/hasher.h"
#include "images/helper.h"

#define OUT_BYTES (256 * 1024)

struct unpacker {
    struct helper helper;
    unpacker_taker *take;
    void *owner;
    struct hasher *hasher;
    uint8_t *piece;     /* being filled for the hasher */
    size_t piece_len;
    int64_t received;
    bool failed, ended; /* ended: the helper has said that all is out */
    char format[16];
    char sha256[SHA256_TEXT_MAX];
    uint8_t out[OUT_BYTES];
};

struct unpacker *unpacker_new(uint64_t largest, unpacker_taker *take, void *owner, struct err *e)
{
    struct unpacker *u = calloc(1, sizeof *u);
    cleanup_json json_t *order = json_object();
    if (!u || !order) {
        free(u);
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        return NULL;
    }
    json_put_int(order, "largest", (int64_t)MIN(largest, INT64_MAX));
    u->take = take;
    u->owner = owner;
    u->helper = (struct helper)HELPER_NONE;
    if (!(u->hasher = hasher_new(e)) || helper_start("unpack", -1, order, &u->helper, e) < 0) {
        unpacker_free(u);
        return NULL;
    }
    return u;
}

void unpacker_free(struct unpacker *u)
{
    if (!u) return;
    helper_done(&u->helper);
    hasher_free(u->hasher);
    free(u);
}

/* ---- the digest of what goes in ---- */

static void hash(struct unpacker *u, const uint8_t *data, size_t len)
{
    while (len > 0) {
        if (!u->piece) u->piece = hasher_piece(u->hasher);
        size_t part = MIN(len, HASHER_PIECE_BYTES - u->piece_len);
        memcpy(u->piece + u->piece_len, data, part);
        u->piece_len += part;
        data += part;
        len -= part;
        if (u->piece_len < HASHER_PIECE_BYTES) continue;
        u->piece = NULL;
        hasher_submit(u->hasher, HASHER_PIECE_BYTES);
        u->piece_len = 0;
    }
}

static void finish_hash(struct unpacker *u)
{
    uint8_t digest[SHA256_BYTES];
    if (u->piece) hasher_submit(u->hasher, u->piece_len);
    hasher_finish(u->hasher, digest);
    parse_to_hex(digest, sizeof digest, u->sha256);
}

/* ---- bytes ---- */

/* Closes it at its end, so that nobody waits for it any more. */
static int take_out(struct unpacker *u, struct err *e)
{
    ssize_t n = read(u->helper.out, u->out, sizeof u->out);
    if (n < 0) return errno == EAGAIN || errno == EINTR ? 0 : err_set_errno(e, ERR_INTERNAL, errno, "Cannot unpack");
    if (n > 0) return u->take(u->owner, u->out, (size_t)n, e);
    close(take_fd(&u->helper.out));
    return 0;
}

static int hear(struct unpacker *u, struct err *e)
{
    cleanup_json json_t *event = NULL;
    int result = helper_event(&u->helper, &event, e);
    if (result <= 0) return result;
    if (strcmp(json_text(event, "event"), "end") != 0) return helper_failure(event, e);
    snprintf(u->format, sizeof u->format, "%s", json_text(event, "format"));
    u->ended = true;
    close(take_fd(&u->helper.control));
    return 0;
}

static int wait_for(struct unpacker *u, bool writing, struct helper_ready *ready, struct err *e)
{
    if (helper_wait(&u->helper, writing, UNPACKER_PATIENCE, ready)) return 0;
    return err_set(e, ERR_UNAVAILABLE, "Unpacking has made no progress for %d s", UNPACKER_PATIENCE / 1000);
}

static int put_in(struct unpacker *u, const uint8_t *data, size_t len, struct err *e)
{
    while (len > 0) {
        struct helper_ready ready;
        if (wait_for(u, true, &ready, e) < 0) return -1;
        /* What it has said comes first: a failure is the reason why it reads no more. */
        if (ready.control && hear(u, e) < 0) return -1;
        if (ready.out && take_out(u, e) < 0) return -1;
        if (!ready.in) continue;
        if (u->ended) return err_set(e, ERR_ARCHIVE_UNUSABLE, "Something follows the end of the %s data", u->format);
        ssize_t n = write(u->helper.in, data, len);
        if (n < 0 && errno == EPIPE && u->helper.control >= 0) continue; /* its reason is on the way */
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return err_set_errno(e, ERR_INTERNAL, errno, "Cannot unpack");
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

static int drain(struct unpacker *u, struct err *e)
{
    while (u->helper.out >= 0 || !u->ended) {
        struct helper_ready ready;
        if (wait_for(u, false, &ready, e) < 0) return -1;
        if (ready.control && hear(u, e) < 0) return -1;
        if (ready.out && take_out(u, e) < 0) return -1;
    }
    return 0;
}

static int failed_before(struct err *e)
{
    return err_set(e, ERR_INTERNAL, "Unpacking has failed already");
}

int unpacker_write(struct unpacker *u, const void *data, size_t len, struct err *e)
{
    if (u->failed) return failed_before(e);
    hash(u, data, len);
    u->received += (int64_t)len;
    int result = put_in(u, data, len, e);
    u->failed = result < 0;
    return result;
}

int unpacker_finish(struct unpacker *u, struct err *e)
{
    if (u->failed) return failed_before(e);
    util_close_fd(&u->helper.in);
    u->helper.in = -1;
    int result = drain(u, e);
    if (result == 0) finish_hash(u);
    u->failed = true; /* nothing more can follow */
    return result;
}

int64_t unpacker_received(const struct unpacker *u)
{
    return u->received;
}

json_t *unpacker_json(const struct unpacker *u)
{
    json_t *json = json_object();
    if (!json) return NULL;
    json_put_text(json, "format", u->format);
    json_put_int(json, "size", u->received);
    json_put_text(json, "sha256", u->sha256);
    return json;
}

const char *unpacker_sha256(const struct unpacker *u)
{
    return u->sha256;
}
