#include "images/checksum_file.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"

#define DIGITS (SHA256_TEXT_MAX - 1)
#define LINE_MAX_BYTES 1024 /* a path with its digest; longer lines are something else */

struct finding {
    const char *name;
    char named[SHA256_TEXT_MAX]; /* the digest of the name; "" */
    char only[SHA256_TEXT_MAX];  /* the last digest without a name */
    unsigned nameless, others;   /* lines with a digest: without a name, and of other names */
    bool contradiction;
};

/* 64 hexadecimal digits at `text`, and no more; in lower case. */
static bool read_digest(const char *text, char ret[SHA256_TEXT_MAX])
{
    uint8_t bytes[SHA256_BYTES];
    char digits[SHA256_TEXT_MAX] = "";
    if (strlen(text) < DIGITS || isxdigit((unsigned char)text[DIGITS])) return false;
    memcpy(digits, text, DIGITS);
    if (parse_hex(digits, bytes, sizeof bytes) < 0) return false;
    parse_to_hex(bytes, sizeof bytes, ret);
    return true;
}

static void note(struct finding *f, const char *path, const char *digest)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (strcmp(name, f->name) != 0) {
        f->others++;
        return;
    }
    if (f->named[0] && strcmp(f->named, digest) != 0) f->contradiction = true;
    snprintf(f->named, sizeof f->named, "%s", digest);
}

static void look_at_line(struct finding *f, char *line)
{
    static const char tag[] = "SHA256 (";
    char digest[SHA256_TEXT_MAX];
    char *end = strstr(line, ") = ");
    if (strncmp(line, tag, sizeof tag - 1) == 0 && end && read_digest(end + 4, digest)) {
        *end = '\0';
        note(f, line + sizeof tag - 1, digest);
        return;
    }
    if (!read_digest(line, digest)) return;
    const char *path = line + DIGITS;
    path += strspn(path, " \t");
    if (*path == '*') path++;
    if (*path) {
        note(f, path, digest);
        return;
    }
    f->nameless++;
    memcpy(f->only, digest, sizeof digest);
}

int checksum_file_find(const char *text, size_t len, const char *name, char ret[SHA256_TEXT_MAX], struct err *e)
{
    struct finding f = {.name = name};
    for (const char *end = text + len; text < end;) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t n = (size_t)((newline ? newline : end) - text);
        char line[LINE_MAX_BYTES];
        if (n < sizeof line && !memchr(text, '\0', n)) {
            memcpy(line, text, n);
            while (n > 0 && (line[n - 1] == '\r' || line[n - 1] == ' ')) n--;
            line[n] = '\0';
            look_at_line(&f, line);
        }
        text += n + 1;
    }
    if (f.contradiction)
        return err_set(e, ERR_SOURCE_FAILED, "The checksum file has two SHA-256 for \"%s\"", name);
    if (!f.named[0] && (f.nameless != 1 || f.others > 0))
        return err_set(e, ERR_SOURCE_FAILED, "The checksum file has no SHA-256 for \"%s\"", name);
    memcpy(ret, f.named[0] ? f.named : f.only, SHA256_TEXT_MAX);
    return 0;
}
