/*
 * notify.h - telling systemd that the service is ready, or stops (sd_notify(3)); nothing happens elsewhere.
 */
#pragma once

void notify_systemd(const char *state); /* "READY=1", "STOPPING=1" */
