/*
 * serial.h - a serial number for an appliance whose configuration has none.
 *
 * It must be the same after every start (hosts remember devices by it), another on every appliance (Windows confuses
 * two devices that have the same), and must not tell the machine's id, which is a secret (machine-id(5)): it is a hash
 * of half the id's length, so that what was lost cannot be computed.
 */
#pragma once

#include "base/util.h"

#define SERIAL_LEN 16 /* upper-case hexadecimal digits; USB mass storage wants 12 or more of just these (BOT, 4.1.1) */
#define SERIAL_UNKNOWN "0000000000000001" /* where the machine has nothing that tells it from others */

void serial_from_id(const char *id, char ret[SERIAL_LEN + 1]);

/* From /etc/machine-id, else from what the firmware calls the machine. Reads files. */
void serial_of_machine(char ret[SERIAL_LEN + 1]);
