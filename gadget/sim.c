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

/* What the host was doing ends with "medium not present". */
static void let_go(struct sim_lun *l)
{
    l->medium = (struct engine_medium){0};
    l->locked = l->reading = l->writing = false;
}

static void put_in(struct sim_lun *l, const struct engine_order *o, const struct engine_medium *opened)
{
    l->medium = *opened;
    l->medium.present = true;
    l->medium.readonly = o->readonly;
}

void sim_order(struct sim_lun *l, const struct engine_order *o, const struct engine_medium *opened, bool can_force,
               struct engine_result *ret)
{
    ret->outcome = OUTCOME_OK;
    if ((o->what == DO_ASK || o->what == DO_SWAP) && l->locked) {
        ret->outcome = OUTCOME_BUSY;
    } else if (o->what == DO_FORCE && !can_force) {
        ret->outcome = OUTCOME_ERROR;
        err_set(&ret->err, ERR_FORCED_UNAVAILABLE, "This kernel has no forced_eject");
    } else if (o->what == DO_INSERT && l->medium.present) {
        ret->outcome = OUTCOME_ERROR;
        err_set(&ret->err, ERR_INTERNAL, "The drive is not empty");
    } else if (o->what == DO_ASK || o->what == DO_FORCE) {
        let_go(l);
    } else if (o->what == DO_INSERT || o->what == DO_SWAP) {
        put_in(l, o, opened);
    }
    ret->medium_known = true;
    ret->medium = l->medium;
}

static int switch_on_off(const char *argument, bool *ret, struct err *e)
{
    if (strcmp(argument, "on") != 0 && strcmp(argument, "off") != 0) return err_set(e, ERR_BAD_REQUEST, "on or off?");
    *ret = strcmp(argument, "on") == 0;
    return 0;
}

static int host_eject(struct sim_lun *l, bool *ret_left, struct err *e)
{
    if (!l->medium.present) return err_set(e, ERR_NO_MEDIUM, "no medium");
    if (l->locked) return err_set(e, ERR_MEDIUM_IN_USE, "locked");
    let_go(l);
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
    if (strcmp(verb, "eject") == 0) return host_eject(l, ret_left, e);
    if (strcmp(verb, "reading") == 0) return switch_on_off(argument, &l->reading, e);
    if (strcmp(verb, "writing") == 0) return switch_on_off(argument, &l->writing, e);
    if (strcmp(verb, "hang") == 0) return hang(l, argument, e);
    if (strcmp(verb, "unlock") == 0) {
        l->locked = false;
        return 0;
    }
    if (!l->medium.present) return err_set(e, ERR_NO_MEDIUM, "no medium");
    if (strcmp(verb, "lock") == 0) {
        l->locked = true;
        return 0;
    }
    if (strcmp(verb, "read") != 0 && strcmp(verb, "write") != 0) return err_set(e, ERR_BAD_REQUEST, "unknown command \"%.20s\"", verb);
    if (parse_size(argument, &bytes) < 0) return err_set(e, ERR_BAD_REQUEST, "how many bytes?");
    if (strcmp(verb, "write") == 0 && l->medium.readonly) return err_set(e, ERR_STORE_READ_ONLY, "write protected");
    *(strcmp(verb, "read") == 0 ? &l->bytes_read : &l->bytes_written) += bytes;
    l->commands++;
    return 0;
}

void sim_disconnect(struct sim_lun *l)
{
    l->locked = l->reading = l->writing = false;
}
