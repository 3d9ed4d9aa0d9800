#include "server/http_raw.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "api/http.h"
#include "server/http_response.h"

#define RAW_MAX 4096 /* a problem document with the longest detail is below 2 KiB */

void http_raw_problem(int fd, const struct err *e)
{
    char text[RAW_MAX];
    struct api_response rs;
    api_response_init(&rs);
    api_problem(&rs, e);
    cleanup_free char *body = rs.json ? json_write(rs.json, false) : NULL;
    int n = snprintf(
        text, sizeof text,
        "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: application/problem+json\r\nContent-Length: %zu\r\n",
        rs.status, MHD_get_reason_phrase_for((unsigned)rs.status), body ? strlen(body) : 0);
    for (const struct api_pair *h = http_response_always; h->name && n < RAW_MAX; h++)
        n += snprintf(text + n, sizeof text - (size_t)n, "%s: %s\r\n", h->name, h->value);
    if (n < RAW_MAX) n += snprintf(text + n, sizeof text - (size_t)n, "\r\n%s", body ? body : "");
    if (n < RAW_MAX) send(fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(fd, SHUT_WR);
    api_response_done(&rs);
}

void http_raw_drain(int fd, uint64_t max_bytes, msec max_ms)
{
    char buffer[16 * 1024];
    msec end = clock_boot_ms() + max_ms;
    for (uint64_t total = 0; total < max_bytes;) {
        msec left = end - clock_boot_ms();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (left <= 0 || poll(&p, 1, (int)left) <= 0) return;
        ssize_t n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) return;
        if (n > 0) total += (uint64_t)n;
    }
}
