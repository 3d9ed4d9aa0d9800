#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define LOG_LINE_MAX 2048 /* below PIPE_BUF, so that lines of two processes on one pipe never mix */

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static const char *program_name = "trayd";
static enum log_level most_talkative = LOG_LEVEL_INFO;
static bool to_journal;

void log_init(const char *program, enum log_level most)
{
    program_name = program;
    most_talkative = most;
    to_journal = getenv("JOURNAL_STREAM") != NULL;
}

int log_level_from_name(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++)
        if (strcmp(level_names[i], name) == 0) return (int)i;
    return -1;
}

void log_write(enum log_level level, const char *fmt, ...)
{
    if (level > most_talkative) return;
    static const int priority[] = {3, 4, 6, 7}; /* syslog(3) */
    int saved = errno;
    char line[LOG_LINE_MAX];
    int head = to_journal ? snprintf(line, sizeof line, "<%d>", priority[level])
                          : snprintf(line, sizeof line, "%s: %s", program_name,
                                     level == LOG_LEVEL_INFO ? "" : level_names[level]);
    if (!to_journal && level != LOG_LEVEL_INFO) head += snprintf(line + head, sizeof line - (size_t)head, ": ");
    va_list ap;
    va_start(ap, fmt);
    errno = saved; /* for %m */
    vsnprintf(line + head, sizeof line - (size_t)head - 1, fmt, ap);
    va_end(ap);
    size_t len = strlen(line);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f) line[i] = '?';
    line[len++] = '\n';
    ssize_t n = write(STDERR_FILENO, line, len);
    (void)n; /* nobody is left to tell */
    errno = saved;
}
