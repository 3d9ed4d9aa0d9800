#include "images/helper_child.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "images/helper.h"

json_t *child_order(struct err *e)
{
    cleanup_free char *text = malloc(HELPER_MESSAGE_MAX);
    ssize_t n = -1;
    if (text) {
        do {
            n = recv(HELPER_CONTROL_FD, text, HELPER_MESSAGE_MAX, 0);
        } while (n < 0 && errno == EINTR);
    }
    if (n <= 0) {
        err_set(e, ERR_INTERNAL, "There is no order");
        return NULL;
    }
    json_t *order = json_parse_object(text, (size_t)n, HELPER_MESSAGE_MAX, e);
    explicit_bzero(text, HELPER_MESSAGE_MAX); /* it can have a password in it */
    return order;
}

void child_tell(json_t *event)
{
    cleanup_json json_t *all = event;
    cleanup_free char *text = json_write(all, false);
    ssize_t n;
    if (!text) _exit(EXIT_FAILURE);
    do {
        n = send(HELPER_CONTROL_FD, text, strlen(text), MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0) _exit(EXIT_FAILURE);
}

static ssize_t read_input(attr_unused void *owner, void *data, size_t max)
{
    return read(STDIN_FILENO, data, max);
}

static int64_t seek_input(attr_unused void *owner, int64_t offset, int whence)
{
    return lseek(STDIN_FILENO, offset, whence);
}

const struct archive_io child_input = {.read = read_input, .seek = seek_input};

void child_put(const void *data, size_t len)
{
    if (fd_write_full(STDOUT_FILENO, data, len) < 0) _exit(EXIT_FAILURE);
}
