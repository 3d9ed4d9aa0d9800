/* What an image is: the formats in their simplest form, suggestions, warnings, the limits, and what is cut off. */
#include "tests/unit/images_inspect.h"

#define MIB (1 << 20)

static void put_iso(struct buffer *b, uint32_t sectors)
{
    put_text(b, 32768, "\1CD001");
    put_text(b, 32768 + 40, "A LABEL                         ");
    put_le(b, 32768 + 80, sectors, 4);
    put_le(b, 32768 + 128, 2048, 2);
    put_text(b, 34816, "\xff" "CD001");
}

static void suggestions(attr_unused void **state)
{
    static const struct {
        bool iso, udf, boot;
        uint64_t size;
        enum inspect_format format;
        const char *type;
    } cases[] = {
        {false, false, false, MIB, INSPECT_UNKNOWN, "disk"},
        {false, false, true, MIB, INSPECT_DISK, "disk"},
        {true, false, false, MIB, INSPECT_ISO9660, "cdrom"},
        {true, false, true, MIB, INSPECT_ISO9660, "cdrom"},
        {true, true, false, MIB, INSPECT_ISO9660, "cdrom"},
        {false, true, false, MIB, INSPECT_UDF, "cdrom"},
        /* The kernel's limits, to the byte. */
        {true, false, false, 614400, INSPECT_ISO9660, "cdrom"},
        {true, false, false, 614399, INSPECT_ISO9660, "disk"},
        {true, false, false, 2359293952, INSPECT_ISO9660, "cdrom"},
        {true, false, false, 2359293953, INSPECT_ISO9660, "disk"},
        {true, false, true, 5100000000, INSPECT_ISO9660, "disk"},
        {false, true, false, UINT64_MAX, INSPECT_UDF, "disk"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buffer b = buffer_new(64 * 1024);
        struct inspect_summary glance;
        struct inspect_suggestion deep, quick;
        if (cases[i].iso) put_iso(&b, 20);
        if (cases[i].udf) put_text(&b, 32769 + 2 * 2048, "BEA01"), put_text(&b, 32769 + 3 * 2048, "NSR03");
        if (cases[i].udf && !cases[i].iso) put_text(&b, 32769, "BEA01"), put_text(&b, 32769 + 2048, "NSR02");
        if (cases[i].boot) put_boot_sector(&b);
        const struct inspect_result *r = buffer_inspect(&b, cases[i].size);
        assert_int_equal(r->summary.format, cases[i].format);
        assert_int_equal(r->summary.boot_sector, cases[i].boot);
        inspect_suggest(&r->summary, cases[i].size, &deep);
        assert_string_equal(deep.type, cases[i].type);
        /* A list must not suggest something else than the image itself. */
        inspect_glance(&(struct inspect_reader){.owner = &b, .read = buffer_read}, &glance);
        inspect_suggest(&glance, cases[i].size, &quick);
        assert_string_equal(quick.type, deep.type);
        free(b.data);
    }
}

static void reasons(attr_unused void **state)
{
    static const struct {
        struct inspect_summary s;
        uint64_t size;
        const char *reason;
    } cases[] = {
        {{.format = INSPECT_ISO9660, .deep = true, .cdrom = {true, true}, .disk = {true, true}}, 5100000000,
         "Bootable hybrid ISO of 5.1 GB: use a disk drive; it is larger than this kernel's CD limit of 2.4 GB"},
        {{.format = INSPECT_ISO9660, .deep = true, .cdrom = {true, true}, .disk = {true, true}}, 661651456,
         "Bootable hybrid ISO of 661.7 MB: use a CD drive; it boots from a disk drive as well"},
        {{.format = INSPECT_ISO9660, .deep = true, .cdrom = {true, true}}, 5100000000,
         "Bootable ISO of 5.1 GB: use a disk drive; it is larger than this kernel's CD limit of 2.4 GB, but it is no "
         "hybrid and will not boot there"},
        {{.format = INSPECT_UDF, .deep = true}, 614400, "UDF disc of 614.4 kB: use a CD drive"},
        {{.format = INSPECT_ISO9660}, 999,
         "ISO of 999 bytes: use a disk drive; it is smaller than the smallest CD that this kernel takes"},
        {{.format = INSPECT_DISK, .disk = {.uefi = true}}, 1, "Bootable disk image: use a disk drive"},
        {{.format = INSPECT_FILESYSTEM}, 1, "File system without partitions: use a disk drive"},
        {{.format = INSPECT_COMPRESSED}, 1, "Compressed: unpack it first"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct inspect_suggestion s;
        inspect_suggest(&cases[i].s, cases[i].size, &s);
        assert_string_equal(s.reason, cases[i].reason);
    }
}

static void containers(attr_unused void **state)
{
    static const struct {
        size_t at;
        const char *bytes;
        enum inspect_format format;
        const char *name;
    } cases[] = {
        {0, "\x1f\x8b\x08", INSPECT_COMPRESSED, "gzip"},
        {4, "1AY&SY", INSPECT_COMPRESSED, "bzip2"},
        {0, "PK\3\4", INSPECT_COMPRESSED, "zip"},
        {0, "QFI\xfb", INSPECT_FOREIGN, "qcow2"},
        {0, "KDMV", INSPECT_FOREIGN, "vmdk"},
        {0, "# Disk DescriptorFile", INSPECT_FOREIGN, "vmdk"},
        {64, "\x7f\x10\xda\xbe", INSPECT_FOREIGN, "vdi"},
        {0, "vhdxfile", INSPECT_FOREIGN, "vhdx"},
        {0, "conectix", INSPECT_FOREIGN, "vhd"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buffer b = buffer_new(4096);
        put_text(&b, cases[i].at, cases[i].bytes);
        const struct inspect_result *r = buffer_inspect(&b, b.len);
        assert_int_equal(r->summary.format, cases[i].format);
        assert_string_equal(r->container, cases[i].name);
        assert_true(warns(r, cases[i].format == INSPECT_FOREIGN ? INSPECT_WARN_FOREIGN : INSPECT_WARN_COMPRESSED));
        struct inspect_suggestion s;
        inspect_suggest(&r->summary, b.len, &s);
        assert_null(s.type);
        free(b.data);
    }
}

static void warnings(attr_unused void **state)
{
    struct buffer b = buffer_new(700 * 1024 + 100);
    put_iso(&b, 350);
    const struct inspect_result *r = buffer_inspect(&b, b.len);
    assert_false(warns(r, INSPECT_WARN_TRUNCATED));
    assert_true(warns(r, INSPECT_WARN_ODD_SIZE));
    assert_string_equal(r->label, "A LABEL");
    put_iso(&b, 351);
    assert_true(warns(buffer_inspect(&b, b.len), INSPECT_WARN_TRUNCATED));
    put_iso(&b, UINT32_MAX);
    assert_true(warns(buffer_inspect(&b, b.len), INSPECT_WARN_TRUNCATED));
    r = buffer_inspect(&b, 3000000000);
    assert_true(warns(r, INSPECT_WARN_CDROM_LIMIT));
    free(b.data);
}

/* Every length up to behind the last sector that is looked at. */
static void cut_off(attr_unused void **state)
{
    struct buffer whole = buffer_new(64 * 1024);
    put_iso(&whole, 20);
    put_partition(&whole, 0, 0, 0x80, 0x17, 0, 100);
    for (size_t len = 0; len < whole.len; len += len < 32000 ? 509 : 61) {
        struct buffer b = buffer_new(len);
        memcpy(b.data, whole.data, len);
        const struct inspect_result *r = buffer_inspect(&b, len);
        assert_int_equal(r->summary.format,
                         len >= 34816 ? INSPECT_ISO9660 : len >= 512 ? INSPECT_DISK : INSPECT_UNKNOWN);
        buffer_inspect(&b, UINT64_MAX); /* and if the file became shorter after its size was asked for */
        free(b.data);
    }
    whole.fails = true;
    const struct inspect_result *r = buffer_inspect(&whole, MIB);
    assert_int_equal(r->summary.format, INSPECT_UNKNOWN);
    assert_int_equal(r->warnings_count, 0);
    free(whole.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(suggestions), cmocka_unit_test(reasons), cmocka_unit_test(containers),
        cmocka_unit_test(warnings),    cmocka_unit_test(cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
