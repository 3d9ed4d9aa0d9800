#include "images/name.h"

#include <stdio.h>
#include <string.h>
#include <uninorm.h>

static bool is_ascii(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text >= 0x80) return false;
    return true;
}

/* Form C grows a text threefold at most (UAX 15, section 9), so that what needs more room is not in form C anyway. */
static bool is_nfc(const char *name, size_t len)
{
    uint8_t room[NAME_BYTES_MAX + 1];
    size_t normal_len = sizeof room;
    uint8_t *normal = u8_normalize(UNINORM_NFC, (const uint8_t *)name, len, room, &normal_len);
    bool same = normal && normal_len == len && memcmp(normal, name, len) == 0;
    if (normal != room) free(normal);
    return same;
}

int image_name_check(const char *name, struct err *e)
{
    if (name_check(name, e) < 0) return -1;
    if (!is_ascii(name) && !is_nfc(name, strlen(name)))
        return err_set(e, ERR_INVALID_NAME, "The name \"%s\" is not in Unicode normalization form C", name);
    return 0;
}

bool image_name_usable(const char *name)
{
    return image_name_check(name, NULL) == 0;
}

static int parse_folders(const char *text, struct store_ref *ret, struct err *e)
{
    char segment[NAME_BYTES_MAX + 1];
    size_t used = 0;
    for (int level = 1;; level++) {
        if (level > FOLDER_LEVELS_MAX)
            return err_set(e, ERR_INVALID_NAME, "The store reference has more than %d folders", FOLDER_LEVELS_MAX);
        size_t len = strcspn(text, "/");
        if (len > NAME_BYTES_MAX)
            return err_set(e, ERR_INVALID_NAME, "A folder's name has %zu bytes; at most %d fit", len, NAME_BYTES_MAX);
        memcpy(segment, text, len);
        segment[len] = '\0';
        if (image_name_check(segment, e) < 0) return err_prefix(e, "In the store reference");
        if (used) ret->folder[used++] = '/';
        memcpy(ret->folder + used, segment, len + 1);
        used += len;
        if (!text[len]) return 0;
        text += len + 1;
    }
}

int store_ref_parse(const char *text, struct store_ref *ret, struct err *e)
{
    struct store_ref ref = {0};
    if (!text || !*text) {
        *ret = ref;
        return 0;
    }
    size_t len = strcspn(text, "/");
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    if (len == 0 || len >= sizeof ref.store || strspn(text, letters) != len)
        return err_set(e, ERR_INVALID_NAME, "A store's name has 1 to %zu letters, digits, '-' and '_'",
                       sizeof ref.store - 1);
    memcpy(ref.store, text, len);
    if (text[len] == '/' && parse_folders(text + len + 1, &ref, e) < 0) return -1;
    *ret = ref;
    return 0;
}

const char *store_ref_format(const char *store, const char *folder, char ret_text[STORE_REF_MAX])
{
    snprintf(ret_text, STORE_REF_MAX, "%s%s%s", store, *folder ? "/" : "", folder);
    return ret_text;
}
