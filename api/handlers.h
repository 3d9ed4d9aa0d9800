/*
 * handlers.h - one function for each operation of openapi.json, named api_ and its operationId.
 *
 * The generated table (gen_routes.py) refers to them through these declarations: an operation without a handler, or
 * with one of the wrong kind, does not compile or link. Each is described where it is defined.
 */
#pragma once

#include "api/api.h"

/* drives.c */
extern api_handler api_list_drives, api_get_drive, api_get_medium, api_put_medium, api_delete_medium;

/* operations.c */
extern api_handler api_list_operations, api_get_operation, api_cancel_operation, api_force_operation;

/* schedules.c */
extern api_handler api_list_schedules, api_add_schedule, api_get_schedule, api_change_schedule, api_cancel_schedule;

/* audit.c */
extern api_handler api_list_audit;

/* images.c, image_content.c, image_upload.c */
extern api_handler api_list_images, api_get_image, api_edit_image, api_delete_image;
extern api_handler api_get_image_content, api_head_image_content;
extern api_opener api_put_image;

/* uploads.c */
extern api_handler api_describe_uploads, api_look_at_upload, api_delete_upload;
extern api_opener api_create_upload, api_continue_upload;

/* transfers.c */
extern api_handler api_list_transfers, api_get_transfer, api_cancel_transfer;

/* image_create.c, image_verify.c, image_files.c */
extern api_handler api_create_image, api_verify_image, api_list_image_files;

/* stores.c */
extern api_handler api_list_stores, api_get_store, api_rescan_store;

/* detach.c */
extern api_handler api_detach_store, api_attach_store;

/* events_stream.c */
extern api_handler api_stream_events;

/* break_io.c */
extern api_handler api_break_io;

/* gadget.c */
extern api_handler api_reattach_gadget, api_attach_gadget, api_detach_gadget, api_rebuild_gadget;

/* system.c */
extern api_handler api_get_system, api_get_openapi, api_get_health, api_get_readiness;

/* openapi.json without its blanks, from the generated file. */
extern const unsigned char api_openapi_json[];
extern const size_t api_openapi_json_len;
