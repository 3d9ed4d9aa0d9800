#include "gadget/packet.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(PACKET_FDS_MAX * sizeof(int))];
};

void packet_close(int fds[PACKET_FDS_MAX])
{
    for (int i = 0; i < PACKET_FDS_MAX; i++) {
        if (fds[i] >= 0) close(fds[i]);
        fds[i] = -1;
    }
}

int packet_send(int socket, uint32_t kind, int64_t value, const void *body, size_t size, const int fds[PACKET_FDS_MAX])
{
    struct packet_head head = {.kind = kind, .value = value};
    int sent[PACKET_FDS_MAX];
    size_t count = 0;
    for (unsigned i = 0; fds && i < PACKET_FDS_MAX; i++) {
        if (fds[i] < 0) continue;
        head.fds |= 1U << i;
        sent[count++] = fds[i];
    }
    struct iovec parts[] = {{&head, sizeof head}, {(void *)(uintptr_t)body, size}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = body ? 2 : 1};
    union control control = {0};
    if (count) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(c), sent, count * sizeof(int));
    }
    ssize_t n;
    do n = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -1 : 0;
}

/* The descriptors of a message, in the places that the head names. */
static void take_fds(struct msghdr *message, uint32_t places, int ret_fds[PACKET_FDS_MAX])
{
    struct cmsghdr *c = CMSG_FIRSTHDR(message);
    if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) return;
    size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int), taken = 0;
    int fds[PACKET_FDS_MAX];
    memcpy(fds, CMSG_DATA(c), count * sizeof(int));
    for (unsigned i = 0; i < PACKET_FDS_MAX && taken < count; i++)
        if (places & 1U << i) ret_fds[i] = fds[taken++];
}

int packet_receive(int socket, struct packet_head *ret, void *body, size_t size, int ret_fds[PACKET_FDS_MAX])
{
    struct packet_head head = {0};
    struct iovec parts[] = {{&head, sizeof head}, {body, size}};
    union control control;
    struct msghdr message = {
        .msg_iov = parts, .msg_iovlen = 2, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t n;
    do n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    for (int i = 0; i < PACKET_FDS_MAX; i++) ret_fds[i] = -1;
    if (n < 0 && errno == ECONNRESET) return 0; /* it died with a request of ours unread */
    if (n <= 0) return (int)n;
    take_fds(&message, head.fds, ret_fds);
    if ((size_t)n != sizeof head && (size_t)n != sizeof head + size) {
        packet_close(ret_fds);
        errno = EBADMSG;
        return -1;
    }
    *ret = head;
    return 1;
}
