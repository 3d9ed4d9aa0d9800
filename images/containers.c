#include "images/containers.h"

#include <string.h>

#include "base/util.h"

#define TAIL_BYTES 512

struct magic {
    struct container container;
    size_t at, len;
    const char *bytes;
};

static const struct magic heads[] = {
    {{"gzip", INSPECT_COMPRESSED}, 0, 3, "\x1f\x8b\x08"},
    {{"xz", INSPECT_COMPRESSED}, 0, 6, "\xfd" "7zXZ\0"},
    {{"zstd", INSPECT_COMPRESSED}, 0, 4, "\x28\xb5\x2f\xfd"},
    {{"bzip2", INSPECT_COMPRESSED}, 4, 6, "\x31\x41\x59\x26\x53\x59"}, /* behind "BZh" and the size of blocks */
    {{"lz4", INSPECT_COMPRESSED}, 0, 4, "\x04\x22\x4d\x18"},
    {{"lzip", INSPECT_COMPRESSED}, 0, 5, "LZIP\1"},
    {{"zip", INSPECT_COMPRESSED}, 0, 4, "PK\3\4"},
    {{"7z", INSPECT_COMPRESSED}, 0, 6, "7z\xbc\xaf\x27\x1c"},
    {{"rar", INSPECT_COMPRESSED}, 0, 6, "Rar!\x1a\x07"},
    {{"tar", INSPECT_COMPRESSED}, 257, 5, "ustar"},
    {{"qcow2", INSPECT_FOREIGN}, 0, 4, "QFI\xfb"},
    {{"vmdk", INSPECT_FOREIGN}, 0, 4, "KDMV"},
    {{"vmdk", INSPECT_FOREIGN}, 0, 4, "COWD"},
    {{"vmdk", INSPECT_FOREIGN}, 0, 21, "# Disk DescriptorFile"},
    {{"vhd", INSPECT_FOREIGN}, 0, 8, "conectix"}, /* of variable size: a copy of the footer stands first */
    {{"vhdx", INSPECT_FOREIGN}, 0, 8, "vhdxfile"},
    {{"vdi", INSPECT_FOREIGN}, 64, 4, "\x7f\x10\xda\xbe"},
    {{"parallels", INSPECT_FOREIGN}, 0, 16, "WithoutFreeSpace"},
    {{"parallels", INSPECT_FOREIGN}, 0, 16, "WithouFreSpacExt"},
    {{"wim", INSPECT_FOREIGN}, 0, 8, "MSWIM\0\0\0"},
    {{"raw-cd", INSPECT_FOREIGN}, 0, 12, "\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0"}, /* sectors of 2352 bytes */
};

static const struct magic tails[] = {
    {{"dmg", INSPECT_FOREIGN}, 0, 8, "koly\0\0\0\4"},
};

static const struct container *look_up(const struct magic *table, size_t count, const uint8_t *data)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(data + table[i].at, table[i].bytes, table[i].len) == 0) return &table[i].container;
    return NULL;
}

const struct container *container_of_head(const uint8_t *head)
{
    return look_up(heads, ARRAY_LEN(heads), head);
}

static bool read_tail(struct source *s, uint8_t data[TAIL_BYTES])
{
    return s->size >= TAIL_BYTES && source_read(s, s->size - TAIL_BYTES, data, TAIL_BYTES);
}

const struct container *container_of_tail(struct source *s)
{
    uint8_t data[TAIL_BYTES];
    return read_tail(s, data) ? look_up(tails, ARRAY_LEN(tails), data) : NULL;
}

bool container_has_vhd_footer(struct source *s)
{
    uint8_t data[TAIL_BYTES];
    return read_tail(s, data) && memcmp(data, "conectix", 8) == 0;
}
