#include "images/disc_files.h"

#include <stdatomic.h>
#include <string.h>

#include "images/helper.h"

static atomic_int at_once;

static int bad_path(const char *path, struct err *e)
{
    return err_set(e, ERR_BAD_REQUEST, "The path \"%.200s\" must be names with '/' between them, of at most %d bytes", path,
                   DISC_FILES_PATH_MAX - 1);
}

/* Without slashes at its ends. */
static int read_path(const char *path, char ret[DISC_FILES_PATH_MAX], struct err *e)
{
    const char *begin = path + strspn(path, "/");
    size_t len = strlen(begin);
    while (len > 0 && begin[len - 1] == '/') len--;
    if (len >= DISC_FILES_PATH_MAX) return bad_path(path, e);
    memcpy(ret, begin, len);
    ret[len] = '\0';
    return strstr(ret, "//") ? bad_path(path, e) : 0;
}

struct page {
    json_t *files;
    bool more, ended;
};

static int hear(struct helper *h, struct page *p, struct err *e)
{
    cleanup_json json_t *event = NULL;
    int result = helper_event(h, &event, e);
    if (result <= 0) return result;
    const char *what = json_text(event, "event");
    if (strcmp(what, "end") == 0) {
        p->more = json_flag(event, "more");
        p->ended = true;
        return 0;
    }
    if (strcmp(what, "file") != 0) return helper_failure(event, e);
    if (json_array_size(p->files) == DISC_FILES_LIMIT_MAX) return err_set(e, ERR_INTERNAL, "The helper says too much");
    json_object_del(event, "event");
    return json_array_append(p->files, event) < 0 ? err_set(e, ERR_UNAVAILABLE, "Out of memory") : 0;
}

static int read_disc(struct helper *h, struct page *p, struct err *e)
{
    msec deadline = clock_boot_ms() + DISC_FILES_PATIENCE;
    while (!p->ended) {
        struct helper_ready ready;
        msec left = deadline - clock_boot_ms();
        if (left <= 0 || !helper_wait(h, false, left, &ready))
            return err_set(e, ERR_FILES_UNKNOWN, "The disc was not read within %d s", DISC_FILES_PATIENCE / 1000);
        if (ready.control && hear(h, p, e) < 0) return -1;
        if (ready.out) close(take_fd(&h->out)); /* nothing comes that way but its end */
    }
    return 0;
}

static json_t *list(int fd, const struct disc_files_query *q, const char *path, struct err *e)
{
    struct helper h = HELPER_NONE;
    struct page p = {.files = json_array()};
    cleanup_json json_t *order = json_object();
    json_put_text(order, "path", path);
    json_put_text(order, "after", q->after);
    json_put_int(order, "limit", q->limit);
    int result = !order || !p.files ? err_set(e, ERR_UNAVAILABLE, "Out of memory") : helper_start("list", fd, order, &h, e);
    if (result == 0) result = read_disc(&h, &p, e);
    helper_done(&h);
    json_t *json = result == 0 ? json_object() : NULL;
    if (!json) {
        json_decref(p.files);
        return NULL;
    }
    size_t n = json_array_size(p.files);
    json_put_text(json, "path", path);
    json_put_text(json, "next", p.more && n ? json_text(json_array_get(p.files, n - 1), "name") : NULL);
    json_put(json, "files", p.files);
    return json;
}

json_t *disc_files_list(struct library *l, const struct disc_files_query *q, struct err *e)
{
    struct library_content content;
    char path[DISC_FILES_PATH_MAX];
    if (read_path(q->path, path, e) < 0 || library_content_open(l, q->store, q->name, &content, e) < 0) return NULL;
    cleanup_close int fd = content.fd;
    json_t *json = NULL;
    if (atomic_fetch_add(&at_once, 1) >= DISC_FILES_AT_ONCE)
        err_set(e, ERR_TOO_MANY_REQUESTS, "%d discs are being looked at", DISC_FILES_AT_ONCE);
    else
        json = list(fd, q, path, e);
    atomic_fetch_sub(&at_once, 1);
    return json;
}
