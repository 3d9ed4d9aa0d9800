#include "host.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct command {
    const char *name, *words, *options, *what;
    int least, most; /* number of words */
    int (*run)(const struct args *args);
};

/* clang-format off */
static const struct command commands[] = {
    { "dev", "DRIVE", "wait", "print the drive's block device, such as /dev/sr0", 1, 1, command_dev },
    { "sg", "DRIVE", "wait", "print the drive's SCSI generic device", 1, 1, command_sg },
    { "open", "DEVICE", "rw seconds", "open, print \"ready\", and hold. Opening a disk, or a CD with a medium, locks it; "
      "the last close unlocks", 1, 1, command_open },
    { "size", "DEVICE", "", "open as any program does and print the size in bytes; fails when there is no medium. The "
      "kernel takes note of a changed medium", 1, 1, command_size },
    { "state", "DEVICE", "timeout", "TEST UNIT READY: print \"present\" or \"absent\" with the sense. Past the kernel, "
      "lock and caches untouched; a pending UNIT ATTENTION is used up, and the kernel will not see it", 1, 1, command_state },
    { "lock", "DEVICE", "timeout", "PREVENT MEDIUM REMOVAL, and leave it so. A CD stays locked until \"unlock\" or "
      "\"eject\"; a disk until its next last close", 1, 1, command_lock },
    { "unlock", "DEVICE", "timeout", "ALLOW MEDIUM REMOVAL", 1, 1, command_unlock },
    { "eject", "DEVICE", "timeout", "the host's own eject: ALLOW, then START STOP UNIT. Unmount before", 1, 1, command_eject },
    { "read", "DEVICE", "from bytes seconds loop direct ready rest", "read at full speed; print a summary", 1, 1, command_read },
    { "write", "FILE_OR_DEVICE", "pattern tag from bytes seconds loop direct sync ready hold",
      "write blocks of 512 bytes that carry the pattern, their number and the run's tag; print a summary", 1, 1, command_write },
    { "count", "FILE_OR_DEVICE PATTERN", "", "count the blocks of 512 bytes that carry the pattern", 2, 2, command_count },
    { "match", "DEVICE FILE", "wait", "read the device, as any program does, until it holds what the file does; print when that "
      "was (microseconds of CLOCK_MONOTONIC), and how often it was read to the end and held something else", 2, 2, command_match },
    { "uevents", "", "seconds", "print \"ready\", then the kernel's block and USB events with times", 0, 0, command_uevents },
    { "enumerations", "", "", "print the gadget's address and how often it was enumerated and reset since boot", 0, 0,
      command_enumerations },
    { "reset", "DRIVE", "", "reset the port that the drive's device is plugged into", 1, 1, command_reset },
    { "udc", "UDC", "seconds", "the device's side: print the controller's state now, and at each wake-up by poll(2), with times",
      1, 1, command_udc },
    { "watch", "FILE", "seconds", "print \"ready\", then the file's inotify events with times", 1, 1, command_watch },
    { "keyboard", "", "wait", "press a key on /dev/hidg0 and see it arrive at the host", 0, 0, command_keyboard },
    { "bot", "DRIVE read|write", "blocks at lun stop-after seconds finish no-reset timeout",
      "talk bulk-only past usb-storage: start a command, move --stop-after bytes, print \"ready\", hold", 2, 2, command_bot },
};

static const struct option_row {
    const char *name, *value, *what;
    size_t offset;
} options[] = {
#define OPTION(name, member, value, what) { name, value, what, offsetof(struct args, member) }
    OPTION("seconds", seconds, "N", "for so long; else until SIGTERM, or until stdin, if it is a pipe, is closed"),
    OPTION("wait", wait, "N", "wait up to so many seconds for it to appear"),
    OPTION("timeout", timeout, "N", "seconds that the device may take for a command (default: 30)"),
    OPTION("bytes", bytes, "N", "so many bytes (K, M, G); else until the device's end; 0 is one empty call"),
    OPTION("from", from, "N", "first byte"),
    OPTION("pattern", pattern, "WORD", "what the blocks carry"),
    OPTION("tag", tag, "WORD", "marks the blocks of this run as \"run=WORD\" (default: its pid)"),
    OPTION("blocks", blocks, "N", "length of the command (default: 256)"),
    OPTION("at", at, "N", "its first block (default: 0)"),
    OPTION("lun", lun, "N", "another LUN than the drive's own"),
    OPTION("stop-after", stop_after, "N", "bytes to move before stopping, a multiple of 512 (default: 0)"),
    OPTION("rest", rest, "N", "after each round of --loop, milliseconds in which nothing is read (default: 0)"),
    OPTION("rw", rw, NULL, "for writing"),
    OPTION("direct", direct, NULL, "O_DIRECT"),
    OPTION("sync", sync, NULL, "O_SYNC"),
    OPTION("loop", loop, NULL, "start again at the end, with empty caches"),
    OPTION("ready", ready, NULL, "print \"ready\" after the first piece"),
    OPTION("hold", hold, NULL, "when written, print \"ready\" and keep it open"),
    OPTION("finish", finish, NULL, "at the end, move the rest of the data and read the status"),
    OPTION("no-reset", no_reset, NULL, "at the end, no Bulk-Only Mass Storage Reset"),
#undef OPTION
};
/* clang-format on */

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static volatile sig_atomic_t stop_signal;

int complain(const char *format, ...)
{
    va_list list;

    fputs("host: ", stderr);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    return 1;
}

double now_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Scripts run in the background with /dev/null as stdin, which is always at its end: only a pipe counts. */
static bool stdin_is_pipe(void)
{
    struct stat st;

    return fstat(STDIN_FILENO, &st) == 0 && S_ISFIFO(st.st_mode);
}

bool stopped(void)
{
    struct pollfd in = { .fd = STDIN_FILENO, .events = 0 };

    return stop_signal || (stdin_is_pipe() && poll(&in, 1, 0) == 1 && (in.revents & POLLHUP));
}

void hold_until_told(int64_t seconds)
{
    double end = now_seconds() + (double)seconds;
    struct pollfd in = { .fd = stdin_is_pipe() ? STDIN_FILENO : -1, .events = 0 };

    while (!stopped() && (seconds < 0 || now_seconds() < end))
        poll(&in, 1, 100); /* a signal that comes just before poll is seen 100 ms later */
}

static void note_signal(int signal_number)
{
    stop_signal = signal_number;
}

static void usage(FILE *out)
{
    fputs("usage: host COMMAND ...   what the host computer does; a DEVICE is a node or the name of a drive\n\n", out);
    for (size_t i = 0; i < LENGTH(commands); i++) {
        const char *word = commands[i].options;

        fprintf(out, "host %s%s%s", commands[i].name, *commands[i].words ? " " : "", commands[i].words);
        while (*word) {
            size_t length = strcspn(word, " ");

            fprintf(out, " [--%.*s]", (int)length, word);
            word += length + (word[length] == ' ');
        }
        fprintf(out, "\n    %s\n", commands[i].what);
    }
    fputs("\nSummaries are one line: bytes= calls= seconds= longest_stall_ms= errno= error=\n\noptions\n", out);
    for (size_t i = 0; i < LENGTH(options); i++)
        fprintf(out, "  --%s%s%s  %s\n", options[i].name, options[i].value ? " " : "",
                options[i].value ? options[i].value : "", options[i].what);
}

static bool listed(const char *list, const char *word)
{
    size_t length = strlen(word);

    for (const char *at = list; (at = strstr(at, word)) != NULL; at += length) {
        if ((at == list || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return true;
    }
    return false;
}

static int parse_number(const char *text, int64_t *ret_number)
{
    char *end;
    long long number;

    errno = 0;
    number = strtoll(text, &end, 10);
    if (end == text || number < 0 || errno)
        return -1;
    switch (*end) {
    case 'G': number *= 1024; __attribute__((fallthrough));
    case 'M': number *= 1024; __attribute__((fallthrough));
    case 'K': number *= 1024; end++; break;
    default: break;
    }
    if (*end)
        return -1;
    *ret_number = number;
    return 0;
}

static int parse_option(const struct command *command, const char *name, const char *value, struct args *args)
{
    for (size_t i = 0; i < LENGTH(options); i++) {
        char *member = (char *)args + options[i].offset;

        if (strcmp(options[i].name, name) != 0 || !listed(command->options, name))
            continue;
        if (!options[i].value) {
            *(bool *)(void *)member = true;
            return 0;
        }
        if (!value) {
            complain("--%s needs a value", name);
            return -1;
        }
        if (strcmp(options[i].value, "WORD") == 0) {
            *(const char **)(void *)member = value;
        } else if (parse_number(value, (int64_t *)(void *)member) != 0) {
            complain("--%s takes a number, not \"%s\"", name, value);
            return -1;
        }
        return 1;
    }
    complain("\"host %s\" has no option --%s", command->name, name);
    return -1;
}

int main(int argc, char **argv)
{
    struct args args = { .seconds = -1, .wait = -1, .bytes = -1, .from = -1, .blocks = -1, .at = -1, .lun = -1,
                         .stop_after = -1, .timeout = -1, .rest = -1 };
    struct sigaction action = { .sa_handler = note_signal }; /* no SA_RESTART: waits must end */
    const struct command *command = NULL;

    if (argc == 2 && (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0)) {
        usage(stdout);
        return 0;
    }
    for (size_t i = 0; argc > 1 && i < LENGTH(commands); i++) {
        if (strcmp(argv[1], commands[i].name) == 0)
            command = &commands[i];
    }
    if (!command) {
        usage(stderr);
        return 2;
    }
    for (int i = 2; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) == 0) {
            int used = parse_option(command, argv[i] + 2, i + 1 < argc ? argv[i + 1] : NULL, &args);

            if (used < 0)
                return 2;
            i += used;
        } else if (args.words < command->most) {
            args.word[args.words++] = argv[i];
        } else {
            complain("\"host %s\" takes no \"%s\"", command->name, argv[i]);
            return 2;
        }
    }
    if (args.words < command->least) {
        complain("\"host %s\" needs %s", command->name, command->words);
        return 2;
    }
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    return command->run(&args);
}
