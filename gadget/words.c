#include "gadget/words.h"

#include <string.h>

#define X(sym, name) name,
const char *const drive_type_names[] = {DRIVE_TYPE_TABLE(X) NULL};
const char *const drive_state_names[] = {DRIVE_STATE_TABLE(X) NULL};
const char *const lock_state_names[] = {LOCK_TABLE(X) NULL};
const char *const waiting_for_names[] = {WAITING_TABLE(X) NULL};
const char *const eject_mode_names[] = {EJECT_MODE_TABLE(X) NULL};
const char *const on_timeout_names[] = {ON_TIMEOUT_TABLE(X) NULL};
const char *const lock_policy_names[] = {LOCK_POLICY_TABLE(X) NULL};
const char *const reattach_policy_names[] = {REATTACH_TABLE(X) NULL};
const char *const host_kind_names[] = {HOST_TABLE(X) NULL};
const char *const op_action_names[] = {OP_ACTION_TABLE(X) NULL};
const char *const op_state_names[] = {OP_STATE_TABLE(X) NULL};
const char *const op_phase_names[] = {PHASE_TABLE(X) NULL};
const char *const drive_do_names[] = {DO_TABLE(X) NULL};
const char *const collateral_names[] = {COLLATERAL_TABLE(X) NULL};
const char *const next_step_names[] = {NEXT_TABLE(X) NULL};
#undef X

int word_index(const char *const *names, const char *word)
{
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], word) == 0) return i;
    return -1;
}
