/*
 * What comes in compressed: whatever the bytes are, unpacking ends, within the size that was allowed, with an image or
 * with a reason. The first byte of the input says in which pieces it is read.
 */
#include <stdlib.h>
#include <string.h>

#include "images/unpack_stream.h"

#define LARGEST (1 << 20)

struct memory {
    const uint8_t *data;
    size_t len, piece, written;
};

static ssize_t read_memory(void *owner, void *data, size_t max)
{
    struct memory *m = owner;
    size_t n = m->len < max ? m->len : max;
    if (n > m->piece) n = m->piece;
    memcpy(data, m->data, n);
    m->data += n;
    m->len -= n;
    return (ssize_t)n;
}

static int write_memory(void *owner, const void *data, size_t len, struct err *e)
{
    struct memory *m = owner;
    static volatile uint8_t seen;
    (void)e;
    for (size_t i = 0; i < len; i++) seen ^= ((const uint8_t *)data)[i]; /* all of it can be read */
    m->written += len;
    if (m->written > LARGEST) abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0) return 0;
    struct memory m = {.data = data + 1, .len = len - 1, .piece = data[0] ? data[0] : SIZE_MAX};
    const struct unpack_io io = {.owner = &m, .read = read_memory, .write = write_memory, .largest = LARGEST};
    const char *format = NULL;
    struct err e = {0};
    int result = unpack_stream(&io, &format, &e);
    if (result == 0 ? !format : e.code == ERR_NONE || !e.text[0]) abort();
    return 0;
}
