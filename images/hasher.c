#include "images/hasher.h"

#include <gnutls/crypto.h>
#include <pthread.h>

#include "images/thread.h"

#define PAGE 4096

struct hasher {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    gnutls_hash_hd_t hash;
    uint8_t *ring;                 /* HASHER_PIECES pieces */
    size_t lengths[HASHER_PIECES];
    size_t submitted, hashed;      /* numbers of pieces, ever; piece n lies at n % HASHER_PIECES */
    bool ended, joined;
};

static void *work(void *arg)
{
    struct hasher *h = arg;
    pthread_mutex_lock(&h->lock);
    for (;;) {
        while (h->hashed == h->submitted && !h->ended) pthread_cond_wait(&h->changed, &h->lock);
        if (h->hashed == h->submitted) break;
        size_t slot = h->hashed % HASHER_PIECES, len = h->lengths[slot];
        pthread_mutex_unlock(&h->lock);
        gnutls_hash(h->hash, h->ring + slot * HASHER_PIECE_BYTES, len);
        pthread_mutex_lock(&h->lock);
        h->hashed++;
        pthread_cond_signal(&h->changed);
    }
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

static void release(struct hasher *h)
{
    if (h->hash) gnutls_hash_deinit(h->hash, NULL);
    pthread_cond_destroy(&h->changed);
    pthread_mutex_destroy(&h->lock);
    free(h->ring);
    free(h);
}

struct hasher *hasher_new(struct err *e)
{
    struct hasher *h = calloc(1, sizeof *h);
    if (!h) goto no_memory;
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->changed, NULL);
    h->ring = aligned_alloc(PAGE, HASHER_PIECES * HASHER_PIECE_BYTES);
    if (!h->ring || gnutls_hash_init(&h->hash, GNUTLS_DIG_SHA256) < 0) goto no_memory;
    int errnum = images_thread_start(&h->thread, work, h);
    if (errnum) {
        err_set_errno(e, ERR_UNAVAILABLE, errnum, "Cannot start a thread");
        release(h);
        return NULL;
    }
    return h;

no_memory:
    err_set(e, ERR_UNAVAILABLE, "Out of memory");
    if (h) release(h);
    return NULL;
}

static void end(struct hasher *h)
{
    if (h->joined) return;
    pthread_mutex_lock(&h->lock);
    h->ended = true;
    pthread_cond_signal(&h->changed);
    pthread_mutex_unlock(&h->lock);
    pthread_join(h->thread, NULL);
    h->joined = true;
}

void hasher_free(struct hasher *h)
{
    if (!h) return;
    end(h);
    release(h);
}

void *hasher_piece(struct hasher *h)
{
    pthread_mutex_lock(&h->lock);
    while (h->submitted - h->hashed >= HASHER_PIECES) pthread_cond_wait(&h->changed, &h->lock);
    size_t slot = h->submitted % HASHER_PIECES;
    pthread_mutex_unlock(&h->lock);
    return h->ring + slot * HASHER_PIECE_BYTES;
}

void hasher_submit(struct hasher *h, size_t len)
{
    pthread_mutex_lock(&h->lock);
    h->lengths[h->submitted % HASHER_PIECES] = len;
    h->submitted++;
    pthread_cond_signal(&h->changed);
    pthread_mutex_unlock(&h->lock);
}

void hasher_finish(struct hasher *h, uint8_t ret[SHA256_BYTES])
{
    end(h);
    gnutls_hash_deinit(h->hash, ret);
    h->hash = NULL;
}
