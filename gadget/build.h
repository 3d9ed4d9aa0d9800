/*
 * build.h - making, adopting and taking down the gadget in configfs.
 *
 * Everything here runs inside a sacrificial worker process: each call may enter uninterruptible sleep and never
 * return. The plan (plan.h) is pure: what should stand in configfs, in the order in which it must be made. This
 * file compares it with what is there and carries it out.
 */
#pragma once

#include "gadget/engine.h"

/* As GADGET_START in engine.h: looks, then builds, completes, adopts or refuses; binds where a UDC is there. */
void build_start(const struct gadget_config *c, struct gadget_result *ret);

/* The same, but what is not bound is not bound by it. */
void build_start_unbound(const struct gadget_config *c, struct gadget_result *ret);

/* Binds the gadget to the configured or the first UDC; ok and bound where it is bound already. */
void build_bind(const struct gadget_config *c, struct gadget_result *ret);

/* Unbinds; ok where it was not bound. Media stay in. */
void build_unbind(const struct gadget_config *c, struct gadget_result *ret);

/* Takes the gadget out of configfs, in the safe order. ok where there was none. */
void build_remove(const struct gadget_config *c, struct gadget_result *ret);

/* The directory of a drive's LUN, of its function and of the gadget: pure, anybody may call these. */
void build_lun_dir(const struct gadget_config *c, size_t drive, char *ret, size_t size);
void build_function_dir(const struct gadget_config *c, size_t drive, char *ret, size_t size);
void build_gadget_dir(const struct gadget_config *c, char *ret, size_t size);

/* Index of the drive's function in the order in which mass-storage functions are linked, and its LUN there. */
size_t build_function_index(const struct gadget_config *c, size_t drive);
size_t build_lun_index(const struct gadget_config *c, size_t drive);
size_t build_function_count(const struct gadget_config *c);
