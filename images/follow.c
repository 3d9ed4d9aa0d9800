#include "images/follow.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <pthread.h>
#include <stdbool.h>

#include "images/store.h"
#include "images/thread.h"

enum follow_state { RESTS, RUNS, STOPS, FINISHES };

struct follow {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    gnutls_hash_hd_t hash;
    off_t at, size;
    int fd;
    int errnum;             /* of a read that failed; 0: none */
    enum follow_state state;
};

struct follow *follow_new(struct err *e)
{
    struct follow *f = calloc(1, sizeof *f);
    if (f && gnutls_hash_init(&f->hash, GNUTLS_DIG_SHA256) < 0) {
        free(f);
        f = NULL;
    }
    if (!f) {
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        return NULL;
    }
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
    return f;
}

void follow_free(struct follow *f)
{
    if (!f) return;
    follow_rest(f);
    if (f->hash) gnutls_hash_deinit(f->hash, NULL);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

/* One piece from `at`; false where it cannot be had. The lock is not held. */
static bool read_piece(struct follow *f, uint8_t *data, off_t at, size_t len)
{
    for (size_t have = 0; have < len;) {
        ssize_t n = pread(f->fd, data + have, len - have, at + (off_t)have);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            f->errnum = n == 0 ? EIO : errno; /* shorter than its writer says: somebody cut it */
            return false;
        }
        have += (size_t)n;
    }
    gnutls_hash(f->hash, data, len);
    return true;
}

static void *work(void *arg)
{
    struct follow *f = arg;
    uint8_t *data = malloc(FOLLOW_READ_BYTES);
    if (!data) f->errnum = ENOMEM;
    pthread_mutex_lock(&f->lock);
    for (;;) {
        while (f->state == RUNS && (f->at >= f->size || f->errnum)) pthread_cond_wait(&f->changed, &f->lock);
        if (f->state == STOPS || f->errnum || f->at >= f->size) break;
        off_t at = f->at;
        size_t len = MIN((size_t)(f->size - at), FOLLOW_READ_BYTES);
        pthread_mutex_unlock(&f->lock);
        bool ok = read_piece(f, data, at, len);
        pthread_mutex_lock(&f->lock);
        if (ok) f->at += (off_t)len;
    }
    pthread_mutex_unlock(&f->lock);
    free(data);
    return NULL;
}

int follow_start(struct follow *f, int fd, struct err *e)
{
    if (!f->hash && gnutls_hash_init(&f->hash, GNUTLS_DIG_SHA256) < 0) {
        f->hash = NULL;
        return err_set(e, ERR_UNAVAILABLE, "Out of memory");
    }
    f->fd = fd;
    f->errnum = 0;
    f->size = f->at;
    f->state = RUNS;
    int errnum = images_thread_start(&f->thread, work, f);
    if (!errnum) return 0;
    f->state = RESTS;
    return err_set_errno(e, ERR_UNAVAILABLE, errnum, "Cannot start a thread");
}

void follow_to(struct follow *f, off_t size)
{
    pthread_mutex_lock(&f->lock);
    f->size = size;
    pthread_cond_signal(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

static void end(struct follow *f, enum follow_state state)
{
    pthread_mutex_lock(&f->lock);
    f->state = state;
    pthread_cond_signal(&f->changed);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    f->state = RESTS;
}

void follow_rest(struct follow *f)
{
    if (f->state == RESTS) return;
    end(f, STOPS);
    if (f->errnum) follow_rewind(f);
}

int follow_finish(struct follow *f, uint8_t ret[SHA256_BYTES], struct err *e)
{
    end(f, FINISHES);
    int errnum = f->errnum;
    gnutls_hash_deinit(take_ptr(f->hash), ret);
    f->at = f->size = 0;
    if (!errnum) return 0;
    return err_set_errno(e, store_code_for_errno(errnum), errnum, "Cannot read back what was received");
}

off_t follow_at(const struct follow *f)
{
    return f->at;
}

void follow_rewind(struct follow *f)
{
    if (f->hash) gnutls_hash_deinit(f->hash, NULL);
    f->hash = NULL;
    f->at = f->size = 0;
}
