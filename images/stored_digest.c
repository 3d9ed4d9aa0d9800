#include "images/stored_digest.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/clock.h"
#include "base/parse.h"

#define VALUE_MAX 160 /* version, digest, three numbers of 20 digits */
#define READ_BYTES (256 * 1024)

/* ms; a file that was modified more recently than this can be modified again within the same tick of the file
 * system's clock, and then looks unchanged. FAT counts in steps of 2 s. */
#define SETTLED_AFTER 2000

static int format_value(const struct stat *st, const char *text, char value[VALUE_MAX])
{
    return snprintf(value, VALUE_MAX, "1 %s %" PRId64 " %" PRId64 ".%09ld", text, (int64_t)st->st_size,
                    (int64_t)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
}

bool stored_digest_read(int fd, const struct stat *st, char ret_text[SHA256_TEXT_MAX])
{
    char value[VALUE_MAX], expected[VALUE_MAX], text[SHA256_TEXT_MAX];
    uint8_t bytes[SHA256_BYTES];
    ssize_t n = fgetxattr(fd, STORED_DIGEST_ATTRIBUTE, value, sizeof value - 1);
    if (n < 2 + SHA256_TEXT_MAX) return false;
    value[n] = '\0';
    memcpy(text, value + 2, sizeof text - 1);
    text[sizeof text - 1] = '\0';
    if (parse_hex(text, bytes, sizeof bytes) < 0) return false;
    format_value(st, text, expected);
    if (strcmp(value, expected) != 0) return false;
    parse_to_hex(bytes, sizeof bytes, ret_text);
    return true;
}

int stored_digest_write(const struct fileops *ops, int fd, const char *text)
{
    struct stat st;
    char value[VALUE_MAX];
    if (fstat(fd, &st) < 0) return -1;
    int len = format_value(&st, text, value);
    return ops->set_xattr(fd, STORED_DIGEST_ATTRIBUTE, value, (size_t)len);
}

static int hash_file(int fd, const struct digest_progress *progress, uint8_t digest[SHA256_BYTES], struct err *e)
{
    cleanup_free uint8_t *data = malloc(READ_BYTES);
    gnutls_hash_hd_t hash;
    if (!data || gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) < 0) return err_set(e, ERR_UNAVAILABLE, "Out of memory");
    int result = 0;
    for (off_t offset = 0;;) {
        ssize_t n = pread(fd, data, READ_BYTES, offset);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) result = err_set_errno(e, ERR_INTERNAL, errno, "Cannot read the image");
        if (n <= 0) break;
        gnutls_hash(hash, data, (size_t)n);
        offset += n;
        if (progress && (result = progress->told(progress->owner, offset, e)) < 0) break;
    }
    gnutls_hash_deinit(hash, digest);
    return result;
}

static bool same_file_state(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

int stored_digest_compute(int fd, const struct digest_progress *progress, char ret_text[SHA256_TEXT_MAX],
                          struct err *e)
{
    struct stat before, after;
    char remembered[SHA256_TEXT_MAX];
    uint8_t digest[SHA256_BYTES];
    msec now = clock_real_ms();
    if (fstat(fd, &before) < 0) return err_set_errno(e, ERR_INTERNAL, errno, "Cannot look at the image");
    if (hash_file(fd, progress, digest, e) < 0) return -1;
    if (fstat(fd, &after) < 0) return err_set_errno(e, ERR_INTERNAL, errno, "Cannot look at the image");
    if (!same_file_state(&before, &after)) return err_set(e, ERR_UNAVAILABLE, "The image changed while it was read");
    parse_to_hex(digest, sizeof digest, ret_text);
    if (now - (before.st_mtim.tv_sec * 1000 + before.st_mtim.tv_nsec / 1000000) >= SETTLED_AFTER &&
        !stored_digest_read(fd, &after, remembered))
        stored_digest_write(&fileops_kernel, fd, ret_text);
    return 0;
}
