#include "api/prefer.h"

#include <string.h>

#include "base/parse.h"

#define WORD_MAX 32 /* longer than any preference of ours; what is cut matches none */

/* Copies the next `name[=value]` of the list, its parameters (after ';') left out. Returns what follows its comma,
 * NULL at the end. */
static const char *next_preference(const char *p, char name[WORD_MAX], char value[WORD_MAX])
{
    char *into = name;
    size_t len = 0;
    bool quoted = false, parameters = false;
    name[0] = value[0] = '\0';
    for (; *p && (quoted || *p != ','); p++) {
        if (*p == '"')
            quoted = !quoted;
        else if (!quoted && *p == ';')
            parameters = true;
        else if (parameters || (!quoted && (*p == ' ' || *p == '\t')))
            continue;
        else if (!quoted && *p == '=' && into == name)
            into = value, len = 0;
        else if (len < WORD_MAX - 1)
            into[len++] = *p, into[len] = '\0';
    }
    return *p ? p + 1 : NULL;
}

struct prefer prefer_parse(const char *header)
{
    struct prefer result = {.wait = PREFER_WAIT_DEFAULT};
    char name[WORD_MAX], value[WORD_MAX];
    uint64_t seconds;
    while (header) {
        header = next_preference(header, name, value);
        if (strcasecmp(name, "respond-async") == 0) {
            result.async = true;
        } else if (strcasecmp(name, "wait") == 0 && !result.wait_given && parse_u64(value, &seconds) == 0) {
            result.wait_given = true;
            result.wait = seconds > PREFER_WAIT_MAX / 1000 ? PREFER_WAIT_MAX : (msec)seconds * 1000;
        }
    }
    if (result.async && !result.wait_given) result.wait = 0;
    return result;
}
