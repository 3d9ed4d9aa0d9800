#include "gadget/sim_store.h"

#include <errno.h>
#include <string.h>

#include "gadget/words.h"

bool sim_store_perform(struct sim_store *s, const char *path, struct store_result *ret)
{
    enum departure_step step = s->order.step;
    if (step == STEP_NOTHING || s->hangs == step) return false;
    *ret = (struct store_result){.ticket = s->order.ticket, .mount_known = true, .mount = s->order.mount};
    s->order.step = STEP_NOTHING;
    if (s->fails == step)
        err_set_errno(&ret->err, step == STEP_SYNC ? ERR_STORE_DETACHED : ERR_STORE_IN_USE, step == STEP_SYNC ? EIO : EBUSY,
                      "The simulated storage at %s does not let \"%s\" be done", path, departure_step_names[step]);
    else if (step == STEP_SYNC)
        store_mount_sync(path, &ret->mount, &ret->err);
    return true;
}

int sim_store_tell(struct sim_store *s, const char *word, struct err *e)
{
    bool fails = strncmp(word, "fail-", 5) == 0, hangs = strncmp(word, "hang-", 5) == 0;
    int step = fails || hangs ? word_index(departure_step_names, word + 5) : STEP_NOTHING;
    if (step < 0 || (step == STEP_NOTHING && strcmp(word, "well") != 0))
        return err_set(e, ERR_BAD_REQUEST, "well, fail-STEP or hang-STEP?");
    s->fails = fails ? (enum departure_step)step : STEP_NOTHING;
    s->hangs = hangs ? (enum departure_step)step : STEP_NOTHING;
    return 0;
}
