/* What counts as a reset by the host, as sequences of what the controller says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "gadget/host_resets.h"

/* A step: U unbound, or the first letter of the state: C configured, D default, A addressed, N not attached,
 * S suspended; lower case: while we are attaching. A '+' lets HOST_RESETS_SETTLE pass. */
static const struct {
    const char *name, *steps;
    int resets;
} cases[] = {
    {"adopted and left alone", "CCC", 0},
    {"adopted, port reset", "CDDC", 1},
    {"counted when it leaves, not when it comes back", "CD", 1},
    {"three port resets", "CDCDACDDDC", 3},
    {"firmware and operating system", "CNDADCDDC", 2},
    {"cable pulled and put back", "CNC", 1},
    {"SET_CONFIGURATION again", "CCCC", 0},
    {"asleep and awake", "CSCSC", 0},
    {"asleep, then reset", "CSDC", 1},
    {"adopted while the host was off: its first enumeration is none", "NDAC", 0},
    {"and then a reset", "NDACDC", 1},
    {"built by us", "UCDDC", 0},
    {"built by us and seen at once, then reset", "UDCDC", 1},
    {"built by us, then reset", "UCDDCDC", 1},
    {"built by us, the host comes late", "UN+N+DC", 0},
    {"reattached: state stays configured, then the host's answer", "CcUuCcdDC", 0},
    {"reattached, answered, reset", "CuucddCDC", 1},
    {"reattached, and the answer was too quick to be seen", "CuuC+CDC", 1},
    {"reattached, the host is slow", "CuuCCD+DCDC", 1},
    {"lost while we detach", "Cdu", 0},
    {"detached for good", "CdU+U", 0},
};

static struct engine_link link_of(char step)
{
    static const struct {
        char letter;
        const char *state;
    } states[] = {{'C', "configured"}, {'D', "default"}, {'A', "addressed"}, {'N', "not attached"}, {'S', "suspended"}, {'U', "configured"}};
    char letter = (char)(step >= 'a' ? step - 32 : step);
    struct engine_link l = {.bound = letter != 'U', .configured = letter == 'C'};
    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        if (states[i].letter == letter) strcpy(l.state, states[i].state);
    return l;
}

static void sequences(void **state attr_unused)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct host_resets r = {0};
        msec now = 1000;
        int resets = 0;
        for (const char *p = cases[i].steps; *p; p++) {
            now += *p == '+' ? HOST_RESETS_SETTLE : 10;
            if (*p == '+') continue;
            struct engine_link l = link_of(*p);
            resets += host_resets_look(&r, &l, *p >= 'a', now);
        }
        if (resets != cases[i].resets) fail_msg("%s: %d resets, not %d", cases[i].name, resets, cases[i].resets);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sequences)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
