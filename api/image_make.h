/*
 * image_make.h - PUT of a ZIP archive whose files become a disc: ?make=iso9660 or ?make=fat32.
 */
#pragma once

#include "api/api.h"

bool image_make_wanted(const struct api_request *rq);
struct api_sink *image_make_open(struct api *a, const struct api_request *rq, struct api_response *rs);

/*
 * What is to be done with what comes (convert.h), and the image's name: "drivers.zip" becomes "drivers.iso" or
 * "drivers.img". Returns 0, or -1 with *e: bad_request, invalid_name.
 */
int image_make_work(const char *kind, const char *label, const char *name, char ret_work[CONVERT_WORK_MAX],
                    char ret_name[NAME_BYTES_MAX + 1], struct err *e);
