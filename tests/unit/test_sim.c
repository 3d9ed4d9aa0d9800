/* The simulated kernel and host, by themselves. That they answer as real ones do is shown by tests/conformance. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "gadget/sim.h"

static struct sim_lun lun;
static msec now;
static const struct engine_medium cd = {.present = true, .readonly = true, .inode = 7, .size = 1049000, .path = "/a.iso"};
static const struct engine_medium disk = {.present = true, .inode = 8, .size = 70000, .path = "/d.img"};

static int fresh(void **state attr_unused)
{
    lun = (struct sim_lun){.sector = 512};
    now = 1000;
    return 0;
}

static struct engine_result order(enum drive_do what, bool readonly, const struct engine_medium *opened)
{
    struct engine_result r = {0};
    const struct engine_order o = {.what = what, .ticket = 1, .readonly = readonly};
    sim_order(&lun, &o, opened, true, &r);
    assert_true(r.medium_known);
    assert_int_equal(r.medium.present, lun.medium.present);
    return r;
}

static void insert(const struct engine_medium *m)
{
    assert_int_equal(order(DO_INSERT, m->readonly, m).outcome, OUTCOME_OK);
}

static int host(const char *verb, const char *argument)
{
    bool left;
    struct err e;
    return sim_host(&lun, verb, argument, now, &left, &e);
}

static void an_image_goes_in_and_comes_out(void **state attr_unused)
{
    insert(&disk);
    assert_false(lun.medium.readonly);
    assert_string_equal(lun.medium.path, "/d.img");
    assert_int_equal(order(DO_OBSERVE, false, &cd).medium.inode, 8);
    assert_int_equal(order(DO_ASK, false, &cd).outcome, OUTCOME_OK);
    assert_false(lun.medium.present);
}

static void nothing_goes_in_on_top_of_another(void **state attr_unused)
{
    insert(&disk);
    assert_int_equal(order(DO_INSERT, true, &cd).outcome, OUTCOME_ERROR);
    assert_int_equal(lun.medium.inode, 8);
}

static void whoever_has_it_open_locks_it(void **state attr_unused)
{
    static const char *const openers[][4] = {
        {"lock", "", "unlock", ""}, {"reading", "on", "reading", "off"}, {"writing", "on", "writing", "off"}};
    for (size_t i = 0; i < ARRAY_LEN(openers); i++) {
        insert(&disk);
        assert_int_equal(host(openers[i][0], openers[i][1]), 0);
        assert_int_equal(order(DO_ASK, false, &disk).outcome, OUTCOME_BUSY);
        assert_int_equal(order(DO_SWAP, false, &disk).outcome, OUTCOME_BUSY);
        assert_true(lun.medium.present);
        assert_int_equal(host(openers[i][2], openers[i][3]), 0);
        assert_int_equal(order(DO_ASK, false, &disk).outcome, OUTCOME_OK);
    }
}

static void two_openers_are_two_locks(void **state attr_unused)
{
    insert(&disk);
    host("lock", "");
    host("reading", "on");
    host("reading", "off");
    assert_int_equal(order(DO_ASK, false, &disk).outcome, OUTCOME_BUSY);
}

static void force_asks_nobody_and_ends_what_the_host_did(void **state attr_unused)
{
    insert(&disk);
    host("lock", "");
    host("writing", "on");
    assert_int_equal(order(DO_FORCE, false, &disk).outcome, OUTCOME_OK);
    assert_false(lun.medium.present);
    assert_false(lun.writing);
    insert(&disk);
    assert_int_equal(order(DO_ASK, false, &disk).outcome, OUTCOME_OK); /* the old lock is not the new medium's */
}

static void a_kernel_without_force_says_so(void **state attr_unused)
{
    struct engine_result r = {0};
    insert(&disk);
    sim_order(&lun, &(struct engine_order){.what = DO_FORCE}, &disk, false, &r);
    assert_int_equal(r.outcome, OUTCOME_ERROR);
    assert_int_equal(r.err.code, ERR_FORCED_UNAVAILABLE);
    assert_true(lun.medium.present);
}

/* The kernel takes `ro` in an empty drive only. */
static void a_swap_keeps_what_is_writable(void **state attr_unused)
{
    insert(&cd);
    struct engine_medium other = cd;
    other.inode = 9;
    assert_int_equal(order(DO_SWAP, true, &other).outcome, OUTCOME_OK);
    assert_int_equal(lun.medium.inode, 9);
    assert_int_equal(order(DO_SWAP, false, &disk).err.code, ERR_MEDIUM_DIFFERS);
    assert_int_equal(lun.medium.inode, 9);
}

static void the_host_ejects_whoever_has_it_open(void **state attr_unused)
{
    bool left = false;
    struct err e;
    insert(&cd);
    host("lock", "");
    assert_int_equal(sim_host(&lun, "eject", "", now, &left, &e), 0);
    assert_true(left);
    assert_false(lun.medium.present);
    assert_int_equal(sim_host(&lun, "eject", "", now, &left, &e), -1);
    assert_int_equal(e.code, ERR_NO_MEDIUM);
    assert_false(left);
}

static void bytes_are_counted(void **state attr_unused)
{
    insert(&disk);
    uint64_t commands = lun.commands;
    assert_int_equal(host("read", "4KiB"), 0);
    assert_int_equal(host("write", "100"), 0);
    assert_int_equal(lun.bytes_read, 4096);
    assert_int_equal(lun.bytes_written, 100);
    assert_int_equal(lun.commands, commands + 2);
}

static void full_speed_goes_on_until_it_ends(void **state attr_unused)
{
    insert(&disk);
    assert_int_equal(host("reading", "on"), 0);
    assert_true(sim_run(&lun, now + 10));
    assert_int_equal(lun.bytes_read, 10 * SIM_BYTES_PER_MS);
    assert_false(sim_run(&lun, now + 10));
    now += 20;
    host("reading", "off");
    assert_int_equal(lun.bytes_read, 20 * SIM_BYTES_PER_MS);
    assert_false(sim_run(&lun, now + 1000));
    assert_int_equal(lun.bytes_read, 20 * SIM_BYTES_PER_MS);
    assert_int_equal(lun.bytes_written, 0);
}

static void nothing_moves_while_it_hangs(void **state attr_unused)
{
    insert(&disk);
    host("writing", "on");
    assert_int_equal(host("hang", "storage"), 0);
    assert_int_equal(lun.hang, SIM_HANG_STORAGE);
    assert_false(sim_run(&lun, now + 10));
    assert_int_equal(host("hang", "host"), 0);
    assert_int_equal(lun.hang, SIM_HANG_HOST);
    assert_int_equal(host("hang", "off"), 0);
    assert_true(sim_run(&lun, now + 20));
}

static void what_a_host_cannot_do_is_refused(void **state attr_unused)
{
    static const char *const without_medium[][2] = {
        {"lock", ""}, {"read", "1"}, {"write", "1"}, {"reading", "on"}, {"writing", "on"}, {"eject", ""}};
    static const char *const malformed[][2] = {
        {"read", ""}, {"write", "much"}, {"reading", ""}, {"reading", "yes"}, {"hang", ""}, {"hang", "up"}, {"dance", ""}};
    for (size_t i = 0; i < ARRAY_LEN(without_medium); i++)
        assert_int_equal(host(without_medium[i][0], without_medium[i][1]), -1);
    assert_false(lun.locked || lun.reading || lun.writing);
    insert(&cd);
    for (size_t i = 0; i < ARRAY_LEN(malformed); i++) assert_int_equal(host(malformed[i][0], malformed[i][1]), -1);
    assert_int_equal(host("write", "1"), -1);
    assert_int_equal(host("writing", "on"), -1);
    assert_int_equal(lun.bytes_written, 0);
    assert_false(lun.writing);
}

static void a_host_that_is_gone_holds_nothing(void **state attr_unused)
{
    insert(&disk);
    host("lock", "");
    host("reading", "on");
    sim_disconnect(&lun);
    assert_true(lun.medium.present);
    assert_int_equal(order(DO_ASK, false, &disk).outcome, OUTCOME_OK);
}

static void the_host_sees_whole_sectors(void **state attr_unused)
{
    assert_int_equal(sim_host_bytes(&lun), 0);
    insert(&disk);
    assert_int_equal(sim_host_bytes(&lun), 69632);
    lun = (struct sim_lun){.sector = 2048};
    insert(&cd);
    assert_int_equal(sim_host_bytes(&lun), 1048576);
}

#define TEST(f) cmocka_unit_test_setup(f, fresh)

static void the_host_is_told_of_another_medium(void **state attr_unused)
{
    insert(&disk);
    assert_int_equal(sim_host_look(&lun), disk.size / 512 * 512);
    assert_int_equal(order(DO_SWAP, false, &(struct engine_medium){.size = 4096}).outcome, OUTCOME_OK);
    assert_int_equal(sim_host_look(&lun), 4096);
    order(DO_ASK, false, &cd);
    assert_int_equal(sim_host_look(&lun), 0);
}

static void a_signal_makes_the_kernel_forget_locks_and_reports(void **state attr_unused)
{
    insert(&disk);
    assert_int_equal(sim_host_look(&lun), disk.size / 512 * 512);
    order(DO_SWAP, false, &(struct engine_medium){.size = 4096});
    sim_clear(&lun);
    assert_int_equal(sim_host_look(&lun), disk.size / 512 * 512); /* it keeps what it knew */
    assert_int_equal(order(DO_ANNOUNCE, false, &disk).outcome, OUTCOME_OK);
    assert_int_equal(lun.medium.size, 4096);
    assert_int_equal(sim_host_look(&lun), 4096);
    assert_int_equal(host("lock", ""), 0);
    assert_int_equal(order(DO_ANNOUNCE, false, &disk).outcome, OUTCOME_BUSY);
    sim_clear(&lun);
    assert_int_equal(order(DO_ASK, false, &disk).outcome, OUTCOME_OK);
    assert_int_equal(order(DO_ANNOUNCE, false, &disk).outcome, OUTCOME_ERROR);
    assert_false(lun.medium.present);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_image_goes_in_and_comes_out),
        TEST(nothing_goes_in_on_top_of_another),
        TEST(whoever_has_it_open_locks_it),
        TEST(two_openers_are_two_locks),
        TEST(force_asks_nobody_and_ends_what_the_host_did),
        TEST(a_kernel_without_force_says_so),
        TEST(a_swap_keeps_what_is_writable),
        TEST(the_host_ejects_whoever_has_it_open),
        TEST(bytes_are_counted),
        TEST(full_speed_goes_on_until_it_ends),
        TEST(nothing_moves_while_it_hangs),
        TEST(what_a_host_cannot_do_is_refused),
        TEST(a_host_that_is_gone_holds_nothing),
        TEST(the_host_sees_whole_sectors),
        TEST(the_host_is_told_of_another_medium),
        TEST(a_signal_makes_the_kernel_forget_locks_and_reports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
