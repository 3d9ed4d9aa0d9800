#include "server/simulation.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "server/directories.h"

static int write_config(const struct simulation *s, const char *user, struct err *e)
{
    char text[1024];
    int n = snprintf(text, sizeof text,
                     "# made by trayd --simulate\n"
                     "server = { database = \"%s/trayd.db\"; };\n"
                     "stores = ( { name = \"main\"; path = \"%s/images\"; } );\n"
                     "gadget = { socket = \"%s/gadget.sock\"; runtime_dir = \"%s\"; state_dir = \"%s/kept\"; %s%s%s};\n",
                     s->directory, s->directory, s->directory, s->directory, s->directory, user[0] ? "user = \"" : "", user,
                     user[0] ? "\"; " : "");
    return fd_replace_file(s->config, text, (size_t)n, false, e);
}

int simulation_make(const struct identity *owner, struct simulation *ret, struct err *e)
{
    const char *base = getenv("TMPDIR");
    struct identity self;
    privileges_current(&self);
    if (!base || base[0] != '/') base = "/tmp";
    if (strlen(base) > 64) return err_set(e, ERR_BAD_REQUEST, "TMPDIR is too long for the path of a socket: %s", base);
    snprintf(ret->directory, sizeof ret->directory, "%s/trayd-simulation-XXXXXX", base);
    if (!mkdtemp(ret->directory))
        return err_set_errno(e, ERR_UNAVAILABLE, errno, "Cannot make a directory in %s", base);
    snprintf(ret->config, sizeof ret->config, "%s/trayd.conf", ret->directory);
    if (write_config(ret, owner ? owner->name : self.name, e) == 0) {
        if (!owner) return 0;
        if (chown(ret->directory, owner->uid, owner->gid) == 0 && chown(ret->config, owner->uid, owner->gid) == 0)
            return 0;
        err_set_errno(e, ERR_INTERNAL, errno, "Cannot give %s to %s", ret->directory, owner->name);
    }
    directories_remove(ret->directory);
    return -1;
}
