// SPDX-License-Identifier: Apache-2.0
/*
 * Cutting JSON text: members and elements, whatever is inside them, and text that is cut off.
 */
#include "slice_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void check_str(const char *name, struct str got, const char *want)
{
    if (want == NULL ? !str_is_null(got) : !str_eq_cstr(got, want))
        fail_msg("%s: got \"%.*s\", want \"%s\"", name, STR_ARG(got), want ? want : "(absent)");
}

static void members_are_cut(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_object;
        const char *a, *b;
    } CASES[] = {
        {"{\"a\":1,\"b\":2}", true, "1", "2"},
        {" { \"b\" : [ {\"a\":\"]\"} ] , \"a\" : \"x\\\"}\" } ", true, "\"x\\\"}\"",
         "[ {\"a\":\"]\"} ]"},
        {"{\"x\":{\"a\":7},\"a\":null}", true, "null", NULL},
        {"{\"a\":1,\"a\":2}", true, "1", NULL},
        {"{}", true, NULL, NULL},
        {"{\"b\":\"\\\\\",\"a\":{}}", true, "{}", "\"\\\\\""},
        {"{\"a\":{\"c\":[1,2", true, NULL, NULL},
        {"{\"a\":true,\"b\":12", true, "true", NULL},
        {"{\"a\":\"cut\\", true, NULL, NULL},
        {"{\"a", true, NULL, NULL},
        {"{\"a\"", true, NULL, NULL},
        {"{\"a\":", true, NULL, NULL},
        {"{1:2,\"a\":3}", true, NULL, NULL},
        {"{\"a\":}", true, NULL, NULL},
        {"\t{\r\n\t\"a\"\r\n:\t1\r\n,\"b\":2\t}\r\n", true, "1", "2"},
        {"{\"a\":1\r,\"b\":2\n}", true, "1", "2"},
        {"{\"a\" 1,\"b\":2}", true, NULL, NULL},
        {"{\"a\":1 \"b\":2}", true, "1", NULL},
        {"{\"a\":]", true, NULL, NULL},
        {"{\"a\":1]", true, "1", NULL},
        {"[1]", false, NULL, NULL},
        {"", false, NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        static const char *const KEYS[] = {"a", "b"};
        struct str got[2];
        assert_int_equal(kube_slice_members(str_from(CASES[i].text), KEYS, 2, got),
                         CASES[i].is_object);
        check_str(CASES[i].text, got[0], CASES[i].a);
        check_str(CASES[i].text, got[1], CASES[i].b);
    }
}

static void elements_are_cut(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *want[4];
    } CASES[] = {
        {"[1, {\"a\":[2,3]} ,\"x,]\"]", {"1", "{\"a\":[2,3]}", "\"x,]\"", NULL}},
        {"[]", {NULL}},
        {" [ ] ", {NULL}},
        {"[{},{\"a\":", {"{}", NULL}},
        {"{\"a\":1}", {NULL}},
        {"null", {NULL}},
        {"[1 2]", {"1", NULL}},
        {"", {NULL}},
        {"[", {NULL}},
        {"[1,", {"1", NULL}},
        {"[1,]", {"1", NULL}},
        {"[1", {NULL}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        size_t at = 0, n = 0;
        struct str got;
        while (kube_slice_next_element(str_from(CASES[i].text), &at, &got)) {
            assert_true(n < 4 && CASES[i].want[n]);
            check_str(CASES[i].text, got, CASES[i].want[n++]);
        }
        check_str(CASES[i].text, got, NULL);
        assert_null(CASES[i].want[n]);
    }
}

static void plain_strings_have_no_escapes(void **state)
{
    (void)state;
    check_str("plain", kube_slice_plain_string(STR("\"abc\"")), "abc");
    check_str("empty", kube_slice_plain_string(STR("\"\"")), "");
    check_str("escape", kube_slice_plain_string(STR("\"a\\u0000\"")), NULL);
    check_str("number", kube_slice_plain_string(STR("12")), NULL);
    check_str("absent", kube_slice_plain_string(STR_NULL), NULL);
}

/* No prefix of a text makes it read beyond its end (the sanitizer sees), or give half a value. */
static void every_prefix_is_safe(void **state)
{
    (void)state;
    static const char TEXT[] = "{\"a\":[{\"k\":\"v\\\"\"},-1.5e3,true],\"b\":\"end\"}";
    static const char *const KEYS[] = {"a", "b"};
    for (size_t n = 0; n < sizeof(TEXT) - 1; n++) {
        char exact[sizeof(TEXT)];
        memcpy(exact, TEXT, n);
        struct str got[2];
        assert_int_equal(kube_slice_members(str_n(exact, n), KEYS, 2, got), n > 0);
        if (!str_is_null(got[0]))
            check_str("a", got[0], "[{\"k\":\"v\\\"\"},-1.5e3,true]");
        if (!str_is_null(got[1]))
            check_str("b", got[1], "\"end\"");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_cut),
        cmocka_unit_test(elements_are_cut),
        cmocka_unit_test(plain_strings_have_no_escapes),
        cmocka_unit_test(every_prefix_is_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
