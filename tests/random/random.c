/*
 * random.c - random_tool SEED SECONDS: acts for so many seconds in rounds, and compares after each.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "tests/random/random.h"

#define ROUND_LEAST 4000 /* ms */
#define ROUND_MORE 6000

static struct actor operators[DRIVES], computers[DRIVES], chaos;

static void make_threads(uint64_t seed)
{
    char name[32];
    for (unsigned i = 0; i < DRIVES; i++) {
        operators[i] = (struct actor){.drive = (int)i, .dice = dice_new(seed, 2 * i)};
        computers[i] = (struct actor){.drive = (int)i, .dice = dice_new(seed, 2 * i + 1)};
        snprintf(name, sizeof name, "operator of %s", drives[i].name);
        rounds_thread(name, operator_act, &operators[i]);
        snprintf(name, sizeof name, "host of %s", drives[i].name);
        rounds_thread(name, computer_act, &computers[i]);
    }
    chaos = (struct actor){.dice = dice_new(seed, 2 * DRIVES)};
    rounds_thread("chaos", chaos_act, &chaos);
}

int main(int argc, char **argv)
{
    uint64_t seconds;
    if (argc != 3 || parse_u64(argv[1], &journal_seed) < 0 || parse_u64(argv[2], &seconds) < 0) {
        fprintf(stderr, "usage: random_tool SEED SECONDS\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN); /* a service that is killed while it is spoken to */
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("seed %" PRIu64 "\n", journal_seed);
    images_make();
    kernel_log_read();
    make_threads(journal_seed);
    struct dice dice = dice_new(journal_seed, 2 * DRIVES + 1);
    msec end = clock_boot_ms() + (msec)seconds * 1000;
    unsigned rounds = 0;
    while (clock_boot_ms() < end) {
        journal("round %u", ++rounds);
        check_begin();
        rounds_begin();
        usleep((ROUND_LEAST + dice_below(&dice, ROUND_MORE)) * 1000);
        rounds_rest();
        chaos_repair();
        check_all();
    }
    printf("%u rounds without a disagreement\n", rounds);
    check_totals();
    return 0;
}
