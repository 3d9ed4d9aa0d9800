/*
 * downloads.h - images that are fetched from a URL into a store.
 *
 * A download is a transfer with a thread of its own (jobs.h) and a trayd-helper that does the fetching (fetch.h).
 *
 *   downloads_begin   the name is taken; all that can be wrong without asking the server is said at once
 *       |
 *   the checksum file, where there is one
 *       |
 *   the server's first answer: how long, which version
 *       |-- length and version known, not unpacked --> a partial upload (library.h): what came survives the end of the
 *       |                                              service, kill -9 and a power failure, and downloads_resume() goes on
 *       |-- otherwise -------------------------------> an upload in one piece; nothing of it survives
 *       |
 *   bytes; broken connections are mended in the helper, with pauses that grow. A file that changes on the server
 *   meanwhile is fetched anew, DOWNLOAD_CHANGES_MAX times
 *       |
 *   digest compared, image published
 *
 * A user name and a password stay in memory: a download that needed them and was interrupted waits until the same
 * address is asked for again, with them.
 */
#pragma once

#include "images/fetch_config.h"
#include "images/library.h"
#include "images/jobs.h"

#define DOWNLOAD_CHANGES_MAX 3

struct downloads;

struct download_request {
    const char *url;
    const char *name;                /* NULL: as the url's path ends */
    const char *store;               /* NULL or "": the default */
    const char *sha256, *sha256_url; /* of what the server sends; one of them or none: NULL */
    const char *username, *password; /* NULL: as in the url, if there */
    int unpack;                      /* 1, 0; -1: by the ending of the url's path */
    const char *user, *peer;         /* who asks */
};

/* The library and the jobs must live longer. NULL: out of memory. */
struct downloads *downloads_new(struct library *l, struct jobs *j, const struct fetch_config *config);
void downloads_free(struct downloads *d); /* after jobs_stop(); accepts NULL */

/*
 * Begins one, or joins the one of the same url, store and name that is under way. Returns 0 with the transfer's id; 1 with
 * the image's JSON in *ret_image, where it is there already with the digest that is asked for; or -1 with *e.
 */
int downloads_begin(struct downloads *d, const struct download_request *rq, char ret_id[TRANSFER_ID_MAX],
                    json_t **ret_image, struct err *e);

/* Goes on with those that an earlier life of the service left. At start. */
void downloads_resume(struct downloads *d);

/* What the image of that request will be called. `max` bytes at ret. Returns 0, or -1 with *e (bad_request). */
int download_name(const struct download_request *rq, const char *url_name, char *ret, size_t max, struct err *e);
