/*
 * err.h - one vocabulary of errors for the API, both processes and the documentation.
 *
 * A function that can fail returns an `int` that is negative when it failed, and fills a `struct err` that its
 * caller owns: the code of the API's vocabulary, the errno (0 if none) and one sentence that says what was wrong,
 * made where the cause is known. A function either logs an error or returns it, never both.
 *
 * The table below is the only list of codes. It makes the enum, the names on the wire, the HTTP status, the
 * title of the problem document and the remedy; docs/errors.md is made from it.
 */
#pragma once

#include "base/util.h"

/*        enum                      code on the wire              status  title and remedy */
#define ERR_TABLE(X)                                                                                              \
    X(ERR_BAD_REQUEST,              "bad_request",                400, "The request is malformed",                \
      "Correct the request; the detail names the offending part.")                                                \
    X(ERR_INVALID_NAME,             "invalid_name",               400, "The name cannot be used",                 \
      "Use a UTF-8 name (NFC) of at most 255 bytes without '/', control characters or a leading dot.")            \
    X(ERR_UNAUTHORIZED,             "unauthorized",               401, "Authentication is needed",                \
      "Send a valid token.")                                                                                      \
    X(ERR_ABORTED,                  "aborted",                    400, "The client went away",                    \
      "Send it again; what was begun under /api/v1/uploads goes on where it stopped.")                            \
    X(ERR_FORBIDDEN,                "forbidden",                  403, "This is not allowed",                     \
      "Use an account with the role that this needs, and call from the same origin.")                             \
    X(ERR_NOT_FOUND,                "not_found",                  404, "There is no such thing here",             \
      "Check the name; lists are under /api/v1/.")                                                                \
    X(ERR_IMAGE_MISSING,            "image_missing",              404, "There is no such image",                  \
      "List the images of that store, or upload it first.")                                                       \
    X(ERR_NO_MEDIUM,                "no_medium",                  404, "The drive is empty",                      \
      "Insert an image first.")                                                                                   \
    X(ERR_METHOD_NOT_ALLOWED,       "method_not_allowed",         405, "This method does not apply here",         \
      "Use one of the methods in the Allow header.")                                                              \
    X(ERR_REQUEST_TIMEOUT,          "request_timeout",            408, "The request came too slowly",             \
      "Send it again, without pauses.")                                                                           \
    X(ERR_EXISTS,                   "exists",                     409, "The name is taken",                       \
      "Delete it first, choose another name, or replace it with If-Match.")                                       \
    X(ERR_IMAGE_IN_USE,             "image_in_use",               409, "The image is in a drive",                 \
      "Eject it first.")                                                                                          \
    X(ERR_IMAGE_INCOMPLETE,         "image_incomplete",           409, "The image is not complete",               \
      "Finish or repeat the upload.")                                                                             \
    X(ERR_EARLIER_FAILED,           "earlier_operation_failed",   409, "An operation before this one failed",     \
      "Look at the drive as it is now, and ask again.")                                                           \
    X(ERR_CANCELLED,                "cancelled",                  409, "The operation was cancelled",             \
      "Ask again if it is still wanted.")                                                                         \
    X(ERR_TOO_LATE,                 "too_late",                   409, "The operation cannot be changed any more", \
      "Look at the operation; what it does to the drive now cannot be taken back.")                               \
    X(ERR_COLLATERAL_IN_USE,        "collateral_in_use",          409, "Another drive would be disturbed",        \
      "Eject the other drive first, or allow it with allow_collateral=true.")                                     \
    X(ERR_FORCED_UNAVAILABLE,       "forced_eject_unavailable",   409, "This kernel cannot force an eject",       \
      "Unmount or eject on the host, then eject orderly; or reattach the gadget.")                                \
    X(ERR_REATTACH_NOT_ALLOWED,     "reattach_not_allowed",       409, "Policy forbids a reattach",               \
      "Set reattach = \"last_resort\" or \"allowed\" in the configuration.")                                      \
    X(ERR_MEDIUM_DIFFERS,           "medium_differs",             409, "The same image is in, differently",       \
      "Eject it first, then insert it as wanted.")                                                                \
    X(ERR_STALE_HOST,               "stale_host",                 409, "The host may still hold writes for the old medium", \
      "Insert read-only, ask for a reattach with \"reattach\": true, or take the risk with \"accept_stale_host\": true.") \
    X(ERR_STORE_DETACHED,           "store_detached",             409, "The store is not attached",               \
      "Attach the store first.")                                                                                  \
    X(ERR_STORE_IN_USE,             "store_in_use",               409, "Something uses the store",                 \
      "End what the detail names (fuser -vm shows programs with open files), and ask again.")                     \
    X(ERR_STORE_READ_ONLY,          "store_read_only",            409, "The store is read-only",                  \
      "Use another store.")                                                                                       \
    X(ERR_GADGET_DETACHED,          "gadget_detached",            409, "No USB device controller is bound",       \
      "Attach the gadget, or wait for the controller to appear.")                                                 \
    X(ERR_GADGET_DIFFERS,           "gadget_differs",             409, "The gadget is not as configured",         \
      "See the differences under /api/v1/system, and rebuild the gadget when no host needs it.")                  \
    X(ERR_OFFSET_DIFFERS,           "offset_differs",             409, "The upload stands at another offset",     \
      "Ask with HEAD where it stands, and go on from there.")                                                     \
    X(ERR_UPLOAD_EXPIRED,           "upload_expired",             410, "The upload was thrown away",              \
      "Begin a new one; Upload-Expires says how long one is kept.")                                               \
    X(ERR_SOURCE_FORBIDDEN,         "source_forbidden",           403, "That address may not be contacted",        \
      "Use another address, or allow this kind in the section fetch of the configuration.")                       \
    X(ERR_LENGTH_REQUIRED,          "length_required",            411, "A Content-Length is needed",              \
      "Send the length of the body.")                                                                             \
    X(ERR_PRECONDITION,             "precondition_failed",        412, "The precondition does not hold",          \
      "Read the current state, and decide again.")                                                                \
    X(ERR_TOO_LARGE,                "too_large",                  413, "The request is too large",                \
      "Send less; the detail names the limit.")                                                                   \
    X(ERR_URI_TOO_LONG,             "uri_too_long",               414, "The address is too long",                 \
      "Shorten the path or the query.")                                                                           \
    X(ERR_MEDIA_TYPE,               "unsupported_media_type",     415, "This content type is not understood",     \
      "Send application/json.")                                                                                   \
    X(ERR_RANGE,                    "range_not_satisfiable",      416, "The range lies outside the image",        \
      "Ask for a range within the size given in Content-Range.")                                                  \
    X(ERR_MISDIRECTED,              "misdirected",                421, "This host name is not served here",       \
      "Use the address that the service was configured for, or add the name to server.hosts.")                    \
    X(ERR_TOO_LARGE_FOR_CDROM,      "image_too_large_for_cdrom",  422, "The image is too large for a CD drive",   \
      "Insert it into a disk drive (usb0): hybrid ISO images boot from there as well.")                           \
    X(ERR_TOO_SMALL_FOR_CDROM,      "image_too_small_for_cdrom",  422, "The image is too small for a CD drive",   \
      "A CD needs at least 614400 bytes (300 sectors): pad the image, or use a disk drive.")                      \
    X(ERR_IMAGE_UNUSABLE,           "image_unusable",             422, "This file cannot be a medium",            \
      "Use a regular file or a block device of at least one 512-byte sector.")                                    \
    X(ERR_DRIVE_TYPE_DIFFERS,       "drive_type_differs",         422, "The drive is of another type",            \
      "Use a drive of that type, or change this one's under /type.")                                              \
    X(ERR_UNMOUNT_UNAVAILABLE,      "unmount_unavailable",        422, "The store cannot be unmounted",            \
      "Detach it without unmount, and unmount it yourself where it is a mount.")                                  \
    X(ERR_STORE_CANNOT,             "store_cannot",               422, "The store's file system cannot do this",     \
      "Use a store on a file system with permissions and extended attributes, such as ext4.")                     \
    X(ERR_DIGEST_MISMATCH,          "digest_mismatch",            422, "The content does not match its digest",   \
      "Upload it again; compare the file with its source.")                                                       \
    X(ERR_ARCHIVE_UNUSABLE,         "archive_unusable",           422, "The archive cannot be unpacked",           \
      "Unpack it elsewhere and upload the image, or store it as it is with unpack=false.")                        \
    X(ERR_FILES_UNKNOWN,            "files_unknown",              422, "The files inside cannot be listed",        \
      "Insert the image, and look at it on the host.")                                                            \
    X(ERR_FILES_UNUSABLE,           "files_unusable",             422, "These files cannot become a disc",        \
      "Rename or leave out what the detail names, or make another kind of disc.")                                 \
    X(ERR_MEDIUM_IN_USE,            "medium_in_use",              423, "The host is using the medium",            \
      "Unmount it on the host and ask again, wait longer with patience=, or use mode=forced.")                    \
    X(ERR_UPLOAD_BUSY,              "upload_busy",                423, "The upload is being received already",    \
      "Let the other request end; HEAD ends one whose client is gone.")                                           \
    X(ERR_HEADERS_TOO_LARGE,        "headers_too_large",          431, "The header fields are too large",         \
      "Send fewer or shorter header fields.")                                                                     \
    X(ERR_TOO_MANY_REQUESTS,        "too_many_requests",          429, "Too much is asked at once",               \
      "Wait for what is under way, and ask again.")                                                               \
    X(ERR_CHECKSUM_MISMATCH,        "checksum_mismatch",          460, "The piece does not match its checksum",   \
      "Send this piece again; nothing of it was kept.")                                                           \
    X(ERR_INTERNAL,                 "internal",                   500, "Something failed that should not",        \
      "See the service's log.")                                                                                   \
    X(ERR_NOT_IMPLEMENTED,          "not_implemented",            501, "This method is not known here",           \
      "Use GET, HEAD, PUT, POST, PATCH, DELETE or OPTIONS.")                                                      \
    X(ERR_SOURCE_FAILED,            "source_failed",              502, "The image could not be fetched",           \
      "Check the address and its server, and ask again.")                                                         \
    X(ERR_UNAVAILABLE,              "unavailable",                503, "The service is not able to do this now",  \
      "Try again in a moment.")                                                                                   \
    X(ERR_DRIVE_STUCK,              "drive_stuck",                503, "The drive does not answer",               \
      "See what it waits for; it recovers by itself when that comes back.")                                       \
    X(ERR_QUARANTINE,               "quarantine",                 503, "The drive must stay empty for now",       \
      "Try again after Retry-After, or reattach the gadget.")                                                     \
    X(ERR_INTERRUPTED,              "interrupted",                503, "The service was restarted meanwhile",     \
      "Look at the drive as it is now, and ask again.")                                                           \
    X(ERR_NO_SPACE,                 "no_space",                   507, "The store is full",                       \
      "Delete images, or use another store.")

enum err_code {
    ERR_NONE = 0,
#define X(sym, name, status, title, remedy) sym,
    ERR_TABLE(X)
#undef X
    ERR_COUNT,
};

#define ERR_TEXT_MAX 512 /* one sentence, with a name of 255 bytes in it */

struct err {
    enum err_code code;
    int errnum; /* positive errno, or 0 */
    char text[ERR_TEXT_MAX];
};

/* Fills *e (which may be NULL) and returns -1, so that a caller can `return err_set(...)`. */
int err_set(struct err *e, enum err_code code, const char *fmt, ...) attr_printf(3, 4);

/* The same with an errno, whose name is appended to the text after ": ". */
int err_set_errno(struct err *e, enum err_code code, int errnum, const char *fmt, ...) attr_printf(4, 5);

/* Puts "prefix: " before the text that is there already. Returns -1. */
int err_prefix(struct err *e, const char *fmt, ...) attr_printf(2, 3);

const char *err_name(enum err_code code);   /* "medium_in_use"; "ok" for ERR_NONE */
const char *err_title(enum err_code code);
const char *err_remedy(enum err_code code);
int err_status(enum err_code code);         /* HTTP status; 200 for ERR_NONE */
enum err_code err_from_name(const char *name); /* ERR_INTERNAL for a name that is not in the table */

/* A code for an errno of a file operation: ENOENT not_found, ENOSPC no_space, EROFS store_read_only, ... */
enum err_code err_code_for_errno(int errnum);

/* include/linux/errno.h: internal to the kernel, but drivers/usb/gadget/function/storage_common.c lets it out. */
#define KERNEL_ETOOSMALL 525

/* As strerror(), but safe in threads, and knowing errno 525, which only the mass-storage gadget uses. */
const char *err_strerror(int errnum);
