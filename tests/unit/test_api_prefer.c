/* Prefer: what counts, and what is no preference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "api/prefer.h"

static void expect(const char *header, bool async, bool given, msec wait)
{
    struct prefer p = prefer_parse(header);
    if (p.async != async || p.wait_given != given || p.wait != wait)
        fail_msg("'%s': async %d, given %d, wait %lld", header ? header : "(none)", p.async, p.wait_given, (long long)p.wait);
}

static void understood(attr_unused void **state)
{
    expect(NULL, false, false, PREFER_WAIT_DEFAULT);
    expect("respond-async", true, false, 0);
    expect("Respond-Async", true, false, 0);
    expect("wait=10", false, true, 10000);
    expect("wait=0", false, true, 0);
    expect("wait = 10", false, true, 10000);
    expect("wait=\"10\"", false, true, 10000);
    expect("respond-async, wait=10", true, true, 10000);
    expect("wait=10;x=y, respond-async;z", true, true, 10000);
    expect("return=minimal,foo=\"a, respond-async\",wait=3", false, true, 3000);
    expect("wait=10, wait=20", false, true, 10000); /* the first counts: RFC 7240, section 2 */
    expect("wait=99999999", false, true, PREFER_WAIT_MAX);
    expect(", ,respond-async", true, false, 0);
}

static void ignored(attr_unused void **state)
{
    static const char *const headers[] = {
        "", ",", "wait", "wait=", "wait=-1", "wait=1.5", "wait=10s", "wait=x", "wait=18446744073709551616", "respond-sync",
        "foo", "\"", "foo=\"respond-async", "a-preference-whose-name-is-longer-than-any-of-ours=1", "wait=1=2",
        "foo;respond-async",
    };
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) expect(headers[i], false, false, PREFER_WAIT_DEFAULT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(understood), cmocka_unit_test(ignored)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
