#include "api/digest.h"

#include <string.h>

#include "base/parse.h"

#define SHA256_BYTES 32

/* The field is a dictionary of byte sequences (RFC 8941): key=:base64: with commas between. */
int digest_parse(const char *header_name, const char *value, char ret_hex[SHA256_HEX_SIZE], struct err *e)
{
    int found = 0;
    const char *p = value;
    for (;;) {
        p += strspn(p, " \t");
        size_t key = strspn(p, "abcdefghijklmnopqrstuvwxyz0123456789-_.*");
        const char *data = p + key + 2;
        if (!key || p[key] != '=' || p[key + 1] != ':') break;
        size_t len = strcspn(data, ":");
        if (data[len] != ':') break;
        if (key == strlen("sha-256") && strncmp(p, "sha-256", key) == 0) {
            uint8_t bytes[SHA256_BYTES];
            if (parse_base64(data, len, bytes, sizeof bytes) != SHA256_BYTES) break;
            parse_to_hex(bytes, sizeof bytes, ret_hex);
            found = 1;
        }
        p = data + len + 1;
        p += strspn(p, " \t");
        if (!*p) return found;
        if (*p++ != ',') break;
    }
    return err_set(e, ERR_BAD_REQUEST, "%s must be like sha-256=:BASE64:, not '%.100s'", header_name, value);
}
