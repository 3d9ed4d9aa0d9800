/*
 * scheduling_fixture.h - for tests of schedules and of restoring: trayd-gadget on the simulation (daemon_fixture.h) with the
 * file that it keeps them in, requests as clients send them, and restarts with a changed file.
 *
 * Include after cmocka.h.
 */
#pragma once

#include "gadget/schedule_request.h"
#include "gadget/scheduling.h"
#include "tests/unit/daemon_fixture.h"

static struct fixture *f;

static inline int begin(void **state attr_unused)
{
    f = fixture_new("", "restore = true;");
    fixture_ready(f);
    return 0;
}

static inline int end(void **state attr_unused)
{
    fixture_free(f);
    return 0;
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static inline const char *state_path(const char *name)
{
    static char path[FIXTURE_PATH_MAX];
    char below[64];
    snprintf(below, sizeof below, "state/%s", name);
    return fixture_path(f, below, path);
}

static inline json_t *kept(void)
{
    return json_load_file(state_path("kept.json"), 0, NULL);
}

/* A member of the file's newest schedule. */
static inline const char *written(const char *member)
{
    static char text[128];
    cleanup_json json_t *all = kept();
    json_t *list = json_object_get(all, "schedules");
    snprintf(text, sizeof text, "%s", json_text(json_array_get(list, json_array_size(list) - 1), member));
    return text;
}

static inline int64_t written_number(const char *member)
{
    cleanup_json json_t *all = kept();
    return json_int(json_array_get(json_object_get(all, "schedules"), 0), member, -1);
}

static inline void put_file(const char *text)
{
    struct err e;
    mkdir(state_path(""), 0700);
    assert_int_equal(fd_replace_file(state_path("kept.json"), text, strlen(text), false, &e), 0);
}

/* Ends the daemon; `change` works on the kept file before the next one begins. reboot: nothing of this boot is left. */
static inline void restart(void (*change)(json_t *all), bool reboot)
{
    char path[FIXTURE_PATH_MAX];
    fixture_stop(f);
    cleanup_json json_t *all = kept();
    if (change) change(all);
    cleanup_free char *text = json_dumps(all, 0);
    put_file(text);
    if (reboot) remove(fixture_path(f, "gadget.state", path));
    fixture_ready(f);
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

static struct answer {
    bool came;
    struct err err;
    char id[OPERATION_ID_LEN + 1], on_disk[128];
    enum schedule_state state;
} answer;

static inline void on_done(attr_unused void *owner, const struct schedule *s, const struct err *e)
{
    answer.came = true;
    answer.err = e ? *e : (struct err){0};
    if (!s) return;
    strcpy(answer.id, s->id);
    answer.state = s->state;
    snprintf(answer.on_disk, sizeof answer.on_disk, "%s", written("state"));
}

static inline int give(const char *text)
{
    cleanup_json json_t *message = json_loads(text, 0, NULL);
    const char *what = json_text(message, "do");
    struct schedule_request rq = {0};
    struct daemon *d = f->daemon;
    assert_non_null(message);
    answer = (struct answer){0};
    json_put_int(message, "id", 1);
    int result;
    if (strcmp(what, "schedule_add") == 0)
        result = schedule_request_add(d, message, &rq, &answer.err) < 0 ? -1 : scheduling_add(d, &rq, on_done, NULL, &answer.err);
    else if (strcmp(what, "schedule_change") == 0)
        result = schedule_request_change(message, &rq, &answer.err) < 0 ? -1 : scheduling_change(d, &rq, on_done, NULL, &answer.err);
    else
        result = schedule_request_cancel(message, &rq, &answer.err) < 0 ? -1 : scheduling_cancel(d, &rq, on_done, NULL, &answer.err);
    json_decref(rq.request);
    return result;
}

/* Its id. */
static inline const char *make(const char *members)
{
    static char text[512];
    snprintf(text, sizeof text, "{\"do\": \"schedule_add\", \"by\": \"me\", %s}", members);
    if (give(text) < 0) fail_msg("%s: %s", members, answer.err.text);
    until(f, answer.came);
    if (answer.err.code) fail_msg("%s: %s", members, answer.err.text);
    return answer.id;
}

static inline enum err_code about(const char *what, const char *id, const char *more)
{
    char text[512];
    snprintf(text, sizeof text, "{\"do\": \"%s\", \"schedule\": \"%s\", \"by\": \"me\" %s}", what, id, more);
    if (give(text) == 0) until(f, answer.came);
    return answer.err.code;
}

static inline struct schedule *newest(void)
{
    assert_true(f->daemon->kept.table.len > 0);
    return &f->daemon->kept.table.items[f->daemon->kept.table.len - 1];
}

static inline size_t operations(void)
{
    size_t n = 0;
    for (struct operation *op = operations_first(f->daemon->operations); op; op = op->next) n++;
    return n;
}

static inline const char *medium(size_t drive)
{
    const struct image_ref *ref = images_ref(f->daemon->images, f->daemon->units[drive].machine.medium.image);
    return ref ? ref->name : "";
}

#define EJECT_CD "\"drive\": \"cd0\", \"action\": \"eject\""
#define INSERT_CD(image) "\"drive\": \"cd0\", \"action\": \"insert\", \"image\": \"" image "\""
#define AFTER_100MS ", \"when\": {\"after\": 0.1}"
#define LATER ", \"when\": {\"after\": 3600}"

#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, end)
