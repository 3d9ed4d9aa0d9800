#include "images/downloads.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "images/download.h"
#include "images/unpack_name.h"

struct downloads {
    struct library *library;
    struct jobs *jobs;
    struct fetch_config config;
    pthread_mutex_t lock;
    struct download *first; /* under way */
};

struct downloads *downloads_new(struct library *l, struct jobs *j, const struct fetch_config *config)
{
    struct downloads *d = calloc(1, sizeof *d);
    if (!d) return NULL;
    d->library = l;
    d->jobs = j;
    d->config = *config;
    pthread_mutex_init(&d->lock, NULL);
    return d;
}

void downloads_free(struct downloads *d)
{
    if (!d) return;
    pthread_mutex_destroy(&d->lock);
    free(d);
}

/* ---- one ---- */

static void download_free(struct download *d)
{
    if (!d) return;
    explicit_bzero(&d->url, sizeof d->url);
    explicit_bzero(&d->sha256_url, sizeof d->sha256_url);
    free(d);
}

static struct download *download_new(struct downloads *all, struct err *e)
{
    struct download *d = calloc(1, sizeof *d);
    if (!d) {
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        return NULL;
    }
    d->all = all;
    d->library = all->library;
    d->config = &all->config;
    d->total = -1;
    d->job = job_new(all->jobs, e);
    if (d->job) return d;
    free(d);
    return NULL;
}

static void enlist(struct download *d)
{
    pthread_mutex_lock(&d->all->lock);
    d->next = d->all->first;
    d->all->first = d;
    pthread_mutex_unlock(&d->all->lock);
}

static void delist(struct download *d)
{
    pthread_mutex_lock(&d->all->lock);
    struct download **link = &d->all->first;
    while (*link != d) link = &(*link)->next;
    *link = d->next;
    pthread_mutex_unlock(&d->all->lock);
}

static void run(attr_unused struct job *job, void *arg)
{
    struct download *d = arg;
    download_run(d);
    delist(d);
    download_free(d);
}

static void interrupted(void *owner, attr_unused const struct err *why)
{
    job_wake(owner);
}

/* ---- from a request ---- */

int download_name(const struct download_request *rq, const char *url_name, char *ret, size_t max, struct err *e)
{
    if (rq->name) {
        snprintf(ret, max, "%s", rq->name);
        return 0;
    }
    if (!url_name[0])
        return err_set(e, ERR_BAD_REQUEST, "The url's path does not end with a name that can be used: give a \"name\"");
    bool unpack = rq->unpack < 0 ? unpack_name_is_packed(url_name) : rq->unpack;
    if (unpack) return unpack_name(url_name, ret, max, e);
    snprintf(ret, max, "%s", url_name);
    return 0;
}

static int take_credentials(const struct download_request *rq, struct fetch_url *u, struct err *e)
{
    if (rq->username && strlen(rq->username) >= sizeof u->username)
        return err_set(e, ERR_BAD_REQUEST, "The user name is too long");
    if (rq->password && strlen(rq->password) >= sizeof u->password)
        return err_set(e, ERR_BAD_REQUEST, "The password is too long");
    if (rq->username) snprintf(u->username, sizeof u->username, "%s", rq->username);
    if (rq->password) snprintf(u->password, sizeof u->password, "%s", rq->password);
    return 0;
}

static int read_request(struct download *d, const struct download_request *rq, struct err *e)
{
    if (fetch_url_parse(rq->url, &d->url, e) < 0 || take_credentials(rq, &d->url, e) < 0 ||
        download_name(rq, d->url.name, d->name, sizeof d->name, e) < 0)
        return -1;
    if (rq->sha256 && rq->sha256_url) return err_set(e, ERR_BAD_REQUEST, "Give sha256 or sha256_url, not both");
    if (rq->sha256_url && fetch_url_parse(rq->sha256_url, &d->sha256_url, e) < 0) return err_prefix(e, "sha256_url");
    if (rq->sha256_url && !d->url.name[0])
        return err_set(e, ERR_BAD_REQUEST, "sha256_url needs a url whose path ends with the name of a file");
    uint8_t bytes[SHA256_BYTES];
    if (rq->sha256 && parse_hex(rq->sha256, bytes, sizeof bytes) < 0)
        return err_set(e, ERR_BAD_REQUEST, "sha256 must be 64 hexadecimal digits");
    if (rq->sha256) parse_to_hex(bytes, sizeof bytes, d->sha256);
    if (library_store_ref(d->library, rq->store, d->store, e) < 0) return -1;
    d->unpack = rq->unpack < 0 ? unpack_name_is_packed(d->url.name) : rq->unpack;
    return 0;
}

/* The id of the download of the same thing that is under way. */
static bool find_same(struct downloads *all, const struct download *d, char ret_id[TRANSFER_ID_MAX])
{
    bool found = false;
    pthread_mutex_lock(&all->lock);
    for (const struct download *o = all->first; o && !found; o = o->next) {
        found = strcmp(o->url.text, d->url.text) == 0 && strcmp(o->name, d->name) == 0 &&
                strcmp(o->store, d->store) == 0;
        if (found) memcpy(ret_id, o->id, TRANSFER_ID_MAX);
    }
    pthread_mutex_unlock(&all->lock);
    return found;
}

static int begin_upload(struct download *d, const struct download_request *rq, bool *ret_exists, struct err *e)
{
    const struct library_upload_request up = {
        .store = d->store, .name = d->name, .length = -1, .sha256 = d->sha256[0] && !d->unpack ? d->sha256 : NULL,
        .user = rq->user, .peer = rq->peer, .interrupt = {d->job, interrupted}, .kind = TRANSFER_DOWNLOAD,
        .method = "url", .source = d->url.shown,
    };
    d->upload = library_upload_begin(d->library, &up, ret_exists, e);
    if (!d->upload) return -1;
    snprintf(d->id, sizeof d->id, "%s", library_upload_id(d->upload));
    return 0;
}

/* The job is the download's, and ends with it; on a failure all of it is undone. */
static int start(struct download *d, struct err *e)
{
    enlist(d);
    if (job_start(d->job, run, d, e) == 0) return 0;
    delist(d);
    return -1;
}

static void undo(struct download *d, const struct err *why)
{
    if (d->upload) library_upload_fail(d->upload, why);
    if (d->piece) library_piece_abort(d->piece);
    job_drop(d->job); /* nobody can wake it any more */
    download_free(d);
}

/* ---- from an earlier life ---- */

/* Goes on with the partial upload of that id, whose note is parsed. */
static int resume(struct download *d, const struct library_partial_status *status, const json_t *transfer,
                  struct err *e)
{
    const struct library_interrupt interrupt = {d->job, interrupted};
    snprintf(d->id, sizeof d->id, "%s", status->id);
    snprintf(d->name, sizeof d->name, "%s", json_text(transfer, "name"));
    snprintf(d->store, sizeof d->store, "%s", json_text(transfer, "store"));
    d->offset = status->offset;
    d->total = status->length;
    d->piece = library_piece_begin(d->library, status->id, status->offset, false, &interrupt, e);
    if (!d->piece) return -1;
    library_piece_source(d->piece, d->url.shown);
    return start(d, e);
}

/* `wanted`: who asks for it, with credentials; NULL at start. Returns true where it goes on. */
static bool try_to_resume(struct downloads *all, const char *id, const struct download *wanted)
{
    struct err e = {0};
    bool credentials = false;
    cleanup_free struct library_partial_status *status = malloc(sizeof *status);
    cleanup_json json_t *transfer = transfers_get(library_transfers(all->library), id, &e);
    struct download *d = status && transfer ? download_new(all, &e) : NULL;
    if (!d) return false;
    int result = library_partial_status(all->library, id, status, &e);
    if (result == 0 && !status->finished) result = download_note_parse(status->note, d, &credentials, &e);
    bool same = !wanted || strcmp(wanted->url.text, d->url.text) == 0;
    if (result == 0 && wanted && same) d->url = wanted->url;
    if (result == 0 && credentials && !wanted)
        log_info("\"%s\" from %s needs a password again: ask for it once more to go on", json_text(transfer, "name"),
                 d->url.shown);
    else if (result == 0 && same && !status->finished && resume(d, status, transfer, &e) == 0)
        return true;
    if (e.code) log_warning("Cannot go on with \"%s\": %s", json_text(transfer, "name"), e.text);
    undo(d, &e);
    return false;
}

static void found(void *owner, const char *id)
{
    try_to_resume(owner, id, NULL);
}

void downloads_resume(struct downloads *d)
{
    library_partial_each(d->library, "url", found, d);
}

struct wanted {
    struct downloads *all;
    const struct download *download;
    char id[TRANSFER_ID_MAX];
};

static void found_wanted(void *owner, const char *id)
{
    struct wanted *w = owner;
    if (w->id[0]) return;
    cleanup_json json_t *transfer = transfers_get(library_transfers(w->all->library), id, NULL);
    if (strcmp(json_text(transfer, "name"), w->download->name) != 0 ||
        strcmp(json_text(transfer, "store"), w->download->store) != 0)
        return;
    if (try_to_resume(w->all, id, w->download)) snprintf(w->id, sizeof w->id, "%s", id);
}

/* One that waits for its password, or could not be resumed at start. */
static bool resume_same(struct downloads *all, const struct download *wanted, char ret_id[TRANSFER_ID_MAX])
{
    struct wanted w = {.all = all, .download = wanted};
    library_partial_each(all->library, "url", found_wanted, &w);
    if (w.id[0]) memcpy(ret_id, w.id, sizeof w.id);
    return w.id[0] != '\0';
}

/* ---- begin ---- */

int downloads_begin(struct downloads *all, const struct download_request *rq, char ret_id[TRANSFER_ID_MAX],
                    json_t **ret_image, struct err *e)
{
    bool exists = false;
    struct err why = {0};
    struct download *d = download_new(all, e);
    if (!d) return -1;
    if (read_request(d, rq, &why) < 0) {
        undo(d, &why);
        *e = why;
        return -1;
    }
    bool joined = find_same(all, d, ret_id) || resume_same(all, d, ret_id);
    if (!joined && begin_upload(d, rq, &exists, &why) == 0) {
        memcpy(ret_id, d->id, sizeof d->id);
        if (start(d, &why) == 0) return 0;
    }
    if (exists) *ret_image = library_get(all->library, d->store, d->name, &why);
    undo(d, &why);
    if (joined) return 0;
    if (exists && *ret_image) return 1;
    *e = why;
    return -1;
}
