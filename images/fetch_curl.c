/*
 * fetch_curl.c - trayd-helper's role "fetch": reads one file from a server, going on where it broke off.
 *
 * The only file that includes libcurl. What a server's answer means is decided in fetch_reply.c, which addresses may be
 * contacted in fetch_address.c.
 *
 *   order    url, username, password, offset, total, validator (of what is there already), and the section `fetch`
 *   events   begin   offset (where the bytes begin: the order's, or 0), total, validator
 *            again   tries, pause, text: it broke off; bytes go on to come, or a "failed" does
 *            changed the file is not the same any more, and bytes of the old one were sent already: the last event
 *            end     all bytes were sent
 *            failed  code, text
 */
#include <curl/curl.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "images/fetch_address.h"
#include "images/fetch_config.h"
#include "images/fetch_reply.h"
#include "images/fetch_url.h"
#include "images/helper_child.h"

#define REDIRECTS_MAX 10
#define HEADERS_BYTES_MAX (256 * 1024) /* of one answer with its redirects; honest ones have some KiB */
#define BUFFER_BYTES (256 * 1024)      /* what libcurl reads at once */
#define OWN_MAX 64                     /* addresses of this machine */
#define PROGRESS_BYTES (1 << 20)       /* a try that brought so much begins the count of failures anew */

struct fetch {
    CURL *curl;
    char url[FETCH_URL_MAX], username[FETCH_CREDENTIAL_MAX], password[FETCH_CREDENTIAL_MAX];
    struct fetch_config config;
    struct sockaddr_storage own_list[OWN_MAX];
    struct fetch_own own;
    struct fetch_have have;
    bool begun;              /* "begin" was told: bytes are on their way to trayd */

    /* of one try: */
    struct fetch_reply reply;
    size_t header_bytes;
    bool judged;
    enum fetch_verdict verdict;
    int64_t skip;            /* bytes of the body that trayd has already */
    int64_t fresh;           /* bytes sent to trayd */
    msec window_at;          /* for the slowest rate: since when, */
    int64_t window_bytes;    /* and how many bytes */
    bool stalled;
    struct err why;          /* with a code where we ourselves ended the try */
};

static void tell(const char *name, json_t *event)
{
    json_put_text(event, "event", name);
    child_tell(event);
}

/* ---- addresses ---- */

/* Without them this machine could be reached by its outer address: nothing is fetched then. */
static int learn_own_addresses(struct fetch *f, struct err *e)
{
    struct ifaddrs *all;
    if (f->config.loopback) return 0;
    if (getifaddrs(&all) < 0)
        return err_set_errno(e, ERR_UNAVAILABLE, errno, "Cannot learn this machine's own addresses (AF_NETLINK)");
    for (const struct ifaddrs *i = all; i && f->own.count < OWN_MAX; i = i->ifa_next) {
        if (!i->ifa_addr) continue;
        size_t len = i->ifa_addr->sa_family == AF_INET    ? sizeof(struct sockaddr_in)
                     : i->ifa_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                          : 0;
        if (len) memcpy(&f->own_list[f->own.count++], i->ifa_addr, len);
    }
    freeifaddrs(all);
    f->own.list = f->own_list;
    return 0;
}

static bool is_allowed(const struct fetch *f, enum fetch_address kind)
{
    switch (kind) {
    case FETCH_PUBLIC: return true;
    case FETCH_PRIVATE: return f->config.private_addresses;
    case FETCH_LINK_LOCAL: return f->config.link_local;
    case FETCH_LOOPBACK: return f->config.loopback;
    case FETCH_NOWHERE: break;
    }
    return false;
}

/* The address that libcurl is about to connect to: for each connection, so after each redirect too. */
static curl_socket_t open_socket(void *owner, curlsocktype purpose attr_unused, struct curl_sockaddr *address)
{
    struct fetch *f = owner;
    enum fetch_address kind = fetch_address_of(&address->addr, &f->own);
    if (is_allowed(f, kind)) return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    char text[NI_MAXHOST] = "?";
    getnameinfo(&address->addr, address->addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST);
    if (kind == FETCH_NOWHERE)
        err_set(&f->why, ERR_SOURCE_FORBIDDEN, "%s is no address of a server", text);
    else
        err_set(&f->why, ERR_SOURCE_FORBIDDEN, "%s is an address of the kind \"%s\", which may not be contacted", text,
                fetch_address_name(kind));
    return CURL_SOCKET_BAD;
}

/* ---- one answer ---- */

static int64_t read_date(const char *text)
{
    time_t t = curl_getdate(text, NULL);
    return t < 0 ? -1 : (int64_t)t;
}

static size_t take_header(char *line, size_t size attr_unused, size_t len, void *owner)
{
    struct fetch *f = owner;
    f->header_bytes += len;
    if (f->header_bytes > HEADERS_BYTES_MAX) {
        err_set(&f->why, ERR_SOURCE_FAILED, "The server sends headers without end");
        return 0;
    }
    int status;
    if (len > 5 && strncmp(line, "HTTP/", 5) == 0 && sscanf(line, "HTTP/%*s %d", &status) == 1)
        fetch_reply_init(&f->reply, status); /* a redirect's are forgotten here */
    else
        fetch_reply_header(&f->reply, line, len, read_date);
    return len;
}

static int64_t total_of(const struct fetch_reply *r)
{
    return r->status == 206 || r->status == 416 ? r->range_total : r->length;
}

static void begin(struct fetch *f)
{
    json_t *event = json_object();
    f->begun = true;
    json_put_int(event, "offset", f->have.offset);
    json_put_int(event, "total", f->have.total);
    json_put_text(event, "validator", f->have.validator);
    tell("begin", event);
}

static int too_large(struct fetch *f)
{
    return err_set(&f->why, ERR_TOO_LARGE, "The image is larger than the %llu bytes that are allowed (fetch.largest)",
                   (unsigned long long)f->config.largest);
}

/* What is there is of another version, but nothing of it was sent by this process: it is simply replaced. */
static void forget(struct fetch *f)
{
    f->have = (struct fetch_have){.total = -1};
}

/* At the first byte of the body, or at the end of an answer without one. Returns -1 where the body is not wanted. */
static int judge(struct fetch *f)
{
    struct err why;
    f->judged = true;
    f->verdict = fetch_judge(&f->have, &f->reply, &why);
    if (f->verdict == FETCH_CHANGED && f->reply.status == 200 && !f->begun) {
        forget(f);
        f->verdict = FETCH_FROM_START;
    }
    if (f->verdict == FETCH_AGAIN || f->verdict == FETCH_FAILED) f->why = why;
    if (f->verdict == FETCH_WHOLE) {
        if (!f->begun) begin(f);
        return -1;
    }
    if (f->verdict > FETCH_SKIP) return -1;
    f->skip = f->verdict == FETCH_SKIP ? f->have.offset : 0;
    int64_t total = total_of(&f->reply);
    if (total >= 0 || f->verdict == FETCH_FROM_START) f->have.total = total;
    if (f->have.total >= 0 && (uint64_t)f->have.total > f->config.largest) return too_large(f);
    if (f->verdict == FETCH_FROM_START) fetch_reply_validator(&f->reply, f->have.validator);
    if (!f->begun) begin(f);
    return 0;
}

static size_t take_body(char *data, size_t size attr_unused, size_t len, void *owner)
{
    struct fetch *f = owner;
    if (!f->judged && judge(f) < 0) return 0;
    f->window_bytes += (int64_t)len;
    size_t known = (size_t)MIN(f->skip, (int64_t)len), fresh = len - known;
    f->skip -= (int64_t)known;
    if (f->have.total >= 0 && f->have.offset + (int64_t)fresh > f->have.total) {
        err_set(&f->why, ERR_SOURCE_FAILED, "The server sends more than the %lld bytes that it announced",
                (long long)f->have.total);
        return 0;
    }
    if ((uint64_t)f->have.offset + fresh > f->config.largest) {
        too_large(f);
        return 0;
    }
    msec before = clock_boot_ms();
    child_put(data + known, fresh); /* waits for trayd, whose disk may be slower: not the server's fault */
    f->window_at += clock_boot_ms() - before;
    f->have.offset += (int64_t)fresh;
    f->fresh += (int64_t)fresh;
    return len;
}

/* libcurl's own low-speed limit would count the time in which trayd's disk is the slow one. */
static int look_at_clock(void *owner, curl_off_t total attr_unused, curl_off_t now_bytes attr_unused,
                         curl_off_t up_total attr_unused, curl_off_t up attr_unused)
{
    struct fetch *f = owner;
    msec now = clock_boot_ms(), passed = now - f->window_at;
    if (passed < f->config.stall_timeout) return 0;
    f->stalled = f->window_bytes * 1000 / passed < FETCH_SLOWEST;
    f->window_at = now;
    f->window_bytes = 0;
    return f->stalled;
}

/* ---- one try ---- */

/* What If-Range says: the validator in the form in which the server gave it. */
static struct curl_slist *make_headers(const struct fetch *f, char range[64])
{
    struct curl_slist *list = curl_slist_append(NULL, "Accept: */*");
    if (f->have.offset == 0 || !f->have.validator[0]) return list;
    char line[FETCH_VALIDATOR_MAX + 32], date[64];
    time_t t = (time_t)strtoll(f->have.validator + 1, NULL, 10);
    struct tm tm;
    bool dated = f->have.validator[0] == '@';
    if (dated) strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&t, &tm));
    snprintf(line, sizeof line, "If-Range: %s", dated ? date : f->have.validator);
    snprintf(range, 64, "%lld-", (long long)f->have.offset);
    return curl_slist_append(list, line);
}

static void set_options(struct fetch *f)
{
    CURL *c = f->curl;
    curl_easy_setopt(c, CURLOPT_URL, f->url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    /* A redirect never leads from a protected connection to one that anybody on the way can change. */
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, strncmp(f->url, "https:", 6) == 0 ? "https" : "http,https");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    curl_easy_setopt(c, CURLOPT_UNRESTRICTED_AUTH, 0L); /* credentials stay with the host that they are for */
    if (f->username[0] || f->password[0]) {
        curl_easy_setopt(c, CURLOPT_USERNAME, f->username);
        curl_easy_setopt(c, CURLOPT_PASSWORD, f->password);
        curl_easy_setopt(c, CURLOPT_HTTPAUTH, CURLAUTH_BASIC | CURLAUTH_DIGEST);
    }
    curl_easy_setopt(c, CURLOPT_PROXY, ""); /* with one, the address that is judged would be the proxy's */
    curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1); /* nothing is gained by more code here */
    curl_easy_setopt(c, CURLOPT_USERAGENT, "trayd/" TRAYD_VERSION);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_BUFFERSIZE, (long)BUFFER_BYTES);
    curl_easy_setopt(c, CURLOPT_MAX_RECV_SPEED_LARGE, (curl_off_t)f->config.rate);
    curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, f);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, f);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, f);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, look_at_clock);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, f);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)f->config.stall_timeout);
    if (f->config.ca_file[0]) curl_easy_setopt(c, CURLOPT_CAINFO, f->config.ca_file);
}

static bool may_help_to_repeat(CURLcode code)
{
    switch ((int)code) {
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_TOO_MANY_REDIRECTS:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_WEIRD_SERVER_REPLY: return false;
    default: return true;
    }
}

/* Returns the verdict of the whole try: FETCH_WHOLE, FETCH_CHANGED, FETCH_AGAIN or FETCH_FAILED, those with f->why. */
static enum fetch_verdict conclude(struct fetch *f, CURLcode code, const char *message)
{
    if (code == CURLE_OK && !f->judged) judge(f); /* an empty body */
    if (f->judged && f->verdict > FETCH_SKIP) return f->verdict;
    if (f->why.code) return FETCH_FAILED;
    if (f->stalled) {
        err_set(&f->why, ERR_SOURCE_FAILED, "The server has sent next to nothing for %lld s",
                (long long)f->config.stall_timeout / 1000);
        return FETCH_AGAIN;
    }
    if (code == CURLE_OK && (f->have.total < 0 || f->have.offset == f->have.total)) return FETCH_WHOLE;
    if (code == CURLE_OK)
        err_set(&f->why, ERR_SOURCE_FAILED, "The server ended after %lld of %lld bytes", (long long)f->have.offset,
                (long long)f->have.total);
    else
        err_set(&f->why, ERR_SOURCE_FAILED, "%s", *message ? message : curl_easy_strerror(code));
    return may_help_to_repeat(code) ? FETCH_AGAIN : FETCH_FAILED;
}

static enum fetch_verdict try_once(struct fetch *f)
{
    char message[CURL_ERROR_SIZE] = "", range[64] = "";
    f->judged = f->stalled = false;
    f->header_bytes = 0;
    f->skip = f->fresh = f->window_bytes = 0;
    f->why = (struct err){0};
    f->window_at = clock_boot_ms();
    fetch_reply_init(&f->reply, 0);
    f->curl = curl_easy_init();
    struct curl_slist *headers = make_headers(f, range);
    if (!f->curl || !headers) {
        err_set(&f->why, ERR_UNAVAILABLE, "Out of memory");
        return FETCH_FAILED;
    }
    set_options(f);
    curl_easy_setopt(f->curl, CURLOPT_ERRORBUFFER, message);
    curl_easy_setopt(f->curl, CURLOPT_HTTPHEADER, headers);
    if (range[0]) curl_easy_setopt(f->curl, CURLOPT_RANGE, range);
    enum fetch_verdict verdict = conclude(f, curl_easy_perform(f->curl), message);
    curl_easy_cleanup(f->curl);
    curl_slist_free_all(headers);
    return verdict;
}

/* ---- all tries ---- */

static void wait_before(const struct fetch *f, unsigned tries)
{
    msec pause = MAX(fetch_pause(f->config.retry_pause, tries), f->reply.again_after * 1000);
    json_t *event = json_object();
    json_put_int(event, "tries", tries);
    json_put_seconds(event, "pause", pause);
    json_put_text(event, "text", f->why.text);
    tell("again", event);
    const struct timespec t = {.tv_sec = pause / 1000, .tv_nsec = pause % 1000 * 1000000};
    nanosleep(&t, NULL);
}

/* Without a validator nothing can be joined: the next try begins at 0, which bytes that were sent already forbid. */
static bool must_begin_anew(const struct fetch *f)
{
    return f->have.offset > 0 && !f->have.validator[0];
}

static int fetch_all(struct fetch *f, struct err *e)
{
    unsigned tries = 0, changes = 0;
    for (;;) {
        if (must_begin_anew(f) && !f->begun) forget(f);
        enum fetch_verdict verdict = try_once(f);
        if (verdict == FETCH_WHOLE) {
            tell("end", json_object());
            return 0;
        }
        if (verdict == FETCH_CHANGED && !f->begun && changes++ == 0) {
            forget(f);
            continue;
        }
        if (verdict == FETCH_CHANGED || (verdict == FETCH_AGAIN && f->begun && must_begin_anew(f))) {
            json_t *event = json_object();
            json_put_text(event, "text", verdict == FETCH_AGAIN ? f->why.text : "The file on the server has changed");
            tell("changed", event);
            return 0;
        }
        tries = f->fresh >= PROGRESS_BYTES ? 1 : tries + 1;
        if (verdict == FETCH_FAILED || tries > f->config.retries) {
            *e = f->why;
            return -1;
        }
        wait_before(f, tries);
    }
}

static int read_order(const json_t *order, struct fetch *f, struct err *e)
{
    struct fetch_config *c = &f->config;
    int64_t rate = 0, largest = 0;
    const struct json_member members[] = {
        {.name = "url", .kind = JSON_TEXT, .ret = f->url, .size = sizeof f->url, .required = true},
        {.name = "username", .kind = JSON_TEXT, .ret = f->username, .size = sizeof f->username},
        {.name = "password", .kind = JSON_TEXT, .ret = f->password, .size = sizeof f->password},
        {.name = "offset", .kind = JSON_NUMBER, .ret = &f->have.offset, .max = INT64_MAX},
        {.name = "total", .kind = JSON_NUMBER, .ret = &f->have.total, .min = -1, .max = INT64_MAX},
        {.name = "validator", .kind = JSON_TEXT, .ret = f->have.validator, .size = sizeof f->have.validator},
        {.name = "private", .kind = JSON_FLAG, .ret = &c->private_addresses},
        {.name = "link_local", .kind = JSON_FLAG, .ret = &c->link_local},
        {.name = "loopback", .kind = JSON_FLAG, .ret = &c->loopback},
        {.name = "stall_timeout", .kind = JSON_DURATION, .ret = &c->stall_timeout, .min = 1, .max = INT32_MAX},
        {.name = "retries", .kind = JSON_NUMBER, .ret = &c->retries, .max = INT32_MAX},
        {.name = "retry_pause", .kind = JSON_DURATION, .ret = &c->retry_pause, .max = INT32_MAX},
        {.name = "rate", .kind = JSON_NUMBER, .ret = &rate, .max = INT64_MAX},
        {.name = "largest", .kind = JSON_NUMBER, .ret = &largest, .max = INT64_MAX},
        {.name = "ca_file", .kind = JSON_TEXT, .ret = c->ca_file, .size = sizeof c->ca_file},
    };
    f->have.total = -1;
    if (json_read(order, members, ARRAY_LEN(members), e) < 0) return -1;
    c->rate = (uint64_t)rate;
    c->largest = (uint64_t)largest;
    return 0;
}

int fetch_run(const json_t *order, struct err *e)
{
    static struct fetch f; /* some KiB, and the only one */
    if (read_order(order, &f, e) < 0) return -1;
    if (curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK) return err_set(e, ERR_UNAVAILABLE, "libcurl cannot start");
    return learn_own_addresses(&f, e) < 0 ? -1 : fetch_all(&f, e);
}
