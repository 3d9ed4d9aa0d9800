#include "gadget/serial.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"

/* SipHash-2-4 (Aumasson, Bernstein 2012): a keyed hash in a few lines. The key only makes it ours: another program that
 * hashes the machine's id gets something else. */
#define KEY_0 0x7472617964207573ull /* "trayd us" */
#define KEY_1 0x622073657269616cull /* "b serial" */

struct sip {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static void rounds(struct sip *s, int count)
{
    while (count-- > 0) {
        s->v0 += s->v1, s->v1 = rotate(s->v1, 13) ^ s->v0, s->v0 = rotate(s->v0, 32);
        s->v2 += s->v3, s->v3 = rotate(s->v3, 16) ^ s->v2;
        s->v0 += s->v3, s->v3 = rotate(s->v3, 21) ^ s->v0;
        s->v2 += s->v1, s->v1 = rotate(s->v1, 17) ^ s->v2, s->v2 = rotate(s->v2, 32);
    }
}

static void compress(struct sip *s, const uint8_t word[8])
{
    uint64_t m;
    memcpy(&m, word, sizeof m);
    m = le64toh(m);
    s->v3 ^= m;
    rounds(s, 2);
    s->v0 ^= m;
}

static uint64_t siphash(const void *data, size_t len)
{
    struct sip s = {KEY_0 ^ 0x736f6d6570736575ull, KEY_1 ^ 0x646f72616e646f6dull, KEY_0 ^ 0x6c7967656e657261ull,
                    KEY_1 ^ 0x7465646279746573ull};
    const uint8_t *p = data;
    uint8_t last[8] = {[7] = (uint8_t)len};
    for (size_t left = len; left >= 8; left -= 8, p += 8) compress(&s, p);
    memcpy(last, p, len % 8);
    compress(&s, last);
    s.v2 ^= 0xff;
    rounds(&s, 4);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

void serial_from_id(const char *id, char ret[SERIAL_LEN + 1])
{
    snprintf(ret, SERIAL_LEN + 1, "%016llX", (unsigned long long)siphash(id, strlen(id)));
}

void serial_of_machine(char ret[SERIAL_LEN + 1])
{
    static const char *const sources[] = {
        "/etc/machine-id",
        "/var/lib/dbus/machine-id",
        "/sys/firmware/devicetree/base/serial-number", /* Raspberry Pi and its like */
        "/sys/class/dmi/id/product_uuid",
    };
    char id[128];
    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        /* "uninitialized" is what systemd leaves in an image that was never booted (machine-id(5)). */
        if (fd_read_line(sources[i], id, sizeof id) <= 0 || strcmp(id, "uninitialized") == 0) continue;
        serial_from_id(id, ret);
        return;
    }
    strcpy(ret, SERIAL_UNKNOWN);
}
