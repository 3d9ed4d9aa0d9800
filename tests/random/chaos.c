/*
 * chaos.c - what no drive asked for: services are killed, the gadget is detached, attached and reattached.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/parse.h"
#include "tests/random/random.h"

#define REPAIR_MAX 60000 /* ms */

atomic_uint restarts;

static void kill_service(const char *name)
{
    char path[64], text[32];
    uint64_t pid;
    snprintf(path, sizeof path, "/run/units/%s.pid", name);
    if (fd_read_line(path, text, sizeof text) < 0 || parse_u64(text, &pid) < 0) return;
    journal("chaos: kill -9 of %s", name);
    kill((pid_t)pid, SIGKILL);
}

static void kill_trayd(void *owner)
{
    (void)owner;
    kill_service("trayd");
}

static void kill_gadget(void *owner)
{
    (void)owner;
    restarts++;
    kill_service("trayd-gadget");
    restarts++;
}

static int gadget(const char *what)
{
    char path[64];
    cleanup_json json_t *answer = NULL;
    snprintf(path, sizeof path, "/api/v1/gadget/%s", what);
    journal("chaos: %s", what);
    int status = client_call("POST", path, "{\"allow_collateral\": true}", true, &answer);
    journal("chaos: %s -> %d %s", what, status, client_text(answer, "code"));
    if (status == 500 || status == 400) disagree("%s answers %d: %s", what, status, client_text(answer, "detail"));
    return status;
}

static void reattach(void *owner)
{
    (void)owner;
    gadget("reattach");
}

static void detach(void *owner)
{
    struct actor *a = owner;
    gadget("detach");
    nap(&a->dice, 1500);
    gadget("attach");
}

void chaos_act(void *owner)
{
    static const struct weighted table[] = {{30, kill_gadget, "killing"}, {20, kill_trayd, "killing"}, {15, reattach, "reattaching"},
                                            {10, detach, "detaching"}};
    struct actor *a = owner;
    while (nap(&a->dice, 6000)) {
        const struct weighted *w = dice_choose(&a->dice, table, ARRAY_LEN(table));
        doing(w->name);
        w->act(a);
    }
}

/*
 * A request that trayd-gadget itself answers. Just after its death trayd still reads what it had said, and shows that: only
 * an answer tells that both are there. With all hosts at rest there is nothing to break.
 */
static bool is_answered(void)
{
    cleanup_json json_t *answer = NULL;
    return client_call("POST", "/api/v1/drives/cd0/break-io", "{}", true, &answer) == 200;
}

static bool is_attached(void)
{
    cleanup_json json_t *system = NULL;
    if (client_call("GET", "/readyz", NULL, true, NULL) != 200) return false;
    if (client_call("GET", "/api/v1/system", NULL, true, &system) != 200) return false;
    json_t *g = json_object_get(system, "gadget");
    if (json_is_true(json_object_get(g, "bound"))) return is_answered();
    gadget("attach");
    return false;
}

void chaos_repair(void)
{
    msec end = clock_boot_ms() + REPAIR_MAX;
    while (!is_attached()) {
        if (clock_boot_ms() >= end) disagree("trayd is not ready, or the gadget is not attached, within %d s", REPAIR_MAX / 1000);
        usleep(100000);
    }
}
