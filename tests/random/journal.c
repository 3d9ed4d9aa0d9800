#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#include "tests/random/random.h"

#define LINES 400 /* two or three rounds */
#define LINE_MAX_BYTES 400

uint64_t journal_seed;
static char lines[LINES][LINE_MAX_BYTES];
static size_t written;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void journal(const char *format, ...)
{
    msec now = clock_boot_ms();
    va_list list;
    va_start(list, format);
    pthread_mutex_lock(&lock);
    char *line = lines[written++ % LINES];
    int n = snprintf(line, LINE_MAX_BYTES, "%6lld.%03lld  ", (long long)(now / 1000), (long long)(now % 1000));
    vsnprintf(line + n, LINE_MAX_BYTES - (size_t)n, format, list);
    pthread_mutex_unlock(&lock);
    va_end(list);
}

void disagree(const char *format, ...)
{
    va_list list;
    pthread_mutex_lock(&lock); /* for good: the first disagreement counts */
    printf("the last operations:\n");
    for (size_t i = written > LINES ? written - LINES : 0; i < written; i++) printf("    %s\n", lines[i % LINES]);
    printf("DISAGREEMENT with seed %" PRIu64 ", at %lld ms: ", journal_seed, (long long)clock_boot_ms());
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    printf("\nrepeat it with: make random SEED=%" PRIu64 " (the choices; who runs when is the machine's)\n", journal_seed);
    fflush(stdout);
    _exit(1); /* others may hang in the kernel */
}
