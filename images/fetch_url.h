/*
 * fetch_url.h - the address of an image, as a client gives it. Pure.
 *
 * Only http and https. A user and password in it are taken out, so that the address can be kept and shown.
 */
#pragma once

#include "base/err.h"

#define FETCH_URL_MAX 2048        /* with NUL; signed addresses of object stores have some 1500 */
#define FETCH_CREDENTIAL_MAX 256

struct fetch_url {
    char text[FETCH_URL_MAX];     /* without user, password and fragment */
    char shown[FETCH_URL_MAX];    /* without the query as well: a signature there is as good as a password */
    char origin[FETCH_URL_MAX];   /* "https://host:port", in lower case */
    char name[256];               /* the path's last segment, decoded; "" where that cannot be a name */
    char username[FETCH_CREDENTIAL_MAX], password[FETCH_CREDENTIAL_MAX]; /* decoded; "" where there are none */
};

/* Returns 0, or -1 with *e (bad_request). The text of *e has no credentials in it. */
int fetch_url_parse(const char *text, struct fetch_url *ret, struct err *e);
