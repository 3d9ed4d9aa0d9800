/*
 * digest.h - Repr-Digest and Content-Digest (RFC 9530): what a client says the content must be. Pure.
 */
#pragma once

#include "base/err.h"

#define SHA256_HEX_SIZE 65

/*
 * Takes the SHA-256 out of a field value such as "sha-512=:...:, sha-256=:47DE...=:" as 64 hexadecimal digits.
 * Returns 1, 0 where the field names other algorithms only, -1 with *e where it is malformed.
 */
int digest_parse(const char *header_name, const char *value, char ret_hex[SHA256_HEX_SIZE], struct err *e);
