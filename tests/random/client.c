#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "tests/random/random.h"

#define PORT 8080
#define ANSWER_MAX (1024 * 1024) /* 500 operations with their steps */
#define ANSWER_WITHIN 90         /* s; trayd itself answers after 50 */

static int connect_to_trayd(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval within = {.tv_sec = ANSWER_WITHIN};
    cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &within, sizeof within);
    return take_fd(&fd);
}

int client_call(const char *method, const char *path, const char *body, bool wait, json_t **ret_answer)
{
    if (ret_answer) *ret_answer = NULL;
    cleanup_close int fd = connect_to_trayd();
    cleanup_free char *text = malloc(ANSWER_MAX);
    char head[1024];
    int n = snprintf(head, sizeof head,
                     "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n%s%sContent-Length: %zu\r\n\r\n%s", method,
                     path, PORT, wait ? "" : "Prefer: respond-async\r\n", body ? "Content-Type: application/json\r\n" : "",
                     body ? strlen(body) : 0, body ? body : "");
    if (fd < 0 || !text || fd_write_full(fd, head, (size_t)n) < 0) return -1;
    ssize_t got = fd_read_full(fd, text, ANSWER_MAX - 1);
    int status;
    if (got <= 0) {
        if (got < 0 && errno == EAGAIN) disagree("%s %s: no answer within %d s", method, path, ANSWER_WITHIN);
        return -1; /* it was killed */
    }
    text[got] = '\0';
    char *content = strstr(text, "\r\n\r\n");
    if (!content || sscanf(text, "HTTP/1.1 %d", &status) != 1) return -1;
    json_error_t error;
    if (ret_answer) *ret_answer = json_loads(content + 4, 0, &error);
    if (ret_answer && !*ret_answer) return -1; /* killed in the middle of its answer */
    return status;
}

const char *client_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}
