/*
 * operator.c - who asks trayd for things: random operations on one drive, some waited for and some not.
 */
#include <stdio.h>
#include <string.h>

#include "tests/random/random.h"

#define BODY 400

static _Thread_local char last_operation[64]; /* the newest one that was not waited for */

static const char *name_of(const struct actor *a)
{
    return drives[a->drive].name;
}

/* What was answered is what the kernel shows: nothing else is under way on this drive, but for the host's own eject. */
static void compare_now(const struct actor *a, int status, const json_t *answer, unsigned ejects, unsigned restarted)
{
    bool readonly;
    const char *action = client_text(answer, "action"), *state = client_text(answer, "state");
    int shown = kernel_medium(a->drive, &readonly);
    if (host_ejects[a->drive] != ejects || ejects % 2 || restarts != restarted) return; /* odd: an eject is under way */
    if (status == 200 && strcmp(state, "done") == 0 && strcmp(action, "eject") == 0 && shown >= 0)
        disagree("%s: eject %s is done, and the kernel shows %s", name_of(a), client_text(answer, "id"), image_name(shown));
    if (status == 200 && strcmp(state, "done") == 0 && strcmp(action, "insert") == 0 &&
        shown != image_by_name(client_text(answer, "image")))
        disagree("%s: insert %s of %s is done, and the kernel shows %s", name_of(a), client_text(answer, "id"),
                 client_text(answer, "image"), image_name(shown));
    if (status == 423 && shown < 0) disagree("%s: an eject says medium_in_use, and the kernel shows nothing", name_of(a));
}

static void change_last(struct actor *a, const char *method, const char *tail);

static void request(struct actor *a, const char *method, const char *path, const char *body)
{
    bool wait = dice_percent(&a->dice, 60);
    unsigned ejects = host_ejects[a->drive], restarted = restarts;
    cleanup_json json_t *answer = NULL;
    journal("%s: %s %s %s%s", name_of(a), method, path, body ? body : "", wait ? " and waits" : "");
    int status = client_call(method, path, body, wait, &answer);
    const char *id = client_text(answer, "id"), *code = client_text(answer, "code");
    journal("%s: -> %d %s %s %s", name_of(a), status, id, client_text(answer, "state"), code);
    if (status == 400 || status == 404 || status == 405 || status == 415 || status == 422 || status == 500)
        disagree("%s: %s %s %s answers %d %s: %s", name_of(a), method, path, body ? body : "", status, code,
                 client_text(answer, "detail"));
    if (!wait && *id) snprintf(last_operation, sizeof last_operation, "%s", id);
    if (!wait && *id && dice_percent(&a->dice, 30)) { /* while it is in the middle of something */
        nap(&a->dice, 300);
        bool cancel = dice_percent(&a->dice, 50);
        change_last(a, cancel ? "DELETE" : "POST", cancel ? "" : "/force");
    }
    bool finished = wait && (status == 200 || status == 423); /* and so all before it */
    if (finished) compare_now(a, status, answer, ejects, restarted);
    if (status == -1 || status == 503) nap(&a->dice, 400); /* a service is down, or the drive: one asking shows it */
}

static void medium_path(const struct actor *a, char path[BODY], const char *query)
{
    snprintf(path, BODY, "/api/v1/drives/%s/medium%s%s", name_of(a), query ? "?" : "", query ? query : "");
}

static int some_image(struct actor *a)
{
    int image;
    do image = (int)dice_below(&a->dice, IMAGES);
    while (image_is_cd(image) != drives[a->drive].is_cdrom);
    return image;
}

static void insert(void *owner)
{
    static const char *const ways[] = {"", ", \"mode\": \"forced\"", ", \"on_timeout\": \"force\"", ", \"swap\": \"direct\""};
    struct actor *a = owner;
    char path[BODY], body[BODY];
    int image = some_image(a);
    bool readonly = image_is_never_writable(image) || dice_percent(&a->dice, 35);
    snprintf(body, sizeof body, "{\"image\": \"%s\", \"readonly\": %s, \"patience\": %u%s%s}", image_name(image),
             readonly ? "true" : "false", dice_below(&a->dice, 4), ways[dice_below(&a->dice, 4)],
             dice_percent(&a->dice, 25) ? ", \"reattach\": true, \"allow_collateral\": true" : "");
    medium_path(a, path, NULL);
    request(a, "PUT", path, body);
}

static void eject(void *owner)
{
    static const char *const ways[] = {"patience=0", "patience=1", "patience=1&on_timeout=force", "mode=forced", "mode=forced"};
    struct actor *a = owner;
    char path[BODY];
    medium_path(a, path, ways[dice_below(&a->dice, 5)]);
    request(a, "DELETE", path, NULL);
}

static void change_last(struct actor *a, const char *method, const char *tail)
{
    char path[BODY];
    cleanup_json json_t *answer = NULL;
    if (!last_operation[0]) return;
    snprintf(path, sizeof path, "/api/v1/operations/%s%s", last_operation, tail);
    int status = client_call(method, path, NULL, true, &answer);
    journal("%s: %s %s -> %d %s %s", name_of(a), method, path, status, client_text(answer, "state"), client_text(answer, "code"));
    if (status == 500 || status == 400) disagree("%s %s answers %d: %s", method, path, status, client_text(answer, "detail"));
    last_operation[0] = '\0';
}

static void cancel(void *owner)
{
    change_last(owner, "DELETE", "");
}

static void hurry(void *owner)
{
    change_last(owner, "POST", "/force");
}

static void break_io(void *owner)
{
    struct actor *a = owner;
    char path[BODY];
    cleanup_json json_t *answer = NULL;
    snprintf(path, sizeof path, "/api/v1/drives/%s/break-io", name_of(a));
    kernel_excuse(clock_boot_ms(), "break-io");
    int status = client_call("POST", path, dice_percent(&a->dice, 50) ? "{\"then\": \"eject\"}" : "{}", true, &answer);
    journal("%s: break-io -> %d found %s, did %s %s", name_of(a), status, client_text(answer, "found"), client_text(answer, "did"),
            client_text(answer, "code"));
    if (status == 500 || status == 400) disagree("break-io answers %d: %s", status, client_text(answer, "detail"));
}

static void look(void *owner)
{
    struct actor *a = owner;
    char path[BODY];
    cleanup_json json_t *answer = NULL;
    snprintf(path, sizeof path, "/api/v1/drives/%s", name_of(a));
    int status = client_call("GET", path, NULL, true, &answer);
    if (status != 200 && status != -1 && status != 503) disagree("GET %s answers %d", path, status);
}

void operator_act(void *owner)
{
    static const struct weighted table[] = {{40, insert, "insert"}, {36, eject, "eject"}, {7, cancel, "cancel"},
                                            {7, hurry, "force"},    {2, break_io, "break-io"}, {9, look, "look"}};
    struct actor *a = owner;
    while (may_act()) {
        const struct weighted *w = dice_choose(&a->dice, table, ARRAY_LEN(table));
        doing(w->name);
        w->act(a);
        nap(&a->dice, dice_percent(&a->dice, 40) ? 1 : 700);
    }
}
