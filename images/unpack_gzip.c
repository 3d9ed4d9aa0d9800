#include <string.h>
#include <zlib.h>

#include "images/unpack_stream.h"

#define WINDOW_GZIP (15 + 16) /* the largest window, with gzip's header and trailer (zlib.h, inflateInit2) */
#define OUT_BYTES (256 * 1024)

struct gunzip {
    struct unpack *u;
    z_stream z;
    bool inside;       /* of a member: more must come */
    bool padded;       /* zeros behind the last member, as tapes and cards leave them: nothing else may follow */
    uint8_t *out;
};

static int damaged(const struct gunzip *g, struct err *e)
{
    return err_set(e, ERR_ARCHIVE_UNUSABLE, "The gzip data are damaged%s%s", g->z.msg ? ": " : "",
                   g->z.msg ? g->z.msg : "");
}

/* Between members: the next one, or padding. Returns 1 where a member begins, 0 where nothing is left, -1. */
static int next_member(struct gunzip *g, struct err *e)
{
    while (g->z.avail_in > 0 && *g->z.next_in == 0) {
        g->z.next_in++;
        g->z.avail_in--;
        g->padded = true;
    }
    if (g->z.avail_in == 0) return 0;
    if (g->padded) return err_set(e, ERR_ARCHIVE_UNUSABLE, "Something follows the end of the gzip data");
    if (inflateReset(&g->z) != Z_OK) return damaged(g, e);
    g->inside = true;
    return 1;
}

static int inflate_some(struct gunzip *g, struct err *e)
{
    while (g->z.avail_in > 0) {
        int begins = g->inside ? 1 : next_member(g, e);
        if (begins <= 0) return begins;
        int result;
        do {
            g->z.next_out = g->out;
            g->z.avail_out = OUT_BYTES;
            result = inflate(&g->z, Z_NO_FLUSH);
            if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) return damaged(g, e);
            if (unpack_write(g->u, g->out, OUT_BYTES - g->z.avail_out, e) < 0) return -1;
        } while (result != Z_STREAM_END && g->z.avail_out == 0);
        if (result == Z_STREAM_END) g->inside = false;
    }
    return 0;
}

static int gunzip_all(struct gunzip *g, struct err *e)
{
    ssize_t n;
    while ((n = unpack_read(g->u)) > 0) {
        g->z.next_in = g->u->data;
        g->z.avail_in = (unsigned)n;
        if (inflate_some(g, e) < 0) return -1;
    }
    if (n < 0) return err_set(e, ERR_ARCHIVE_UNUSABLE, "The gzip data cannot be read");
    return g->inside ? err_set(e, ERR_ARCHIVE_UNUSABLE, "The gzip data end too early") : 0;
}

int unpack_gzip(struct unpack *u, struct err *e)
{
    struct gunzip g = {.u = u, .inside = true, .out = malloc(OUT_BYTES)};
    if (!g.out || inflateInit2(&g.z, WINDOW_GZIP) != Z_OK) {
        free(g.out);
        return err_set(e, ERR_UNAVAILABLE, "Out of memory");
    }
    int result = gunzip_all(&g, e);
    inflateEnd(&g.z);
    free(g.out);
    return result;
}
