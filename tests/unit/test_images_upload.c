/* Uploads: how they end, and what may stand in their way. */
#include "tests/unit/images_fixture.h"

#include <gnutls/crypto.h>

#define BYTES 1500000 /* three pieces, the last one short and odd */
#define OF_VERSION_2 "2 0000000000000000000000000000000000000000000000000000000000000000"

static uint8_t data[BYTES];

static void sha256_of(const void *bytes, size_t len, char text[SHA256_TEXT_MAX])
{
    uint8_t digest[SHA256_BYTES];
    gnutls_hash_fast(GNUTLS_DIG_SHA256, bytes, len, digest);
    parse_to_hex(digest, sizeof digest, text);
}

static void assert_content(const struct fixture *f, const char *relative, const uint8_t *bytes, size_t len)
{
    cleanup_close int fd = open(path_in(f, relative), O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    cleanup_free uint8_t *there = malloc(len + 1);
    assert_int_equal(fd_read_full(fd, there, len + 1), len);
    assert_memory_equal(there, bytes, len);
}

static json_t *put(struct fixture *f, const char *name, const void *bytes, size_t len)
{
    struct err e = {0};
    struct library_upload_request rq = {.store = "", .name = name, .length = (int64_t)len};
    json_t *image = upload(f->library, &rq, bytes, len, &e);
    if (!image) fail_msg("%s: %s", name, e.text);
    return image;
}

static void with_length(void **state)
{
    struct fixture *f = *state;
    char sha256[SHA256_TEXT_MAX];
    sha256_of(data, BYTES, sha256);
    cleanup_json json_t *image = put(f, "a.iso", data, BYTES);
    assert_content(f, "main/a.iso", data, BYTES);
    assert_nothing_left(f);
    assert_string_equal(json_text(image, "name"), "a.iso");
    assert_string_equal(json_text(image, "store"), "main");
    assert_int_equal(json_int(image, "size", -1), BYTES);
    assert_true(json_flag(image, "complete"));
    assert_false(json_flag(image, "readonly"));
    assert_string_equal(json_text(image, "suggested_type"), "disk");
    assert_int_equal(json_array_size(json_object_get(image, "drives")), 0);
    if (f->xattrs) assert_string_equal(json_text(image, "sha256"), sha256);
    assert_true(json_equal(image, f->last_change));
    msec modified;
    assert_int_equal(clock_parse_rfc3339(json_text(image, "modified"), &modified), 0);
    assert_true(clock_real_ms() - modified < 60000);
}

/* What the file system reserved beyond the end is given back. */
static void without_length(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct library_upload_request rq = {.store = "main", .name = "a.iso", .length = -1};
    cleanup_json json_t *image = upload(f->library, &rq, data, BYTES, &e);
    assert_non_null(image);
    assert_content(f, "main/a.iso", data, BYTES);
    struct stat st;
    assert_int_equal(stat(path_in(f, "main/a.iso"), &st), 0);
    assert_true(st.st_blocks * 512 < BYTES + 65536);
}

static void empty_and_tiny(void **state)
{
    struct fixture *f = *state;
    for (size_t len = 0; len < 3; len++) {
        char name[8];
        snprintf(name, sizeof name, "%zu", len);
        cleanup_json json_t *image = put(f, name, data, len);
        assert_int_equal(json_int(image, "size", -1), len);
    }
}

static void into_folder(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    assert_int_equal(mkdir(path_in(f, "main/sub"), 0755), 0);
    struct library_upload_request rq = {.store = "main/sub", .name = "a.iso", .length = 5};
    cleanup_json json_t *image = upload(f->library, &rq, "hello", 5, &e);
    assert_non_null(image);
    assert_string_equal(json_text(image, "store"), "main/sub");
    assert_int_equal(size_of_file(f, "main/sub/a.iso"), 5);
    assert_int_equal(count_names(f, "main/sub"), 1); /* the hidden directory is only at the top */
    rq.store = "main/missing";
    bool exists;
    assert_null(library_upload_begin(f->library, &rq, &exists, &e));
    assert_code(e, ERR_NOT_FOUND);
    rq.store = "missing";
    assert_null(library_upload_begin(f->library, &rq, &exists, &e));
    assert_code(e, ERR_NOT_FOUND);
}

static void too_short(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct library_upload_request rq = {.store = "", .name = "a.iso", .length = BYTES};
    assert_null(upload(f->library, &rq, data, BYTES - 1, &e));
    assert_code(e, ERR_BAD_REQUEST);
    assert_int_equal(size_of_file(f, "main/a.iso"), -1);
    assert_nothing_left(f);
}

static void too_long(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct library_upload_request rq = {.store = "", .name = "a.iso", .length = BYTES - 1};
    assert_null(upload(f->library, &rq, data, BYTES, &e));
    assert_code(e, ERR_BAD_REQUEST);
    assert_int_equal(size_of_file(f, "main/a.iso"), -1);
    assert_nothing_left(f);
}

static void digests(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    bool exists;
    char sha256[SHA256_TEXT_MAX];
    sha256_of(data, BYTES, sha256);
    struct library_upload_request rq = {.store = "", .name = "a.iso", .length = BYTES, .sha256 = sha256};
    sha256[3] = sha256[3] == 'a' ? 'b' : 'a';
    assert_null(upload(f->library, &rq, data, BYTES, &e));
    assert_code(e, ERR_DIGEST_MISMATCH);
    assert_int_equal(size_of_file(f, "main/a.iso"), -1);
    assert_nothing_left(f);

    sha256_of(data, BYTES, sha256);
    for (char *p = sha256; *p; p++)
        if (*p >= 'a' && *p <= 'f') *p = (char)(*p - 32); /* upper case is the same digest */
    cleanup_json json_t *image = upload(f->library, &rq, data, BYTES, &e);
    assert_non_null(image);

    sha256[63] = 'g';
    const char *const malformed[] = {"", "12", "zz", sha256};
    for (size_t i = 0; i < ARRAY_LEN(malformed); i++) {
        rq.name = "b.iso";
        rq.sha256 = malformed[i];
        assert_null(library_upload_begin(f->library, &rq, &exists, &e));
        assert_code(e, ERR_BAD_REQUEST);
    }
}

static void abandoned(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    bool exists;
    struct library_upload_request rq = {.store = "", .name = "a.iso", .length = BYTES};
    struct library_upload *u = library_upload_begin(f->library, &rq, &exists, &e);
    assert_non_null(u);
    assert_int_equal(library_upload_write(u, data, 1000000, &e), 0);
    assert_int_equal(count_names(f, HIDDEN_OF_MAIN), 1);
    library_upload_abort(u);
    assert_nothing_left(f);
    assert_true(json_flag(f->last_change, "deleted"));
    library_upload_abort(NULL);
}

/* While it is received an image is seen, but cannot be had; and there is one upload of a name at a time. */
static void under_way(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    bool exists, replaced;
    struct library_content content;
    struct library_upload_request rq = {.store = "", .name = "a.iso", .length = BYTES};
    struct library_upload *u = library_upload_begin(f->library, &rq, &exists, &e);
    assert_int_equal(library_upload_write(u, data, 1000, &e), 0);
    json_t *image = library_get(f->library, "main", "a.iso", &e);
    assert_non_null(image);
    assert_false(json_flag(image, "complete"));
    assert_int_equal(json_int(image, "received", -1), 1000);
    assert_int_equal(json_int(image, "size", -1), BYTES);
    assert_true(json_is_null(json_object_get(image, "etag")));
    json_t *page = library_list(f->library, &(struct library_query){.limit = 10}, &e);
    assert_true(json_equal(json_array_get(json_object_get(page, "images"), 0), image));
    json_decref(page);
    json_decref(image);
    assert_int_equal(library_content_open(f->library, "", "a.iso", &content, &e), -1);
    assert_code(e, ERR_IMAGE_INCOMPLETE);
    assert_null(library_upload_begin(f->library, &rq, &exists, &e));
    assert_code(e, ERR_EXISTS);
    assert_int_equal(library_upload_write(u, data + 1000, BYTES - 1000, &e), 0);
    image = library_upload_finish(u, &replaced, &e);
    assert_true(json_flag(image, "complete"));
    assert_false(replaced);
    json_decref(image);
    assert_content(f, "main/a.iso", data, BYTES);
}

static void cancelled(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    bool exists, replaced;
    struct library_upload_request rq = {.store = "", .name = "a.iso", .length = -1};
    struct library_upload *u = library_upload_begin(f->library, &rq, &exists, &e);
    assert_int_equal(library_delete(f->library, "", "a.iso", NULL, &e), 0);
    assert_null(library_get(f->library, "", "a.iso", &e));
    assert_code(e, ERR_IMAGE_MISSING);
    assert_int_equal(library_upload_write(u, data, 10, &e), -1);
    assert_code(e, ERR_CANCELLED);
    /* The name is free at once, also for an upload that ends before the cancelled one does. */
    struct library_upload *second = library_upload_begin(f->library, &rq, &exists, &e);
    assert_non_null(second);
    json_t *image = library_upload_finish(second, &replaced, &e);
    assert_non_null(image);
    json_decref(image);
    assert_null(library_upload_finish(u, &replaced, &e));
    assert_code(e, ERR_CANCELLED);
    assert_nothing_left(f);
    assert_int_equal(size_of_file(f, "main/a.iso"), 0);
}

static void too_many(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    bool exists;
    struct library_upload *uploads[UPLOADS_MAX];
    for (int i = 0; i <= UPLOADS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d.iso", i);
        struct library_upload_request rq = {.store = "", .name = name, .length = 1};
        struct library_upload *u = library_upload_begin(f->library, &rq, &exists, &e);
        if (i < UPLOADS_MAX) {
            assert_non_null(u);
            uploads[i] = u;
        } else {
            assert_null(u);
            assert_code(e, ERR_TOO_MANY_REQUESTS);
        }
    }
    for (int i = 0; i < UPLOADS_MAX; i++) library_upload_abort(uploads[i]);
    assert_nothing_left(f);
}

static void no_space(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    bool exists;
    struct library_upload_request rq = {.store = "", .name = "a.iso", .length = INT64_MAX};
    assert_null(library_upload_begin(f->library, &rq, &exists, &e));
    assert_code(e, ERR_NO_SPACE);
    assert_nothing_left(f);
    rq.length = -2;
    assert_null(library_upload_begin(f->library, &rq, &exists, &e));
    assert_code(e, ERR_BAD_REQUEST);
}

static uint64_t bytes_free;

static int small_room(int fd, struct statvfs *ret)
{
    if (fstatvfs(fd, ret) < 0) return -1;
    ret->f_frsize = 1;
    ret->f_bavail = bytes_free;
    return 0;
}

#define KEPT_FREE 3000

static struct fileops in_small_room(struct fixture *f)
{
    struct fileops ops = fileops_kernel;
    ops.room = small_room;
    f->library->stores[0].config.reserve = KEPT_FREE;
    bytes_free = KEPT_FREE + 1000;
    return ops;
}

static void reserve_of_the_store(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    bool exists;
    struct fileops ops = in_small_room(f);
    f->library->ops = &ops;
    struct library_upload_request rq = {.store = "", .name = "a.iso", .length = 1001};
    assert_null(library_upload_begin(f->library, &rq, &exists, &e));
    assert_code(e, ERR_NO_SPACE);
    assert_non_null(strstr(e.text, "besides 3000 that stay free"));
    rq.length = 1000;
    struct library_upload *u = library_upload_begin(f->library, &rq, &exists, &e);
    assert_non_null(u);
    library_upload_abort(u);
    bytes_free = KEPT_FREE - 1; /* others have used it: nothing at all, but for what takes no room */
    rq.length = 1;
    assert_null(library_upload_begin(f->library, &rq, &exists, &e));
    assert_code(e, ERR_NO_SPACE);
    rq.length = 0;
    u = library_upload_begin(f->library, &rq, &exists, &e);
    assert_non_null(u);
    library_upload_abort(u);
    json_t *store = library_store(f->library, "main", &e);
    assert_int_equal(json_int(store, "reserve", 0), KEPT_FREE);
    json_decref(store);
    f->library->ops = &fileops_kernel;
}

static void reserve_where_the_length_is_unknown(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    bool exists;
    struct fileops ops = in_small_room(f);
    f->library->ops = &ops;
    struct library_upload_request rq = {.store = "", .name = "a.iso", .length = -1};
    struct library_upload *u = library_upload_begin(f->library, &rq, &exists, &e);
    assert_non_null(u);
    int result = library_upload_write(u, data, 600, &e);
    if (result == 0) result = library_upload_write(u, data, 400, &e);
    bytes_free = KEPT_FREE; /* that is how much they took */
    for (int i = 0; i < 64 && result == 0; i++) result = library_upload_write(u, data, 1 << 16, &e); /* pieces are gathered */
    cleanup_json json_t *image = result == 0 ? library_upload_finish(u, &exists, &e) : NULL;
    if (result < 0) library_upload_abort(u);
    assert_null(image);
    assert_code(e, ERR_NO_SPACE);
    f->library->ops = &fileops_kernel;
    assert_nothing_left(f);
}

/* ---- a name that is taken ---- */

static void existing_name(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    bool exists;
    json_decref(put(f, "a.iso", data, 1000));
    struct library_upload_request rq = {.store = "", .name = "a.iso", .length = 10};
    assert_null(library_upload_begin(f->library, &rq, &exists, &e));
    assert_code(e, ERR_EXISTS);
    rq.must_not_exist = true;
    assert_null(library_upload_begin(f->library, &rq, &exists, &e));
    assert_code(e, ERR_PRECONDITION);
    assert_int_equal(mkdir(path_in(f, "main/folder"), 0755), 0);
    rq = (struct library_upload_request){.store = "", .name = "folder", .length = 10, .if_match = "*"};
    assert_null(library_upload_begin(f->library, &rq, &exists, &e));
    assert_code(e, ERR_EXISTS);
    assert_content(f, "main/a.iso", data, 1000);
}

/* Somebody copies a file of that name while ours is under way: theirs stays. */
static void name_taken_meanwhile(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    bool exists, replaced;
    struct library_upload_request rq = {.store = "", .name = "a.iso", .length = 3};
    struct library_upload *u = library_upload_begin(f->library, &rq, &exists, &e);
    put_file(f, "main/a.iso", "other", 5);
    assert_int_equal(library_upload_write(u, "new", 3, &e), 0);
    assert_null(library_upload_finish(u, &replaced, &e));
    assert_code(e, ERR_EXISTS);
    assert_content(f, "main/a.iso", (const uint8_t *)"other", 5);
    assert_nothing_left(f);
}

static void same_content_again(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    bool exists = false;
    char sha256[SHA256_TEXT_MAX];
    sha256_of(data, BYTES, sha256);
    json_decref(put(f, "a.iso", data, BYTES));
    put_file(f, "main/copied.iso", data, BYTES); /* without a known digest: it is computed */
    static const char *const names[] = {"a.iso", "copied.iso"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct library_upload_request rq = {.store = "", .name = names[i], .length = BYTES, .sha256 = sha256};
        exists = false;
        assert_null(library_upload_begin(f->library, &rq, &exists, &e));
        assert_true(exists);
        assert_code(e, ERR_NONE);
        rq.length = BYTES + 1;
        assert_null(library_upload_begin(f->library, &rq, &exists, &e));
        assert_false(exists);
        assert_code(e, ERR_EXISTS);
    }
    /* A file that was changed behind our back has no digest any more. */
    put_file(f, "main/a.iso", "changed", 7);
    cleanup_json json_t *image = library_get(f->library, "", "a.iso", &e);
    assert_true(json_is_null(json_object_get(image, "sha256")));
}

/* A digest that was computed is remembered, but not for a file that may be changing within the clock's tick. */
static void digest_is_remembered(void **state)
{
    struct fixture *f = *state;
    char sha256[SHA256_TEXT_MAX], again[SHA256_TEXT_MAX];
    struct stat st;
    put_file(f, "main/a.iso", data, 1000);
    cleanup_close int fd = open(path_in(f, "main/a.iso"), O_RDWR | O_CLOEXEC);
    assert_int_equal(stored_digest_compute(fd, NULL, sha256, NULL), 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_false(stored_digest_read(fd, &st, again));
    const struct timespec old[2] = {{.tv_sec = 1000000000, .tv_nsec = 5}, {.tv_sec = 1000000000, .tv_nsec = 5}};
    assert_int_equal(futimens(fd, old), 0);
    assert_int_equal(stored_digest_compute(fd, NULL, sha256, NULL), 0);
    assert_int_equal(fstat(fd, &st), 0);
    if (!f->xattrs) skip();
    assert_true(stored_digest_read(fd, &st, again));
    assert_string_equal(sha256, again);
    st.st_mtim.tv_nsec++;
    assert_false(stored_digest_read(fd, &st, again));
    st.st_mtim.tv_nsec--;
    st.st_size++;
    assert_false(stored_digest_read(fd, &st, again));
    st.st_size--;
    /* What somebody else wrote there is not believed. */
    static const char *const forged[] = {"", "1", "1 zz", OF_VERSION_2};
    for (size_t i = 0; i < ARRAY_LEN(forged); i++) {
        assert_int_equal(fsetxattr(fd, "user.trayd.sha256", forged[i], strlen(forged[i]), 0), 0);
        assert_false(stored_digest_read(fd, &st, again));
    }
}

static void replaced(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    bool exists, was_replaced;
    cleanup_json json_t *old = put(f, "a.iso", data, 1000);
    const char *etag = json_text(old, "etag");
    struct library_upload_request rq = {.store = "", .name = "a.iso", .length = 2000, .if_match = etag};
    struct library_upload *u = library_upload_begin(f->library, &rq, &exists, &e);
    assert_non_null(u);
    cleanup_json json_t *meanwhile = library_get(f->library, "", "a.iso", &e);
    assert_true(json_equal(meanwhile, old)); /* the old image is what there is */
    assert_int_equal(library_upload_write(u, data, 2000, &e), 0);
    cleanup_json json_t *image = library_upload_finish(u, &was_replaced, &e);
    assert_non_null(image);
    assert_true(was_replaced);
    assert_content(f, "main/a.iso", data, 2000);
    assert_string_not_equal(json_text(image, "etag"), json_text(old, "etag"));

    assert_null(library_upload_begin(f->library, &rq, &exists, &e)); /* the old ETag */
    assert_code(e, ERR_PRECONDITION);
    rq.name = "missing.iso";
    assert_null(library_upload_begin(f->library, &rq, &exists, &e));
    assert_code(e, ERR_PRECONDITION);
    assert_nothing_left(f);
}

static void changed_while_being_replaced(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    bool exists, was_replaced;
    cleanup_json json_t *old = put(f, "a.iso", data, 1000);
    const char *etag = json_text(old, "etag");
    struct library_upload_request rq = {.store = "", .name = "a.iso", .length = 1, .if_match = etag};
    struct library_upload *u = library_upload_begin(f->library, &rq, &exists, &e);
    put_file(f, "main/a.iso", "other", 5);
    assert_int_equal(library_upload_write(u, "x", 1, &e), 0);
    assert_null(library_upload_finish(u, &was_replaced, &e));
    assert_code(e, ERR_PRECONDITION);
    assert_content(f, "main/a.iso", (const uint8_t *)"other", 5);
    assert_nothing_left(f);
}

static void in_a_drive(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    bool exists, was_replaced;
    struct library_content content;
    cleanup_json json_t *old = put(f, "a.iso", data, 1000);
    struct library_upload_request rq = {.store = "", .name = "a.iso", .length = 1, .if_match = "*"};
    struct library_upload *u = library_upload_begin(f->library, &rq, &exists, &e);
    assert_non_null(u);
    f->used = true; /* inserted while the upload is under way */
    strcpy(f->used_name, "a.iso");
    assert_int_equal(library_upload_write(u, "x", 1, &e), 0);
    assert_null(library_upload_finish(u, &was_replaced, &e));
    assert_code(e, ERR_IMAGE_IN_USE);
    assert_null(library_upload_begin(f->library, &rq, &exists, &e));
    assert_code(e, ERR_IMAGE_IN_USE);
    assert_int_equal(library_delete(f->library, "", "a.iso", NULL, &e), -1);
    assert_code(e, ERR_IMAGE_IN_USE);
    assert_content(f, "main/a.iso", data, 1000);

    json_t *image = library_get(f->library, "", "a.iso", &e);
    assert_string_equal(json_string_value(json_array_get(json_object_get(image, "drives"), 0)), "usb0");
    assert_string_equal(json_text(image, "etag"), json_text(old, "etag"));
    json_decref(image);
    f->writable = true;
    image = library_get(f->library, "", "a.iso", &e);
    assert_true(json_is_null(json_object_get(image, "etag")));
    json_decref(image);
    assert_int_equal(library_content_open(f->library, "", "a.iso", &content, &e), 0);
    assert_string_equal(content.etag, "");
    close(content.fd);
    f->used = false;
    assert_int_equal(library_delete(f->library, "", "a.iso", NULL, &e), 0);
}

static void *delete_it(void *arg)
{
    static struct err e;
    struct fixture *f = arg;
    e.code = ERR_NONE;
    library_delete(f->library, "", "a.iso", NULL, &e);
    return &e;
}

/* An insert that is being sent while somebody deletes: the delete waits for it, and then sees it. */
static void insert_against_delete(void **state)
{
    struct fixture *f = *state;
    pthread_t thread;
    void *result;
    json_decref(put(f, "a.iso", data, 1000));
    strcpy(f->used_name, "a.iso");
    library_use_lock(f->library);
    assert_int_equal(pthread_create(&thread, NULL, delete_it, f), 0);
    usleep(20000); /* time for a delete that does not wait; without it this test could only pass wrongly, not fail */
    f->used = true;
    library_use_unlock(f->library);
    pthread_join(thread, &result);
    assert_code(*(struct err *)result, ERR_IMAGE_IN_USE);
    assert_int_equal(size_of_file(f, "main/a.iso"), 1000);
}

/* ---- out and away ---- */

static void content_and_delete(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct library_content content;
    cleanup_json json_t *image = put(f, "a.iso", data, BYTES);
    assert_int_equal(library_content_open(f->library, "main", "a.iso", &content, &e), 0);
    assert_int_equal(content.size, BYTES);
    assert_string_equal(content.etag, json_text(image, "etag"));
    assert_int_equal(fcntl(content.fd, F_GETFL) & (O_NONBLOCK | O_ACCMODE), O_RDONLY);
    assert_int_equal(library_delete(f->library, "", "a.iso", "\"another\"", &e), -1);
    assert_code(e, ERR_PRECONDITION);
    assert_int_equal(library_delete(f->library, "", "a.iso", content.etag, &e), 0);
    assert_true(json_flag(f->last_change, "deleted"));
    assert_int_equal(library_delete(f->library, "", "a.iso", NULL, &e), -1);
    assert_code(e, ERR_IMAGE_MISSING);
    static uint8_t there[BYTES];
    assert_int_equal(fd_read_full(content.fd, there, BYTES), BYTES); /* a download that goes on */
    assert_memory_equal(there, data, BYTES);
    close(content.fd);
    assert_int_equal(library_content_open(f->library, "main", "a.iso", &content, &e), -1);
    assert_code(e, ERR_IMAGE_MISSING);
}

static void what_is_no_image(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct library_content content;
    assert_int_equal(mkdir(path_in(f, "main/folder"), 0755), 0);
    assert_int_equal(mkfifo(path_in(f, "main/fifo"), 0644), 0);
    static const char *const names[] = {"folder", "fifo", "missing"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_int_equal(library_content_open(f->library, "", names[i], &content, &e), -1);
        assert_code(e, ERR_IMAGE_MISSING);
        assert_null(library_get(f->library, "", names[i], &e));
        assert_code(e, ERR_IMAGE_MISSING);
        assert_int_equal(library_delete(f->library, "", names[i], NULL, &e), -1);
        assert_code(e, ERR_IMAGE_MISSING);
    }
    assert_int_equal(count_names(f, "main"), 2);
}

static void read_only_store(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    bool exists;
    put_file(f, "main/a.iso", data, 10);
    library_free(f->library);
    f->stores.items[0].readonly = true;
    fixture_start(f);
    struct library_upload_request rq = {.store = "", .name = "b.iso", .length = 1};
    assert_null(library_upload_begin(f->library, &rq, &exists, &e));
    assert_code(e, ERR_STORE_READ_ONLY);
    assert_int_equal(library_delete(f->library, "", "a.iso", NULL, &e), -1);
    assert_code(e, ERR_STORE_READ_ONLY);
    cleanup_json json_t *image = library_get(f->library, "", "a.iso", &e);
    assert_true(json_flag(image, "readonly"));
    assert_int_equal(count_names(f, "main"), 1); /* not even the hidden directory was made */
}

int main(void)
{
    fill_pattern(data, sizeof data);
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(with_length),
        FIXTURE_TEST(without_length),
        FIXTURE_TEST(empty_and_tiny),
        FIXTURE_TEST(into_folder),
        FIXTURE_TEST(too_short),
        FIXTURE_TEST(too_long),
        FIXTURE_TEST(digests),
        FIXTURE_TEST(abandoned),
        FIXTURE_TEST(under_way),
        FIXTURE_TEST(cancelled),
        FIXTURE_TEST(too_many),
        FIXTURE_TEST(no_space), FIXTURE_TEST(reserve_of_the_store), FIXTURE_TEST(reserve_where_the_length_is_unknown),
        FIXTURE_TEST(existing_name),
        FIXTURE_TEST(name_taken_meanwhile),
        FIXTURE_TEST(same_content_again),
        FIXTURE_TEST(digest_is_remembered),
        FIXTURE_TEST(replaced),
        FIXTURE_TEST(changed_while_being_replaced),
        FIXTURE_TEST(in_a_drive),
        FIXTURE_TEST(insert_against_delete),
        FIXTURE_TEST(content_and_delete),
        FIXTURE_TEST(what_is_no_image),
        FIXTURE_TEST(read_only_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
