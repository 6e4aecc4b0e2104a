// SPDX-License-Identifier: Apache-2.0
/*
 * The grammars of names: tables, and each hand-written matcher against its pattern as the C
 * library's regular expressions see it, over random texts.
 */
#include "base/err.h"
#include "base/str.h"
#include "ecr/prefix.h"
#include "test_random.h"

#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

typedef bool (*validate_fn)(struct str s, struct err *e);

struct name_case {
    const char *text;
    bool is_ok;
};

static void check(validate_fn validate, const struct name_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct err e = ERR_INIT;
        if (validate(str_from(cases[i].text), &e) != cases[i].is_ok)
            fail_msg("\"%s\" is %s", cases[i].text ? cases[i].text : "(absent)",
                     cases[i].is_ok ? "refused" : "taken");
        assert_int_equal(e.cls, cases[i].is_ok ? ERR_NONE : ERR_INVALID);
        assert_int_equal(e.msg[0] == '\0', cases[i].is_ok);
    }
}

static void test_repository(void **state)
{
    (void)state;
    static const struct name_case cases[] = {
        {"ab", true},
        {"a1/b-c/d__e", true},
        {"0/1", true},
        {"a.b_c--d---e", true},
        {"team-a/api", true},
        {"a", false},
        {"", false},
        {NULL, false},
        {"Ab", false},
        {"a b", false},
        {"a//b", false},
        {"/ab", false},
        {"ab/", false},
        {"-ab", false},
        {"ab-", false},
        {"a___b", false},
        {"a..b", false},
        {"a._b", false},
        {"a-_b", false},
        {"ab/-c", false},
        {"ab-/c", false},
        {"ROOT", false},
        {"a:b", false},
        {"a@b", false},
        {"\xc3\xa4\xc3\xa4", false},
    };
    check(ecr_repository_validate, cases, ARRAY_SIZE(cases));
}

static void test_prefix(void **state)
{
    (void)state;
    static const struct name_case cases[] = {
        {"a", true},      {"prod", true},    {"prod/", true},   {"prod/team", true},
        {"ROOT", true},   {"a/b/", true},    {"", false},       {NULL, false},
        {"/", false},     {"prod//", false}, {"ROOT/", false},  {"root/", true},
        {"ROOTS", false}, {"prod-/", false}, {"prod/*", false}, {"Prod", false},
    };
    check(ecr_prefix_validate, cases, ARRAY_SIZE(cases));
}

static void test_lengths(void **state)
{
    (void)state;
    char text[400];
    static const struct {
        validate_fn validate;
        size_t max;
    } cases[] = {
        {ecr_repository_validate, ECR_REPOSITORY_MAX}, {ecr_prefix_validate, ECR_PREFIX_MAX},
        {ecr_filter_validate, ECR_FILTER_MAX},         {ecr_tag_key_validate, ECR_TAG_KEY_MAX},
        {ecr_tag_value_validate, ECR_TAG_VALUE_MAX},
    };
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err e = ERR_INIT;
        assert_true(cases[i].validate(str_n(text, cases[i].max), &e));
        assert_false(cases[i].validate(str_n(text, cases[i].max + 1), &e));
    }
}

static void test_filter(void **state)
{
    (void)state;
    static const struct name_case cases[] = {
        {"latest", true},  {"release-*", true}, {"*", true},    {"*-*", true},  {"V1.0_x", true},
        {"a*b*c*", false}, {"", false},         {"a b", false}, {"a/b", false}, {NULL, false},
    };
    check(ecr_filter_validate, cases, ARRAY_SIZE(cases));
}

static void test_tags(void **state)
{
    (void)state;
    static const struct name_case keys[] = {
        {"Team", true},
        {"cost center", true},
        {"a_.:/=+-@1", true},
        {"\xc3\x9c"
         "ber",
         true},
        {"", false},
        {NULL, false},
        {"aws:x", false},
        {"AWS:x", false},
        {"awsx", true},
        {"a\nb", false},
        {"a\"b", false},
        {"a,b", false},
        {"\xff", false},
        {"a\xc2\x85", false},
        {"a\xc2\xa0", true},
    };
    static const struct name_case values[] = {
        {"", true}, {NULL, true}, {"aws:x", true}, {"a;b", false}, {"a\tb", false},
    };
    check(ecr_tag_key_validate, keys, ARRAY_SIZE(keys));
    check(ecr_tag_value_validate, values, ARRAY_SIZE(values));
}

static void test_tag_length_counts_characters(void **state)
{
    (void)state;
    char text[2 * (ECR_TAG_KEY_MAX + 1)];
    struct err e = ERR_INIT;
    for (size_t i = 0; i < sizeof text; i += 2)
        memcpy(text + i, "\xc3\xa4", 2);
    assert_true(ecr_tag_key_validate(str_n(text, sizeof text - 2), &e));
    assert_false(ecr_tag_key_validate(str_n(text, sizeof text), &e));
}

static void test_arns(void **state)
{
    (void)state;
    static const struct name_case roles[] = {
        {"arn:aws:iam::123456789012:role/x", true},
        {"arn:aws-us-gov:iam::123456789012:role/a/b/Name_1+=,.@-", true},
        {"arn:aws:iam::123456789012:role/", false},
        {"arn:aws:iam::123456789012:role//x", false},
        {"arn:aws:iam::123456789012:role/p/", false},
        {"arn:aws:iam::12345678901:role/x", false},
        {"arn:aws:iam:eu-west-1:123456789012:role/x", false},
        {"arn:aws:iam::123456789012:user/x", false},
        {"arn:aws:sts::123456789012:role/x", false},
        {"arn:azure:iam::123456789012:role/x", false},
        {"arn:aws:iam::123456789012:role/a b", false},
        {"arn:aws", false},
        {"", false},
        {NULL, false},
    };
    static const struct name_case keys[] = {
        {"arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab", true},
        {"arn:aws-cn:kms:cn-north-1:123456789012:key/mrk-1", true},
        {"arn:aws:kms:eu-west-1:123456789012:alias/x", false},
        {"arn:aws:kms::123456789012:key/x", false},
        {"arn:aws:kms:eu-west-1:123456789012:key/", false},
        {"arn:aws:kms:eu-west-1:123456789012:key/X", false},
        {"1234abcd-12ab-34cd-56ef-1234567890ab", false},
        {"", false},
    };
    static const struct name_case accounts[] = {
        {"123456789012", true},
        {"12345678901", false},
        {"1234567890123", false},
        {"12345678901a", false},
        {"", false},
    };
    check(ecr_role_arn_validate, roles, ARRAY_SIZE(roles));
    check(ecr_kms_key_validate, keys, ARRAY_SIZE(keys));
    check(ecr_account_id_validate, accounts, ARRAY_SIZE(accounts));
}

static void test_registry_host(void **state)
{
    (void)state;
    static const struct name_case cases[] = {
        {"registry.example.com", true},
        {"localhost", true},
        {"localhost:5000", true},
        {"registry:5000", true},
        {"10.0.0.1:443", true},
        {"[::1]", true},
        {"[fd00::1]:5000", true},
        {"a-b.c", true},
        {"registry", false},
        {"", false},
        {NULL, false},
        {"Registry.example.com", false},
        {"a..b", false},
        {".a.b", false},
        {"a.b.", false},
        {"-a.b", false},
        {"a-.b", false},
        {"a.b:", false},
        {"a.b:0", false},
        {"a.b:65536", false},
        {"a.b:99999", false},
        {"a.b:5000x", false},
        {"a.b:5000:1", false},
        {"https://a.b", false},
        {"a.b/c", false},
        {"[::1", false},
        {"[]", false},
        {"[::1]x", false},
        {"[::1]5000", false},
        {"a_b.c", false},
    };
    check(ecr_registry_host_validate, cases, ARRAY_SIZE(cases));
}

static void test_host_lengths(void **state)
{
    (void)state;
    char text[300];
    struct err e = ERR_INIT;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = i % 50 == 49 ? '.' : 'a';
    assert_true(ecr_registry_host_validate(str_n(text, 248), &e));
    assert_false(ecr_registry_host_validate(str_n(text, 254), &e));
    err_clear(&e);
    memset(text, 'a', 64);
    assert_false(ecr_registry_host_validate(str_n(text, 70), &e));
}

/* The matchers and their patterns say the same. */
static void test_matchers_are_the_patterns(void **state)
{
    (void)state;
    static const struct {
        const char *name, *pattern, *pieces;
        bool (*matches)(struct str s);
    } cases[] = {
        {"repository", ECR_REPOSITORY_PATTERN, "a b 1 / . _ __ - -- A ROOT",
         ecr_repository_matches},
        {"prefix", ECR_PREFIX_PATTERN, "a b 1 / . _ __ - -- A ROOT", ecr_prefix_matches},
        {"filter", ECR_FILTER_PATTERN, "a B 0 . _ * - / +", ecr_filter_matches},
        {"account", ECR_ACCOUNT_ID_PATTERN, "1234 5678 9012 0 a 345678901234",
         ecr_account_id_matches},
        {"kms", ECR_KMS_KEY_PATTERN,
         "arn:aws :kms:eu-west-1 :123456789012 :key/ a - 0 / : A arn:aws:kms:e:123456789012:key/",
         ecr_kms_key_matches},
        {"role", ECR_ROLE_ARN_PATTERN,
         "arn:aws :iam: :123456789012 :role/ a / + , @ . = - _ : A "
         "arn:aws-x:iam::123456789012:role/",
         ecr_role_arn_matches},
        {"host", ECR_REGISTRY_HOST_PATTERN, "a b 1 - . : 5000 [ ] [:: f A _ ::1]",
         ecr_registry_host_matches},
    };
    struct test_random random = {42};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        regex_t re;
        int matched = 0;
        assert_int_equal(regcomp(&re, cases[i].pattern, REG_EXTENDED | REG_NOSUB), 0);
        for (int n = 0; n < 20000; n++) {
            char text[256];
            test_random_text(&random, cases[i].pieces, 7, text, sizeof text);
            bool want = regexec(&re, text, 0, NULL, 0) == 0;
            matched += want;
            if (cases[i].matches(str_from(text)) != want)
                fail_msg("%s: \"%s\" is %s by the pattern", cases[i].name, text,
                         want ? "valid" : "invalid");
        }
        regfree(&re);
        /* or else this proves nothing */
        assert_in_range(matched, 20, 19000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repository),   cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_lengths),      cmocka_unit_test(test_filter),
        cmocka_unit_test(test_tags),         cmocka_unit_test(test_tag_length_counts_characters),
        cmocka_unit_test(test_arns),         cmocka_unit_test(test_registry_host),
        cmocka_unit_test(test_host_lengths), cmocka_unit_test(test_matchers_are_the_patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
