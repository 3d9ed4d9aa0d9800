#include "images/tree.h"

#include <string.h>

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool tree_name_is(const char *name, const char *wanted)
{
    while (*name && lower(*name) == lower(*wanted)) name++, wanted++;
    return *name == *wanted;
}
