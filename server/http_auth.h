/*
 * http_auth.h - who is it, and may they?
 *
 * Every route names the role that it needs. Until there are users, whoever can reach the loopback address or the
 * unix socket is the administrator, and is called "local".
 */
#pragma once

#include "server/http_fields.h"

/* Returns 0 and the user's name, or -1 with *e: unauthorized or forbidden. */
int http_auth_check(const struct http_fields *f, enum api_role needed, const char **ret_user, struct err *e);
