/*
 * fuse_tool.c - a file system with one file, whose server stops answering reads when it is told to.
 *
 *   fuse_tool DIRECTORY MIB HANG    serves DIRECTORY/fuse.img; while a file HANG is there, no read is answered
 *
 * Speaks the kernel's protocol (linux/fuse.h) itself: what is tested is what happens when a server hangs, and libfuse
 * would only be in the way. Ends when it is unmounted or its connection is aborted.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/util.h"

#define FILE_NAME "fuse.img"
#define FILE_NODE 2
#define REQUEST_MAX (FUSE_MIN_READ_BUFFER + (1 << 17)) /* a write of max_write bytes with its head */

static int device;
static uint64_t file_bytes;
static char *content;

static void answer(const struct fuse_in_header *in, int error, const void *body, size_t size)
{
    struct fuse_out_header head = {.len = (uint32_t)(sizeof head + (error ? 0 : size)), .error = -error, .unique = in->unique};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)(uintptr_t)body, error ? 0 : size}};
    if (writev(device, parts, 2) < 0 && errno != ENOENT) perror("fuse_tool: answer");
}

static struct fuse_attr attributes(uint64_t node)
{
    bool file = node == FILE_NODE;
    return (struct fuse_attr){.ino = node, .size = file ? file_bytes : 0, .blocks = file ? file_bytes / 512 : 0,
                              .mode = file ? S_IFREG | 0644 : S_IFDIR | 0755, .nlink = 1, .blksize = 4096};
}

static void on_init(const struct fuse_in_header *in, const struct fuse_init_in *asked)
{
    const struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION, .minor = MIN(asked->minor, 31u),
                                      .max_readahead = asked->max_readahead, .max_write = 1 << 17};
    answer(in, 0, &out, sizeof out);
}

static void on_lookup(const struct fuse_in_header *in, const char *name)
{
    const struct fuse_entry_out out = {.nodeid = FILE_NODE, .entry_valid = 60, .attr_valid = 60, .attr = attributes(FILE_NODE)};
    answer(in, in->nodeid == FUSE_ROOT_ID && strcmp(name, FILE_NAME) == 0 ? 0 : ENOENT, &out, sizeof out);
}

static void on_readdir(const struct fuse_in_header *in, const struct fuse_read_in *asked)
{
    char text[64] = "";
    struct fuse_dirent *entry = (struct fuse_dirent *)(void *)text;
    *entry = (struct fuse_dirent){.ino = FILE_NODE, .off = 1, .namelen = strlen(FILE_NAME), .type = S_IFREG >> 12};
    memcpy(text + FUSE_NAME_OFFSET, FILE_NAME, strlen(FILE_NAME));
    answer(in, 0, text, asked->offset ? 0 : FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + strlen(FILE_NAME)));
}

static void on_read(const struct fuse_in_header *in, const struct fuse_read_in *asked, const char *hang)
{
    while (access(hang, F_OK) == 0) usleep(100 * 1000);
    uint64_t at = MIN(asked->offset, file_bytes);
    answer(in, 0, content + at, MIN(asked->size, file_bytes - at));
}

static void on_write(const struct fuse_in_header *in, const struct fuse_write_in *asked)
{
    const struct fuse_write_out out = {.size = asked->size};
    bool fits = asked->offset + asked->size <= file_bytes;
    if (fits) memcpy(content + asked->offset, asked + 1, asked->size);
    answer(in, fits ? 0 : EFBIG, &out, sizeof out);
}

static void serve(const struct fuse_in_header *in, const char *hang)
{
    const void *body = in + 1;
    const struct fuse_attr_out attr = {.attr_valid = 60, .attr = attributes(in->nodeid)};
    const struct fuse_open_out opened = {0};
    const struct fuse_statfs_out room = {.st = {.blocks = 1024, .bsize = 4096, .frsize = 4096, .namelen = 255}};
    switch (in->opcode) {
    case FUSE_INIT: on_init(in, body); break;
    case FUSE_LOOKUP: on_lookup(in, body); break;
    case FUSE_GETATTR:
    case FUSE_SETATTR: answer(in, 0, &attr, sizeof attr); break;
    case FUSE_OPEN:
    case FUSE_OPENDIR: answer(in, 0, &opened, sizeof opened); break;
    case FUSE_READ: on_read(in, body, hang); break;
    case FUSE_READDIR: on_readdir(in, body); break;
    case FUSE_WRITE: on_write(in, body); break;
    case FUSE_STATFS: answer(in, 0, &room, sizeof room); break;
    case FUSE_FLUSH:
    case FUSE_FSYNC:
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR: answer(in, 0, NULL, 0); break;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT: break; /* have no answer */
    default: answer(in, ENOSYS, NULL, 0);
    }
}

int main(int argc, char **argv)
{
    char options[80];
    static _Alignas(8) char request[REQUEST_MAX];
    if (argc != 4) return 2;
    file_bytes = (uint64_t)atoi(argv[2]) << 20;
    content = calloc(1, file_bytes);
    device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", device);
    if (!content || device < 0 || mount("fuse_tool", argv[1], "fuse.fuse_tool", MS_NOATIME, options) < 0) {
        perror("fuse_tool");
        return 1;
    }
    for (;;) {
        ssize_t n = read(device, request, sizeof request);
        if (n < 0 && (errno == EINTR || errno == ENOENT || errno == EAGAIN)) continue;
        if (n < (ssize_t)sizeof(struct fuse_in_header)) return 0; /* ENODEV: unmounted, or aborted */
        serve((const struct fuse_in_header *)(const void *)request, argv[3]);
    }
}
