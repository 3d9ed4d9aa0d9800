/*
 * log.h - messages for the person who runs the service.
 *
 * One line each, to standard error; with the journal's priority prefix when standard error is the journal
 * (sd-daemon(3)). Control characters in arguments are printed as `?`, so that no client can forge a line.
 * Thread-safe. A function either logs an error or returns it.
 */
#pragma once

#include "base/util.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_init(const char *program, enum log_level most); /* most: the most talkative level that is printed */
int log_level_from_name(const char *name);               /* "error", "warning", "info", "debug"; -1 if unknown */
void log_write(enum log_level level, const char *fmt, ...) attr_printf(2, 3);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
