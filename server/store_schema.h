/*
 * store_schema.h - the tables, as the steps that lead to them.
 *
 * user_version is the number of steps that a database has seen. A step is never changed once it was released; a new
 * one goes to the end.
 */
#pragma once

extern const char *const store_schema_steps[];
extern const int store_schema_version; /* how many there are */
