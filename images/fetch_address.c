#include "images/fetch_address.h"

#include <netinet/in.h>
#include <string.h>

#include "base/util.h"

const char *fetch_address_name(enum fetch_address a)
{
    static const char *const names[] = {
#define X(sym, name) name,
        FETCH_ADDRESS_TABLE(X)
#undef X
    };
    return names[a];
}

struct block4 {
    uint32_t address;
    unsigned bits;
    enum fetch_address kind;
};

#define V4(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

/* The first that matches counts. IANA's registry of special-purpose addresses, but for the metadata services. */
static const struct block4 blocks4[] = {
    {V4(100, 100, 100, 200), 32, FETCH_LINK_LOCAL}, /* Alibaba's metadata service */
    {V4(168, 63, 129, 16), 32, FETCH_LINK_LOCAL},   /* Azure's */
    {V4(192, 0, 0, 192), 32, FETCH_LINK_LOCAL},     /* Oracle's */
    {V4(169, 254, 0, 0), 16, FETCH_LINK_LOCAL},
    {V4(127, 0, 0, 0), 8, FETCH_LOOPBACK},
    {V4(10, 0, 0, 0), 8, FETCH_PRIVATE},
    {V4(172, 16, 0, 0), 12, FETCH_PRIVATE},
    {V4(192, 168, 0, 0), 16, FETCH_PRIVATE},
    {V4(100, 64, 0, 0), 10, FETCH_PRIVATE},
    {V4(198, 18, 0, 0), 15, FETCH_PRIVATE},         /* for measurements: somebody's laboratory */
    {V4(0, 0, 0, 0), 8, FETCH_NOWHERE},             /* Linux connects 0.0.0.0 to itself */
    {V4(192, 0, 0, 0), 24, FETCH_NOWHERE},
    {V4(192, 0, 2, 0), 24, FETCH_NOWHERE},          /* documentation */
    {V4(198, 51, 100, 0), 24, FETCH_NOWHERE},
    {V4(203, 0, 113, 0), 24, FETCH_NOWHERE},
    {V4(224, 0, 0, 0), 3, FETCH_NOWHERE},           /* multicast, reserved, broadcast */
};

struct block6 {
    uint8_t address[16];
    unsigned bits;
    enum fetch_address kind;
};

static const struct block6 blocks6[] = {
    {{[15] = 1}, 128, FETCH_LOOPBACK},
    {{0}, 128, FETCH_NOWHERE},
    {{0xfd, 0, 0x0e, 0xc2}, 32, FETCH_LINK_LOCAL},  /* AWS's metadata and time services, fd00:ec2:: */
    {{0xfd, 0x20, 0, 0xce}, 32, FETCH_LINK_LOCAL},  /* Google's metadata service, fd20:ce:: */
    {{0xfe, 0x80}, 10, FETCH_LINK_LOCAL},
    {{0xfc}, 7, FETCH_PRIVATE},
    {{0xfe, 0xc0}, 10, FETCH_PRIVATE},              /* site-local, before there was fc00::/7 */
    {{0xff}, 8, FETCH_NOWHERE},
    {{0x01}, 8, FETCH_NOWHERE},                     /* discard-only 100::/64 and its neighbours */
    {{0x20, 0x01, 0x0d, 0xb8}, 32, FETCH_NOWHERE},  /* documentation */
};

/* IPv6 addresses with an IPv4 address in them. */
static const struct {
    uint8_t prefix[12];
    unsigned bits, at;  /* at: byte where the IPv4 address stands */
    uint32_t turned;    /* what it is combined with (Teredo) */
} embedded[] = {
    {{[10] = 0xff, [11] = 0xff}, 96, 12, 0},            /* mapped, ::ffff:0:0/96 */
    {{[8] = 0xff, [9] = 0xff}, 96, 12, 0},              /* translated, ::ffff:0:0:0/96 */
    {{0, 0x64, 0xff, 0x9b}, 96, 12, 0},                 /* NAT64, 64:ff9b::/96 */
    {{0, 0x64, 0xff, 0x9b, 0, 1}, 48, 12, 0},           /* and 64:ff9b:1::/48, with prefixes of 96 bits */
    {{0x20, 0x02}, 16, 2, 0},                           /* 6to4 */
    {{0x20, 0x01, 0, 0}, 32, 12, 0xffffffff},           /* Teredo */
    {{0}, 96, 12, 0},                                   /* compatible; ::1 and :: were looked at before */
};

static bool has_prefix(const uint8_t *address, const uint8_t *prefix, unsigned bits)
{
    unsigned bytes = bits / 8, rest = bits % 8;
    if (memcmp(address, prefix, bytes) != 0) return false;
    return rest == 0 || (address[bytes] ^ prefix[bytes]) >> (8 - rest) == 0;
}

static enum fetch_address kind4(uint32_t address)
{
    for (size_t i = 0; i < ARRAY_LEN(blocks4); i++)
        if ((address ^ blocks4[i].address) >> (32 - blocks4[i].bits) == 0) return blocks4[i].kind;
    return FETCH_PUBLIC;
}

static uint32_t be32(const uint8_t *p)
{
    return V4(p[0], p[1], p[2], p[3]);
}

static bool embedded4(const uint8_t *address, uint32_t *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(embedded); i++) {
        if (!has_prefix(address, embedded[i].prefix, embedded[i].bits)) continue;
        *ret = be32(address + embedded[i].at) ^ embedded[i].turned;
        return true;
    }
    return false;
}

static bool is_ours4(uint32_t address, const struct fetch_own *own)
{
    for (size_t i = 0; i < own->count; i++) {
        const struct sockaddr_in *sin = (const struct sockaddr_in *)&own->list[i];
        if (sin->sin_family == AF_INET && ntohl(sin->sin_addr.s_addr) == address) return true;
    }
    return false;
}

static bool is_ours6(const uint8_t *address, const struct fetch_own *own)
{
    for (size_t i = 0; i < own->count; i++) {
        const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)&own->list[i];
        if (sin6->sin6_family == AF_INET6 && memcmp(&sin6->sin6_addr, address, 16) == 0) return true;
    }
    return false;
}

static enum fetch_address of4(uint32_t address, const struct fetch_own *own)
{
    return is_ours4(address, own) ? FETCH_LOOPBACK : kind4(address);
}

static enum fetch_address of6(const uint8_t *address, const struct fetch_own *own)
{
    uint32_t inner;
    if (is_ours6(address, own)) return FETCH_LOOPBACK;
    for (size_t i = 0; i < ARRAY_LEN(blocks6); i++)
        if (has_prefix(address, blocks6[i].address, blocks6[i].bits)) return blocks6[i].kind;
    return embedded4(address, &inner) ? of4(inner, own) : FETCH_PUBLIC;
}

enum fetch_address fetch_address_of(const struct sockaddr *address, const struct fetch_own *own)
{
    if (address->sa_family == AF_INET)
        return of4(ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr), own);
    if (address->sa_family == AF_INET6)
        return of6(((const struct sockaddr_in6 *)(const void *)address)->sin6_addr.s6_addr, own);
    return FETCH_NOWHERE;
}
