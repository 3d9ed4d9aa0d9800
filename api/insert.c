#include "api/insert.h"

#include <stdio.h>
#include <string.h>

#include "gadget/words.h"

static const char *const swap_names[] = {"direct", NULL};

int check_word(const char *name, const char *word, const char *const *choices, struct err *e)
{
    char all[100] = "";
    if (!word[0]) return 0;
    if (word_index(choices, word) >= 0) return 0;
    for (size_t i = 0; choices[i]; i++) {
        size_t len = strlen(all);
        snprintf(all + len, sizeof all - len, "%s\"%s\"", i ? " or " : "", choices[i]);
    }
    return err_set(e, ERR_BAD_REQUEST, "\"%s\" must be %s, not \"%s\"", name, all, word);
}

int insert_read(const json_t *body, struct insert *in, struct err *e)
{
    const struct json_member members[] = {
        {.name = "image", .kind = JSON_TEXT, .ret = in->image, .size = sizeof in->image, .required = true},
        {.name = "store", .kind = JSON_TEXT, .ret = in->store, .size = sizeof in->store},
        {.name = "readonly", .kind = JSON_FLAG, .ret = &in->readonly, .ret_given = &in->has_readonly},
        {.name = "mode", .kind = JSON_TEXT, .ret = in->mode, .size = sizeof in->mode},
        {.name = "patience", .kind = JSON_DURATION, .ret = &in->patience, .max = PATIENCE_LIMIT,
         .ret_given = &in->has_patience},
        {.name = "on_timeout", .kind = JSON_TEXT, .ret = in->on_timeout, .size = sizeof in->on_timeout},
        {.name = "lock_policy", .kind = JSON_TEXT, .ret = in->lock_policy, .size = sizeof in->lock_policy},
        {.name = "swap", .kind = JSON_TEXT, .ret = in->swap, .size = sizeof in->swap},
        {.name = "type", .kind = JSON_TEXT, .ret = in->type, .size = sizeof in->type},
        {.name = "accept_stale_host", .kind = JSON_FLAG, .ret = &in->accept_stale_host},
        {.name = "reattach", .kind = JSON_FLAG, .ret = &in->reattach},
        {.name = "allow_collateral", .kind = JSON_FLAG, .ret = &in->allow_collateral},
    };
    if (json_read(body, members, ARRAY_LEN(members), e) < 0 || check_word("mode", in->mode, eject_mode_names, e) < 0 ||
        check_word("on_timeout", in->on_timeout, on_timeout_names, e) < 0 ||
        check_word("lock_policy", in->lock_policy, lock_policy_names, e) < 0 ||
        check_word("swap", in->swap, swap_names, e) < 0 || check_word("type", in->type, drive_type_names, e) < 0)
        return -1;
    return name_check(in->image, e);
}

void put_given_text(json_t *request, const char *name, const char *value)
{
    if (value && value[0]) json_put_text(request, name, value);
}

void put_given_flag(json_t *request, const char *name, bool value)
{
    if (value) json_put_flag(request, name, true);
}

json_t *insert_find_image(struct api *a, const struct insert *in, struct err *e)
{
    return library_get(a->library, in->store, in->image, e);
}

void insert_put(json_t *request, const struct insert *in, const json_t *image)
{
    json_put_text(request, "image", in->image);
    json_put_text(request, "store", json_text(image, "store"));
    if (in->has_readonly || json_flag(image, "readonly"))
        json_put_flag(request, "readonly", in->has_readonly ? in->readonly : true);
    if (in->has_patience) json_put_seconds(request, "patience", in->patience);
    put_given_text(request, "mode", in->mode);
    put_given_text(request, "on_timeout", in->on_timeout);
    put_given_text(request, "lock_policy", in->lock_policy);
    put_given_text(request, "swap", in->swap);
    put_given_text(request, "type", in->type);
    put_given_flag(request, "accept_stale_host", in->accept_stale_host);
    put_given_flag(request, "reattach", in->reattach);
    put_given_flag(request, "allow_collateral", in->allow_collateral);
}
