#include "gadget/sim.h"

#include <string.h>

#include "base/parse.h"

bool sim_run(struct sim_lun *l, msec now)
{
    uint64_t bytes = l->medium.present && l->hang == SIM_HANG_NOT ? (uint64_t)(now - l->since) * SIM_BYTES_PER_MS : 0;
    if (l->reading) l->bytes_read += bytes;
    if (l->writing && !l->medium.readonly) l->bytes_written += bytes;
    if (l->reading || l->writing) l->commands++;
    l->since = now;
    return bytes && (l->reading || l->writing);
}

static bool is_locked(const struct sim_lun *l)
{
    return !l->cleared && (l->locked || l->reading || l->writing);
}

uint64_t sim_host_bytes(const struct sim_lun *l)
{
    return l->medium.present ? l->medium.size / l->sector * l->sector : 0;
}

/* What the host was doing ends with "medium not present". */
static void let_go(struct sim_lun *l)
{
    l->medium = (struct engine_medium){0};
    l->locked = l->reading = l->writing = l->cleared = false;
}

static void put_in(struct sim_lun *l, const struct engine_order *o, const struct engine_medium *opened)
{
    l->medium = *opened;
    l->medium.present = true;
    l->medium.readonly = o->readonly;
    l->changed = true;
    l->cleared = false;
}

void sim_order(struct sim_lun *l, const struct engine_order *o, const struct engine_medium *opened, bool can_force,
               struct engine_result *ret)
{
    ret->outcome = OUTCOME_OK;
    bool asks = o->what == DO_ASK || o->what == DO_SWAP || o->what == DO_ANNOUNCE;
    if (asks && is_locked(l)) {
        ret->outcome = OUTCOME_BUSY;
    } else if (o->what == DO_SWAP && l->medium.present && l->medium.readonly != o->readonly) {
        ret->outcome = OUTCOME_ERROR;
        err_set(&ret->err, ERR_MEDIUM_DIFFERS, "A medium cannot be replaced directly by one that is not as writable");
    } else if (o->what == DO_FORCE && !can_force) {
        ret->outcome = OUTCOME_ERROR;
        err_set(&ret->err, ERR_FORCED_UNAVAILABLE, "This kernel has no forced_eject");
    } else if (o->what == DO_INSERT && l->medium.present) {
        ret->outcome = OUTCOME_ERROR;
        err_set(&ret->err, ERR_INTERNAL, "The drive is not empty");
    } else if (o->what == DO_ANNOUNCE && !l->medium.present) {
        ret->outcome = OUTCOME_ERROR;
        err_set(&ret->err, ERR_PRECONDITION, "The medium is not in the drive any more");
    } else if (o->what == DO_ANNOUNCE) {
        l->changed = true;
    } else if (o->what == DO_ASK || o->what == DO_FORCE || o->what == DO_SIGNAL) {
        let_go(l);
    } else if (o->what == DO_INSERT || o->what == DO_SWAP) {
        put_in(l, o, opened);
    }
    ret->medium_known = true;
    ret->medium = l->medium;
}

/* Any command of the host's to the drive brings the news. */
static void notice(struct sim_lun *l)
{
    if (l->changed || !l->believed || !l->medium.present) l->believed = sim_host_bytes(l);
    l->changed = false;
}

static int check_medium(const struct sim_lun *l, bool writing, struct err *e)
{
    if (!l->medium.present) return err_set(e, ERR_NO_MEDIUM, "no medium");
    if (writing && l->medium.readonly) return err_set(e, ERR_STORE_READ_ONLY, "write protected");
    return 0;
}

static int switch_on_off(struct sim_lun *l, const char *argument, bool *activity, struct err *e)
{
    bool on = strcmp(argument, "on") == 0;
    if (!on && strcmp(argument, "off") != 0) return err_set(e, ERR_BAD_REQUEST, "on or off?");
    if (on && check_medium(l, activity == &l->writing, e) < 0) return -1;
    if (on) l->cleared = false; /* who opens it locks it */
    *activity = on;
    return 0;
}

static int host_eject(struct sim_lun *l, bool *ret_left, struct err *e)
{
    if (check_medium(l, false, e) < 0) return -1;
    let_go(l);
    l->believed = 0;
    *ret_left = true;
    return 0;
}

static int hang(struct sim_lun *l, const char *argument, struct err *e)
{
    static const char *const names[] = {"off", "host", "storage"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i], argument) == 0) {
            l->hang = (enum sim_hang)i;
            return 0;
        }
    return err_set(e, ERR_BAD_REQUEST, "host, storage or off?");
}

int sim_host(struct sim_lun *l, const char *verb, const char *argument, msec now, bool *ret_left, struct err *e)
{
    uint64_t bytes;
    sim_run(l, now);
    *ret_left = false;
    if (strcmp(verb, "hang") != 0 && strcmp(verb, "unlock") != 0) notice(l);
    if (strcmp(verb, "eject") == 0) return host_eject(l, ret_left, e);
    if (strcmp(verb, "reading") == 0) return switch_on_off(l, argument, &l->reading, e);
    if (strcmp(verb, "writing") == 0) return switch_on_off(l, argument, &l->writing, e);
    if (strcmp(verb, "hang") == 0) return hang(l, argument, e);
    if (strcmp(verb, "unlock") == 0) {
        l->locked = false;
        return 0;
    }
    if (strcmp(verb, "lock") == 0) {
        l->locked = l->medium.present;
        l->cleared = false;
        return check_medium(l, false, e);
    }
    bool writes = strcmp(verb, "write") == 0;
    if (!writes && strcmp(verb, "read") != 0) return err_set(e, ERR_BAD_REQUEST, "unknown command \"%.20s\"", verb);
    if (parse_size(argument, &bytes) < 0) return err_set(e, ERR_BAD_REQUEST, "how many bytes?");
    if (check_medium(l, writes, e) < 0) return -1;
    *(writes ? &l->bytes_written : &l->bytes_read) += bytes;
    l->commands++;
    return 0;
}

void sim_clear(struct sim_lun *l)
{
    l->cleared = true;
    l->changed = false;
}

uint64_t sim_host_look(struct sim_lun *l)
{
    l->commands++;
    notice(l);
    return l->believed;
}

void sim_disconnect(struct sim_lun *l)
{
    l->locked = l->reading = l->writing = l->cleared = l->changed = false;
    l->believed = 0;
}
