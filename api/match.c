/*
 * match.c - which route a request means.
 *
 * The table is sorted with literal segments before parameters (gen_routes.py), so the first template that fits is
 * the most literal one; its methods then decide. With some tens of routes of a few segments, a walk over the table
 * costs less than the request's own parsing did.
 */
#include <stdio.h>
#include <string.h>

#include "api/http.h"

static const char *const method_names[API_METHODS] = {
    [API_GET] = "GET",     [API_HEAD] = "HEAD",     [API_PUT] = "PUT",         [API_POST] = "POST",
    [API_PATCH] = "PATCH", [API_DELETE] = "DELETE", [API_OPTIONS] = "OPTIONS",
};

static bool fits(const char *template, const char *const *segments, size_t count,
                 const char *ret_params[API_PARAMS_MAX])
{
    size_t params = 0;
    for (size_t i = 0; i < count; i++) {
        if (*template != '/') return false;
        template++;
        size_t len = strcspn(template, "/");
        if (*template == '{') {
            if (!segments[i][0] || params == API_PARAMS_MAX) return false;
            ret_params[params++] = segments[i];
        } else if (strlen(segments[i]) != len || memcmp(segments[i], template, len) != 0) {
            return false;
        }
        template += len;
    }
    return *template == '\0';
}

static void allow_add(char allow[80], enum api_method m)
{
    size_t len = strlen(allow);
    snprintf(allow + len, 80 - len, "%s%s", len ? ", " : "", method_names[m]);
}

const struct api_route *api_match(enum api_method m, const char *const *segments, size_t count,
                                  const char *ret_params[API_PARAMS_MAX], char allow[80], enum err_code *ret_code)
{
    const struct api_route *first = api_routes, *get = NULL;
    while (first->template && !fits(first->template, segments, count, ret_params)) first++;
    if (!first->template) {
        *ret_code = ERR_NOT_FOUND;
        return NULL;
    }
    bool has_head = false;
    allow[0] = '\0';
    for (const struct api_route *r = first; r->template && strcmp(r->template, first->template) == 0; r++) {
        if (r->method == m) return r;
        if (r->method == API_GET) get = r;
        if (r->method == API_HEAD) has_head = true;
        allow_add(allow, r->method);
    }
    if (get && m == API_HEAD) return get;
    if (get && !has_head) allow_add(allow, API_HEAD);
    *ret_code = ERR_METHOD_NOT_ALLOWED;
    return NULL;
}
