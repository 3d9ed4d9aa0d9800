#include "api/digest.h"

#include <stdbool.h>
#include <string.h>

#include "base/parse.h"

#define SHA256_BYTES 32
#define SHA256_BASE64 44 /* 32 bytes are 43 digits and one '=' */

static int base64_value(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

static bool decode_sha256(const char *text, size_t len, uint8_t ret[SHA256_BYTES])
{
    if (len != SHA256_BASE64 || text[SHA256_BASE64 - 1] != '=') return false;
    uint32_t bits = 0;
    size_t out = 0;
    int have = 0;
    for (size_t i = 0; i < SHA256_BASE64 - 1; i++) {
        int value = base64_value(text[i]);
        if (value < 0) return false;
        bits = bits << 6 | (uint32_t)value;
        have += 6;
        if (have >= 8) {
            have -= 8;
            ret[out++] = (uint8_t)(bits >> have);
        }
    }
    return out == SHA256_BYTES && (bits & 3) == 0; /* two bits are left over, and must say nothing */
}

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
            if (!decode_sha256(data, len, bytes)) break;
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
