#include "images/search.h"

#include <stdlib.h>
#include <string.h>
#include <unicase.h>
#include <uninorm.h>

struct search {
    char *folded;
};

static bool is_ascii(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text >= 0x80) return false;
    return true;
}

/* malloc'd, with a NUL; NULL when out of memory or where `text` is not UTF-8. */
static char *folded(const char *text)
{
    size_t len;
    return (char *)u8_casefold((const uint8_t *)text, strlen(text) + 1, NULL, UNINORM_NFC, NULL, &len);
}

struct search *search_new(const char *text)
{
    struct search *s = malloc(sizeof *s);
    if (!s) return NULL;
    s->folded = folded(text);
    if (s->folded) return s;
    free(s);
    return NULL;
}

void search_free(struct search *s)
{
    if (!s) return;
    free(s->folded);
    free(s);
}

bool search_matches(const struct search *s, const char *name)
{
    if (is_ascii(name)) return strcasestr(name, s->folded); /* no folding needed, and most names are */
    char *text = folded(name);
    bool found = text && strstr(text, s->folded);
    free(text);
    return found;
}
