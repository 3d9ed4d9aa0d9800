/* What an image is, from its first bytes; also of short, strange and unreadable ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/util.h"
#include "images/inspect.h"

struct buffer {
    const uint8_t *data;
    size_t len;
    int reads;
    bool fails;
};

static ssize_t read_buffer(void *owner, void *data, size_t len, uint64_t offset)
{
    struct buffer *b = owner;
    b->reads++;
    assert_true(len <= INSPECT_READ_BYTES_MAX);
    if (b->fails) return -1;
    if (offset >= b->len) return 0;
    len = MIN(len, b->len - (size_t)offset);
    memcpy(data, b->data + offset, len);
    return (ssize_t)len;
}

static uint8_t image[64 * 1024];

static struct inspect_result look(struct buffer b, uint64_t size)
{
    struct inspect_result r;
    inspect(&(struct inspect_reader){.owner = &b, .read = read_buffer}, size, &r);
    assert_true(b.reads <= INSPECT_READS_MAX);
    assert_non_null(r.reason);
    return r;
}

static void put(size_t offset, const char *text)
{
    memcpy(image + offset, text, strlen(text));
}

static void suggestions(attr_unused void **state)
{
    static const struct {
        bool iso, udf, boot;
        uint64_t size;
        enum inspect_format format;
        bool cdrom;
    } cases[] = {
        {false, false, false, 1 << 20, INSPECT_UNKNOWN, false},
        {false, false, true, 1 << 20, INSPECT_UNKNOWN, false},
        {true, false, false, 1 << 20, INSPECT_ISO9660, true},
        {true, false, true, 1 << 20, INSPECT_ISO9660, true},
        {true, true, false, 1 << 20, INSPECT_ISO9660, true},
        {false, true, false, 1 << 20, INSPECT_UDF, true},
        /* The kernel's limits, to the byte. */
        {true, false, false, 614400, INSPECT_ISO9660, true},
        {true, false, false, 614399, INSPECT_ISO9660, false},
        {true, false, false, 2359293952, INSPECT_ISO9660, true},
        {true, false, false, 2359293953, INSPECT_ISO9660, false},
        {true, false, true, 5100000000, INSPECT_ISO9660, false},
        {false, true, false, UINT64_MAX, INSPECT_UDF, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        memset(image, 0, sizeof image);
        if (cases[i].iso) put(32769, "CD001");
        if (cases[i].udf) put(32769 + 2048, "BEA01"), put(32769 + 2 * 2048, "NSR03");
        if (cases[i].boot) put(510, "\x55\xaa");
        struct inspect_result r = look((struct buffer){.data = image, .len = sizeof image}, cases[i].size);
        assert_int_equal(r.format, cases[i].format);
        assert_int_equal(r.cdrom, cases[i].cdrom);
        assert_int_equal(r.boot_sector, cases[i].boot);
    }
}

/* Every length up to behind the last sector that is looked at: an exact buffer lets the sanitizer see what is read. */
static void cut_off(attr_unused void **state)
{
    memset(image, 0, sizeof image);
    put(32769, "CD001");
    for (size_t len = 0; len < 32768 + INSPECT_READ_BYTES_MAX + 2; len += len < 32000 ? 509 : 61) {
        cleanup_free uint8_t *exact = malloc(len + 1);
        memcpy(exact, image, len);
        struct inspect_result r = look((struct buffer){.data = exact, .len = len}, 1 << 20);
        assert_int_equal(r.format, len >= 34816 ? INSPECT_ISO9660 : INSPECT_UNKNOWN);
    }
    struct inspect_result r = look((struct buffer){.fails = true}, 1 << 20);
    assert_int_equal(r.format, INSPECT_UNKNOWN);
    assert_false(r.cdrom);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(suggestions),
        cmocka_unit_test(cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
