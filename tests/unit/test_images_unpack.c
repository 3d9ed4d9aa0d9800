/* Unpacking: what comes out is the image, byte for byte, or nothing. Archives are made by the programs that people use. */
#include "images_fixture.h"

#include <signal.h>
#include <sys/wait.h>

#include "images/helper.h"
#include "images/unpack_name.h"
#include "images/unpack_stream.h"
#include "images/unpacker.h"

#define SIZE 70000 /* more than what is read at once */
#define PACKED_MAX (1 << 20)

static char dir[64];
static uint8_t content[SIZE], packed[PACKED_MAX], out[4 * SIZE];

static const struct {
    const char *format, *command; /* from dir/image.img into dir/packed */
} packers[] = {
    {"xz", "xz -c image.img > packed"},
    {"xz", "xz --check=crc32 -c image.img > packed"},
    {"gzip", "gzip -c image.img > packed"},
    {"gzip", "gzip -1 -c image.img > packed"},
    {"zstd", "zstd -q --check -c image.img > packed"},
    {"bzip2", "bzip2 -c image.img > packed"},
    {"zip", "rm -f p.zip; zip -q p.zip image.img && mv p.zip packed"},
    {"zip", "rm -f p.zip; zip -q -0 p.zip image.img && mv p.zip packed"},
    {"zip", "zip -q - image.img | cat > packed"}, /* to a pipe: sizes and checksum stand behind the data */
    {"zip", "rm -f p.zip; mkdir -p d; cp image.img d/; echo hello > d/README.txt; zip -q -r p.zip d && mv p.zip packed"},
};

static int set_up(attr_unused void **state)
{
    strcpy(dir, P_tmpdir "/trayd-unpack-XXXXXX");
    if (!mkdtemp(dir)) return -1;
    fill_pattern(content, sizeof content / 2); /* the other half is zeros: packed and stored blocks */
    char path[96];
    snprintf(path, sizeof path, "%s/image.img", dir);
    return fd_replace_file(path, content, sizeof content, false, NULL);
}

static int tear_down(attr_unused void **state)
{
    return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static size_t pack(const char *command)
{
    char line[512], path[96];
    snprintf(line, sizeof line, "cd %s && { %s; }", dir, command);
    if (system(line) != 0) fail_msg("failed: %s", command);
    snprintf(path, sizeof path, "%s/packed", dir);
    int fd = open(path, O_RDONLY);
    ssize_t n = fd_read_full(fd, packed, sizeof packed);
    close(fd);
    assert_true(n > 0 && (size_t)n < sizeof packed);
    return (size_t)n;
}

struct memory {
    const uint8_t *data;
    size_t len, at, piece, written;
};

static ssize_t read_memory(void *owner, void *data, size_t max)
{
    struct memory *m = owner;
    size_t n = MIN(MIN(m->len - m->at, max), m->piece);
    memcpy(data, m->data + m->at, n);
    m->at += n;
    return (ssize_t)n;
}

static int write_memory(void *owner, const void *data, size_t len, struct err *e)
{
    struct memory *m = owner;
    if (len > sizeof out - m->written) return err_set(e, ERR_NO_SPACE, "too much");
    memcpy(out + m->written, data, len);
    m->written += len;
    return 0;
}

static int unpack_pieces(size_t len, size_t piece, uint64_t largest, size_t *ret_len, const char **format, struct err *e)
{
    struct memory m = {.data = packed, .len = len, .piece = piece};
    const struct unpack_io io = {.owner = &m, .read = read_memory, .write = write_memory, .largest = largest};
    int result = unpack_stream(&io, format, e);
    *ret_len = m.written;
    return result;
}

static int unpack_all(size_t len, size_t *ret_len, const char **format, struct err *e)
{
    return unpack_pieces(len, SIZE_MAX, sizeof out, ret_len, format, e);
}

static void is_unpacked(attr_unused void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(packers); i++) {
        struct err e = {0};
        const char *format;
        size_t len = pack(packers[i].command), n;
        static const size_t pieces[] = {SIZE_MAX, 1000, 7, 1};
        for (size_t k = 0; k < ARRAY_LEN(pieces); k++) {
            if (unpack_pieces(len, pieces[k], SIZE, &n, &format, &e) < 0) fail_msg("%s: %s", packers[i].command, e.text);
            assert_string_equal(format, packers[i].format);
            assert_int_equal(n, SIZE);
            assert_memory_equal(out, content, SIZE);
        }
    }
}

/* Every bit that flips is noticed, or does not matter. */
static void damage_is_noticed(attr_unused void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(packers); i++) {
        struct err e = {0};
        const char *format;
        size_t len = pack(packers[i].command), n, noticed = 0;
        size_t step = MAX(len / 400, 1); /* all of the ends, a spread of the rest */
        for (size_t at = 0; at < len; at += at < 64 || at + 200 > len ? 1 : step) {
            packed[at] ^= (uint8_t)(1 << (at % 8));
            if (unpack_all(len, &n, &format, &e) < 0) noticed++;
            else if (n != SIZE || memcmp(out, content, SIZE) != 0)
                fail_msg("%s: byte %zu of %zu changed the image, and nobody noticed", packers[i].command, at, len);
            packed[at] ^= (uint8_t)(1 << (at % 8));
        }
        assert_true(noticed > 200);
    }
}

static void truncation_is_noticed(attr_unused void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(packers); i++) {
        struct err e = {0};
        const char *format;
        size_t len = pack(packers[i].command), n;
        for (size_t cut = 1; cut < len; cut += cut < 300 ? 1 : len / 50) {
            if (unpack_all(len - cut, &n, &format, &e) < 0) continue;
            /* A ZIP archive's directory at the end repeats what was read: only the image counts. */
            if (strcmp(packers[i].format, "zip") != 0 || n != SIZE || memcmp(out, content, SIZE) != 0)
                fail_msg("%s: %zu of %zu bytes are missing, and nobody noticed", packers[i].command, cut, len);
        }
    }
}

static void too_much_is_refused(attr_unused void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(packers); i++) {
        struct err e = {0};
        const char *format;
        size_t len = pack(packers[i].command), n;
        assert_int_equal(unpack_pieces(len, SIZE_MAX, SIZE - 1, &n, &format, &e), -1);
        assert_code(e, ERR_TOO_LARGE);
        assert_true(n < SIZE);
    }
}

static void what_is_no_image_is_refused(attr_unused void **state)
{
    static const struct {
        const char *command, *text;
    } cases[] = {
        {"cp image.img packed", "not packed"},
        {"xz -c image.img > a; xz -c a > packed", NULL}, /* what comes out is an .xz: judged below */
        {"tar -cf packed image.img", "but as tar"},
        {"rm -f p.zip; echo x > a.txt; zip -q p.zip a.txt; mv p.zip packed", "no image"},
        {"rm -f p.zip; cp image.img b.iso; zip -q p.zip image.img b.iso; mv p.zip packed", "more than one"},
        {"rm -f p.zip; zip -q -P secret p.zip image.img; mv p.zip packed", NULL},
        {"gzip -c image.img > packed; echo more >> packed", NULL},
        {"gzip -c image.img > packed; head -c 100 /dev/zero >> packed; echo x >> packed", "follows"},
        {"xz -c image.img > packed; echo more >> packed", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err e = {0};
        const char *format;
        size_t len = pack(cases[i].command), n;
        int result = unpack_all(len, &n, &format, &e);
        if (i == 1) { /* packed twice: one layer is taken off, or it is refused */
            assert_true(result < 0 || n < 2000 + SIZE / 2);
            continue;
        }
        if (result == 0) fail_msg("%s: was unpacked", cases[i].command);
        assert_code(e, ERR_ARCHIVE_UNUSABLE);
        if (cases[i].text && !strstr(e.text, cases[i].text)) fail_msg("%s: %s", cases[i].command, e.text);
    }
}

static void members_and_padding_are_read(attr_unused void **state)
{
    struct err e = {0};
    const char *format;
    size_t n, len = pack("head -c 30000 image.img | gzip > packed; tail -c +30001 image.img | gzip >> packed");
    if (unpack_all(len, &n, &format, &e) < 0) fail_msg("%s", e.text);
    assert_int_equal(n, SIZE);
    assert_memory_equal(out, content, SIZE);
    len = pack("gzip -c image.img > packed; head -c 5000 /dev/zero >> packed");
    if (unpack_all(len, &n, &format, &e) < 0) fail_msg("%s", e.text);
    assert_int_equal(n, SIZE);
}

/* ---- by a helper ---- */

static int take_out(void *owner, const void *data, size_t len, struct err *e)
{
    return write_memory(owner, data, len, e);
}

static void a_helper_unpacks(attr_unused void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(packers); i++) {
        struct err e = {0};
        struct memory m = {0};
        size_t len = pack(packers[i].command);
        struct unpacker *u = unpacker_new(SIZE, take_out, &m, &e);
        if (!u) fail_msg("%s", e.text);
        for (size_t at = 0; at < len; at += 12345)
            if (unpacker_write(u, packed + at, MIN(len - at, 12345), &e) < 0) fail_msg("%s", e.text);
        if (unpacker_finish(u, &e) < 0) fail_msg("%s: %s", packers[i].command, e.text);
        assert_int_equal(m.written, SIZE);
        assert_memory_equal(out, content, SIZE);
        cleanup_json json_t *json = unpacker_json(u);
        assert_string_equal(json_text(json, "format"), packers[i].format);
        assert_int_equal(json_int(json, "size", 0), len);
        assert_int_equal(strlen(json_text(json, "sha256")), 64);
        unpacker_free(u);
    }
}

/* A failure is told whenever it happens, and the reason survives that the helper is gone by then. */
static void a_helper_says_what_was_wrong(attr_unused void **state)
{
    size_t len = pack("xz -c image.img > packed");
    for (int i = 0; i < 20; i++) {
        struct err e = {0};
        struct memory m = {0};
        struct unpacker *u = unpacker_new(i % 2 ? SIZE : SIZE - 1, take_out, &m, &e);
        if (i % 2) packed[len / 2] ^= 1;
        int result = unpacker_write(u, packed, len, &e);
        for (int k = 0; i % 2 && result == 0 && k < 100; k++) result = unpacker_write(u, content, sizeof content, &e);
        if (result == 0) result = unpacker_finish(u, &e);
        assert_int_equal(result, -1);
        assert_code(e, i % 2 ? ERR_ARCHIVE_UNUSABLE : ERR_TOO_LARGE);
        assert_int_equal(unpacker_finish(u, &e), -1);
        if (i % 2) packed[len / 2] ^= 1;
        unpacker_free(u);
    }
}

static void without_a_helper_it_is_said(attr_unused void **state)
{
    struct err e = {0};
    char path[4096];
    helper_use(-1);
    assert_null(unpacker_new(SIZE, take_out, NULL, &e));
    assert_code(e, ERR_UNAVAILABLE);
    helper_use(open(fixture_helper(path), O_PATH | O_CLOEXEC));
}

/* ---- names ---- */

static void names_lose_their_ending(attr_unused void **state)
{
    static const struct {
        const char *name, *without; /* NULL: not packed by its name */
    } cases[] = {
        {"a.img.xz", "a.img"}, {"a.iso.gz", "a.iso"}, {"A.ISO.ZST", "A.ISO"}, {"a.raw.bz2", "a.raw"},
        {"a.zip", "a.img"}, {"a.xz", "a.img"}, {"a.iso.zip", "a.iso"}, {"a.iso", NULL}, {"a.tar.xz", NULL},
        {"a.gzip", NULL}, {"xz", NULL}, {"a.xz.xz", "a.xz.img"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char name[NAME_BYTES_MAX + 1];
        assert_int_equal(unpack_name_is_packed(cases[i].name), cases[i].without != NULL);
        assert_int_equal(unpack_name(cases[i].name, name, sizeof name, NULL), 0);
        assert_string_equal(name, cases[i].without ? cases[i].without : cases[i].name);
    }
    char name[8];
    struct err e;
    assert_int_equal(unpack_name(".xz", name, sizeof name, &e), -1);
    assert_code(e, ERR_INVALID_NAME);
}

int main(void)
{
    char path[4096];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_unpacked),
        cmocka_unit_test(damage_is_noticed),
        cmocka_unit_test(truncation_is_noticed),
        cmocka_unit_test(too_much_is_refused),
        cmocka_unit_test(what_is_no_image_is_refused),
        cmocka_unit_test(members_and_padding_are_read),
        cmocka_unit_test(a_helper_unpacks),
        cmocka_unit_test(a_helper_says_what_was_wrong),
        cmocka_unit_test(without_a_helper_it_is_said),
        cmocka_unit_test(names_lose_their_ending),
    };
    signal(SIGPIPE, SIG_IGN); /* as in trayd */
    helper_use(open(fixture_helper(path), O_PATH | O_CLOEXEC));
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
