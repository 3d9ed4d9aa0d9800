#include "images/image.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/parse.h"
#include "images/inspect_json.h"
#include "images/store.h"

int image_stat_at(int folder_fd, const char *name, struct stat *ret, struct err *e)
{
    if (fstatat(folder_fd, name, ret, AT_SYMLINK_NOFOLLOW) == 0) return 1;
    if (errno == ENOENT) return 0;
    return err_set_errno(e, store_code_for_errno(errno), errno, "Cannot look at \"%s\"", name);
}

int image_open_at(int folder_fd, const char *name, struct stat *ret, struct err *e)
{
    int exists = image_stat_at(folder_fd, name, ret, e);
    if (exists < 0) return -1;
    if (!exists) return err_set(e, ERR_IMAGE_MISSING, "There is no image \"%s\"", name);
    if (!S_ISREG(ret->st_mode)) return err_set(e, ERR_IMAGE_MISSING, "\"%s\" is no image, but a special file", name);
    /* O_NONBLOCK: should the file have become a FIFO just now, the open must not wait for a writer. */
    cleanup_close int fd = fd_open_beneath(folder_fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW, 0);
    if (fd < 0 && errno == ENOENT) return err_set(e, ERR_IMAGE_MISSING, "There is no image \"%s\"", name);
    if (fd < 0 && errno == EACCES)
        return err_set(e, ERR_IMAGE_UNUSABLE, "The service has no permission to read \"%s\"", name);
    if (fd < 0 || fstat(fd, ret) < 0)
        return err_set_errno(e, store_code_for_errno(errno), errno, "Cannot open \"%s\"", name);
    if (!S_ISREG(ret->st_mode)) return err_set(e, ERR_IMAGE_MISSING, "\"%s\" is no image, but a special file", name);
    return take_fd(&fd);
}

void image_etag(const struct stat *st, char ret[IMAGE_ETAG_MAX])
{
    const uint64_t identity[] = {
        (uint64_t)st->st_dev,          (uint64_t)st->st_ino,           (uint64_t)st->st_size,
        (uint64_t)st->st_mtim.tv_sec,  (uint64_t)st->st_mtim.tv_nsec,
    };
    uint8_t digest[SHA256_BYTES];
    char text[33];
    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, identity, sizeof identity, digest) < 0) {
        ret[0] = '\0'; /* no validator is better than one that is the same for two contents */
        return;
    }
    parse_to_hex(digest, 16, text);
    snprintf(ret, IMAGE_ETAG_MAX, "\"%s\"", text);
}

static ssize_t read_fd(void *owner, void *data, size_t len, uint64_t offset)
{
    ssize_t n;
    do {
        n = pread(*(const int *)owner, data, len, (off_t)offset);
    } while (n < 0 && errno == EINTR);
    return n;
}

static void begin_look(int fd, const struct stat *st, bool store_readonly, struct image *ret)
{
    *ret = (struct image){.st = *st, .readonly = store_readonly || !(st->st_mode & 0222)};
    image_etag(st, ret->etag);
    stored_digest_read(fd, st, ret->sha256);
    note_read(fd, ret->note);
    unclean_read(fd, &ret->unclean);
}

void image_look(int fd, const struct stat *st, bool store_readonly, struct look_cache *cache, struct image *ret)
{
    begin_look(fd, st, store_readonly, ret);
    inspect(&(struct inspect_reader){.owner = &fd, .read = read_fd}, (uint64_t)st->st_size, &ret->found);
    look_cache_put(cache, st, &ret->found.summary);
    ret->detailed = true;
}

void image_glance(int fd, const struct stat *st, bool store_readonly, struct look_cache *cache, struct image *ret)
{
    begin_look(fd, st, store_readonly, ret);
    struct inspect_summary *s = &ret->found.summary;
    if (look_cache_get(cache, st, s)) return;
    inspect_glance(&(struct inspect_reader){.owner = &fd, .read = read_fd}, s);
    look_cache_put(cache, st, s);
}

msec image_modified(const struct stat *st)
{
    return st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
}

json_t *image_json(const struct image *image, const char *store, const char *name)
{
    json_t *json = json_object();
    if (!json) return NULL;
    json_put_text(json, "name", name);
    json_put_text(json, "store", store);
    json_put_int(json, "size", image->st.st_size);
    json_put_time(json, "modified", image_modified(&image->st));
    json_put_flag(json, "complete", true);
    json_put_flag(json, "readonly", image->readonly);
    json_put_text(json, "sha256", image->sha256[0] ? image->sha256 : NULL);
    json_put_text(json, "note", image->note[0] ? image->note : NULL);
    json_put(json, "drives", json_array());
    json_put(json, "unclean", unclean_json(&image->unclean));
    inspect_json_summary(json, &image->found.summary, (uint64_t)image->st.st_size);
    if (image->detailed) inspect_json_details(json, &image->found);
    json_put_text(json, "etag", image->etag[0] ? image->etag : NULL);
    return json;
}
