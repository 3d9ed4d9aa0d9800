/* The configuration of trayd, its addresses, its command line, and the directories it makes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "server/address.h"
#include "server/config.h"
#include "server/directories.h"
#include "server/gadget_process.h"
#include "server/options.h"
#include "server/simulation.h"

static char directory[64];

static int set_up(attr_unused void **state)
{
    strcpy(directory, "/tmp/test_server_config-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(attr_unused void **state)
{
    directories_remove(directory);
    return 0;
}

static int load(const char *text, struct server_config *c, struct err *e)
{
    char path[96];
    snprintf(path, sizeof path, "%s/t.conf", directory);
    assert_int_equal(fd_replace_file(path, text, strlen(text), false, e), 0);
    return server_config_load(path, c, e);
}

static void has_defaults(attr_unused void **state)
{
    struct server_config c;
    struct err e;
    if (load("", &c, &e) < 0) fail_msg("%s", e.text);
    assert_string_equal(c.listen, "127.0.0.1:8080");
    assert_string_equal(c.database, "/var/lib/trayd/trayd.db");
    assert_string_equal(c.user, "trayd");
    assert_int_equal(c.log_level, LOG_LEVEL_INFO);
    assert_int_equal(c.hosts_count, 0);
    assert_true(c.fetch.private_addresses);
    assert_false(c.fetch.loopback || c.fetch.link_local);
    assert_int_equal(c.fetch.stall_timeout, 30000);
    assert_int_equal(c.fetch.retries, 8);
    assert_int_equal(c.fetch.largest, (uint64_t)128 << 30);
    assert_int_equal(c.stores.count, 1);
    assert_string_equal(c.gadget_socket, "/run/trayd/gadget.sock");
    assert_string_equal(c.runtime_dir, "/run/trayd");
}

static void reads_all_keys(attr_unused void **state)
{
    struct server_config c;
    struct err e;
    int result =
        load("server = { listen = \"unix:/tmp/x\"; hosts = [ \"kvm\", \"kvm:8443\" ]; database = \"/d/x.db\";\n"
             "  user = \"me\"; log_level = \"debug\"; header_timeout = \"2 s\"; body_timeout = \"3 s\"; };\n"
             "fetch = { private = false; loopback = true; link_local = true; rate = \"1 MiB\"; retries = 2;\n"
             "  stall_timeout = \"1 s\"; retry_pause = \"2 s\"; largest = \"1 GiB\"; ca_file = \"/ca.pem\"; };\n"
             "stores = ( { name = \"a\"; path = \"/a\"; }, { name = \"b\"; path = \"/b\"; readonly = true; } );\n"
             "gadget = { socket = \"/x/g.sock\"; runtime_dir = \"/x\"; };\n",
             &c, &e);
    if (result < 0) fail_msg("%s", e.text);
    assert_string_equal(c.listen, "unix:/tmp/x");
    assert_int_equal(c.hosts_count, 2);
    assert_string_equal(c.hosts[1], "kvm:8443");
    assert_int_equal(c.log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(c.header_timeout, 2000);
    assert_true(!c.fetch.private_addresses && c.fetch.loopback && c.fetch.link_local);
    assert_int_equal(c.fetch.rate, 1 << 20);
    assert_int_equal(c.fetch.retries, 2);
    assert_int_equal(c.fetch.stall_timeout, 1000);
    assert_int_equal(c.fetch.retry_pause, 2000);
    assert_int_equal(c.fetch.largest, 1 << 30);
    assert_string_equal(c.fetch.ca_file, "/ca.pem");
    assert_int_equal(c.stores.count, 2);
    assert_true(c.stores.items[1].readonly);
    assert_string_equal(c.gadget_socket, "/x/g.sock");
}

static void says_file_and_line(attr_unused void **state)
{
    static const struct {
        const char *text, *where, *what;
    } cases[] = {
        {"server = {\n  lisen = \"127.0.0.1:1\"; };", ":2: ", "listen"},
        {"server = {\n\n  listen = \"0.0.0.0:80\"; };", ":3: ", "network"},
        {"server = {\n  listen = \"localhost:80\"; };", ":2: ", "not resolved"},
        {"server = {\n  listen = 8080; };", ":2: ", "string"},
        {"server = {\n  hosts = [ \"a/b\" ]; };", ":2: ", "a/b"},
        {"server = {\n  database = \"x.db\"; };", ":2: ", "absolute"},
        {"server = {\n  log_level = \"loud\"; };", ":2: ", "loud"},
        {"server = {\n  header_timeout = \"1 ms\"; };", ":2: ", "header_timeout"},
        {"stores = (\n  { name = \"a b\"; path = \"/x\"; } );", ":2: ", "a b"},
        {"gadget = {\n  nonsense = 1; };", ":2: ", "nonsense"},
        {"sever = { };", ":1: ", "server"},
        {"server = {\n", ":", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct server_config c;
        struct err e;
        if (load(cases[i].text, &c, &e) == 0) fail_msg("accepted: %s", cases[i].text);
        if (strncmp(e.text, directory, strlen(directory)) != 0 || !strstr(e.text, cases[i].where) ||
            !strstr(e.text, cases[i].what))
            fail_msg("%s -> %s", cases[i].text, e.text);
    }
}

static void reads_addresses(attr_unused void **state)
{
    static const struct {
        const char *text, *url;
    } cases[] = {
        {"127.0.0.1:8080", "http://127.0.0.1:8080"},
        {"127.9.9.9:1", "http://127.9.9.9:1"},
        {"[::1]:80", "http://[::1]:80"},
        {"unix:/run/x.sock", "unix:/run/x.sock"},
        {"0.0.0.0:80", NULL},
        {"[::]:80", NULL},
        {"192.168.1.1:80", NULL},
        {"[fe80::1]:80", NULL},
        {"::1:80", NULL},
        {"127.0.0.1", NULL},
        {"127.0.0.1:", NULL},
        {"127.0.0.1:65536", NULL},
        {"127.0.0.1:-1", NULL},
        {"127.1:80", NULL},
        {":80", NULL},
        {"", NULL},
        {"unix:", NULL},
        {"unix:relative", NULL},
        {"example.org:80", NULL},
    };
    char text[ADDRESS_TEXT_MAX];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct address a;
        struct err e;
        if ((address_parse(cases[i].text, &a, &e) == 0) != (cases[i].url != NULL)) fail_msg("%s", cases[i].text);
        if (cases[i].url) assert_string_equal(address_url(&a, text), cases[i].url);
    }
}

static void listens(attr_unused void **state)
{
    struct address a, again;
    struct err e;
    char text[96];
    assert_int_equal(address_parse("127.0.0.1:0", &a, &e), 0);
    int fd = address_listen(&a, &e);
    assert_true(fd >= 0);
    assert_true(address_port(&a) != 0);
    again = a;
    assert_int_equal(address_listen(&again, &e), -1);
    close(fd);

    snprintf(text, sizeof text, "unix:%s/s.sock", directory);
    assert_int_equal(address_parse(text, &a, &e), 0);
    again = a;
    fd = address_listen(&a, &e);
    assert_true(fd >= 0);
    assert_int_equal(address_listen(&again, &e), -1); /* somebody answers */
    assert_int_equal(e.code, ERR_EXISTS);
    close(fd);
    fd = address_listen(&again, &e); /* nobody does: the file is replaced */
    assert_true(fd >= 0);
    close(fd);
    assert_false(gadget_process_answers(a.local.sun_path));
}

static int parse(struct options *o, struct err *e, const char *one, const char *two)
{
    char *argv[] = {(char *)(uintptr_t)"trayd", (char *)(uintptr_t)one, (char *)(uintptr_t)two, NULL};
    return options_parse(one ? (two ? 3 : 2) : 1, argv, o, e);
}

static void reads_the_command_line(attr_unused void **state)
{
    struct options o;
    struct err e;
    assert_int_equal(parse(&o, &e, NULL, NULL), 0);
    assert_true(!o.config && !o.simulate);
    assert_int_equal(parse(&o, &e, "--config", "x"), 0);
    assert_string_equal(o.config, "x");
    assert_int_equal(parse(&o, &e, "--config=y", "--simulate"), 0);
    assert_string_equal(o.config, "y");
    assert_true(o.simulate);
    assert_int_equal(parse(&o, &e, "--config", NULL), -1);
    assert_int_equal(parse(&o, &e, "--simulate=1", NULL), -1);
    assert_int_equal(parse(&o, &e, "--simulate", "--no-gadget"), -1);
    assert_int_equal(parse(&o, &e, "file", NULL), -1);
    assert_int_equal(parse(&o, &e, "--simulat", NULL), -1);
    assert_non_null(strstr(e.text, "--simulate"));
}

static void makes_directories(attr_unused void **state)
{
    char path[128];
    struct stat st;
    struct err e;
    snprintf(path, sizeof path, "%s/a/b/c", directory);
    assert_int_equal(directories_make(path, NULL, 0750, &e), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0750);
    assert_int_equal(directories_make(path, NULL, 0700, &e), 0); /* what is there is left alone */
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0750);
    snprintf(path, sizeof path, "%s/d/e/file.db", directory);
    assert_int_equal(directories_make_for(path, NULL, 0700, &e), 0);
    assert_int_equal(stat(path, &st), -1);
    snprintf(path, sizeof path, "%s/t.conf/x", directory);
    assert_int_equal(fd_replace_file(path, "", 0, false, &e), -1);
}

static void removes_without_following(attr_unused void **state)
{
    char inside[128], outside[128], link[160];
    struct err e;
    snprintf(inside, sizeof inside, "%s/in/side", directory);
    snprintf(outside, sizeof outside, "%s/out", directory);
    assert_int_equal(directories_make(inside, NULL, 0700, &e), 0);
    assert_int_equal(directories_make(outside, NULL, 0700, &e), 0);
    snprintf(link, sizeof link, "%s/link", inside);
    assert_int_equal(symlink(outside, link), 0);
    snprintf(inside, sizeof inside, "%s/in", directory);
    directories_remove(inside);
    assert_true(access(inside, F_OK) < 0);
    assert_int_equal(access(outside, F_OK), 0);
}

static void makes_a_simulation(attr_unused void **state)
{
    struct simulation s;
    struct server_config c;
    struct err e;
    setenv("TMPDIR", directory, 1);
    assert_int_equal(simulation_make(NULL, &s, &e), 0);
    unsetenv("TMPDIR");
    if (server_config_load(s.config, &c, &e) < 0) fail_msg("%s", e.text);
    assert_memory_equal(c.database, s.directory, strlen(s.directory));
    assert_memory_equal(c.gadget_socket, s.directory, strlen(s.directory));
    directories_remove(s.directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_defaults),      cmocka_unit_test(reads_all_keys),
        cmocka_unit_test(says_file_and_line), cmocka_unit_test(reads_addresses),
        cmocka_unit_test(listens),           cmocka_unit_test(reads_the_command_line),
        cmocka_unit_test(makes_directories), cmocka_unit_test(removes_without_following),
        cmocka_unit_test(makes_a_simulation),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
