/*
 * download.h - one download, as its thread knows it; for downloads.c and download.c only.
 */
#pragma once

#include "images/downloads.h"
#include "images/fetch_reply.h"
#include "images/fetch_url.h"
#include "images/unpacker.h"

struct download {
    struct download *next;          /* in the list of downloads.c */
    struct downloads *all;
    struct library *library;
    const struct fetch_config *config;
    struct job *job;

    char id[TRANSFER_ID_MAX];       /* constant from here */
    char store[STORE_REF_MAX], name[NAME_BYTES_MAX + 1];
    struct fetch_url url, sha256_url; /* the second one's text is "" where there is none */
    bool unpack;

    char sha256[SHA256_TEXT_MAX];   /* of what the server sends; "": nobody said */
    struct library_upload *upload;  /* one of these two, */
    struct library_piece *piece;
    struct unpacker *unpacker;      /* and this before the first where it is unpacked */
    int64_t offset, total;          /* of what the server sends: there already, and in all (-1: unknown) */
    char validator[FETCH_VALIDATOR_MAX];
    bool anew;                      /* what is there is of no use: it changed on the server */
    bool paused;                    /* shown so: it waits for the next try */
};

/* Does it, from the upload or the piece to the image, and ends that. */
void download_run(struct download *d);

/* What is remembered with a partial upload, and what it says. The text is malloc'd; NULL when out of memory. */
char *download_note(const struct download *d);
int download_note_parse(const char *note, struct download *d, bool *ret_credentials, struct err *e);
