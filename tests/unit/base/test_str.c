// SPDX-License-Identifier: Apache-2.0
/*
 * String views: comparison, cutting, UTF-8.
 */
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_next_is_strsep(void **state)
{
    (void)state;
    static const struct {
        const char *input;
        const char *want[4];
    } cases[] = {
        {"a,,b", {"a", "", "b", NULL}},
        {"a,", {"a", "", NULL}},
        {",a", {"", "a", NULL}},
        {"", {"", NULL}},
        {"a", {"a", NULL}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct str rest = str_from(cases[i].input);
        struct str part;
        size_t n = 0;
        while (str_next(&rest, ',', &part)) {
            assert_non_null(cases[i].want[n]);
            assert_true(str_eq_cstr(part, cases[i].want[n]));
            n++;
        }
        assert_null(cases[i].want[n]);
    }
    struct str absent = STR_NULL;
    struct str part;
    assert_false(str_next(&absent, ',', &part));
}

static void test_cut(void **state)
{
    (void)state;
    struct str before;
    struct str after;
    assert_true(str_cut(STR("a=b=c"), '=', &before, &after));
    assert_true(str_eq(before, STR("a")) && str_eq(after, STR("b=c")));
    assert_false(str_cut(STR("abc"), '=', &before, &after));
    assert_true(str_eq(before, STR("abc")) && str_is_null(after));
}

static void test_compare(void **state)
{
    (void)state;
    assert_true(str_cmp(STR("a"), STR("b")) < 0);
    assert_true(str_cmp(STR("ab"), STR("a")) > 0);
    assert_int_equal(str_cmp(STR("a"), STR("a")), 0);
    assert_true(str_cmp(STR("\xff"), STR("a")) > 0);
    assert_true(str_eq(STR_NULL, STR("")));
    assert_true(str_eq_nocase(STR("Content-Type"), STR("content-tYPE")));
    assert_false(str_eq_nocase(STR("a["), STR("a{")));
    assert_true(str_starts_with(STR("abc"), STR("ab")));
    assert_false(str_starts_with(STR("a"), STR("ab")));
    assert_true(str_ends_with(STR("abc"), STR("bc")));
    assert_true(str_contains(STR("abc"), STR("b")));
    assert_false(str_contains(STR("abc"), STR("cb")));
    assert_true(str_eq(str_trim(STR(" \ta b\r\n")), STR("a b")));
    assert_int_equal(str_index(STR("a/b/c"), '/'), 1);
    assert_int_equal(str_rindex(STR("a/b/c"), '/'), 3);
    assert_int_equal(str_index(STR("abc"), '/'), -1);
}

static void test_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool want;
    } cases[] = {
        {"plain", true},
        {"\xc3\xa9", true},
        {"\xe2\x82\xac", true},
        {"\xf0\x9f\x9a\xa2", true},
        {"\xc0\xaf", false},
        {"\xc3", false},
        {"\xe0\x80\x80", false},
        {"\xed\xa0\x80", false},
        {"\xf4\x90\x80\x80", false},
        {"\x80", false},
        {"\xf0\x8f\xbf\xbf", false},
        {"a\xff", false},
        {"\xe2\x82", false},
        {"\xf5\x80\x80\x80", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(str_is_utf8(str_from(cases[i].text)), cases[i].want);
}

static void test_cut_utf8_never_splits_a_character(void **state)
{
    (void)state;
    struct str s = STR("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x9a\xa2z");
    for (size_t max = 0; max <= s.len + 1; max++) {
        struct str cut = str_cut_utf8(s, max);
        assert_true(cut.len <= max);
        assert_true(str_is_utf8(cut));
        assert_true(max < 4 || cut.len + 4 > (max < s.len ? max : s.len));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next_is_strsep),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_cut_utf8_never_splits_a_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
