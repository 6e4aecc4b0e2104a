// SPDX-License-Identifier: Apache-2.0
/*
 * The canonical forms piece by piece, up to their limits; whole signatures are test_sigv4.c.
 */
#include "aws/sigv4.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "http/http.h"
#include "sigv4_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_deep_paths(void **state)
{
    (void)state;
    for (int segments = 64; segments <= 65; segments++) {
        struct buf path BERTH_CLEANUP(buf_fini) = BUF_INIT(1024);
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(1024);
        for (int i = 0; i < segments; i++)
            buf_append_cstr(&path, "/a");
        sigv4_canonical_path(buf_str(&path), false, &out);
        assert_int_equal(buf_ok(&out), segments == 64);
        if (segments == 64)
            assert_true(str_eq(buf_str(&out), buf_str(&path)));
    }
}

static void test_queries(void **state)
{
    (void)state;
    static const struct {
        const char *query, *want;
    } cases[] = {
        {"", ""},
        {"&&a&", "a="},
        {"b=2&a=1", "a=1&b=2"},
        {"a=2&a=1&a=1", "a=1&a=1&a=2"},
        {"a=%2f", "a=%2F"},
        {"a=%2F%Aa%41", "a=%2F%AAA"},
        {"a=%", "a=%25"},
        {"a=%4", "a=%254"},
        {"a=%4g", "a=%254g"},
        {"a=%g4", "a=%25g4"},
        {"a=%/4", "a=%25%2F4"},
        {"a=%:4", "a=%25%3A4"},
        {"a=%@4", "a=%25%404"},
        {"a=%`4", "a=%25%604"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(1024);
        struct err e = ERR_INIT;
        assert_true(sigv4_canonical_query(str_from(cases[i].query), &a, &out, &e));
        if (!str_eq_cstr(buf_str(&out), cases[i].want))
            fail_msg("%s: %s", cases[i].query, buf_cstr(&out));
    }
}

static void test_long_queries(void **state)
{
    (void)state;
    for (int count = AWS_SIGV4_QUERY_MAX; count <= AWS_SIGV4_QUERY_MAX + 1; count++) {
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct buf query BERTH_CLEANUP(buf_fini) = BUF_INIT(4096);
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(4096);
        struct err e = ERR_INIT;
        for (int i = 0; i < count; i++)
            buf_append_cstr(&query, "a&");
        assert_int_equal(sigv4_canonical_query(buf_str(&query), &a, &out, &e),
                         count == AWS_SIGV4_QUERY_MAX);
        assert_int_equal(err_is_set(&e), count > AWS_SIGV4_QUERY_MAX);
    }
    /* a value that is too long once it is encoded, a name, and one that is too long at once */
    for (size_t i = 0; i < 3; i++) {
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct buf query BERTH_CLEANUP(buf_fini) = BUF_INIT(AWS_SIGV4_CANONICAL_MAX + 64);
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(AWS_SIGV4_CANONICAL_MAX);
        struct err e = ERR_INIT;
        size_t length = i == 2 ? AWS_SIGV4_CANONICAL_MAX + 1 : AWS_SIGV4_CANONICAL_MAX / 2;
        buf_append_cstr(&query, i == 1 ? "" : "b=1&a=");
        for (size_t k = 0; k < length; k++)
            buf_append_char(&query, '"');
        assert_true(sigv4_canonical_query(buf_str(&query), &a, &out, &e));
        assert_false(buf_ok(&out));
    }
}

static void test_headers(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value; /* of the second header; the first is "B: 2" */
        const char *want, *want_names;
    } cases[] = {
        {"A", "1", "a:1\nb:2\n", "a;b"},
        {"b", "1", "b:2,1\n", "b"},
        {"C[", " x \t\t y\t", "b:2\nc[:x y\n", "b;c["},
        {"c@", "", "b:2\nc@:\n", "b;c@"},
        {"Proxy-Authorization", "secret", "b:2\n", "b"},
        {"Proxy", "1", "b:2\nproxy:1\n", "b;proxy"},
        {"Proxies", "1", "b:2\nproxies:1\n", "b;proxies"},
        {"User-Agent", "x", "b:2\n", "b"},
        {"", "1", NULL, NULL},
        {"a\r", "1", NULL, NULL},
        {"a\n", "1", NULL, NULL},
        {"a", "1\r", NULL, NULL},
        {"a", "1\nx: y", NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct buf lines BERTH_CLEANUP(buf_fini) = BUF_INIT(256);
        struct buf names BERTH_CLEANUP(buf_fini) = BUF_INIT(256);
        struct err e = ERR_INIT;
        struct http_header headers[] = {{STR("B"), STR("2")},
                                        {str_from(cases[i].name), str_from(cases[i].value)}};
        bool is_ok = sigv4_canonical_headers(headers, 2, &a, &lines, &names, &e);
        assert_int_equal(is_ok, cases[i].want != NULL);
        if (is_ok && (!str_eq_cstr(buf_str(&lines), cases[i].want) ||
                      !str_eq_cstr(buf_str(&names), cases[i].want_names)))
            fail_msg("%s: %s%s", cases[i].name, buf_cstr(&lines), buf_cstr(&names));
    }
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(256);
    struct err e = ERR_INIT;
    struct http_header nul = {STR("a"), STR("1\0x")};
    assert_false(sigv4_canonical_headers(&nul, 1, &a, &out, &out, &e));
}

static void test_controls_in_urls(void **state)
{
    (void)state;
    static const char *const urls[] = {"https://h/\x01", "https://h/\x1f", "https://h/\x7f"};
    for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
        struct sigv4_url url;
        struct err e = ERR_INIT;
        assert_false(sigv4_url_split(str_from(urls[i]), &url, &e));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deep_paths),       cmocka_unit_test(test_queries),
        cmocka_unit_test(test_long_queries),     cmocka_unit_test(test_headers),
        cmocka_unit_test(test_controls_in_urls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
