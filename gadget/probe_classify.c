#include <string.h>

#include "base/util.h"
#include "gadget/probe.h"

#define FRAME_NAME_MAX 64
#define FRAMES_MAX 64

struct frames { /* innermost first */
    char names[FRAMES_MAX][FRAME_NAME_MAX];
    size_t count;
};

/* A line is "[<0>] name+0x12/0x34 [module]"; compilers append ".isra.0" and the like to names. */
static bool parse_line(const char *line, size_t len, char ret[FRAME_NAME_MAX])
{
    const char *end = line + len, *name = memchr(line, ']', len);
    if (!name || line[0] != '[') return false;
    for (name++; name < end && *name == ' ';) name++;
    size_t n = 0;
    while (name + n < end && !strchr("+. \n", name[n])) n++;
    if (n == 0 || n >= FRAME_NAME_MAX) return false;
    memcpy(ret, name, n);
    ret[n] = '\0';
    return true;
}

/* Only the frames above fsg_main_thread. Returns false where it is not there. */
static bool parse_frames(const char *stack, struct frames *ret)
{
    ret->count = 0;
    while (*stack && ret->count < FRAMES_MAX) {
        size_t len = strcspn(stack, "\n");
        char *name = ret->names[ret->count];
        if (parse_line(stack, len, name)) {
            if (strcmp(name, "fsg_main_thread") == 0) return true;
            ret->count++;
        }
        stack += len + (stack[len] == '\n');
    }
    return false;
}

static bool any_of(const struct frames *f, size_t from, const char *const *names, size_t count)
{
    for (size_t i = from; i < f->count; i++)
        for (size_t k = 0; k < count; k++)
            if (strcmp(f->names[i], names[k]) == 0) return true;
    return false;
}

#define HAS(f, from, ...)                                                                                         \
    any_of(f, from, (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

bool probe_is_flush(const char *stack)
{
    struct frames f;
    if (!parse_frames(stack, &f) || HAS(&f, 0, "do_read", "do_write")) return false;
    for (size_t i = 0; i < f.count; i++) /* vfs_fsync_range, ext4_sync_file, file_write_and_wait_range, ... */
        if (strstr(f.names[i], "sync") || strcmp(f.names[i], "file_write_and_wait_range") == 0) return true;
    return false;
}

enum waiting_for probe_classify(const char *stack, char state)
{
    struct frames f;
    if (state == 'R' || !parse_frames(stack, &f) || f.count == 0) return WAITING_UNKNOWN;

    /* Being reset or unbound: it waits for the controller to give requests back. */
    if (HAS(&f, 0, "handle_exception", "do_set_interface", "fsg_unbind")) return WAITING_UNKNOWN;
    if (strcmp(f.names[0], "sleep_thread") == 0) {
        /* get_next_command is the wait for the next command, where the compiler left it as a function. */
        if (f.count == 1 || (f.count == 2 && strcmp(f.names[1], "get_next_command") == 0)) return WAITING_NOTHING;
        return WAITING_HOST;
    }
    /* FUSE waits interruptibly for its server. */
    if (HAS(&f, 0, "request_wait_answer", "fuse_simple_request", "__fuse_simple_request")) return WAITING_STORAGE;
    /* The lock of the LUNs: whoever opens or closes an image holds it, for as long as the storage needs for that. */
    return state == 'D' ? WAITING_STORAGE : WAITING_UNKNOWN;
}
