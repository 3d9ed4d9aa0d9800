/*
 * model_search.h - walks the states of a world that a model checker looks at, breadth first, so that the trail of a
 * violation is a shortest one.
 *
 * A world is a struct of `size` bytes. States that cannot differ in their future have the same fingerprint, and are walked
 * once. Worlds are kept until they were expanded; of those behind only the step that led there remains, for the trail.
 *
 * A fingerprint that forgets something would hide states, and nobody would notice. So of some of the fingerprints each
 * world that has them is looked at: the steps that can be taken from it, and where they lead, must be the same.
 *
 * Include after cmocka.h.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define SEARCH_HOW_MAX 44     /* bytes of what is said of a step */
#define SEARCH_CHUNK 1024     /* worlds that are allocated together */

struct search;

struct model {
    size_t size;                                /* of a world as it is kept */
    void (*keep)(char *kept, const void *world); /* NULL: its first bytes */
    uint64_t (*fingerprint)(const void *world); /* never 0 */
    const char *(*violation)(const void *world);
    void (*expand)(struct search *s, const void *kept); /* calls search_add() for each step that can be taken */
    unsigned one_of;                            /* so many fingerprints is held to what is said above; 0: none */
};

struct search_node {
    int parent;
    char how[SEARCH_HOW_MAX];
};

struct search {
    const struct model *model;
    struct search_node *nodes;
    int len, max, states_max, at; /* at: the one being expanded */
    char **chunks;
    uint64_t *seen;
    size_t seen_max;
    int violating;                /* node; -1: none */
    const char *violation;
    uint64_t *futures;            /* what the steps from a world lead to, in the place of its fingerprint in `seen`; 0: unknown */
    bool only_looking;            /* expand() is called for that, and adds nothing: */
    uint64_t future;
    char *scratch;                /* one world as it is kept */
};

static inline uint64_t search_mix(uint64_t h, uint64_t v)
{
    h ^= v + 0x9e3779b97f4a7c15u + (h << 6) + (h >> 2);
    h *= 0xff51afd7ed558ccdu;
    return h ^ (h >> 33);
}

static inline uint64_t search_mix_all(uint64_t h, const uint64_t *values, size_t len)
{
    for (size_t i = 0; i < len; i++) h = search_mix(h, values[i]);
    return h;
}

static inline size_t search_place(const struct search *s, uint64_t h)
{
    size_t i = h & (s->seen_max - 1);
    while (s->seen[i] && s->seen[i] != h) i = (i + 1) & (s->seen_max - 1);
    return i;
}

static inline bool search_is_new(struct search *s, uint64_t h)
{
    size_t i = search_place(s, h);
    if (s->seen[i]) return false;
    s->seen[i] = h;
    return true;
}

static inline void search_keep(const struct search *s, char *kept, const void *world)
{
    if (s->model->keep)
        s->model->keep(kept, world);
    else
        memcpy(kept, world, s->model->size);
}

/* Where the steps from the world in `scratch` lead, in any order. */
static inline uint64_t search_future(struct search *s)
{
    s->only_looking = true;
    s->future = 1;
    s->model->expand(s, s->scratch);
    s->only_looking = false;
    return s->future ? s->future : 1;
}

/* Returns false where another world of that fingerprint has another future than the one in `scratch`. */
static inline bool search_is_alike(struct search *s, uint64_t h)
{
    if (!s->model->one_of || (h >> 32) % s->model->one_of != 0) return true;
    uint64_t *known = &s->futures[search_place(s, h)], future = search_future(s);
    if (*known == 0) *known = future;
    return *known == future;
}

static inline void search_note_step(struct search *s, const void *world)
{
    s->future += search_mix(7, s->model->violation(world) ? 1 : s->model->fingerprint(world));
}

static inline char *search_world(const struct search *s, int node)
{
    return s->chunks[node / SEARCH_CHUNK] + (size_t)(node % SEARCH_CHUNK) * s->model->size;
}

static inline void search_add(struct search *s, const void *world, const char *how)
{
    if (s->only_looking) {
        search_note_step(s, world);
        return;
    }
    const char *violation = s->model->violation(world);
    if (s->violation || s->len == s->states_max) return;
    uint64_t h = s->model->fingerprint(world);
    bool is_new = search_is_new(s, h);
    search_keep(s, s->scratch, world); /* expand() may have but one place for a world that it makes */
    if (!violation && !search_is_alike(s, h)) violation = "a fingerprint of two futures";
    if (!violation && !is_new) return;
    if (s->len == s->max) {
        s->max = s->max ? s->max * 2 : 4096;
        s->nodes = realloc(s->nodes, (size_t)s->max * sizeof *s->nodes);
        assert_non_null(s->nodes);
    }
    char **chunk = &s->chunks[s->len / SEARCH_CHUNK];
    if (!*chunk) *chunk = malloc(SEARCH_CHUNK * s->model->size);
    assert_non_null(*chunk);
    memcpy(search_world(s, s->len), s->scratch, s->model->size);
    s->nodes[s->len].parent = s->at;
    snprintf(s->nodes[s->len].how, SEARCH_HOW_MAX, "%s", how);
    s->violation = violation;
    if (violation) s->violating = s->len;
    s->len++;
}

/* Returns what was violated, or NULL; s->at < s->len tells that states_max was reached. search_done() afterwards. */
static inline const char *search_run(struct search *s, const struct model *m, const void *start, int states_max)
{
    *s = (struct search){.model = m, .states_max = states_max, .at = -1, .violating = -1, .seen_max = 1u << 16};
    while (s->seen_max < (size_t)states_max * 2) s->seen_max *= 2;
    s->seen = calloc(s->seen_max, sizeof *s->seen);
    s->futures = m->one_of ? calloc(s->seen_max, sizeof *s->futures) : NULL;
    s->chunks = calloc((size_t)states_max / SEARCH_CHUNK + 1, sizeof *s->chunks);
    s->scratch = malloc(m->size);
    assert_non_null(s->seen);
    assert_non_null(s->scratch);
    assert_true(s->futures || !m->one_of);
    assert_non_null(s->chunks);
    search_add(s, start, "start");
    for (s->at = 0; s->at < s->len && s->len < s->states_max && !s->violation; s->at++) {
        m->expand(s, search_world(s, s->at));
        if (s->at % SEARCH_CHUNK != SEARCH_CHUNK - 1) continue;
        free(s->chunks[s->at / SEARCH_CHUNK]);
        s->chunks[s->at / SEARCH_CHUNK] = NULL;
    }
    return s->violation;
}

static inline bool search_was_bounded(const struct search *s)
{
    return s->at < s->len && !s->violation;
}

static inline void search_tell_trail(const struct search *s)
{
    int *steps = calloc((size_t)s->len + 1, sizeof *steps), len = 0;
    assert_non_null(steps);
    for (int i = s->violating; i >= 0; i = s->nodes[i].parent) steps[len++] = i;
    while (len > 0) print_message("  %s\n", s->nodes[steps[--len]].how);
    free(steps);
}

static inline void search_done(struct search *s)
{
    for (int i = 0; i <= s->states_max / SEARCH_CHUNK; i++) free(s->chunks[i]);
    free(s->chunks);
    free(s->seen);
    free(s->futures);
    free(s->scratch);
    free(s->nodes);
}
