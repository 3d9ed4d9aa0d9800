/* What an inspection found, in the JSON of an image and in lists, and the cache in between. */
#include "images/look_cache.h"
#include "tests/unit/images_fixture.h"

#define DISC_BYTES (700 * 1024)

/* An ISO 9660 that a BIOS boots from a CD drive. */
static void put_disc(const struct fixture *f, const char *relative)
{
    static uint8_t data[DISC_BYTES];
    static const uint8_t catalog[] = {1, 0, [28] = 0xaa, 0x55, 0x55, 0xaa, 0x88};
    memset(data, 0, sizeof data);
    memcpy(data + 32768, "\1CD001", 6);
    memcpy(data + 32768 + 40, "LABEL", 5);
    memcpy(data + 34817, "CD001\1EL TORITO SPECIFICATION", 29);
    data[34816 + 71] = 30;
    memcpy(data + 36864, "\xff" "CD001", 6);
    memcpy(data + 30 * 2048, catalog, sizeof catalog);
    put_file(f, relative, data, sizeof data);
}

static json_t *get(struct fixture *f, const char *name)
{
    struct err e = {0};
    json_t *image = library_get(f->library, "main", name, &e);
    if (!image) fail_msg("%s", e.text);
    return image;
}

/* The only image in the list. */
static json_t *listed(struct fixture *f)
{
    struct err e = {0};
    cleanup_json json_t *page = library_list(f->library, &(struct library_query){.limit = 10}, &e);
    if (!page) fail_msg("%s", e.text);
    assert_int_equal(json_array_size(json_object_get(page, "images")), 1);
    return json_incref(json_array_get(json_object_get(page, "images"), 0));
}

static void details(void **state)
{
    struct fixture *f = *state;
    put_disc(f, "main/a.iso");
    cleanup_json json_t *image = get(f, "a.iso");
    assert_string_equal(json_text(image, "format"), "iso9660");
    assert_string_equal(json_text(image, "label"), "LABEL");
    assert_string_equal(json_text(image, "suggested_type"), "cdrom");
    const json_t *boot = json_object_get(image, "bootable");
    assert_true(json_flag(boot, "bios"));
    assert_false(json_flag(boot, "uefi"));
    assert_string_equal(json_string_value(json_array_get(json_object_get(boot, "from"), 0)), "cdrom");
    assert_true(json_is_null(json_object_get(image, "partitions")));
    const json_t *warning = json_array_get(json_object_get(image, "warnings"), 0);
    assert_string_equal(json_text(warning, "code"), "will_not_boot");
}

static void lists_know_what_was_looked_at(void **state)
{
    struct fixture *f = *state;
    put_disc(f, "main/a.iso");
    json_t *image = listed(f);
    assert_string_equal(json_text(image, "format"), "iso9660"); /* two reads are enough for that */
    assert_true(json_is_null(json_object_get(image, "bootable")));
    assert_null(json_object_get(image, "label"));
    json_decref(image);
    image = get(f, "a.iso");
    cleanup_json json_t *bootable = json_incref(json_object_get(image, "bootable"));
    json_decref(image);
    image = listed(f);
    assert_true(json_equal(json_object_get(image, "bootable"), bootable));
    assert_null(json_object_get(image, "warnings"));
    json_decref(image);
    put_file(f, "main/a.iso", "x", 1); /* another file under the name */
    image = listed(f);
    assert_true(json_is_null(json_object_get(image, "bootable")));
    assert_true(json_is_null(json_object_get(image, "format")));
    assert_string_equal(json_text(image, "suggested_type"), "disk");
    json_decref(image);
}

/* ---- the cache by itself ---- */

static struct stat file(uint64_t inode, int64_t size)
{
    return (struct stat){.st_dev = 1, .st_ino = inode, .st_size = size, .st_mtim = {.tv_sec = 5, .tv_nsec = 7}};
}

static void keys(attr_unused void **state)
{
    struct look_cache *c = look_cache_new();
    struct inspect_summary s = {.format = INSPECT_UDF, .deep = true, .disk.uefi = true}, found;
    struct stat st = file(1, 10), other = st;
    assert_false(look_cache_get(c, &st, &found));
    look_cache_put(c, &st, &s);
    assert_true(look_cache_get(c, &st, &found));
    assert_true(found.format == INSPECT_UDF && found.deep && found.disk.uefi && !found.disk.bios);
    other.st_mtim.tv_nsec++;
    assert_false(look_cache_get(c, &other, &found));
    other = st, other.st_size++;
    assert_false(look_cache_get(c, &other, &found));
    other = st, other.st_dev++;
    assert_false(look_cache_get(c, &other, &found));
    look_cache_put(c, &st, &(struct inspect_summary){.format = INSPECT_DISK}); /* a glance */
    assert_true(look_cache_get(c, &st, &found) && found.deep);
    other = st, other.st_size++;
    look_cache_put(c, &other, &(struct inspect_summary){.format = INSPECT_DISK});
    assert_true(look_cache_get(c, &other, &found) && !found.deep);
    assert_false(look_cache_get(c, &st, &found)); /* of that file there is only what it is now */
    look_cache_unref(look_cache_ref(c));
    look_cache_unref(c);
    look_cache_unref(NULL);
    assert_false(look_cache_get(NULL, &st, &found));
    look_cache_put(NULL, &st, &s);
}

/* 10 000 images: nearly all of them are remembered; many more take the places of others. */
static void full(attr_unused void **state)
{
    struct look_cache *c = look_cache_new();
    struct inspect_summary s = {.deep = true}, found;
    size_t known = 0;
    for (uint64_t i = 0; i < 10000; i++) {
        struct stat st = file(1000 + i, 1);
        look_cache_put(c, &st, &s);
    }
    for (uint64_t i = 0; i < 10000; i++) {
        struct stat st = file(1000 + i, 1);
        known += look_cache_get(c, &st, &found);
    }
    assert_true(known > 8500);
    for (uint64_t i = 0; i < 100000; i++) {
        struct stat st = file(1000 + i, 1);
        look_cache_put(c, &st, &s);
        assert_true(look_cache_get(c, &st, &found));
    }
    look_cache_unref(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(details),
        FIXTURE_TEST(lists_know_what_was_looked_at),
        cmocka_unit_test(keys),
        cmocka_unit_test(full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
