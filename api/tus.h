/*
 * tus.h - the header fields of the tus protocol 1.0 (https://tus.io/protocols/resumable-upload). Pure.
 */
#pragma once

#include <stdbool.h>

#include "api/digest.h"
#include "base/parse.h"
#include "images/make.h"
#include "images/name.h"

#define TUS_VERSION "1.0.0"
#define TUS_EXTENSIONS "creation,creation-with-upload,checksum,termination,expiration"
#define TUS_PIECE_TYPE "application/offset+octet-stream"

/* Of the lists in order of strength; the names are those of the protocol. */
enum tus_algorithm { TUS_SHA256, TUS_SHA1, TUS_MD5, TUS_NO_CHECKSUM };
#define TUS_ALGORITHMS "sha256,sha1,md5"
#define TUS_CHECKSUM_MAX 32 /* bytes of a SHA-256 */

struct tus_checksum {
    enum tus_algorithm algorithm;
    uint8_t bytes[TUS_CHECKSUM_MAX];
    size_t len;
};

/* Upload-Offset and Upload-Length: decimal digits, at most INT64_MAX. value: NULL where the field is missing, which is
 * an error. */
int tus_number(const char *field, const char *value, int64_t *ret, struct err *e);

/* Upload-Checksum: "sha1 BASE64". value: NULL where there is none. */
int tus_checksum_parse(const char *value, struct tus_checksum *ret, struct err *e);

/* What we use of Upload-Metadata; "" where it is not there. */
struct tus_metadata {
    char name[NAME_BYTES_MAX + 1]; /* of the key "name", or else "filename" */
    char store[STORE_REF_MAX];
    char sha256[SHA256_HEX_SIZE];
    char unpack[6]; /* "true", "false" */
    char make[16], label[MAKE_LABEL_MAX + 1]; /* make.h */
};

/* "key BASE64,key2 BASE64,key3": all of it must be well-formed, each key once. value: NULL where there is none. */
int tus_metadata_parse(const char *value, struct tus_metadata *ret, struct err *e);
