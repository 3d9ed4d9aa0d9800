#include "images/convert.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "images/helper.h"
#include "images/make.h"
#include "images/stored_digest.h"

#define OUT_BYTES (256 * 1024)

struct conversion {
    const struct converter *converter;
    struct job *job;
    struct library_conversion *conversion;
    struct helper helper;
    int64_t written, size; /* of the image; size -1: unknown */
    bool ended;
    char format[16];       /* of what was unpacked */
    uint8_t out[OUT_BYTES];
};

/* ---- the helper ---- */

static int start(struct conversion *v, struct err *e)
{
    char kind[CONVERT_WORK_MAX];
    const char *work = library_conversion_work(v->conversion), *label = "";
    bool unpack = strcmp(work, CONVERT_UNPACK) == 0;
    cleanup_json json_t *order = json_object();
    if (!order) return err_set(e, ERR_UNAVAILABLE, "Out of memory");
    json_put_int(order, "largest", (int64_t)MIN(v->converter->limits->largest, INT64_MAX));
    if (!unpack) {
        snprintf(kind, sizeof kind, "%.*s", (int)strcspn(work, " "), work);
        if (work[strlen(kind)]) label = work + strlen(kind) + 1;
        json_put_text(order, "kind", kind);
        json_put_text(order, "label", label);
        json_put_int(order, "now", library_conversion_started(v->conversion) / 1000);
    }
    if (helper_start(unpack ? "unpack" : "make", library_conversion_fd(v->conversion), order, &v->helper, e) < 0) return -1;
    v->helper.wake = job_fd(v->job);
    return 0;
}

static int hear(struct conversion *v, struct err *e)
{
    cleanup_json json_t *event = NULL;
    int result = helper_event(&v->helper, &event, e);
    if (result <= 0) return result;
    const char *what = json_text(event, "event");
    if (strcmp(what, "size") == 0) {
        v->size = json_int(event, "size", -1);
        return library_conversion_expect(v->conversion, v->size, e);
    }
    if (strcmp(what, "end") != 0) return helper_failure(event, e);
    snprintf(v->format, sizeof v->format, "%s", json_text(event, "format"));
    v->ended = true;
    close(take_fd(&v->helper.control));
    return 0;
}

/* Of an unpacking nobody knows how much will come out; how much went in stands in the file's offset, which we share. */
static void tell_progress(struct conversion *v)
{
    off_t at = v->size >= 0 ? v->written : lseek(library_conversion_fd(v->conversion), 0, SEEK_CUR);
    library_conversion_progress(v->conversion, at);
}

static int take_out(struct conversion *v, struct err *e)
{
    ssize_t n = read(v->helper.out, v->out, sizeof v->out);
    if (n < 0) return errno == EAGAIN || errno == EINTR ? 0 : err_set_errno(e, ERR_INTERNAL, errno, "Cannot make the image");
    if (n == 0) {
        close(take_fd(&v->helper.out));
        return 0;
    }
    if (library_conversion_write(v->conversion, v->out, (size_t)n, e) < 0) return -1;
    v->written += n;
    tell_progress(v);
    return 0;
}

static int check(struct conversion *v, struct err *e)
{
    return job_check(v->job, e) < 0 || library_conversion_check(v->conversion, e) < 0 ? -1 : 0;
}

static int convert(struct conversion *v, struct err *e)
{
    if (start(v, e) < 0) return -1;
    while (v->helper.out >= 0 || !v->ended) {
        struct helper_ready ready;
        if (!helper_wait(&v->helper, false, CONVERT_PATIENCE, &ready))
            return err_set(e, ERR_UNAVAILABLE, "Making the image has made no progress for %d s", CONVERT_PATIENCE / 1000);
        if (ready.wake && check(v, e) < 0) return -1;
        if (ready.wake) v->helper.wake = -1; /* it was for something that has passed */
        if (ready.control && hear(v, e) < 0) return -1;
        if (ready.out && take_out(v, e) < 0) return -1;
    }
    return v->size < 0 || v->size == v->written ? 0 : err_set(e, ERR_INTERNAL, "The image is not as large as was said");
}

/* ---- all of it ---- */

/* What came, for the image's JSON, as PUT gives it. */
static json_t *unpacked(const struct conversion *v)
{
    struct stat st;
    char sha256[SHA256_TEXT_MAX];
    int fd = library_conversion_fd(v->conversion);
    if (!v->format[0] || fstat(fd, &st) < 0) return NULL;
    json_t *json = json_object(), *more = json_object();
    json_put_text(json, "format", v->format);
    json_put_int(json, "size", st.st_size);
    bool known = stored_digest_read(fd, &st, sha256) || stored_digest_compute(fd, NULL, sha256, NULL) == 0;
    json_put_text(json, "sha256", known ? sha256 : "");
    json_put(more, "unpacked", json);
    return more;
}

static void run(attr_unused struct job *job, void *arg)
{
    struct conversion *v = arg;
    struct err e = {0};
    char name[NAME_BYTES_MAX + 1];
    snprintf(name, sizeof name, "%s", library_conversion_name(v->conversion));
    int result = convert(v, &e);
    helper_done(&v->helper);
    if (result == 0)
        result = library_conversion_finish(v->conversion, unpacked(v), &e);
    else
        library_conversion_fail(v->conversion, &e);
    if (result < 0) log_warning("\"%s\" could not be made of what was sent: %s", name, e.text);
    free(v);
}

static void interrupted(void *owner, attr_unused const struct err *why)
{
    job_wake(owner);
}

int convert_begin(const struct converter *c, const char *id, struct err *e)
{
    struct err why = {0};
    struct conversion *v = calloc(1, sizeof *v);
    if (!v) return err_set(e, ERR_UNAVAILABLE, "Out of memory");
    *v = (struct conversion){.converter = c, .helper = HELPER_NONE, .size = -1, .job = job_new(c->jobs, &why)};
    const struct library_interrupt interrupt = {v->job, interrupted};
    if (v->job) v->conversion = library_conversion_begin(c->library, id, &interrupt, &why);
    if (v->conversion && job_start(v->job, run, v, &why) == 0) return 0;
    if (v->conversion) {
        struct err later;
        err_set(&later, ERR_INTERRUPTED, "%s", why.text);
        library_conversion_fail(v->conversion, &later);
    }
    job_drop(v->job);
    free(v);
    *e = why;
    return -1;
}

/* ---- from an earlier life ---- */

static void found(void *owner, const char *id)
{
    const struct converter *v = owner;
    struct err e = {0};
    cleanup_free struct library_partial_status *status = malloc(sizeof *status);
    cleanup_json json_t *transfer = transfers_get(library_transfers(v->library), id, NULL);
    if (!status || !transfer || library_partial_status(v->library, id, status, &e) < 0 || status->finished ||
        status->converting)
        return;
    if (status->packed && convert_begin(v, id, &e) < 0)
        log_warning("\"%s\" cannot be made of what was sent: %s", json_text(transfer, "name"), e.text);
    else if (!status->packed && strcmp(json_text(transfer, "method"), CONVERT_METHOD_PUT) == 0)
        library_partial_delete(v->library, id, NULL);
}

void convert_resume(const struct converter *v)
{
    library_partial_each(v->library, "tus", found, (void *)(uintptr_t)v);
    library_partial_each(v->library, CONVERT_METHOD_PUT, found, (void *)(uintptr_t)v);
}
