#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tests/random/random.h"

#define THREADS_MAX (2 * DRIVES + 1)
#define REST_MAX 200 /* s; a host whose command was broken gives up after 30 s, tries again and resets: that is its rest */

struct thread {
    pthread_t id;
    char name[32];
    void (*act)(void *owner);
    void *owner;
    bool rests;
    const char *doing;
};

static struct thread threads[THREADS_MAX];
static size_t threads_len;
static bool acting;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static _Thread_local struct thread *self;

static void wait_until(msec end)
{
    struct timespec at = {.tv_sec = end / 1000, .tv_nsec = end % 1000 * 1000000};
    pthread_cond_timedwait(&changed, &lock, &at);
}

static msec monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (msec)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool may_act(void)
{
    pthread_mutex_lock(&lock);
    bool may = acting;
    pthread_mutex_unlock(&lock);
    return may;
}

void doing(const char *what)
{
    self->doing = what;
}

bool nap(struct dice *d, unsigned max_ms)
{
    msec end = monotonic_ms() + dice_below(d, max_ms);
    pthread_mutex_lock(&lock);
    while (acting && monotonic_ms() < end) wait_until(end);
    bool may = acting;
    pthread_mutex_unlock(&lock);
    return may;
}

static void *run(void *arg)
{
    self = arg;
    for (;;) {
        pthread_mutex_lock(&lock);
        self->rests = !acting;
        pthread_cond_broadcast(&changed);
        while (!acting) pthread_cond_wait(&changed, &lock);
        self->rests = false;
        pthread_mutex_unlock(&lock);
        self->act(self->owner);
    }
    return NULL;
}

void rounds_thread(const char *name, void (*act)(void *owner), void *owner)
{
    struct thread *t = &threads[threads_len++];
    if (threads_len == 1) {
        pthread_condattr_t attr;
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&changed, &attr);
    }
    snprintf(t->name, sizeof t->name, "%s", name);
    t->act = act;
    t->owner = owner;
    t->doing = "nothing";
    int errnum = pthread_create(&t->id, NULL, run, t);
    if (errnum) disagree("no thread: %s", strerror(errnum));
}

void rounds_begin(void)
{
    pthread_mutex_lock(&lock);
    acting = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static const struct thread *somebody_awake(void)
{
    for (size_t i = 0; i < threads_len; i++)
        if (!threads[i].rests) return &threads[i];
    return NULL;
}

void rounds_rest(void)
{
    msec end = monotonic_ms() + REST_MAX * 1000;
    const struct thread *t;
    pthread_mutex_lock(&lock);
    acting = false;
    pthread_cond_broadcast(&changed);
    while ((t = somebody_awake()) && monotonic_ms() < end) wait_until(end);
    pthread_mutex_unlock(&lock);
    if (t) disagree("%s does not come to rest within %d s: %s", t->name, REST_MAX, t->doing);
}
