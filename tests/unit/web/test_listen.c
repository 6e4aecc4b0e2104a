// SPDX-License-Identifier: Apache-2.0
/*
 * "host:port": what is read, what is refused, and the reasons of a bind that fails.
 */
#include "base/num.h"
#include "web_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#define HOW "; write host:port, or :port for all addresses"

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *listen, *host;
        int port;
        const char *message;
    } rows[] = {
        {":8081", "", 8081, ""},
        {":0", "", 0, ""},
        {"127.0.0.1:65535", "127.0.0.1", 65535, ""},
        {"[::1]:8081", "::1", 8081, ""},
        {"localhost:80", "localhost", 80, ""},
        {"", "", 0, "cannot listen on \"\": the port is missing" HOW},
        {"8081", "", 0, "cannot listen on \"8081\": the port is missing" HOW},
        {":", "", 0, "cannot listen on \":\": the port must be a number from 0 to 65535" HOW},
        {":65536", "", 0,
         "cannot listen on \":65536\": the port must be a number from 0 to 65535" HOW},
        {":-1", "", 0, "cannot listen on \":-1\": the port must be a number from 0 to 65535" HOW},
        {":http", "", 0,
         "cannot listen on \":http\": the port must be a number from 0 to 65535" HOW},
        {"::1:80", "", 0, "cannot listen on \"::1:80\": an IPv6 address needs brackets" HOW},
        {"[]:80", "", 0, "cannot listen on \"[]:80\": the host cannot be read" HOW},
        {"[::1]", "", 0,
         "cannot listen on \"[::1]\": the port must be a number from 0 to 65535" HOW},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct err e = ERR_INIT;
        struct web_listen got;
        const bool ok = web_listen_parse(rows[i].listen, &got, &e);
        assert_string_equal(e.msg, rows[i].message);
        assert_int_equal(ok, rows[i].message[0] == '\0');
        assert_string_equal(got.host, rows[i].host);
        assert_int_equal(got.port, rows[i].port);
        struct err again = ERR_INIT;
        assert_int_equal(web_listen_check(rows[i].listen, &again), ok);
        assert_int_equal(again.cls, ok ? ERR_NONE : ERR_INVALID);
    }
    char text[WEB_MAX_LISTEN + 1];
    memset(text, 'a', sizeof(text));
    text[0] = ':';
    text[sizeof(text) - 1] = '\0';
    struct err e = ERR_INIT;
    assert_false(web_listen_check(text, &e));
    memcpy(text + 290, ":1", 3);
    err_clear(&e);
    text[0] = 'a';
    assert_false(web_listen_check(text, &e));
}

static void test_open(void **state)
{
    (void)state;
    static const struct {
        const char *listen, *prefix;
    } rows[] = {{"127.0.0.1:0", "127.0.0.1:"}, {"localhost:0", ""}, {":0", ""}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct err e = ERR_INIT;
        int fd, port;
        char address[WEB_MAX_LISTEN];
        if (!web_listen_open(rows[i].listen, "test", &fd, address, &port, &e))
            fail_msg("%s", e.msg);
        assert_true(port > 0);
        char want[12];
        (void)snprintf(want, sizeof(want), ":%d", port);
        assert_true(str_starts_with(str_from(address), str_from(rows[i].prefix)));
        assert_true(str_ends_with(str_from(address), str_from(want)));
        (void)close(fd);
    }
}

static void test_fails(void **state)
{
    (void)state;
    int first, port, fd;
    char address[WEB_MAX_LISTEN];
    char other[WEB_MAX_LISTEN];
    struct err e = ERR_INIT;
    assert_true(web_listen_open("127.0.0.1:0", "first", &first, address, &port, &e));
    assert_false(web_listen_open(address, "second", &fd, other, &port, &e));
    assert_int_equal(e.cls, ERR_CONFLICT);
    assert_int_equal(fd, -1);
    char want[400];
    (void)snprintf(want, sizeof(want),
                   "cannot listen on %s for second: the address is in use; stop who uses it or "
                   "choose another port",
                   address);
    assert_string_equal(e.msg, want);
    (void)close(first);

    err_clear(&e);
    assert_false(web_listen_open("192.0.2.1:0", "test", &fd, other, &port, &e));
    assert_int_equal(e.cls, ERR_NOT_FOUND);
    assert_string_equal(e.msg, "cannot listen on 192.0.2.1:0 for test: this machine has no such "
                               "address; write :port for all of its addresses");
    err_clear(&e);
    assert_false(web_listen_open("x", "test", &fd, other, &port, &e));
    assert_int_equal(e.cls, ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
