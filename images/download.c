#include "images/download.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "images/checksum_file.h"
#include "images/fetch.h"

/* ---- what is remembered ---- */

char *download_note(const struct download *d)
{
    cleanup_json json_t *note = json_object();
    json_put_text(note, "url", d->url.text);
    json_put_text(note, "validator", d->validator);
    json_put_flag(note, "credentials", d->url.username[0] || d->url.password[0]);
    return json_write(note, false);
}

int download_note_parse(const char *note, struct download *d, bool *ret_credentials, struct err *e)
{
    char url[FETCH_URL_MAX];
    const struct json_member members[] = {
        {.name = "url", .kind = JSON_TEXT, .ret = url, .size = sizeof url, .required = true},
        {.name = "validator", .kind = JSON_TEXT, .ret = d->validator, .size = sizeof d->validator, .required = true},
        {.name = "credentials", .kind = JSON_FLAG, .ret = ret_credentials, .required = true},
    };
    cleanup_json json_t *json = json_parse_object(note, strlen(note), strlen(note), e);
    if (!json || json_read(json, members, ARRAY_LEN(members), e) < 0) return -1;
    return fetch_url_parse(url, &d->url, e);
}

/* ---- where the bytes go ---- */

static int check(void *owner, struct err *e)
{
    struct download *d = owner;
    if (job_check(d->job, e) < 0) return -1;
    return d->piece ? library_piece_check(d->piece, e) : library_upload_check(d->upload, e);
}

static void interrupted(void *owner, attr_unused const struct err *why)
{
    job_wake(owner);
}

/* From here on what came is kept whatever happens. */
static int make_partial(struct download *d, struct err *e)
{
    const struct library_interrupt interrupt = {d->job, interrupted};
    cleanup_free char *note = download_note(d);
    if (!note) return err_set(e, ERR_UNAVAILABLE, "Out of memory");
    if (library_partial_from(d->upload, d->total, note, e) < 0) return -1;
    d->upload = NULL;
    d->piece = library_piece_begin(d->library, d->id, 0, false, &interrupt, e);
    if (!d->piece) return -1;
    library_piece_source(d->piece, d->url.shown);
    return 0;
}

/* The server has another version than the one of which something is there. */
static int restart_piece(struct download *d, struct err *e)
{
    if (d->total <= 0) return err_set(e, ERR_SOURCE_FAILED, "The file has changed on the server meanwhile");
    cleanup_free char *note = download_note(d);
    if (!note) return err_set(e, ERR_UNAVAILABLE, "Out of memory");
    return library_piece_restart(d->piece, d->total, note, e);
}

static void go_on(struct download *d)
{
    if (!d->paused) return;
    d->paused = false;
    if (d->piece)
        library_piece_resume(d->piece);
    else
        library_upload_resume(d->upload);
}

static int begin(void *owner, int64_t offset, int64_t total, const char *validator, struct err *e)
{
    struct download *d = owner;
    bool anew = d->anew || offset != d->offset;
    d->anew = false;
    d->offset = offset;
    d->total = total;
    snprintf(d->validator, sizeof d->validator, "%s", validator);
    go_on(d);
    if (d->unpacker) {
        library_upload_source(d->upload, 0, total);
        return 0;
    }
    if (d->piece) return anew ? restart_piece(d, e) : 0;
    if (total > 0 && validator[0]) return make_partial(d, e);
    return total >= 0 ? library_upload_expect(d->upload, total, e) : 0;
}

static int take_unpacked(void *owner, const void *data, size_t len, struct err *e)
{
    struct download *d = owner;
    return library_upload_write(d->upload, data, len, e);
}

static int take(void *owner, const void *data, size_t len, struct err *e)
{
    struct download *d = owner;
    go_on(d);
    d->offset += (int64_t)len;
    if (d->piece) return library_piece_write(d->piece, data, len, e);
    if (!d->unpacker) return library_upload_write(d->upload, data, len, e);
    if (unpacker_write(d->unpacker, data, len, e) < 0) return -1;
    library_upload_source(d->upload, d->offset, d->total);
    return 0;
}

static void again(void *owner, const struct err *why, msec pause)
{
    struct download *d = owner;
    log_info("\"%s\" from %s: %s; next try in %lld ms", d->name, d->url.shown, why->text, (long long)pause);
    d->paused = true;
    if (d->piece)
        library_piece_pause(d->piece, why);
    else
        library_upload_pause(d->upload, why);
}

/* ---- the checksum file ---- */

struct small_file {
    struct download *download;
    char *text; /* CHECKSUM_FILE_MAX bytes */
    size_t len;
};

static int small_begin(void *owner, attr_unused int64_t offset, attr_unused int64_t total,
                       attr_unused const char *validator, attr_unused struct err *e)
{
    struct small_file *f = owner;
    f->len = 0;
    return 0;
}

static int small_take(void *owner, const void *data, size_t len, struct err *e)
{
    struct small_file *f = owner;
    if (len > CHECKSUM_FILE_MAX - f->len) return err_set(e, ERR_TOO_LARGE, "The checksum file is too large");
    memcpy(f->text + f->len, data, len);
    f->len += len;
    return 0;
}

static void small_again(void *owner, const struct err *why, msec pause)
{
    const struct small_file *f = owner;
    again(f->download, why, pause);
}

static int small_check(void *owner, struct err *e)
{
    const struct small_file *f = owner;
    return check(f->download, e);
}

/* Credentials go there only where it is the same server. */
static int fetch_checksum(struct download *d, struct err *e)
{
    struct small_file file = {.download = d, .text = malloc(CHECKSUM_FILE_MAX)};
    bool same = strcmp(d->sha256_url.origin, d->url.origin) == 0;
    const struct fetch_url *who = d->sha256_url.username[0] || !same ? &d->sha256_url : &d->url;
    const struct fetch_source source = {
        .url = d->sha256_url.text, .username = who->username, .password = who->password, .total = -1, .validator = "",
        .largest = CHECKSUM_FILE_MAX, .wake = job_fd(d->job),
    };
    const struct fetch_sink sink = {&file, small_begin, small_take, small_again, small_check};
    int result = -1;
    if (!file.text)
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
    else if ((result = fetch_from(&source, d->config, &sink, e)) > 0)
        result = err_set(e, ERR_SOURCE_FAILED, "It changed while it was fetched");
    if (result == 0) result = checksum_file_find(file.text, file.len, d->url.name, d->sha256, e);
    free(file.text);
    if (result < 0) return err_prefix(e, "The checksum file");
    if (!d->unpack) library_upload_digest(d->upload, d->sha256);
    return 0;
}

/* ---- all of it ---- */

/* Before the first byte, and again where the file changed on the server. */
static int start(struct download *d, bool first, struct err *e)
{
    if (!first) {
        d->offset = 0;
        d->validator[0] = '\0';
        d->anew = true;
        if (d->upload && library_upload_restart(d->upload, e) < 0) return -1;
    }
    if (!d->unpack) return 0;
    unpacker_free(d->unpacker);
    d->unpacker = unpacker_new(d->config->largest, take_unpacked, d, e);
    return d->unpacker ? 0 : -1;
}

static int fetch_bytes(struct download *d, struct err *e)
{
    const struct fetch_sink sink = {d, begin, take, again, check};
    for (int changes = 0; changes <= DOWNLOAD_CHANGES_MAX; changes++) {
        if (start(d, changes == 0, e) < 0) return -1;
        const struct fetch_source source = {
            .url = d->url.text, .username = d->url.username, .password = d->url.password, .offset = d->offset,
            .total = d->total, .validator = d->validator, .largest = d->config->largest, .wake = job_fd(d->job),
        };
        int result = fetch_from(&source, d->config, &sink, e);
        if (result <= 0) return result;
        log_info("\"%s\" from %s has changed there; it is fetched anew", d->name, d->url.shown);
    }
    return err_set(e, ERR_SOURCE_FAILED, "The file on the server changes all the time");
}

static int finish_unpacking(struct download *d, struct err *e)
{
    if (!d->unpacker) return 0;
    if (unpacker_finish(d->unpacker, e) < 0) return -1;
    if (d->sha256[0] && strcasecmp(d->sha256, unpacker_sha256(d->unpacker)) != 0)
        return err_set(e, ERR_DIGEST_MISMATCH, "What the server sent has the SHA-256 %s, not %s",
                       unpacker_sha256(d->unpacker), d->sha256);
    library_upload_add(d->upload, "unpacked", unpacker_json(d->unpacker));
    return 0;
}

/* Ends the upload or the piece in any case. */
static int publish(struct download *d, struct err *e)
{
    bool replaced;
    json_t *image;
    if (d->upload) {
        image = library_upload_finish(take_ptr(d->upload), &replaced, e);
        json_decref(image);
        return image ? 0 : -1;
    }
    cleanup_free struct library_partial_status *status = malloc(sizeof *status);
    if (!status) return err_set(e, ERR_UNAVAILABLE, "Out of memory");
    int result = library_piece_end(take_ptr(d->piece), true, status, &image, e);
    json_decref(image);
    if (result < 0) library_partial_fail(d->library, d->id, e);
    return result;
}

static void fail(struct download *d, const struct err *why)
{
    bool stopped = why->code == ERR_INTERRUPTED; /* the next life goes on */
    if (d->piece && stopped)
        library_piece_abort(take_ptr(d->piece));
    else if (d->piece)
        library_piece_fail(take_ptr(d->piece), why);
    else if (d->upload)
        library_upload_fail(take_ptr(d->upload), why);
    else
        library_partial_fail(d->library, d->id, why);
}

void download_run(struct download *d)
{
    struct err e = {0};
    int result = 0;
    if (d->sha256_url.text[0]) result = fetch_checksum(d, &e);
    if (result == 0) result = fetch_bytes(d, &e);
    if (result == 0) result = finish_unpacking(d, &e);
    bool publishing = result == 0;
    if (publishing) result = publish(d, &e);
    else fail(d, &e);
    unpacker_free(d->unpacker);
    if (result < 0)
        log_warning("\"%s\" from %s: %s", d->name, d->url.shown, e.text);
    else
        log_info("\"%s\" was fetched from %s", d->name, d->url.shown);
}
