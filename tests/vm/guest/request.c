/*
 * request - one HTTP request, for guest scripts that make thousands of them.
 *
 *   request METHOD URL FILE [--json BODY] [-H HEADER]...
 *
 * The answer's body goes to FILE ("-": to stdout), and where that is a file, the status to stdout: 000 when there was no
 * answer within PATIENCE. Exits with 0 for a status below 400, 22 for others, 7 where there was no answer (as curl does).
 *
 * curl can do all of this, but an emulated CPU takes half a second to load the thirty libraries that it is linked with.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define PATIENCE 120           /* s, for each piece of the answer: trayd answers what takes longer by 202 after 50 */
#define HEAD_MAX (64 * 1024)   /* bytes of the request, and of an answer's head */
#define NO_ANSWER 7
#define REFUSED 22

static char head[HEAD_MAX];
static size_t head_len;

static void add(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void add(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(head + head_len, sizeof head - head_len, fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof head - head_len) {
        fprintf(stderr, "request: longer than %d bytes\n", HEAD_MAX);
        exit(2);
    }
    head_len += (size_t)n;
}

/* http://HOST:PORT/PATH in place: fills *host and *port, returns the path without its first "/". */
static const char *split_url(char *url, char **host, char **port)
{
    char *slash;
    if (strncmp(url, "http://", 7) != 0) return NULL;
    *host = url + 7;
    *port = strchr(*host, ':');
    slash = *port ? strchr(*port, '/') : NULL;
    if (!slash) return NULL;
    *(*port)++ = '\0';
    *slash = '\0';
    return slash + 1;
}

/* An address, not a name: nothing is asked, so that the program can be linked statically. */
static int connect_to(const char *host, const char *port)
{
    const struct timeval patience = {.tv_sec = PATIENCE};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    if (inet_pton(AF_INET, host, &to.sin_addr) != 1) return -1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0) return fd;
    close(fd);
    return -1;
}

/* Up to and with the empty line; what came of the body with it is at *body. Returns the status, or -1. */
static int read_head(int fd, char **body, size_t *body_len)
{
    char *end = NULL;
    int status;
    head_len = 0;
    while (!end) {
        ssize_t n = recv(fd, head + head_len, sizeof head - 1 - head_len, 0);
        if (n <= 0) return -1;
        head_len += (size_t)n;
        head[head_len] = '\0';
        end = strstr(head, "\r\n\r\n");
    }
    *end = '\0';
    *body = end + 4;
    *body_len = head_len - (size_t)(*body - head);
    if (strcasestr(head, "\r\nTransfer-Encoding:")) return -1; /* curl's */
    return sscanf(head, "HTTP/1.1 %d", &status) == 1 ? status : -1;
}

/* Returns false where it ends before its announced length. */
static int copy_body(int fd, FILE *to, const char *first, size_t first_len)
{
    const char *announced = strcasestr(head, "\r\nContent-Length:");
    unsigned long long left = announced ? strtoull(announced + 17, NULL, 10) : 0;
    char piece[16 * 1024];
    ssize_t n;
    fwrite(first, 1, first_len, to);
    left -= first_len < left ? first_len : left;
    for (; left > 0 && (n = recv(fd, piece, sizeof piece, 0)) > 0; left -= (unsigned long long)n < left ? (unsigned long long)n : left)
        fwrite(piece, 1, (size_t)n, to);
    return left == 0;
}

static int usage(void)
{
    fprintf(stderr, "usage: request METHOD http://HOST:PORT/PATH FILE [--json BODY] [-H HEADER]...\n");
    return 2;
}

int main(int argc, char **argv)
{
    char *host, *port, *body;
    size_t body_len;
    const char *json = NULL;
    const char *path = argc > 3 ? split_url(argv[2], &host, &port) : NULL;
    if (!path || argc % 2 != 0) return usage();
    add("%s /%s HTTP/1.1\r\nHost: %s:%s\r\nConnection: close\r\nAccept: */*\r\n", argv[1], path, host, port);
    for (int i = 4; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--json") == 0)
            json = argv[i + 1];
        else if (strcmp(argv[i], "-H") == 0)
            add("%s\r\n", argv[i + 1]);
        else
            return usage();
    }
    if (json)
        add("Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", strlen(json), json);
    else
        add("%s\r\n", strcmp(argv[1], "POST") == 0 || strcmp(argv[1], "PUT") == 0 ? "Content-Length: 0\r\n" : "");
    int fd = connect_to(host, port);
    int status = fd >= 0 && send(fd, head, head_len, MSG_NOSIGNAL) == (ssize_t)head_len ? read_head(fd, &body, &body_len) : -1;
    int to_file = strcmp(argv[3], "-") != 0;
    FILE *to = status < 0 ? NULL : to_file ? fopen(argv[3], "w") : stdout;
    int whole = to && copy_body(fd, to, body, body_len) && (to == stdout ? fflush(to) : fclose(to)) == 0;
    if (to_file) printf("%03d", whole ? status : 0);
    return !whole ? NO_ANSWER : status < 400 ? 0 : REFUSED;
}
