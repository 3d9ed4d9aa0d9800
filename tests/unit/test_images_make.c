/* Discs made of files, where other tests do not reach: names and their short ones, and files of more than 4 GiB. */
#include "images_fixture.h"

#include <locale.h>

#include "images/disc_archive.h"
#include "images/make.h"

#define BIG ((uint64_t)9 << 30)

static int add(struct files *f, const char *path, uint64_t size, struct err *e)
{
    const size_t len = strlen(path);
    const struct file what = {.folder = len > 0 && path[len - 1] == '/', .size = size, .modified = 1700000000};
    return files_add(f, path, &what, e);
}

/* ---- names ---- */

static void names_are_judged(attr_unused void **state)
{
    static const struct {
        const char *path, *words; /* words NULL: good */
    } cases[] = {
        {"a", NULL}, {"d/b/c", NULL}, {"./x", NULL}, {"d/./y", NULL}, {"f/", NULL}, {"f/", NULL}, {"f/g/", NULL}, {"./", NULL},
        {"a", "twice"}, {"d/b/c", "twice"}, {"d/b/c/e", "a file itself"}, {"f/g", "twice"}, {"a/", "a file itself"},
        {"", "empty name"}, {"n//y", "empty name"}, {"/x", "absolute"}, {"..", "leads out"}, {"q/../../r", "leads out"},
        {"q/..", "leads out"}, {"a\tb", "control"}, {"a\\b", "backslash"}, {"\xff", "UTF-8"}, {".", "no name"},
    };
    struct files f;
    struct err e = {0};
    assert_int_equal(files_init(&f, &e), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int result = add(&f, cases[i].path, 1, &e);
        if (!cases[i].words && result < 0) fail_msg("%s: %s", cases[i].path, e.text);
        if (!cases[i].words) continue;
        if (result == 0) fail_msg("%s was taken", cases[i].path);
        assert_code(e, ERR_FILES_UNUSABLE);
        if (!strstr(e.text, cases[i].words)) fail_msg("%s: %s", cases[i].path, e.text);
    }
    files_done(&f);
}

static void short_names_are_unique(attr_unused void **state)
{
    static const struct files_short_rules rules = {.others = "_-", .mark = '~', .folder_endings = true};
    static const struct {
        const char *path, *text;
    } cases[] = {
        {"README.TXT", "README  TXT"}, {"readme.md", "README  MD "}, {"Makefile", "MAKEFILE   "}, {"a.tar.gz", "A_TAR~1 GZ "},
        {"longer than eight.text", "LONGER~2TEX"}, {"LONGER~2.TEX", "LONGER_3TEX"}, {".profile", "_PROFI~4   "},
        {"\xc3\xa4.b", "_~5     B  "}, {"f.d/README.TXT", "README  TXT"}, {"f.d/readme.txt", "README~1TXT"},
    };
    struct files f;
    struct err e = {0};
    char (*shorts)[FILES_SHORT_BYTES] = NULL;
    assert_int_equal(files_init(&f, &e), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) assert_int_equal(add(&f, cases[i].path, 1, &e), 0);
    assert_int_equal(files_short(&f, &rules, &shorts, &e), 0);
    for (uint32_t i = 1; i < f.count; i++) {
        char path[FILES_SHOWN_MAX + 1];
        files_path(&f, i, path);
        for (uint32_t k = 1; k < i; k++)
            assert_false(f.list[k].parent == f.list[i].parent && memcmp(shorts[k], shorts[i], FILES_SHORT_BYTES) == 0);
        for (size_t k = 0; k < ARRAY_LEN(cases); k++)
            if (strcmp(cases[k].path, path) == 0 && strcmp(path, "LONGER~2.TEX") != 0)
                assert_memory_equal(shorts[i], cases[k].text, FILES_SHORT_BYTES);
    }
    assert_true(files_short_is_whole("README.TXT", "README  TXT"));
    assert_true(files_short_is_whole("MAKEFILE", "MAKEFILE   "));
    assert_false(files_short_is_whole("readme.TXT", "README  TXT"));
    assert_false(files_short_is_whole("README.TX", "README  TXT"));
    free(shorts);
    files_done(&f);
}

/* ---- files of more than 4 GiB ---- */

/* Zeros, told as such: what is written is a hole. */
static int hole(attr_unused void *owner, const struct files *f, uint32_t index, struct make_out *out, attr_unused struct err *e)
{
    out->at += f->list[index].size;
    return 0;
}

static int write_at(void *owner, const void *data, size_t len, struct err *e)
{
    const struct make_out *out = owner;
    const int fd = *(int *)((const char *)owner + sizeof *out);
    return pwrite(fd, data, len, (off_t)(out->at - len)) == (ssize_t)len ? 0 : err_set(e, ERR_INTERNAL, "pwrite");
}

struct sparse {
    struct make_out out; /* first */
    int fd;
};

static ssize_t read_fd(void *owner, void *data, size_t max)
{
    return read(*(int *)owner, data, max);
}

static int64_t seek_fd(void *owner, int64_t offset, int whence)
{
    return lseek(*(int *)owner, offset, whence);
}

static void found(void *owner, json_t *file)
{
    json_array_append_new(owner, file);
}

static void a_large_file_has_several_extents(attr_unused void **state)
{
    char path[] = P_tmpdir "/trayd-make-XXXXXX", command[128], line[256];
    struct files f;
    struct err e = {0};
    uint64_t bytes;
    struct sparse s = {.out = {.write = write_at}, .fd = mkstemp(path)};
    s.out.owner = &s;
    assert_true(s.fd >= 0 && files_init(&f, &e) == 0);
    assert_int_equal(add(&f, "big.bin", BIG, &e), 0);
    assert_int_equal(add(&f, "behind.txt", 100, &e), 0);
    const struct make_request rq = {.files = &f, .label = "BIG", .now = 1, .content = hole};
    assert_null(make_fat32.plan(&rq, &bytes, &e));
    assert_true(e.code == ERR_FILES_UNUSABLE && strstr(e.text, "big.bin"));
    struct make_layout *l = make_iso9660.plan(&rq, &bytes, &e);
    assert_non_null(l);
    assert_int_equal(make_iso9660.write(l, &s.out, &e), 0);
    assert_int_equal(s.out.at, bytes);
    assert_int_equal(ftruncate(s.fd, (off_t)bytes), 0);

    const struct archive_io io = {&s.fd, read_fd, seek_fd};
    const struct disc_query query = {.path = "", .after = "", .limit = 10};
    cleanup_json json_t *list = json_array();
    bool more;
    if (disc_archive_list(&io, &query, found, list, &more, &e) < 0) fail_msg("%s", e.text);
    assert_int_equal(json_array_size(list), 2);
    assert_int_equal(json_int(json_array_get(list, 1), "size", 0), BIG);

    /* xorriso knows how a file's parts belong together, and tells the whole. */
    snprintf(command, sizeof command, "xorriso -indev %s -lsl /big.bin 2>/dev/null", path);
    FILE *out = popen(command, "r");
    assert_non_null(fgets(line, sizeof line, out));
    pclose(out);
    if (!strstr(line, " 9663676416 ")) fail_msg("%s", line);
    make_iso9660.free(l);
    files_done(&f);
    close(s.fd);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_judged),
        cmocka_unit_test(short_names_are_unique),
        cmocka_unit_test(a_large_file_has_several_extents),
    };
    setlocale(LC_CTYPE, "C.UTF-8");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
