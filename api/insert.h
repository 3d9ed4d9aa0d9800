/*
 * insert.h - what a body says of an insert: now (PUT medium) or later (a schedule).
 *
 * Checked here for the better answer; trayd-gadget checks all of it again.
 */
#pragma once

#include "api/api.h"
#include "base/parse.h"

#define PATIENCE_LIMIT (24 * 3600 * 1000) /* ms: somebody may want the medium back tomorrow; after that, ask again */
#define STORE_TEXT_MAX 1024               /* a store and folders in it; the library says what it really takes */
#define WORD_MAX 24

struct insert {
    char image[NAME_BYTES_MAX + 1], store[STORE_TEXT_MAX];
    char mode[WORD_MAX], on_timeout[WORD_MAX], lock_policy[WORD_MAX], swap[WORD_MAX], type[WORD_MAX];
    msec patience;
    bool readonly, accept_stale_host, reattach, allow_collateral;
    bool has_patience, has_readonly;
};

/* Returns 0, or -1 with *e. */
int insert_read(const json_t *body, struct insert *in, struct err *e);

/* The image as the library knows it, a new reference; NULL with *e where there is none. It may be incomplete. */
json_t *insert_find_image(struct api *a, const struct insert *in, struct err *e);

/* Puts the members of the request to trayd-gadget; only what was said goes on: it knows the drive's defaults. */
void insert_put(json_t *request, const struct insert *in, const json_t *image);

/* For these members in a request that is made member by member: nothing where they were not given. */
void put_given_text(json_t *request, const char *name, const char *value);
void put_given_flag(json_t *request, const char *name, bool value);

/* Is `word`, where given, one of `choices`? 0, or -1 with *e. */
int check_word(const char *name, const char *word, const char *const *choices, struct err *e);
