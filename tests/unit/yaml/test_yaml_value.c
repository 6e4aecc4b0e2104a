// SPDX-License-Identifier: Apache-2.0
/*
 * Checked access to scalars and keys.
 */
#include "yaml/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { LIMIT = 4096 };

static const struct yaml *parse(struct arena *a, const char *text)
{
    struct err e = ERR_INIT;
    const struct yaml *root;
    if (!yaml_parse(str_from(text), LIMIT, a, &root, &e))
        fail_msg("%s: %s", text, e.msg);
    return root;
}

static void test_null(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool want;
    } rows[] = {
        {"v:", true},     {"v: ~", true},    {"v: null", true},  {"v: NULL", true},
        {"v: ''", false}, {"v: '~'", false}, {"v: nil", false},  {"v: \"null\"", false},
        {"v: []", false}, {"v: {}", false},  {"other: 1", true}, {"v: !!str null", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        if (yaml_is_null(yaml_get(parse(&a, rows[i].text), "v")) != rows[i].want)
            fail_msg("%s", rows[i].text);
    }
}

static void test_str(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want, *message;
    } rows[] = {
        {"v: x", "x", ""},
        {"v: ''", "", ""},
        {"v: 5", "5", ""}, /* a token of digits is a text to who asks for one */
        {"v: \"null\"", "null", ""},
        {"v: null", NULL, "line 1, column 4: user must be a text"},
        {"v: [x]", NULL, "line 1, column 4: user must be a text"},
        {"v: {x: y}", NULL, "line 1, column 4: user must be a text"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct err e = ERR_INIT;
        struct str s = STR("before");
        const bool ok = yaml_str(yaml_get(parse(&a, rows[i].text), "v"), "user", &s, &e);
        assert_int_equal(ok, rows[i].want != NULL);
        assert_string_equal(e.msg, rows[i].message);
        assert_true(ok ? str_eq_cstr(s, rows[i].want) : str_is_null(s));
    }
}

static void test_bool(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int want; /* -1: refused */
    } rows[] = {
        {"v: true", 1}, {"v: false", 0}, {"v: yes", -1},    {"v: on", -1},     {"v: True", -1},
        {"v: 1", -1},   {"v:", -1},      {"v: 'true'", -1}, {"v: [true]", -1}, {"v: truex", -1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct err e = ERR_INIT;
        bool b = true;
        const bool ok = yaml_bool(yaml_get(parse(&a, rows[i].text), "v"), "enabled", &b, &e);
        if (ok != (rows[i].want >= 0) || b != (rows[i].want == 1))
            fail_msg("%s", rows[i].text);
        if (!ok)
            assert_non_null(strstr(e.msg, ": enabled must be true or false, without quotes"));
    }
}

static void test_i64(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_ok;
        int64_t want;
    } rows[] = {
        {"v: 1", true, 1},      {"v: 64", true, 64},  {"v: 0", false, 0},
        {"v: 65", false, 0},    {"v: -1", false, 0},  {"v: 4.0", false, 0},
        {"v: \"4\"", false, 0}, {"v: 4x", false, 0},  {"v: 0x4", false, 0},
        {"v:", false, 0},       {"v: [4]", false, 0}, {"v: 99999999999999999999", false, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct err e = ERR_INIT;
        int64_t n = -1;
        const bool ok = yaml_i64(yaml_get(parse(&a, rows[i].text), "v"), "workers", 1, 64, &n, &e);
        if (ok != rows[i].is_ok || n != rows[i].want)
            fail_msg("%s", rows[i].text);
        if (!ok)
            assert_non_null(strstr(e.msg, ": workers must be a whole number from 1 to 64"));
    }
}

static void test_duration(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t least_ms, most_ms, want; /* want -1: refused */
        const char *message;
    } rows[] = {
        {"v: 90s", 10000, 86400000, 90000, ""},
        {"v: '1h30m'", 10000, 86400000, 5400000, ""},
        {"v: 10s", 10000, 86400000, 10000, ""},
        {"v: 9s", 10000, 86400000, -1,
         "line 1, column 4: interval must be a duration such as 90s or 1h30m, from 10s to 24h"},
        {"v: 25h", 10000, 86400000, -1,
         "line 1, column 4: interval must be a duration such as 90s or 1h30m, from 10s to 24h"},
        {"v: 10", 0, 1500, -1,
         "line 1, column 4: interval must be a duration such as 90s or 1h30m, from 0s to 1500ms"},
        {"v: [10s]", 60000, 120000, -1,
         "line 1, column 4: interval must be a duration such as 90s or 1h30m, from 1m to 2m"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct err e = ERR_INIT;
        int64_t ms = 1;
        const bool ok = yaml_duration_ms(yaml_get(parse(&a, rows[i].text), "v"), "interval",
                                         rows[i].least_ms, rows[i].most_ms, &ms, &e);
        assert_int_equal(ok, rows[i].want >= 0);
        assert_int_equal(ms, ok ? rows[i].want : 0);
        assert_string_equal(e.msg, rows[i].message);
    }
}

static void test_known_keys(void **state)
{
    (void)state;
    static const char *const known[] = {"log", "health", "metrics", "controller", NULL};
    static const char *const none[] = {NULL};
    static const char *const near[] = {
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "log", "leg",
        NULL};
    static const struct {
        const char *text;
        const char *const *known;
        const char *message; /* "" where accepted */
    } rows[] = {
        {"v: {}", known, ""},
        {"v:", known, ""},
        {"other: 1", known, ""},
        {"v: {metrics: 1, log: 2}", known, ""},
        {"v: {log: 1, metric: 2}", known,
         "line 1, column 13: unknown key \"metric\" in the file; did you mean \"metrics\"?"},
        {"v:\n  Metrics: 2", known,
         "line 2, column 3: unknown key \"Metrics\" in the file; did you mean \"metrics\"?"},
        {"v: {helath: 1}", known,
         "line 1, column 5: unknown key \"helath\" in the file; did you mean \"health\"?"},
        {"v: {contoller: 1}", known,
         "line 1, column 5: unknown key \"contoller\" in the file; did you mean \"controller\"?"},
        {"v: {webhook: 1}", known,
         "line 1, column 5: unknown key \"webhook\" in the file; known are log, health, metrics, "
         "controller"},
        {"v: {\"\": 1}", known,
         "line 1, column 5: unknown key \"\" in the file; known are log, health, metrics, "
         "controller"},
        {"v: {x: 1}", none, "line 1, column 5: unknown key \"x\" in the file; none is known here"},
        {"v: {LO9: 1}", known,
         "line 1, column 5: unknown key \"LO9\" in the file; did you mean \"log\"?"},
        {"v: {lag: 1}", near,
         "line 1, column 5: unknown key \"lag\" in the file; did you mean \"log\"?"},
        {"v: {lxx: 1}", near,
         "line 1, column 5: unknown key \"lxx\" in the file; did you mean \"log\"?"},
        {"v: {x_~: 1}", known,
         "line 1, column 5: unknown key \"x_~\" in the file; known are log, health, metrics, "
         "controller"},
        {"v: [log]", known, "line 1, column 4: the file must be a map"},
        {"v: log", known, "line 1, column 4: the file must be a map"},
        {"v: {aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: 1}", known,
         "line 1, column 5: unknown key "
         "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" in "
         "the file; known are log, health, metrics, controller"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct err e = ERR_INIT;
        const bool ok =
            yaml_known_keys(yaml_get(parse(&a, rows[i].text), "v"), "the file", rows[i].known, &e);
        assert_string_equal(e.msg, rows[i].message);
        assert_int_equal(ok, rows[i].message[0] == '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_null),     cmocka_unit_test(test_str),
        cmocka_unit_test(test_bool),     cmocka_unit_test(test_i64),
        cmocka_unit_test(test_duration), cmocka_unit_test(test_known_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
