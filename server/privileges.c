#include "server/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>

static void fill(struct identity *ret, const struct passwd *p)
{
    *ret = (struct identity){.uid = p->pw_uid, .gid = p->pw_gid};
    snprintf(ret->name, sizeof ret->name, "%s", p->pw_name);
}

int privileges_find(const char *user, struct identity *ret, struct err *e)
{
    const struct passwd *p = getpwnam(user);
    if (!p)
        return err_set(e, ERR_NOT_FOUND,
                       "There is no user \"%s\" to become: make it (useradd --system --no-create-home %s), or name "
                       "another in server.user",
                       user, user);
    if (p->pw_uid == 0) return err_set(e, ERR_BAD_REQUEST, "server.user must not be root");
    fill(ret, p);
    return 0;
}

void privileges_current(struct identity *ret)
{
    const struct passwd *p = getpwuid(geteuid());
    if (p)
        fill(ret, p);
    else
        *ret = (struct identity){.uid = geteuid(), .gid = getegid()};
}

static int failed(struct err *e, const char *what)
{
    return err_set_errno(e, ERR_INTERNAL, errno, "Cannot give up privileges: %s", what);
}

static int become(const struct identity *who, struct err *e)
{
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EPERM) return failed(e, "bounding set");
    if (initgroups(who->name, who->gid) < 0) return failed(e, "initgroups");
    if (setresgid(who->gid, who->gid, who->gid) < 0) return failed(e, "setresgid");
    if (setresuid(who->uid, who->uid, who->uid) < 0) return failed(e, "setresuid");
    if (setresuid(0, 0, 0) == 0 || setresgid(0, 0, 0) == 0 || geteuid() == 0 || getegid() == 0)
        return err_set(e, ERR_INTERNAL, "Privileges were given up, but there is a way back");
    return 0;
}

int privileges_drop(const struct identity *who, struct err *e)
{
    if (who && become(who, e) < 0) return -1;
    cap_t none = cap_init();
    int result = none && cap_set_proc(none) == 0 ? 0 : failed(e, "capabilities");
    cap_free(none);
    if (result == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return failed(e, "no_new_privs");
    umask(0027);
    return result;
}
