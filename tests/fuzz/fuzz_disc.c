/*
 * What is on a disc: whatever the bytes are, the listing ends, with no more names than were asked for, in their order. The
 * input lies where the descriptors of a disc begin, after the sectors that nobody reads; its first byte says which page.
 *
 * libarchive keeps all names of the directories that it has read and not yet given back, and a small disc can say that one
 * directory lies in another a thousand times. trayd-helper may not grow beyond some memory (main.c), which a sanitizer cannot
 * bear; here the disc becomes unreadable after so many bytes instead.
 */
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "images/disc_archive.h"

#define UNREAD (16 * 2048)
#define LIMIT 5
#define READ_MAX (4 << 20) /* bytes: names of 40 MB in libarchive's memory */

struct memory {
    const uint8_t *data;
    int64_t len, at, read;
};

static ssize_t read_memory(void *owner, void *data, size_t max)
{
    struct memory *m = owner;
    int64_t left = UNREAD + m->len - m->at;
    if (left <= 0) return 0;
    if (left > (int64_t)max) left = (int64_t)max;
    if (m->at < UNREAD) {
        if (left > UNREAD - m->at) left = UNREAD - m->at;
        memset(data, 0, (size_t)left);
    } else {
        memcpy(data, m->data + m->at - UNREAD, (size_t)left);
    }
    m->at += left;
    m->read += left;
    return m->read > READ_MAX ? -1 : (ssize_t)left;
}

static int64_t seek_memory(void *owner, int64_t offset, int whence)
{
    struct memory *m = owner;
    int64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? m->at : UNREAD + m->len, at;
    if (__builtin_add_overflow(base, offset, &at) || at < 0) return -1;
    return m->at = at;
}

struct page {
    char last[1024];
    int count;
};

static void found(void *owner, json_t *file)
{
    struct page *p = owner;
    cleanup_json json_t *held = file;
    const char *name = json_text(held, "name");
    if (++p->count > LIMIT || !json_text(held, "type")[0]) abort();
    snprintf(p->last, sizeof p->last, "%s", name);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    setlocale(LC_CTYPE, "C.UTF-8"); /* as the helper */
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const char *const paths[] = {"", "DOCS", "docs", "a/b"}, *const afters[] = {"", "A", "docs"};
    if (len == 0) return 0;
    struct memory m = {.data = data + 1, .len = (int64_t)len - 1};
    const struct archive_io io = {.owner = &m, .read = read_memory, .seek = seek_memory};
    const struct disc_query query = {.path = paths[data[0] % 4], .after = afters[data[0] / 4 % 3], .limit = LIMIT};
    struct page page = {0};
    struct err e = {0};
    bool more = false;
    int result = disc_archive_list(&io, &query, found, &page, &more, &e);
    if (result < 0 && (e.code == ERR_NONE || !e.text[0] || page.count)) abort();
    return 0;
}
