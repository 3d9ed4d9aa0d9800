#include "images/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/fd.h"

/* Rights as of the first version of Landlock (Linux 5.13), and those that later ones added. */
#define READING (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_EXECUTE)
#define FIRST_RIGHTS ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)
#define RIGHT_REFER (1ULL << 13)    /* version 2 */
#define RIGHT_TRUNCATE (1ULL << 14) /* version 3 */

void sandbox_close_others(int first)
{
    syscall(SYS_close_range, (unsigned)first, ~0U, 0); /* Linux 5.9; ours are all closed on exec anyway */
}

static int allow_reading(int rules, const char *path)
{
    struct stat st;
    cleanup_close int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) return 0; /* not on this machine */
    struct landlock_path_beneath_attr under = {
        .allowed_access = S_ISDIR(st.st_mode) ? READING : LANDLOCK_ACCESS_FS_READ_FILE, .parent_fd = fd};
    return (int)syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &under, 0);
}

static int close_files(const struct sandbox *box, struct err *e)
{
    /* Libraries are loaded by need (name services), certificates and resolv.conf lie in these. */
    static const char *const wanted[] = {"/etc", "/usr", "/lib", "/lib64", "/dev/urandom", "/dev/null",
                                         "/run/systemd/resolve", "/run/NetworkManager", "/run/resolvconf",
                                         "/run/connman"};
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1) return 0; /* the kernel has none, or it is switched off */
    const struct landlock_ruleset_attr all = {
        .handled_access_fs = FIRST_RIGHTS | (version >= 2 ? RIGHT_REFER : 0) | (version >= 3 ? RIGHT_TRUNCATE : 0)};
    cleanup_close int rules = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all.handled_access_fs, 0);
    int result = rules;
    for (size_t i = 0; box->network && result >= 0 && i < ARRAY_LEN(wanted); i++) result = allow_reading(rules, wanted[i]);
    if (result >= 0 && box->network && box->readable && *box->readable) result = allow_reading(rules, box->readable);
    if (result >= 0) result = (int)syscall(SYS_landlock_restrict_self, rules, 0);
    return result < 0 ? err_set_errno(e, ERR_INTERNAL, errno, "Cannot close the files off (Landlock)") : 0;
}

int sandbox_enter(const struct sandbox *box, struct err *e)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return err_set_errno(e, ERR_INTERNAL, errno, "Cannot give up privileges");
    const struct rlimit none = {0, 0}, memory = {box->memory, box->memory};
    if (setrlimit(RLIMIT_CORE, &none) < 0 || setrlimit(RLIMIT_FSIZE, &none) < 0 ||
        (box->memory && setrlimit(RLIMIT_AS, &memory) < 0))
        return err_set_errno(e, ERR_INTERNAL, errno, "Cannot set a limit");
    return close_files(box, e);
}
