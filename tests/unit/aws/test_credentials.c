// SPDX-License-Identifier: Apache-2.0
/*
 * Credentials: what is taken, what is refused, and what the environment gives.
 */
#include "aws/credentials.h"
#include "base/err.h"
#include "base/str.h"
#include "crypto/crypto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *id, *key, *token;
        bool is_ok;
    } cases[] = {
        {"AKID", "secret", NULL, true},    {"AKID", "secret", "token", true},
        {"AKID", "secret", "", true},      {"", "secret", NULL, false},
        {"AKID", "", NULL, false},         {NULL, NULL, NULL, false},
        {"AK ID", "secret", NULL, false},  {"AKID\n", "secret", NULL, false},
        {"AKID", "secret\n", NULL, false}, {"AKID", "secret", "to\r\nken", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct aws_credentials *c BERTH_CLEANUP(aws_credentials_unrefp) = NULL;
        struct err e = ERR_INIT;
        struct aws_credentials_values v = {str_from(cases[i].id), str_from(cases[i].key),
                                           str_from(cases[i].token), 0, "a test"};
        if (aws_credentials_new(&v, &c, &e) != cases[i].is_ok)
            fail_msg("case %zu: %s", i, e.msg);
        assert_int_equal(c != NULL, cases[i].is_ok);
        if (cases[i].is_ok)
            continue;
        assert_int_equal(e.cls, ERR_CREDENTIALS);
        assert_string_equal(e.reason, "InvalidCredentials");
        assert_null(strstr(e.msg, "to\r"));
    }
}

static void test_static_provider_gives_references(void **state)
{
    (void)state;
    struct aws_credentials *c = NULL;
    struct aws_credentials *got = NULL;
    struct err e = ERR_INIT;
    struct aws_credentials_values v = {STR("AKID"), STR("secret"), STR("token"), 42, "a test"};
    assert_true(aws_credentials_new(&v, &c, &e));
    struct aws_credentials_provider *p = aws_credentials_static_new(c);
    assert_true(aws_credentials_get(p, &got, &e));
    p = aws_credentials_provider_free(p);
    assert_null(p);
    /* ours outlives the provider's */
    assert_true(str_eq_cstr(aws_credentials_access_key_id(got), "AKID"));
    assert_true(str_eq_cstr(secret_reveal(aws_credentials_secret_key(got)), "secret"));
    assert_true(str_eq_cstr(secret_reveal(aws_credentials_session_token(got)), "token"));
    assert_int_equal(aws_credentials_expires_unix_ms(got), 42);
    assert_string_equal(aws_credentials_source(got), "a test");
    assert_null(aws_credentials_unref(got));
    assert_null(aws_credentials_unref(NULL));
    assert_null(aws_credentials_provider_free(NULL));
}

static const char *const names[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
                                    "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN",
                                    "AWS_CREDENTIAL_EXPIRATION"};

static void test_environment(void **state)
{
    (void)state;
    static const struct {
        const char *values[ARRAY_SIZE(names)];
        const char *want_token;  /* of a success */
        const char *want_reason; /* of a failure */
        const char *want_text;
        int64_t want_expires;
    } cases[] = {
        {{NULL}, NULL, "NoCredentials", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", 0},
        {{"", ""}, NULL, "NoCredentials", "no AWS credentials", 0},
        {{"AKID"}, NULL, "InvalidCredentials", "AWS_SECRET_ACCESS_KEY is not", 0},
        {{NULL, "hush"}, NULL, "InvalidCredentials", "AWS_ACCESS_KEY_ID is not", 0},
        {{"AKID", "hush"}, NULL, NULL, NULL, 0},
        {{"AKID", "hush", "t1", "t2"}, "t1", NULL, NULL, 0},
        {{"AKID", "hush", "", "t2"}, "t2", NULL, NULL, 0},
        {{"AKID", "hush", NULL, NULL, "1970-01-01T00:00:07Z"}, NULL, NULL, NULL, 7000},
        {{"AKID", "hush", NULL, NULL, "soon"}, NULL, "InvalidCredentials", "must be a date", 0},
        {{"AKID", "hu sh"}, NULL, "InvalidCredentials", "secret access key from environment", 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        for (size_t j = 0; j < ARRAY_SIZE(names); j++) {
            (void)unsetenv(names[j]);
            if (cases[i].values[j] != NULL)
                (void)setenv(names[j], cases[i].values[j], 1);
        }
        struct aws_credentials_provider *p BERTH_CLEANUP(aws_credentials_provider_freep) =
            aws_credentials_env_new();
        struct aws_credentials *c BERTH_CLEANUP(aws_credentials_unrefp) = NULL;
        struct err e = ERR_INIT;
        bool is_ok = aws_credentials_get(p, &c, &e);
        if (is_ok != (cases[i].want_reason == NULL))
            fail_msg("case %zu: %s", i, e.msg);
        if (!is_ok) {
            assert_int_equal(e.cls, ERR_CREDENTIALS);
            assert_string_equal(e.reason, cases[i].want_reason);
            assert_non_null(strstr(e.msg, cases[i].want_text));
            assert_null(strstr(e.msg, "hu"));
            continue;
        }
        const struct secret *token = aws_credentials_session_token(c);
        assert_int_equal(token != NULL, cases[i].want_token != NULL);
        if (token != NULL)
            assert_string_equal(secret_reveal(token).ptr, cases[i].want_token);
        assert_int_equal(aws_credentials_expires_unix_ms(c), cases[i].want_expires);
        assert_string_equal(aws_credentials_source(c), "environment");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_static_provider_gives_references),
        cmocka_unit_test(test_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
