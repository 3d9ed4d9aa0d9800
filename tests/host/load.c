/* Reading and writing at full speed, with stalls timed, and finding again what was written. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem, O_DIRECT, strerrorname_np */
#endif
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { PIECE = 64 * 1024, BLOCK = 512, ALIGNMENT = 4096 };

struct load {
    const struct args *args;
    char *buffer;
    int fd;
    int64_t from, at, done, calls;
    double started, longest;
    int error;
    char tag[32];
};

static int summary(const struct load *load)
{
    const char *name = load->error ? strerrorname_np(load->error) : "none";

    printf("bytes=%lld calls=%lld seconds=%.3f longest_stall_ms=%.0f errno=%d error=%s\n", (long long)load->done,
           (long long)load->calls, now_seconds() - load->started, load->longest * 1000, load->error, name ? name : "unknown");
    return load->error != 0;
}

static int open_load(const struct args *args, int flags, struct load *load)
{
    const char *path = args->word[0];
    struct drive drive;

    if (strchr(path, '/') == NULL) {
        if (need_drive(path, &drive) != 0)
            return -1;
        path = drive.node;
    }
    load->args = args;
    load->fd = open(path, flags | (args->direct ? O_DIRECT : 0) | O_CLOEXEC, 0644);
    if (load->fd < 0) {
        complain("%s: %s", path, strerror(errno));
        return -1;
    }
    load->buffer = aligned_alloc(ALIGNMENT, PIECE);
    if (!load->buffer) {
        complain("%s", strerror(ENOMEM));
        return -1;
    }
    load->at = load->from = args->from > 0 ? args->from : 0;
    load->started = now_seconds();
    return 0;
}

static void close_load(struct load *load)
{
    close(load->fd);
    free(load->buffer);
}

/* Every block of the piece tells where it belongs, so that a block found elsewhere is told from one in its place. */
static void fill(struct load *load, size_t size)
{
    memset(load->buffer, '.', size);
    for (size_t i = 0; i + BLOCK <= size; i += BLOCK) {
        char *block = load->buffer + i;
        int length = snprintf(block, BLOCK, "%s block=%lld run=%s", load->args->pattern,
                              (long long)(load->at + (int64_t)i) / BLOCK, load->tag);

        block[length] = ' ';
        block[BLOCK - 1] = '\n';
    }
}

/* One piece; 1: go on, 0: the end or an error. */
static int move_piece(struct load *load, bool writing)
{
    int64_t left = load->args->bytes < 0 ? PIECE : load->args->bytes - load->done;
    size_t size = (size_t)(left < PIECE ? left : PIECE);
    double before;
    ssize_t moved;

    if (size == 0 && load->calls > 0)
        return 0;
    if (writing)
        fill(load, size);
    before = now_seconds();
    moved = writing ? pwrite(load->fd, load->buffer, size, load->at) : pread(load->fd, load->buffer, size, load->at);
    if (moved < 0)
        load->error = errno == EINTR ? 0 : errno;
    if (now_seconds() - before > load->longest)
        load->longest = now_seconds() - before;
    load->calls++;
    /* A device's end: read gives 0, write ENOSPC, which is the expected end of a write without --bytes. */
    if (moved == 0 || (moved < 0 && errno == ENOSPC && load->args->bytes < 0)) {
        load->error = 0;
        if (!load->args->loop || load->done == 0)
            return 0;
        if (load->at == load->from) { /* no blocks any more: the kernel has dropped it (blk_mark_disk_dead(), block/genhd.c) */
            load->error = ENODEV;
            return 0;
        }
        if (writing && fdatasync(load->fd) != 0)
            load->error = errno;
        ioctl(load->fd, BLKFLSBUF, 0); /* or the next round would read the cache */
        posix_fadvise(load->fd, 0, 0, POSIX_FADV_DONTNEED);
        load->at = load->from;
        if (load->args->rest > 0)
            usleep((useconds_t)load->args->rest * 1000);
        return load->error == 0;
    }
    if (moved < 0)
        return 0;
    if (load->done == 0 && load->args->ready)
        puts("ready");
    load->done += moved;
    load->at += moved;
    return 1;
}

static void run_load(struct load *load, bool writing)
{
    const struct args *args = load->args;

    while (!stopped() && (args->seconds < 0 || now_seconds() < load->started + (double)args->seconds)) {
        if (!move_piece(load, writing))
            break;
    }
}

int command_read(const struct args *args)
{
    struct load load = { 0 };
    int result;

    if (open_load(args, O_RDONLY, &load) != 0)
        return 1;
    run_load(&load, false);
    result = summary(&load);
    close_load(&load);
    return result;
}

int command_write(const struct args *args)
{
    bool device = strncmp(args->word[0], "/dev/", 5) == 0 || strchr(args->word[0], '/') == NULL;
    struct load load = { 0 };
    int result;

    if (!args->pattern || strlen(args->pattern) > 64)
        return complain("--pattern WORD is needed, of up to 64 bytes");
    if (args->bytes % BLOCK != 0 && args->bytes > 0)
        return complain("--bytes must be a multiple of %d", BLOCK);
    if (args->tag)
        snprintf(load.tag, sizeof load.tag, "%s", args->tag);
    else
        snprintf(load.tag, sizeof load.tag, "%d", (int)getpid());
    if (open_load(args, O_WRONLY | (device ? 0 : O_CREAT) | (args->sync ? O_SYNC : 0), &load) != 0)
        return 1;
    run_load(&load, true);
    if (args->hold) {
        puts("ready");
        hold_until_told(-1);
    }
    result = summary(&load);
    close_load(&load);
    return result;
}

int command_count(const struct args *args)
{
    struct load load = { 0 };
    const char *pattern = args->word[1];
    long long blocks = 0;
    ssize_t got;

    if (open_load(args, O_RDONLY, &load) != 0)
        return 1;
    for (;;) {
        off_t data = lseek(load.fd, load.at, SEEK_DATA); /* images are sparse */

        if (data >= 0)
            load.at = data / BLOCK * BLOCK;
        else if (errno == ENXIO)
            break;
        got = pread(load.fd, load.buffer, PIECE, load.at);
        if (got <= 0)
            break;
        for (ssize_t i = 0; i < got; i += BLOCK)
            blocks += memmem(load.buffer + i, (size_t)(got - i < BLOCK ? got - i : BLOCK), pattern, strlen(pattern)) != NULL;
        load.at += got;
    }
    printf("blocks=%lld bytes=%lld\n", blocks, blocks * BLOCK);
    close_load(&load);
    return 0;
}

enum match { MATCH_NONE, MATCH_OTHER, MATCH_SAME };

/* One look: the drive may have no medium, or have vanished while the host enumerates it anew. */
static enum match look(const char *name_or_node, int file, char *theirs, char *ours)
{
    enum match match = MATCH_SAME;
    struct drive drive;
    ssize_t got;
    int fd = find_drive(name_or_node, &drive) == 0 ? open(drive.node, O_RDONLY | O_CLOEXEC) : -1;

    if (fd < 0)
        return MATCH_NONE;
    for (off_t at = 0; (got = pread(file, ours, PIECE, at)) > 0; at += got) {
        if (pread(fd, theirs, (size_t)got, at) != got) {
            match = MATCH_NONE;
            break;
        }
        if (memcmp(theirs, ours, (size_t)got) != 0)
            match = MATCH_OTHER;
    }
    close(fd);
    return match;
}

int command_match(const struct args *args)
{
    enum { LOOK_EVERY_US = 5000 };
    static char theirs[PIECE], ours[PIECE];
    double end = now_seconds() + (double)(args->wait < 0 ? 0 : args->wait);
    int file = open(args->word[1], O_RDONLY | O_CLOEXEC), others = 0;
    enum match match;

    if (file < 0)
        return complain("%s: %s", args->word[1], strerror(errno));
    while ((match = look(args->word[0], file, theirs, ours)) != MATCH_SAME) {
        others += match == MATCH_OTHER;
        if (now_seconds() >= end || stopped())
            break;
        usleep(LOOK_EVERY_US);
    }
    printf("at_us=%.0f others=%d\n", now_seconds() * 1e6, others);
    close(file);
    return match != MATCH_SAME;
}
