#include "api/uri.h"

#include <stdlib.h>
#include <string.h>

static bool is_unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c));
}

char *uri_encode(const char *text, bool keep_slash)
{
    static const char digits[] = "0123456789ABCDEF";
    char *result = malloc(strlen(text) * 3 + 1), *out = result;
    if (!result) return NULL;
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (is_unreserved(c) || (keep_slash && c == '/')) {
            *out++ = *p;
        } else {
            *out++ = '%';
            *out++ = digits[c >> 4];
            *out++ = digits[c & 15];
        }
    }
    *out = '\0';
    return result;
}
