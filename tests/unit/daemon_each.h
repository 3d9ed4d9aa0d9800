/*
 * daemon_each.h - a fresh daemon with the default drives for each test: begin() and end() are the test's setup and teardown.
 */
#pragma once

#include "tests/unit/daemon_fixture.h"

static struct fixture *f;

static int begin(void **state attr_unused)
{
    f = fixture_new("", "");
    fixture_ready(f);
    return 0;
}

static int end(void **state attr_unused)
{
    fixture_free(f);
    return 0;
}
