/*
 * computer.c - the host computer's side of one drive: reads, writes, locks, ejects, stops in the middle of a command.
 *
 * Whatever is read within one open(2) is of one medium; what is written carries the medium that it is meant for.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/random/random.h"

#define PIECE (16 * 1024)
#define BURST_MS 1500
#define NODE 64

extern char **environ;
atomic_uint host_ejects[DRIVES];
static atomic_uint writes;

/* ---- the guest's `host` command ------------------------------------------------------------------------------------ */

static pid_t host_start(const char *const words[], const char *output)
{
    const char *argv[12] = {"host"};
    posix_spawn_file_actions_t files;
    pid_t pid;
    for (size_t i = 0; words[i]; i++) argv[i + 1] = words[i];
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 1, output ? output : "/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    int errnum = posix_spawnp(&pid, "host", &files, NULL, (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&files);
    if (errnum) disagree("host: %s", strerror(errnum));
    return pid;
}

static bool host_end(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool host_command(const char *const words[], char *ret_line, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/host.%d", gettid());
    bool ok = host_end(host_start(words, path));
    if (!ret_line) return ok;
    FILE *f = fopen(path, "re");
    if (!f || !fgets(ret_line, (int)size, f)) ret_line[0] = '\0';
    if (f) fclose(f);
    ret_line[strcspn(ret_line, "\n")] = '\0';
    return ok && ret_line[0];
}

static bool order(const struct actor *a, const char *what)
{
    return host_command((const char *[]){what, drives[a->drive].name, NULL}, NULL, 0);
}

bool computer_node(int drive, const char *wait, char *node, size_t size)
{
    return host_command((const char *[]){"dev", drives[drive].name, "--wait", wait, NULL}, node, size);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

struct bed { /* an open drive with an aligned piece of memory */
    int fd, image;
    char *piece;
    unsigned blocks;
};

static void bed_close(struct bed *b)
{
    if (b->fd >= 0) close(b->fd);
    free(b->piece);
}
#define cleanup_bed cleanup(bed_close)

/* False where the host was told that something is wrong. A sector that is not what it should be ends the program. */
static bool read_at(struct bed *b, const char *who, unsigned block, unsigned count)
{
    ssize_t n = pread(b->fd, b->piece, (size_t)count * BLOCK, (off_t)block * BLOCK);
    if (n <= 0) return false;
    for (unsigned i = 0; i < (size_t)n / BLOCK; i++) {
        struct sector s;
        if (!sector_read(b->piece + i * BLOCK, &s))
            disagree("%s: the host reads something in block %u: %.60s", who, block + i, b->piece + i * BLOCK);
        if (b->image < 0) b->image = s.image;
        if (s.image != b->image)
            disagree("%s: the host opened %s, and reads block %u of %s", who, image_name(b->image), s.block, image_name(s.image));
        if (s.block != block + i) disagree("%s: the host reads block %u where %u should be", who, s.block, block + i);
    }
    return true;
}

static bool bed_open(struct bed *b, const char *node, const char *who, int flags)
{
    b->fd = open(node, flags | O_DIRECT | O_CLOEXEC);
    off_t end = b->fd < 0 ? -1 : lseek(b->fd, 0, SEEK_END);
    if (end < PIECE || posix_memalign((void **)&b->piece, 4096, PIECE) != 0) return false;
    b->blocks = (unsigned)(end / BLOCK);
    return read_at(b, who, 0, 4);
}

static unsigned some_block(struct actor *a, const struct bed *b)
{
    return dice_below(&a->dice, (b->blocks - PIECE / BLOCK) / 4 + 1) * 4; /* a CD has blocks of four */
}

int computer_reads(int drive, const char *node)
{
    cleanup_bed struct bed b = {.fd = -1, .image = -1};
    if (!bed_open(&b, node, drives[drive].name, O_RDONLY)) return -1;
    for (unsigned at = 0; at < b.blocks; at += PIECE / BLOCK)
        if (!read_at(&b, drives[drive].name, at, MIN(PIECE / BLOCK, b.blocks - at))) return -1;
    return b.image;
}

static void read_burst(void *owner)
{
    struct actor *a = owner;
    char node[NODE];
    cleanup_bed struct bed b = {.fd = -1, .image = -1};
    const char *who = drives[a->drive].name;
    if (!computer_node(a->drive, "0", node, sizeof node) || !bed_open(&b, node, who, O_RDONLY)) return;
    journal("%s: the host reads %s", who, image_name(b.image));
    msec end = clock_boot_ms() + dice_below(&a->dice, BURST_MS);
    while (clock_boot_ms() < end && may_act())
        if (!read_at(&b, who, some_block(a, &b), PIECE / BLOCK)) break;
}

/* Holding it open is what locks it. */
static void hold(void *owner)
{
    struct actor *a = owner;
    char node[NODE];
    cleanup_bed struct bed b = {.fd = -1, .image = -1};
    if (!computer_node(a->drive, "0", node, sizeof node) || !bed_open(&b, node, drives[a->drive].name, O_RDONLY)) return;
    journal("%s: the host holds %s open", drives[a->drive].name, image_name(b.image));
    nap(&a->dice, 3000);
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static bool write_some(struct actor *a, const struct bed *b, int fd, unsigned write)
{
    unsigned count = 1 + dice_below(&a->dice, PIECE / BLOCK), at = dice_below(&a->dice, b->blocks - count + 1);
    for (unsigned i = 0; i < count; i++) sector_fill(b->piece + i * BLOCK, b->image, at + i, write);
    return pwrite(fd, b->piece, (size_t)count * BLOCK, (off_t)at * BLOCK) == (ssize_t)((size_t)count * BLOCK);
}

static void write_through(struct actor *a, bool cached)
{
    char node[NODE];
    cleanup_bed struct bed b = {.fd = -1, .image = -1};
    const char *who = drives[a->drive].name;
    if (drives[a->drive].is_cdrom || !computer_node(a->drive, "0", node, sizeof node) || !bed_open(&b, node, who, O_RDWR)) return;
    int fd = cached ? open(node, O_RDWR | O_CLOEXEC) : b.fd;
    unsigned write = ++writes;
    journal("%s: the host writes to %s%s, write %u", who, image_name(b.image), cached ? " through its cache" : "", write);
    msec end = clock_boot_ms() + dice_below(&a->dice, BURST_MS);
    while (fd >= 0 && clock_boot_ms() < end && may_act())
        if (!write_some(a, &b, fd, write)) break;
    if (cached && dice_percent(&a->dice, 50)) nap(&a->dice, 1000); /* dirty pages, and the file open */
    if (cached && fd >= 0) close(fd);
}

static void write_direct(void *owner)
{
    write_through(owner, false);
}

static void write_cached(void *owner)
{
    write_through(owner, true);
}

/* ---- the door ---------------------------------------------------------------------------------------------------- */

static void lock_door(void *owner)
{
    const struct actor *a = owner;
    journal("%s: the host locks: %d", drives[a->drive].name, order(a, "lock"));
}

static void unlock_door(void *owner)
{
    const struct actor *a = owner;
    journal("%s: the host unlocks: %d", drives[a->drive].name, order(a, "unlock"));
}

static void eject(void *owner)
{
    const struct actor *a = owner;
    host_ejects[a->drive]++;
    journal("%s: the host ejects", drives[a->drive].name);
    journal("%s: the host has ejected: %d", drives[a->drive].name, order(a, "eject"));
    host_ejects[a->drive]++; /* what began before this end may have seen it */
}

/* ---- a host that stops ------------------------------------------------------------------------------------------- */

/* In a read: what `host bot` writes carries no sector of ours. */
static void stop_in_the_middle(void *owner)
{
    struct actor *a = owner;
    const char *const words[] = {"bot", drives[a->drive].name, "read", "--blocks", "256",
                                 "--stop-after", "8192", "--timeout", "5", NULL};
    kernel_excuse(clock_boot_ms(), "a host that stops");
    journal("%s: the host stops in the middle of a command", drives[a->drive].name);
    pid_t pid = host_start(words, NULL);
    nap(&a->dice, 6000);
    kill(pid, SIGTERM);
    host_end(pid);
    journal("%s: the host goes on", drives[a->drive].name);
}

void computer_act(void *owner)
{
    static const struct weighted table[] = {
        {34, read_burst, "reading"}, {10, hold, "holding it open"}, {20, write_direct, "writing"},
        {12, write_cached, "writing through the cache"}, {8, lock_door, "locking"}, {8, unlock_door, "unlocking"},
        {7, eject, "ejecting"}, {4, stop_in_the_middle, "stopping"},
    };
    struct actor *a = owner;
    while (may_act()) {
        const struct weighted *w = dice_choose(&a->dice, table, ARRAY_LEN(table));
        doing(w->name);
        w->act(a);
        nap(&a->dice, dice_percent(&a->dice, 50) ? 1 : 500);
    }
}
