#include "server/options.h"

#include <string.h>

#include "base/parse.h"
#include "server/config.h"

static const struct option_entry {
    const char *name;     /* without the dashes */
    const char *argument; /* how --help calls it; NULL: it takes none */
    size_t offset;        /* of a bool, or of a const char * */
    const char *help;
} entries[] = {
    {"config", "FILE", offsetof(struct options, config), "read FILE instead of " CONFIG_PATH_DEFAULT},
    {"check-config", NULL, offsetof(struct options, check_config),
     "check the configuration, print \"ok\" or what is wrong, and end"},
    {"listen", "ADDRESS", offsetof(struct options, listen),
     "listen on ADDRESS instead of server.listen (port 0: any free one)"},
    {"no-gadget", NULL, offsetof(struct options, no_gadget), "do not start trayd-gadget; it is started in another way"},
    {"simulate", NULL, offsetof(struct options, simulate),
     "play drives and host in memory; without --config in a directory of its own that is removed at the end"},
    {"version", NULL, offsetof(struct options, version), "print the version, and end"},
    {"help", NULL, offsetof(struct options, help), "print this, and end"},
};

static int unknown(const char *given, struct err *e)
{
    const char *names[ARRAY_LEN(entries)];
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) names[i] = entries[i].name;
    const char *near = strncmp(given, "--", 2) == 0 ? parse_nearest(given + 2, names, ARRAY_LEN(entries)) : NULL;
    if (near) return err_set(e, ERR_BAD_REQUEST, "unknown option %s; did you mean --%s?", given, near);
    return err_set(e, ERR_BAD_REQUEST, "unknown option or argument %s; see --help", given);
}

/* "--name" or "--name=value" */
static const struct option_entry *find(const char *given, const char **ret_value)
{
    if (strncmp(given, "--", 2) != 0) return NULL;
    size_t len = strcspn(given + 2, "=");
    *ret_value = given[2 + len] ? given + 3 + len : NULL;
    for (size_t i = 0; i < ARRAY_LEN(entries); i++)
        if (strlen(entries[i].name) == len && memcmp(entries[i].name, given + 2, len) == 0) return &entries[i];
    return NULL;
}

int options_parse(int argc, char *const argv[], struct options *ret, struct err *e)
{
    *ret = (struct options){0};
    for (int i = 1; i < argc; i++) {
        const char *value = NULL;
        const struct option_entry *o = find(argv[i], &value);
        if (!o) return unknown(argv[i], e);
        if (!o->argument && value) return err_set(e, ERR_BAD_REQUEST, "--%s takes no value", o->name);
        if (o->argument && !value && i + 1 < argc) value = argv[++i];
        if (o->argument && !value)
            return err_set(e, ERR_BAD_REQUEST, "--%s needs a value: --%s %s", o->name, o->name, o->argument);
        char *into = (char *)ret + o->offset;
        if (o->argument)
            *(const char **)(void *)into = value;
        else
            *(bool *)into = true;
    }
    if (ret->simulate && ret->no_gadget)
        return err_set(e, ERR_BAD_REQUEST, "--simulate and --no-gadget exclude each other");
    return 0;
}

void options_help(FILE *out)
{
    fprintf(out,
            "trayd: virtual media for KVM-over-IP appliances: HTTP API and web page\n\nUsage: trayd [OPTION]...\n\n");
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        char left[40];
        snprintf(left, sizeof left, "--%s%s%s", entries[i].name, entries[i].argument ? " " : "",
                 entries[i].argument ? entries[i].argument : "");
        fprintf(out, "  %-18s %s\n", left, entries[i].help);
    }
    fprintf(out, "\nStarted as root, trayd starts trayd-gadget, keeps it running, and becomes the user server.user.\n");
}
