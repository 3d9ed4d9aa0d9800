#include "images/thread.h"

#include <signal.h>

int images_thread_start(pthread_t *ret, void *(*run)(void *arg), void *arg)
{
    pthread_attr_t attr;
    int err = pthread_attr_init(&attr);
    if (err) return err;
    err = pthread_attr_setstacksize(&attr, IMAGES_THREAD_STACK);
    if (!err) {
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before); /* a new thread inherits the mask */
        err = pthread_create(ret, &attr, run, arg);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_attr_destroy(&attr);
    return err;
}
