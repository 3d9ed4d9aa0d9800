/* Images that were made to confuse: chains that bite their tails, counts of billions, overlaps, wrong checksums. */
#include <stdio.h>

#include "images/partitions.h"
#include "tests/unit/images_inspect.h"

#define MIB (1 << 20)

/* ---- partition chains ---- */

/* links: from each link's sector to the next, relative to the extended partition at sector 100. */
static const struct inspect_result *chain(struct buffer *b, const uint32_t *links, size_t count)
{
    memset(b->data, 0, b->len);
    put_partition(b, 0, 0, 0, 0x05, 100, 1000);
    uint32_t at = 100;
    for (size_t i = 0; i < count; i++) {
        put_partition(b, at * 512, 0, 0, 0x83, 1, 10);
        put_partition(b, at * 512, 1, 0, links[i] ? 0x05 : 0, links[i], links[i] ? 20 : 0);
        at = 100 + links[i];
    }
    return buffer_inspect(b, b->len);
}

static void logical_partitions(attr_unused void **state)
{
    struct buffer b = buffer_new(2 * MIB);
    uint32_t forward[80];
    for (uint32_t i = 0; i < 80; i++) forward[i] = 20 * (i + 1);
    forward[79] = 0;
    const struct inspect_result *r = chain(&b, (uint32_t[]){20, 40, 0}, 3);
    assert_int_equal(r->partitions_count, 4);
    assert_int_equal(r->partitions[3].number, 7);
    assert_int_equal(r->partitions[3].start, 141 * 512);
    assert_false(warns(r, INSPECT_WARN_PARTITIONS));
    r = chain(&b, forward, 80);
    assert_int_equal(r->partitions_count, INSPECT_PARTITIONS_MAX);
    assert_true(r->partitions_more);
    /* To itself, in a circle, and out of the image. */
    assert_true(warns(chain(&b, (uint32_t[]){20, 20}, 2), INSPECT_WARN_PARTITIONS));
    assert_true(warns(chain(&b, (uint32_t[]){40, 20, 40}, 3), INSPECT_WARN_PARTITIONS));
    assert_true(warns(chain(&b, (uint32_t[]){UINT32_MAX}, 1), INSPECT_WARN_PARTITIONS));
    free(b.data);
}

static void overlapping_partitions(attr_unused void **state)
{
    struct buffer b = buffer_new(MIB);
    for (unsigned i = 0; i < 4; i++) put_partition(&b, 0, i, 0x80, 0x83, i ? UINT32_MAX : 0, UINT32_MAX);
    const struct inspect_result *r = buffer_inspect(&b, b.len);
    assert_int_equal(r->partitions_count, 4);
    assert_int_equal(r->partitions[3].start, (uint64_t)UINT32_MAX * 512);
    assert_true(warns(r, INSPECT_WARN_TRUNCATED));
    free(b.data);
}

/* ---- GPT ---- */

static uint32_t crc32_of(const uint8_t *data, size_t len)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

static void seal_gpt(struct buffer *b, uint32_t header_size)
{
    put_le(b, 512 + 16, 0, 4);
    put_le(b, 512 + 16, crc32_of(b->data + 512, MIN(header_size, b->len - 512)), 4);
}

static void put_gpt(struct buffer *b, uint32_t count, uint32_t entry_size, uint64_t entries)
{
    memset(b->data, 0, b->len);
    put_partition(b, 0, 0, 0, 0xee, 1, UINT32_MAX);
    put_text(b, 512, "EFI PART");
    put_le(b, 512 + 12, 92, 4);
    put_le(b, 512 + 24, 1, 8);
    put_le(b, 512 + 32, b->len / 512 - 1, 8);
    put_le(b, 512 + 72, entries, 8);
    put_le(b, 512 + 80, count, 4);
    put_le(b, 512 + 84, entry_size, 4);
    seal_gpt(b, 92);
}

static void gpt_counts(attr_unused void **state)
{
    static const struct {
        uint32_t count, size;
        uint64_t at;
        enum inspect_table table;
    } cases[] = {
        {UINT32_MAX, 128, 2, INSPECT_TABLE_GPT},             /* so many are not even looked at */
        {UINT32_MAX, 4096, 2, INSPECT_TABLE_GPT},
        {UINT32_MAX, UINT32_MAX, 2, INSPECT_TABLE_MBR},
        {128, 0, 2, INSPECT_TABLE_MBR},
        {128, 1, 2, INSPECT_TABLE_MBR},
        {128, 129, 2, INSPECT_TABLE_MBR},
        {0, 128, 2, INSPECT_TABLE_GPT},
        {128, 128, UINT64_MAX, INSPECT_TABLE_GPT},           /* the header is right, the entries are nowhere */
        {128, 128, UINT64_MAX / 512, INSPECT_TABLE_GPT},
        {128, 128, 0, INSPECT_TABLE_GPT},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buffer b = buffer_new(MIB);
        put_gpt(&b, cases[i].count, cases[i].size, cases[i].at);
        const struct inspect_result *r = buffer_inspect(&b, b.len);
        if (r->table != cases[i].table) fail_msg("case %zu: table %d", i, r->table);
        free(b.data);
    }
}

/* Entries from the first to the last sector that 64 bits can name, and backwards. */
static void gpt_extremes(attr_unused void **state)
{
    static const uint64_t extents[][2] = {{0, UINT64_MAX}, {UINT64_MAX, UINT64_MAX}, {5, 4}, {UINT64_MAX, 0}, {1, 1}};
    struct buffer b = buffer_new(MIB);
    put_gpt(&b, 128, 128, 2);
    for (size_t i = 0; i < ARRAY_LEN(extents); i++) {
        put_text(&b, 1024 + 128 * i, "sixteen bytes...");
        put_le(&b, 1024 + 128 * i + 32, extents[i][0], 8);
        put_le(&b, 1024 + 128 * i + 40, extents[i][1], 8);
    }
    put_le(&b, 512 + 88, crc32_of(b.data + 1024, 16384), 4);
    seal_gpt(&b, 92);
    const struct inspect_result *r = buffer_inspect(&b, b.len);
    assert_int_equal(r->table, INSPECT_TABLE_GPT);
    assert_int_equal(r->partitions_count, 3);
    assert_int_equal(r->partitions[0].size, UINT64_MAX);
    assert_int_equal(r->partitions[2].start, 512);
    assert_true(warns(r, INSPECT_WARN_TRUNCATED));
    free(b.data);
}

static void gpt_checksums(attr_unused void **state)
{
    struct buffer b = buffer_new(MIB);
    put_gpt(&b, 128, 128, 2);
    b.data[512 + 60] ^= 1;
    assert_int_equal(buffer_inspect(&b, b.len)->table, INSPECT_TABLE_MBR); /* as if there were none */
    for (uint32_t size = 0; size < 600; size += 23) { /* a header's size is what its sum is over */
        put_gpt(&b, 0, 128, 2);
        put_le(&b, 512 + 12, size, 4);
        seal_gpt(&b, size);
        bool right = size >= 92 && size <= 512;
        assert_int_equal(buffer_inspect(&b, b.len)->table, right ? INSPECT_TABLE_GPT : INSPECT_TABLE_MBR);
    }
    free(b.data);
}

/* ---- discs ---- */

static void put_record(struct buffer *b, size_t at, uint32_t sector, uint32_t bytes, bool directory, const char *name)
{
    size_t len = strlen(name);
    put_le(b, at, 33 + len + !(len & 1), 1);
    put_le(b, at + 2, sector, 4);
    put_le(b, at + 10, bytes, 4);
    put_le(b, at + 25, directory ? 2 : 0, 1);
    put_le(b, at + 32, len, 1);
    put_text(b, at + 33, name);
}

static struct buffer disc(uint32_t root, uint32_t bytes)
{
    struct buffer b = buffer_new(MIB);
    put_text(&b, 32768, "\1CD001");
    put_le(&b, 32768 + 80, 512, 4);
    put_le(&b, 32768 + 128, 2048, 2);
    put_record(&b, 32768 + 156, root, bytes, true, "");
    put_text(&b, 34816, "\xff" "CD001");
    return b;
}

/* A folder that is its own parent and child, as large as can be said. */
static void directories_in_circles(attr_unused void **state)
{
    struct buffer b = disc(20, UINT32_MAX);
    for (size_t i = 0; i < 40; i++)
        put_record(&b, 20 * 2048 + i * 40, 20, UINT32_MAX, true, i & 1 ? "SOURCES" : "IMAGES1");
    const struct inspect_result *r = buffer_inspect(&b, b.len);
    assert_string_equal(r->installer, "");
    put_record(&b, 20 * 2048 + 40 * 40, 99, 1, false, "INSTALL.WIM;1");
    assert_string_equal(buffer_inspect(&b, b.len)->installer, "Windows installer"); /* in SOURCES, which is the root */
    free(b.data);
}

static void records_at_the_edge(attr_unused void **state)
{
    struct buffer b = disc(511, 4096); /* the second sector lies behind the end */
    for (unsigned len = 0; len < 256; len++) { /* at the sector's end, of every length, with names of many lengths */
        for (unsigned name = 0; name < 256; name += 5) {
            memset(b.data + 511 * 2048, 34, 2048);
            put_le(&b, 511 * 2048 + 2048 - 34, len, 1);
            put_le(&b, 511 * 2048 + 2048 - 2, name, 1);
            for (unsigned at = 0; at + 34 < 2048; at += 34) put_le(&b, 511 * 2048 + at + 32, 1, 1);
            buffer_inspect(&b, b.len);
        }
    }
    free(b.data);
    b = disc(UINT32_MAX, UINT32_MAX);
    buffer_inspect(&b, UINT64_MAX);
    free(b.data);
}

/* A boot catalog: checksum, sections that claim more entries than there are, and boot images behind the end. */
static void boot_catalogs(attr_unused void **state)
{
    static const uint8_t validation[32] = {1, 0, [28] = 0xaa, 0x55, 0x55, 0xaa};
    struct buffer b = disc(20, 2048);
    put_text(&b, 32768 + 2048, "\0CD001\1EL TORITO SPECIFICATION");
    put_le(&b, 32768 + 2048, 0, 1);
    put_text(&b, 32768 + 2048 + 1, "CD001\1EL TORITO SPECIFICATION");
    put_le(&b, 32768 + 2048 + 71, 30, 4);
    put_text(&b, 32768 + 4096, "\xff" "CD001");
    size_t at = 30 * 2048;
    memcpy(b.data + at, validation, 32);
    put_le(&b, at + 32, 0x88, 1);
    const struct inspect_result *r = buffer_inspect(&b, b.len);
    assert_true(r->summary.cdrom.bios && !r->summary.cdrom.uefi);
    put_le(&b, at + 64, 0xef91, 2);
    put_le(&b, at + 66, 0xffff, 2);
    put_le(&b, at + 96, 0x88, 1);
    r = buffer_inspect(&b, b.len);
    assert_true(r->summary.cdrom.bios && r->summary.cdrom.uefi);
    assert_false(warns(r, INSPECT_WARN_TRUNCATED));
    put_le(&b, at + 96 + 8, UINT32_MAX, 4);
    assert_true(warns(buffer_inspect(&b, b.len), INSPECT_WARN_TRUNCATED));
    put_le(&b, at + 5, 1, 1); /* the sum is wrong now */
    r = buffer_inspect(&b, b.len);
    assert_false(r->summary.cdrom.bios || r->summary.cdrom.uefi);
    put_le(&b, 32768 + 2048 + 71, UINT32_MAX, 4);
    buffer_inspect(&b, b.len);
    free(b.data);
}

/* ---- FAT ---- */

static void fat_chains(attr_unused void **state)
{
    struct buffer b = buffer_new(MIB);
    static const uint8_t head[] = {0xeb, 0x3c, 0x90, 'm', 'k', 'f', 's', '.', 'f', 'a', 't',
                                   0, 2, 1, 1, 0, 1, 16, 0, 0, 8, 0xf8, 6};
    memcpy(b.data, head, sizeof head);
    put_boot_sector(&b);
    put_text(&b, 512 * 7, "EFI        \x10");
    put_le(&b, 512 * 7 + 26, 2, 2);
    put_text(&b, 512 * 8, "BOOT       \x10"); /* cluster 2 */
    put_le(&b, 512 * 8 + 26, 3, 2);
    for (size_t i = 0; i < 512; i += 32) put_text(&b, 512 * 9 + i, "XXXXXXXXEFI\x20"); /* cluster 3, full */
    put_le(&b, 512 + 3, 0xff8, 2);
    put_le(&b, 512 + 4, 0x003, 2); /* cluster 3 is followed by itself */
    const struct inspect_result *r = buffer_inspect(&b, b.len);
    assert_string_equal(r->filesystem, "fat12");
    assert_false(r->summary.disk.uefi);
    put_text(&b, 512 * 9 + 480, "BOOTX64 EFI\x20");
    assert_true(buffer_inspect(&b, b.len)->summary.disk.uefi);
    for (unsigned at = 11; at < 48; at++) { /* each field at its extremes */
        for (unsigned value = 0; value < 256; value += 15) {
            uint8_t before = b.data[at];
            b.data[at] = (uint8_t)value;
            buffer_inspect(&b, b.len);
            b.data[at] = before;
        }
    }
    free(b.data);
}

/* ---- texts ---- */

static void labels(attr_unused void **state)
{
    struct buffer b = disc(20, 0);
    put_text(&b, 32768 + 40, "\x1b[31mred\n\xe2\x80\xae" "abc");
    const struct inspect_result *r = buffer_inspect(&b, b.len);
    assert_string_equal(r->label, "\xef\xbf\xbd[31mred\xef\xbf\xbd\xef\xbf\xbd" "abc");
    memset(b.data + 32768 + 40, 0xff, 32);
    r = buffer_inspect(&b, b.len);
    assert_int_equal(strlen(r->label), 64); /* 32 times U+00FF */
    put_text(&b, 32768 + 2048, "\2CD001");
    put_text(&b, 32768 + 2048 + 88, "%/E");
    for (size_t i = 0; i < 32; i += 2) put_text(&b, 32768 + 2048 + 40 + i, "\xd8\x41"); /* high surrogates alone */
    put_text(&b, 32768 + 40, "short");
    put_le(&b, 32768 + 45, 0, 1);
    r = buffer_inspect(&b, b.len);
    assert_int_equal(strlen(r->label), 16 * 3);
    free(b.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logical_partitions),
        cmocka_unit_test(overlapping_partitions),
        cmocka_unit_test(gpt_counts),
        cmocka_unit_test(gpt_extremes),
        cmocka_unit_test(gpt_checksums),
        cmocka_unit_test(directories_in_circles),
        cmocka_unit_test(records_at_the_edge),
        cmocka_unit_test(boot_catalogs),
        cmocka_unit_test(fat_chains),
        cmocka_unit_test(labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
