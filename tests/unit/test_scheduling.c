/*
 * Schedules and restoring in trayd-gadget, on the simulation: what is written down before what, what a restart at any of
 * these moments makes of it, and what happens when the file cannot be written, is broken, or hangs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "gadget/restore.h"
#include "gadget/schedule_request.h"
#include "gadget/scheduling.h"
#include "tests/unit/daemon_fixture.h"

static struct fixture *f;

static int begin(void **state attr_unused)
{
    f = fixture_new("", "restore = true;");
    fixture_ready(f);
    return 0;
}

static int end(void **state attr_unused)
{
    fixture_free(f);
    return 0;
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static const char *state_path(const char *name)
{
    static char path[FIXTURE_PATH_MAX];
    char below[64];
    snprintf(below, sizeof below, "state/%s", name);
    return fixture_path(f, below, path);
}

static json_t *kept(void)
{
    return json_load_file(state_path("kept.json"), 0, NULL);
}

/* A member of the file's newest schedule. */
static const char *written(const char *member)
{
    static char text[128];
    cleanup_json json_t *all = kept();
    json_t *list = json_object_get(all, "schedules");
    snprintf(text, sizeof text, "%s", json_text(json_array_get(list, json_array_size(list) - 1), member));
    return text;
}

static int64_t written_number(const char *member)
{
    cleanup_json json_t *all = kept();
    return json_int(json_array_get(json_object_get(all, "schedules"), 0), member, -1);
}

static void put_file(const char *text)
{
    struct err e;
    mkdir(state_path(""), 0700);
    assert_int_equal(fd_replace_file(state_path("kept.json"), text, strlen(text), false, &e), 0);
}

/* Ends the daemon; `change` works on the kept file before the next one begins. reboot: nothing of this boot is left. */
static void restart(void (*change)(json_t *all), bool reboot)
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
    char id[OPERATION_ID_LEN + 1], on_disk[32];
    enum schedule_state state;
} answer;

static void on_done(attr_unused void *owner, const struct schedule *s, const struct err *e)
{
    answer.came = true;
    answer.err = e ? *e : (struct err){0};
    if (!s) return;
    strcpy(answer.id, s->id);
    answer.state = s->state;
    snprintf(answer.on_disk, sizeof answer.on_disk, "%s", written("state"));
}

static int give(const char *text)
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
static const char *make(const char *members)
{
    static char text[512];
    snprintf(text, sizeof text, "{\"do\": \"schedule_add\", \"by\": \"me\", %s}", members);
    if (give(text) < 0) fail_msg("%s: %s", members, answer.err.text);
    until(f, answer.came);
    if (answer.err.code) fail_msg("%s: %s", members, answer.err.text);
    return answer.id;
}

static enum err_code about(const char *what, const char *id, const char *more)
{
    char text[512];
    snprintf(text, sizeof text, "{\"do\": \"%s\", \"schedule\": \"%s\", \"by\": \"me\" %s}", what, id, more);
    if (give(text) == 0) until(f, answer.came);
    return answer.err.code;
}

static struct schedule *newest(void)
{
    assert_true(f->daemon->kept.table.len > 0);
    return &f->daemon->kept.table.items[f->daemon->kept.table.len - 1];
}

static size_t operations(void)
{
    size_t n = 0;
    for (struct operation *op = operations_first(f->daemon->operations); op; op = op->next) n++;
    return n;
}

static const char *medium(size_t drive)
{
    const struct image_ref *ref = images_ref(f->daemon->images, f->daemon->units[drive].machine.medium.image);
    return ref ? ref->name : "";
}

#define EJECT_CD "\"drive\": \"cd0\", \"action\": \"eject\""
#define INSERT_CD(image) "\"drive\": \"cd0\", \"action\": \"insert\", \"image\": \"" image "\""
#define AFTER_100MS ", \"when\": {\"after\": 0.1}"
#define LATER ", \"when\": {\"after\": 3600}"

/* ---- firing ------------------------------------------------------------------------------------------------------ */

static void after_a_while(void **state attr_unused)
{
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    make(EJECT_CD AFTER_100MS);
    assert_string_equal(answer.on_disk, "armed"); /* when the client is answered */
    until(f, newest()->state == SCHEDULE_FIRED && newest()->operation_ended);
    const struct operation *op = operations_by_id(f->daemon->operations, newest()->operation);
    char by[64];
    snprintf(by, sizeof by, "schedule:%s", newest()->id);
    assert_string_equal(op->by, by);
    assert_string_equal(medium(CD0), "");
    until(f, strcmp(written("state"), "fired") == 0 && strcmp(written("operation"), op->id) == 0);
    restart(NULL, false);
    assert_int_equal(newest()->state, SCHEDULE_FIRED);
    assert_string_equal(newest()->by, "me");
    fixture_run_for(f, 200);
    assert_int_equal(operations(), 0); /* the simulated gadget begins anew, and nothing fires again */
}

static void at_a_time(void **state attr_unused)
{
    char text[CLOCK_TEXT_MAX], members[128];
    clock_format_rfc3339(clock_real_ms() + 300, text);
    snprintf(members, sizeof members, INSERT_CD("a.iso") ", \"when\": {\"at\": \"%s\"}", text);
    make(members);
    until(f, strcmp(medium(CD0), "a.iso") == 0);
    until(f, newest()->operation_ended);
    assert_int_equal(newest()->state, SCHEDULE_FIRED);
}

static void when_the_host_is_quiet(void **state attr_unused)
{
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    fixture_host(f, "reading cd0 on");
    make(EJECT_CD ", \"mode\": \"forced\", \"when\": {\"quiet_for\": 1}");
    fixture_run_for(f, 1500);
    assert_int_equal(newest()->state, SCHEDULE_ARMED);
    fixture_host(f, "reading cd0 off");
    until(f, newest()->state == SCHEDULE_FIRED && newest()->operation_ended);
    assert_true(f->daemon->units[CD0].evidence.last_read_at == 0 || medium(CD0)[0] == '\0');
}

static void a_hanging_command_is_not_quiet(void **state attr_unused)
{
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    fixture_host(f, "hang cd0 host");
    make(EJECT_CD ", \"when\": {\"quiet_for\": 1}");
    fixture_run_for(f, 2500);
    assert_int_equal(newest()->state, SCHEDULE_ARMED);
    fixture_host(f, "hang cd0 off");
    until(f, newest()->state == SCHEDULE_FIRED && newest()->operation_ended);
}

static void the_next_disc_of_a_set(void **state attr_unused)
{
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    make(INSERT_CD("b.iso") ", \"when\": {\"host_ejected\": true}");
    make(INSERT_CD("a.iso") ", \"when\": {\"host_ejected\": true}");
    fixture_host(f, "eject cd0");
    until(f, strcmp(medium(CD0), "b.iso") == 0);
    assert_int_equal(newest()->state, SCHEDULE_ARMED);
    until(f, f->daemon->units[CD0].machine.queue_len == 0);
    fixture_host(f, "eject cd0");
    until(f, strcmp(medium(CD0), "a.iso") == 0);
    assert_int_equal(newest()->state, SCHEDULE_FIRED);
}

/* Our own eject is no eject by the host. */
static void our_eject_is_not_the_hosts(void **state attr_unused)
{
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    make(INSERT_CD("b.iso") ", \"when\": {\"host_ejected\": true}");
    fixture_do(f, EJECT("cd0", ""));
    fixture_run_for(f, 100);
    assert_int_equal(newest()->state, SCHEDULE_ARMED);
}

static void boot_once(void **state attr_unused)
{
    struct err e;
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    make(EJECT_CD ", \"when\": {\"host_resets\": 2}");
    assert_int_equal(reattach_begin(f->daemon, REATTACH_FULL, NO_DRIVE, false, true, NULL, NULL, &e), 0);
    until(f, !reattach_under_way(f->daemon) && f->daemon->link.configured);
    assert_int_equal(newest()->resets_seen, 0); /* that was ours */
    fixture_host(f, "link reset");
    until(f, newest()->resets_seen == 1);
    until(f, written_number("resets_seen") == 1);
    restart(NULL, false);
    assert_int_equal(newest()->resets_seen, 1);
    fixture_host(f, "link reset");
    until(f, newest()->state == SCHEDULE_FIRED && newest()->operation_ended);
}

static void what_is_refused_then(void **state attr_unused)
{
    make(INSERT_CD("none.iso") AFTER_100MS);
    until(f, newest()->state == SCHEDULE_FAILED);
    assert_int_equal(newest()->err.code, ERR_IMAGE_MISSING);
    assert_true(newest()->operation[0]);
}

/* ---- changes ----------------------------------------------------------------------------------------------------- */

static void cancelled(void **state attr_unused)
{
    char id[OPERATION_ID_LEN + 1];
    strcpy(id, make(EJECT_CD LATER));
    assert_int_equal(about("schedule_cancel", id, ""), ERR_NONE);
    assert_int_equal(answer.state, SCHEDULE_CANCELLED);
    assert_string_equal(answer.on_disk, "cancelled");
    assert_int_equal(about("schedule_cancel", id, ""), ERR_NONE); /* again */
    assert_int_equal(about("schedule_change", id, ", \"enabled\": true"), ERR_TOO_LATE);
    assert_int_equal(about("schedule_cancel", "00000000000000000000", ""), ERR_NOT_FOUND);
}

static void changed(void **state attr_unused)
{
    char id[OPERATION_ID_LEN + 1];
    strcpy(id, make(EJECT_CD LATER));
    assert_int_equal(about("schedule_change", id, ", \"missed\": \"run\""), ERR_NONE);
    assert_int_equal(newest()->missed, MISSED_RUN);
    assert_int_equal(about("schedule_change", id, ", \"enabled\": false, \"when\": {\"after\": 0.05}"), ERR_NONE);
    fixture_run_for(f, 150);
    assert_int_equal(newest()->state, SCHEDULE_ARMED);
    assert_int_equal(about("schedule_change", id, ", \"enabled\": true"), ERR_BAD_REQUEST); /* its time is over */
    assert_false(newest()->enabled);
    assert_int_equal(about("schedule_change", id, ", \"enabled\": true, \"when\": {\"after\": 0.05}"), ERR_NONE);
    until(f, newest()->state == SCHEDULE_FIRED);
    assert_int_equal(about("schedule_change", id, ""), ERR_BAD_REQUEST);
}

static void bad_requests(void **state attr_unused)
{
    static const struct {
        const char *members;
        enum err_code code;
    } bad[] = {
        {EJECT_CD, ERR_BAD_REQUEST},
        {EJECT_CD ", \"when\": {}", ERR_BAD_REQUEST},
        {EJECT_CD ", \"when\": {\"after\": 1, \"quiet_for\": 1}", ERR_BAD_REQUEST},
        {EJECT_CD ", \"when\": {\"after\": -1}", ERR_BAD_REQUEST},
        {EJECT_CD ", \"when\": {\"after\": 1e300}", ERR_BAD_REQUEST},
        {EJECT_CD ", \"when\": {\"quiet_for\": 0}", ERR_BAD_REQUEST},
        {EJECT_CD ", \"when\": {\"host_resets\": 0}", ERR_BAD_REQUEST},
        {EJECT_CD ", \"when\": {\"host_resets\": 1.5}", ERR_BAD_REQUEST},
        {EJECT_CD ", \"when\": {\"host_ejected\": false}", ERR_BAD_REQUEST},
        {EJECT_CD ", \"when\": {\"at\": \"2020-01-01T00:00:00Z\"}", ERR_BAD_REQUEST},
        {EJECT_CD ", \"when\": {\"at\": \"tomorrow\"}", ERR_BAD_REQUEST},
        {EJECT_CD ", \"when\": {\"then\": 1}", ERR_BAD_REQUEST},
        {EJECT_CD ", \"when\": 5", ERR_BAD_REQUEST},
        {EJECT_CD LATER ", \"missed\": \"perhaps\"", ERR_BAD_REQUEST},
        {EJECT_CD LATER ", \"image\": \"a.iso\"", ERR_BAD_REQUEST},
        {EJECT_CD LATER ", \"if_match\": \"x\"", ERR_BAD_REQUEST},
        {EJECT_CD LATER ", \"operation\": \"x\"", ERR_BAD_REQUEST},
        {EJECT_CD LATER ", \"mode\": \"gentle\"", ERR_BAD_REQUEST},
        {"\"drive\": \"cd7\", \"action\": \"eject\"" LATER, ERR_NOT_FOUND},
        {"\"drive\": \"cd0\", \"action\": \"break\"" LATER, ERR_BAD_REQUEST},
        {"\"drive\": \"cd0\", \"action\": \"insert\"" LATER, ERR_INVALID_NAME},
        {INSERT_CD("a.iso") LATER ", \"readonly\": false", ERR_BAD_REQUEST},
        {INSERT_CD("a.iso") LATER ", \"type\": \"disk\"", ERR_DRIVE_TYPE_DIFFERS},
        {INSERT_CD("../a.iso") LATER, ERR_INVALID_NAME},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char text[512];
        snprintf(text, sizeof text, "{\"do\": \"schedule_add\", %s}", bad[i].members);
        if (give(text) == 0 || answer.err.code != bad[i].code) fail_msg("%s: %s %s", text, err_name(answer.err.code), answer.err.text);
        assert_true(answer.err.text[0]);
    }
    assert_int_equal(f->daemon->kept.table.len, 0);
}

static void no_more_than_so_many(void **state attr_unused)
{
    for (int i = 0; i < SCHEDULES_ARMED_MAX; i++) make(EJECT_CD LATER);
    assert_int_equal(give("{\"do\": \"schedule_add\", " EJECT_CD LATER "}"), -1);
    assert_int_equal(answer.err.code, ERR_TOO_MANY_REQUESTS);
}

/* ---- restarts ---------------------------------------------------------------------------------------------------- */

static void set_firing(json_t *all)
{
    json_put_text(json_array_get(json_object_get(all, "schedules"), 0), "state", "firing");
}

static void killed_before_the_operation(void **state attr_unused)
{
    make(INSERT_CD("a.iso") LATER);
    restart(set_firing, false);
    until(f, strcmp(written("state"), "failed") == 0);
    assert_int_equal(newest()->err.code, ERR_INTERRUPTED);
    fixture_run_for(f, 100);
    assert_int_equal(operations(), 0); /* at most once */
}

/* The operation is found by who asked for it. */
static void killed_after_the_operation_was_begun(void **state attr_unused)
{
    char path[FIXTURE_PATH_MAX], state_text[8192], id[OPERATION_ID_LEN + 1];
    struct err e;
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    fixture_host(f, "lock cd0");
    strcpy(id, make(EJECT_CD ", \"patience\": 600" AFTER_100MS));
    until(f, newest()->state == SCHEDULE_FIRED && f->daemon->units[CD0].machine.queue_len == 1);
    until(f, strcmp(written("state"), "fired") == 0);
    char operation[OPERATION_ID_LEN + 1];
    strcpy(operation, newest()->operation);
    assert_true(fd_read_text(fixture_path(f, "gadget.state", path), state_text, sizeof state_text) > 0);
    fixture_stop(f);
    cleanup_json json_t *all = kept();
    json_t *s = json_array_get(json_object_get(all, "schedules"), 0);
    json_put_text(s, "state", "firing"); /* the last that had reached the disk */
    json_put_text(s, "operation", "");
    cleanup_free char *text = json_dumps(all, 0);
    put_file(text);
    assert_int_equal(fd_replace_file(path, state_text, strlen(state_text), false, &e), 0);
    fixture_ready(f);
    until(f, newest()->operation_ended);
    assert_string_equal(newest()->operation, operation);
    assert_string_equal(newest()->id, id);
    /* The simulated drive is empty after a restart, so that the eject was fulfilled. */
    assert_int_equal(newest()->state, SCHEDULE_FIRED);
}

static void an_hour_ago(json_t *all)
{
    json_t *s = json_array_get(json_object_get(all, "schedules"), 0);
    json_put_text(all, "boot_id", "another");
    json_put_int(s, "due_real", clock_real_ms() - 3600 * 1000);
}

static void missed_and_skipped(void **state attr_unused)
{
    make(INSERT_CD("a.iso") LATER);
    restart(an_hour_ago, true);
    until(f, strcmp(written("state"), "missed") == 0);
    assert_int_equal(newest()->state, SCHEDULE_MISSED);
    assert_int_equal(operations(), 0);
}

static void missed_and_run(void **state attr_unused)
{
    make(INSERT_CD("a.iso") LATER ", \"missed\": \"run\"");
    restart(an_hour_ago, true);
    until(f, newest()->state == SCHEDULE_FIRED);
    until(f, strcmp(medium(CD0), "a.iso") == 0);
}

static void name_another_drive(json_t *all)
{
    json_put_text(json_array_get(json_object_get(all, "schedules"), 0), "drive", "cd9");
    json_put(json_object_get(all, "media"), "cd9", json_object());
}

static void of_another_configuration(void **state attr_unused)
{
    make(EJECT_CD LATER);
    restart(name_another_drive, false);
    assert_int_equal(f->daemon->kept.table.len, 0);
    make(EJECT_CD LATER);
    cleanup_json json_t *all = kept();
    assert_int_equal(json_array_size(json_object_get(all, "schedules")), 2); /* what was not ours is still there */
    assert_non_null(json_object_get(json_object_get(all, "media"), "cd9"));
}

/* Asked before the file was read: answered when it is. */
static void asked_too_early(void **state attr_unused)
{
    static const char question[] = "{\"id\": 5, \"do\": \"schedules\"}";
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char text[2048] = "";
    make(EJECT_CD LATER);
    fixture_stop(f);
    fixture_start(f);
    assert_false(f->daemon->kept.loaded);
    fixture_path(f, "g.sock", a.sun_path);
    cleanup_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(send(fd, question, sizeof question - 1, MSG_NOSIGNAL), sizeof question - 1);
    until(f, recv(fd, text, sizeof text - 1, MSG_DONTWAIT) > 0);
    assert_non_null(strstr(text, "\"id\":5"));
    assert_non_null(strstr(text, answer.id));
}

/* ---- a file that cannot be had ----------------------------------------------------------------------------------- */

static void broken_file(void **state attr_unused)
{
    make(EJECT_CD LATER);
    fixture_stop(f);
    put_file("{\"version\": 1, \"schedules\": [");
    fixture_ready(f);
    assert_int_equal(f->daemon->kept.table.len, 0);
    assert_non_null(strstr(f->daemon->kept.aside, "put aside"));
    make(EJECT_CD LATER);
    char text[64];
    assert_true(fd_read_text(state_path("kept.json.broken"), text, sizeof text) > 0);
    assert_string_equal(text, "{\"version\": 1, \"schedules\": [");
    fixture_stop(f);
    put_file("nonsense");
    fixture_ready(f);
    until(f, access(state_path("kept.json.broken.2"), F_OK) == 0); /* the first one is still there */
    make(EJECT_CD LATER);
}

static void spoil_the_first(json_t *all)
{
    json_put_text(json_array_get(json_object_get(all, "schedules"), 0), "state", "bewitched");
}

static void broken_in_part(void **state attr_unused)
{
    make(EJECT_CD LATER);
    make(INSERT_CD("a.iso") LATER);
    restart(spoil_the_first, false);
    assert_int_equal(f->daemon->kept.table.len, 1);
    assert_int_equal(newest()->action, OP_INSERT);
    until(f, access(state_path("kept.json.broken"), F_OK) == 0);
}

static void not_writable(void **state attr_unused)
{
    char path[FIXTURE_PATH_MAX];
    make(EJECT_CD LATER);
    assert_int_equal(mkdir(state_path("kept.json.new"), 0700), 0); /* where the new file would be written */
    assert_int_equal(give("{\"do\": \"schedule_add\", " INSERT_CD("a.iso") LATER "}"), 0);
    until(f, answer.came);
    assert_true(answer.err.code != ERR_NONE);
    assert_non_null(strstr(answer.err.text, "kept.json.new"));
    assert_int_equal(f->daemon->kept.table.len, 1);
    assert_int_not_equal(about("schedule_cancel", newest()->id, ""), ERR_NONE);
    assert_int_equal(newest()->state, SCHEDULE_ARMED);
    assert_int_not_equal(about("schedule_change", newest()->id, ", \"missed\": \"run\""), ERR_NONE);
    assert_int_equal(newest()->missed, MISSED_SKIP);
    cleanup_json json_t *all = kept();
    assert_int_equal(json_array_size(json_object_get(all, "schedules")), 1);
    strcpy(path, state_path("kept.json.new"));
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(about("schedule_cancel", newest()->id, ""), ERR_NONE);
}

/* A write hangs in the opening of its file, which is a fifo, and fails when somebody reads that: a fifo cannot be synced.
 * Returns when it has failed, and taken the fifo away; the loop has not heard of it. */
static void let_the_write_fail(void)
{
    cleanup_close int reader = open(state_path("kept.json.new"), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    assert_true(reader >= 0);
    for (int i = 0; access(state_path("kept.json.new"), F_OK) == 0; i++) {
        assert_true(i < FIXTURE_PATIENCE);
        usleep(1000);
    }
}

/* Who asks while the way back from a failure is being written, and that fails too, does not wait for the next try. */
static void asked_while_the_repair_fails(void **state attr_unused)
{
    make(EJECT_CD LATER);
    assert_int_equal(mkfifo(state_path("kept.json.new"), 0600), 0);
    assert_int_equal(give("{\"do\": \"schedule_add\", " INSERT_CD("a.iso") LATER "}"), 0);
    fixture_run_for(f, 20);
    let_the_write_fail();
    assert_int_equal(mkfifo(state_path("kept.json.new"), 0600), 0);
    until(f, answer.came);
    assert_int_not_equal(answer.err.code, ERR_NONE);
    fixture_run_for(f, 20);
    assert_int_equal(give("{\"do\": \"schedule_add\", " INSERT_CD("b.iso") LATER "}"), 0);
    fixture_run_for(f, 20);
    let_the_write_fail();
    msec begun = clock_boot_ms();
    until(f, answer.came);
    assert_int_equal(answer.err.code, ERR_NONE);
    assert_true(clock_boot_ms() < begun + DURABLE_RETRY / 2);
    assert_int_equal(f->daemon->kept.table.len, 2);
}

/* What is due but cannot be written down does not happen, until it can. */
static void due_but_not_writable(void **state attr_unused)
{
    make(INSERT_CD("a.iso") ", \"when\": {\"after\": 0.3}");
    assert_int_equal(mkdir(state_path("kept.json.new"), 0700), 0);
    until(f, newest()->state == SCHEDULE_FIRING && f->daemon->kept.trouble[0]);
    fixture_run_for(f, 300);
    assert_int_equal(operations(), 0);
    assert_int_equal(rmdir(state_path("kept.json.new")), 0);
    msec wait = clock_boot_ms() + DURABLE_RETRY;
    while (clock_boot_ms() < wait && newest()->state == SCHEDULE_FIRING) fixture_run_for(f, 50);
    until(f, strcmp(medium(CD0), "a.iso") == 0);
    assert_string_equal(f->daemon->kept.trouble, "");
}

static void hanging_storage(void **state attr_unused)
{
    assert_int_equal(mkdir(state_path(""), 0700) < 0 && errno != EEXIST, 0);
    assert_int_equal(mkfifo(state_path("kept.json.new"), 0600), 0); /* whoever opens it waits for a reader */
    assert_int_equal(give("{\"do\": \"schedule_add\", " EJECT_CD LATER "}"), 0);
    msec begun = clock_boot_ms();
    while (!answer.came && clock_boot_ms() < begun + 2 * DURABLE_WITHIN) fixture_run_for(f, 20);
    assert_true(answer.came);
    assert_int_equal(answer.err.code, ERR_UNAVAILABLE);
    assert_int_equal(f->daemon->kept.table.len, 0);
    assert_int_equal(give("{\"do\": \"schedule_add\", " EJECT_CD LATER "}"), -1); /* nobody waits a second time */
    assert_int_equal(answer.err.code, ERR_UNAVAILABLE);
    fixture_do(f, INSERT("usb0", "d.img", "")); /* the drives do not care */
    int reader = open(state_path("kept.json.new"), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    assert_true(reader >= 0);
    until(f, !durable_hangs(f->daemon->kept.file));
    close(reader);
    make(EJECT_CD LATER);
    cleanup_json json_t *all = kept();
    assert_int_equal(json_array_size(json_object_get(all, "schedules")), 1); /* what was denied is not there */
}

/* ---- restoring --------------------------------------------------------------------------------------------------- */

static const char *noted(const char *drive)
{
    static char text[64];
    cleanup_json json_t *all = kept();
    snprintf(text, sizeof text, "%s", json_text(json_object_get(json_object_get(all, "media"), drive), "image"));
    return text;
}

static void of_another_boot(json_t *all)
{
    const char *name;
    json_t *m;
    json_put_text(all, "boot_id", "another");
    json_object_foreach(json_object_get(all, "media"), name, m) json_put_text(m, "boot_id", "another");
}

static void put_back_after_a_reboot(void **state attr_unused)
{
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    fixture_do(f, INSERT("usb0", "d.img", ", \"readonly\": true"));
    until(f, strcmp(noted("usb0"), "d.img") == 0 && strcmp(noted("cd0"), "a.iso") == 0);
    restart(of_another_boot, true);
    until(f, strcmp(medium(CD0), "a.iso") == 0 && strcmp(medium(USB0), "d.img") == 0);
    assert_true(f->daemon->units[USB0].machine.medium.readonly);
    assert_string_equal(f->daemon->units[CD0].medium.by, "restore");
    until(f, operations() == 2 && operation_is_finished(operations_first(f->daemon->operations)));
}

static void not_within_a_boot(void **state attr_unused)
{
    char path[FIXTURE_PATH_MAX];
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    until(f, strcmp(noted("cd0"), "a.iso") == 0);
    fixture_stop(f);
    remove(fixture_path(f, "gadget.state", path));
    fixture_ready(f);
    fixture_run_for(f, 200);
    assert_string_equal(medium(CD0), "");
    assert_int_equal(operations(), 0);
}

static void not_what_was_taken_out(void **state attr_unused)
{
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    fixture_do(f, INSERT("usb0", "d.img", ""));
    until(f, strcmp(noted("usb0"), "d.img") == 0);
    fixture_do(f, EJECT("usb0", ""));
    fixture_host(f, "eject cd0");
    until(f, noted("cd0")[0] == '\0' && noted("usb0")[0] == '\0');
    restart(of_another_boot, true);
    fixture_run_for(f, 200);
    assert_int_equal(operations(), 0);
}

static void not_where_somebody_was_quicker(void **state attr_unused)
{
    char path[FIXTURE_PATH_MAX];
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    until(f, strcmp(noted("cd0"), "a.iso") == 0);
    assert_int_equal(rename(fixture_path(f, "images/a.iso", path), state_path("kept.json.broken")), 0);
    restart(of_another_boot, true);
    fixture_do(f, INSERT("cd0", "b.iso", ""));
    assert_int_equal(rename(state_path("kept.json.broken"), path), 0); /* it comes late */
    fixture_run_for(f, RESTORE_LOOK + 500);
    assert_string_equal(medium(CD0), "b.iso");
    until(f, strcmp(noted("cd0"), "b.iso") == 0);
    assert_int_equal(operations(), 1);
}

static void a_store_that_comes_late(void **state attr_unused)
{
    char path[FIXTURE_PATH_MAX], away[FIXTURE_PATH_MAX];
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    until(f, strcmp(noted("cd0"), "a.iso") == 0);
    fixture_path(f, "images", path);
    fixture_path(f, "away", away);
    assert_int_equal(rename(path, away), 0);
    restart(of_another_boot, true);
    fixture_run_for(f, 300);
    assert_int_equal(operations(), 0); /* not even tried */
    assert_int_equal(rename(away, path), 0);
    until(f, strcmp(medium(CD0), "a.iso") == 0);
    assert_int_equal(operations(), 1);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(after_a_while), TEST(at_a_time), TEST(when_the_host_is_quiet), TEST(a_hanging_command_is_not_quiet),
        TEST(the_next_disc_of_a_set), TEST(our_eject_is_not_the_hosts), TEST(boot_once), TEST(what_is_refused_then),
        TEST(cancelled), TEST(changed), TEST(bad_requests), TEST(no_more_than_so_many),
        TEST(killed_before_the_operation), TEST(killed_after_the_operation_was_begun), TEST(missed_and_skipped),
        TEST(missed_and_run), TEST(of_another_configuration), TEST(asked_too_early), TEST(broken_file),
        TEST(broken_in_part), TEST(not_writable), TEST(asked_while_the_repair_fails),
        TEST(due_but_not_writable), TEST(hanging_storage), TEST(put_back_after_a_reboot), TEST(not_within_a_boot),
        TEST(not_what_was_taken_out), TEST(not_where_somebody_was_quicker), TEST(a_store_that_comes_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
