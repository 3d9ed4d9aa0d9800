/*
 * record.h - what is remembered of an upload that can be continued, as the bytes of a small file. Pure.
 *
 *   0      a mark: the offset up to which all bytes are on the disk, with a number that grows and a check
 *   4096   another; they are written by turns, so that one survives a write that a power failure tore
 *   8192   the description, in JSON, which never changes
 *
 * The marks lie a block apart: what a torn write of the one spoils does not reach the other.
 */
#pragma once

#include "base/json.h"
#include "images/image.h"
#include "images/name.h"

#define RECORD_MARK_BYTES 64
#define RECORD_MARK_STEP 4096
#define RECORD_TEXT_AT (2 * RECORD_MARK_STEP)
#define RECORD_TEXT_MAX (64 * 1024)     /* names and the note, with every byte escaped */
#define RECORD_NOTE_MAX (4 * 1024)      /* as long as a header line can be */
#define RECORD_WORD_MAX 64              /* who and how */

struct record {
    char name[NAME_BYTES_MAX + 1], folder[FOLDER_PATH_MAX];
    int64_t size;
    char sha256[SHA256_TEXT_MAX];  /* what the content must have; "": none was declared */
    bool replace;                  /* the name existed */
    char if_match[IMAGE_ETAG_MAX]; /* of what is replaced; "": any */
    msec started;                  /* real time */
    uint64_t inode;                /* of the data, by which a finished image is known again */
    char method[RECORD_WORD_MAX], user[RECORD_WORD_MAX], peer[RECORD_WORD_MAX];
    char work[RECORD_WORD_MAX];     /* to be done when all is here, before it is an image (convert.h); "": none */
    char note[RECORD_NOTE_MAX + 1]; /* of whoever made it: not looked at here */
};

/* malloc'd; NULL when out of memory. */
char *record_format(const struct record *r);
int record_parse(const char *text, size_t len, struct record *ret, struct err *e);

struct record_mark {
    int64_t offset;
    uint64_t number;
};

void record_mark_format(const struct record_mark *m, char ret[RECORD_MARK_BYTES + 1]);
bool record_mark_parse(const char text[RECORD_MARK_BYTES], struct record_mark *ret);

/* Where the mark of that number lies. */
static inline off_t record_mark_at(uint64_t number)
{
    return (off_t)(number % 2) * RECORD_MARK_STEP;
}
