#include "api/tus.h"

#include <string.h>

#define SHOWN 80 /* characters of a field's value in a message */
#define KEYS_MAX 32 /* more than any client sends; bounds the search for a key that comes twice */

int tus_number(const char *field, const char *value, int64_t *ret, struct err *e)
{
    uint64_t number;
    if (!value) return err_set(e, ERR_BAD_REQUEST, "The header field %s is missing", field);
    if (parse_u64(value, &number) < 0 || number > INT64_MAX)
        return err_set(e, ERR_BAD_REQUEST, "%s must be a number of bytes, not \"%.*s\"", field, SHOWN, value);
    *ret = (int64_t)number;
    return 0;
}

int tus_checksum_parse(const char *value, struct tus_checksum *ret, struct err *e)
{
    static const struct {
        const char *name;
        size_t bytes;
    } algorithms[] = {[TUS_SHA256] = {"sha256", 32}, [TUS_SHA1] = {"sha1", 20}, [TUS_MD5] = {"md5", 16}};
    *ret = (struct tus_checksum){.algorithm = TUS_NO_CHECKSUM};
    if (!value) return 0;
    size_t len = strcspn(value, " ");
    for (size_t i = 0; i < ARRAY_LEN(algorithms); i++) {
        if (strlen(algorithms[i].name) != len || strncmp(value, algorithms[i].name, len) != 0) continue;
        ret->algorithm = (enum tus_algorithm)i;
        ret->len = algorithms[i].bytes;
    }
    if (ret->algorithm == TUS_NO_CHECKSUM)
        return err_set(e, ERR_BAD_REQUEST, "Upload-Checksum can be of " TUS_ALGORITHMS ", not \"%.*s\"", SHOWN, value);
    const char *text = value[len] ? value + len + 1 : "";
    if (parse_base64(text, strlen(text), ret->bytes, sizeof ret->bytes) == (ssize_t)ret->len) return 0;
    return err_set(e, ERR_BAD_REQUEST, "Upload-Checksum must be \"%s BASE64\" of %zu bytes, not \"%.*s\"",
                   algorithms[ret->algorithm].name, ret->len, SHOWN, value);
}

/* ---- metadata ---- */

struct pair {
    const char *key, *value; /* the value still in base64 */
    size_t key_len, value_len;
};

/* Takes the next pair off *p; false where it is malformed. A key is printable ASCII without blanks and commas. */
static bool next_pair(const char **p, struct pair *ret)
{
    const char *text = *p;
    size_t len = strcspn(text, ",");
    ret->key = text;
    ret->key_len = strcspn(text, " ,");
    ret->value = text + MIN(ret->key_len + 1, len);
    ret->value_len = len - (size_t)(ret->value - text);
    if (ret->key_len == 0) return false;
    for (size_t i = 0; i < ret->key_len; i++)
        if (text[i] <= ' ' || text[i] > '~') return false;
    *p = text + len;
    return true;
}

static bool has_key(const struct pair *pair, const char *key)
{
    return strlen(key) == pair->key_len && memcmp(pair->key, key, pair->key_len) == 0;
}

/* A value that must be text and fit. */
static int read_text(const struct pair *pair, char *ret, size_t size, struct err *e)
{
    ssize_t n = parse_base64(pair->value, pair->value_len, (uint8_t *)ret, size - 1);
    if (n >= 0 && parse_is_utf8(ret, (size_t)n)) {
        ret[n] = '\0';
        return 0;
    }
    ret[0] = '\0';
    return err_set(e, ERR_BAD_REQUEST, "The value of \"%.*s\" in Upload-Metadata must be base64 of UTF-8, at most %zu bytes",
                   (int)MIN(pair->key_len, SHOWN), pair->key, size - 1);
}

static int read_pair(const struct pair *pair, struct tus_metadata *ret, bool *named, struct err *e)
{
    const struct {
        const char *key;
        char *ret;
        size_t size;
    } texts[] = {
        {"store", ret->store, sizeof ret->store},    {"sha256", ret->sha256, sizeof ret->sha256},
        {"unpack", ret->unpack, sizeof ret->unpack}, {"make", ret->make, sizeof ret->make},
        {"label", ret->label, sizeof ret->label},
    };
    if (has_key(pair, "name")) {
        *named = true;
        return read_text(pair, ret->name, sizeof ret->name, e);
    }
    if (has_key(pair, "filename")) return *named ? 0 : read_text(pair, ret->name, sizeof ret->name, e);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (has_key(pair, texts[i].key)) return read_text(pair, texts[i].ret, texts[i].size, e);
    if (parse_base64(pair->value, pair->value_len, NULL, SIZE_MAX) >= 0) return 0;
    return err_set(e, ERR_BAD_REQUEST, "The value of \"%.*s\" in Upload-Metadata is no base64",
                   (int)MIN(pair->key_len, SHOWN), pair->key);
}

static bool seen_before(const struct pair *pairs, size_t count)
{
    const struct pair *last = &pairs[count - 1];
    for (size_t i = 0; i + 1 < count; i++)
        if (pairs[i].key_len == last->key_len && memcmp(pairs[i].key, last->key, last->key_len) == 0) return true;
    return false;
}

int tus_metadata_parse(const char *value, struct tus_metadata *ret, struct err *e)
{
    struct pair pairs[KEYS_MAX];
    size_t count = 0;
    bool named = false;
    *ret = (struct tus_metadata){0};
    for (const char *p = value ? value : ""; *p;) {
        p += strspn(p, " ");
        if (count == KEYS_MAX) return err_set(e, ERR_BAD_REQUEST, "Upload-Metadata has more than %d keys", KEYS_MAX);
        if (!next_pair(&p, &pairs[count++]))
            return err_set(e, ERR_BAD_REQUEST, "Upload-Metadata must be \"key BASE64,key BASE64\", not \"%.*s\"", SHOWN,
                           value);
        const struct pair *pair = &pairs[count - 1];
        if (seen_before(pairs, count))
            return err_set(e, ERR_BAD_REQUEST, "Upload-Metadata has the key \"%.*s\" more than once",
                           (int)MIN(pair->key_len, SHOWN), pair->key);
        if (read_pair(pair, ret, &named, e) < 0) return -1;
        if (*p == ',' && !*++p) return err_set(e, ERR_BAD_REQUEST, "Upload-Metadata ends with a comma");
    }
    return 0;
}
