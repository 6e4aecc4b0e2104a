// SPDX-License-Identifier: Apache-2.0
/*
 * Addresses to listen on: which are understood, and what a second listener is told.
 */
#include "base/str.h"
#include "listen_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void test_names(void **state)
{
    static const struct {
        const char *text;
        const char *name; /* what the name begins with */
    } cases[] = {{"127.0.0.1:0", "127.0.0.1:"}, {"0.0.0.0:0", "127.0.0.1:"}, {"[::1]:0", "[::1]:"}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int fd = -1;
        char name[128];
        struct err e = ERR_INIT;

        assert_true(emu_listen(cases[i].text, &fd, name, sizeof(name), &e));
        assert_true(str_starts_with(str_from(name), str_from(cases[i].name)));
        assert_string_not_equal(strrchr(name, ':'), ":0");
        close(fd);
    }
}

static void test_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:x",
        "127.0.0.1:65536",
        "::1:0",
        "[127.0.0.1]:0",
        "[::1:0",
        "[]:0",
        ":0",
        "localhost:0",
        "127.0.0.1:-1",
        "127.0.0.1.127.0.0.1.127.0.0.1.127.0.0.1.127.0.0.1.127.0.0.1.127.0.0.1.127.0.0.1:0",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int fd = 0;
        char name[128];
        struct err e = ERR_INIT;

        assert_false(emu_listen(cases[i], &fd, name, sizeof(name), &e));
        assert_int_equal(fd, -1);
        assert_int_equal(e.cls, ERR_INVALID);
        assert_non_null(strstr(e.msg, cases[i]));
    }
}

static void test_taken(void **state)
{
    int first = -1;
    int second = -1;
    char name[128];
    char other[128];
    struct err e = ERR_INIT;

    (void)state;
    assert_true(emu_listen("127.0.0.1:0", &first, name, sizeof(name), &e));
    assert_false(emu_listen(name, &second, other, sizeof(other), &e));
    assert_int_equal(e.cls, ERR_CONFLICT);
    close(first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
