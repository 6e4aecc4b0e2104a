// SPDX-License-Identifier: Apache-2.0
/*
 * What AWS says when it refuses, as our error.
 */
#include "aws/client.h"
#include "base/err.h"
#include "base/str.h"
#include "client_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_codes(void **state)
{
    (void)state;
    static const struct {
        const char *raw, *want;
    } cases[] = {
        {"RepositoryNotFoundException", "RepositoryNotFoundException"},
        {"com.amazonaws.ecr#ServerException", "ServerException"},
        {"AccessDeniedException:http://internal.amazon.com/coral/", "AccessDeniedException"},
        {"a#b#C:http://x/#y", "C"},
        {" C ", "C"},
        {"", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_true(str_eq_cstr(aws_error_code(str_from(cases[i].raw)), cases[i].want));
}

static void test_classes(void **state)
{
    (void)state;
    static const struct {
        const char *code;
        int status;
        enum err_class want;
    } cases[] = {
        {"ThrottlingException", 400, ERR_THROTTLED},
        {"Throttling", 400, ERR_THROTTLED},
        {"ThrottleException", 429, ERR_THROTTLED},
        {"TooManyRequestsException", 429, ERR_THROTTLED},
        {"SlowDown", 503, ERR_THROTTLED},
        {NULL, 429, ERR_THROTTLED},
        {"SomethingNew", 429, ERR_THROTTLED},
        {"LimitExceededException", 400, ERR_QUOTA},
        {"LimitExceededException", 429, ERR_QUOTA},
        {"ServerException", 500, ERR_RETRY},
        {"InternalFailure", 400, ERR_RETRY},
        {"ServiceUnavailable", 503, ERR_RETRY},
        {"RequestTimeoutException", 400, ERR_RETRY},
        {NULL, 408, ERR_RETRY},
        {NULL, 500, ERR_RETRY},
        {NULL, 502, ERR_RETRY},
        {"SomethingNew", 504, ERR_RETRY},
        {"AccessDeniedException", 400, ERR_DENIED},
        {"AccessDeniedException", 403, ERR_DENIED},
        {"OptInRequired", 403, ERR_DENIED},
        {"BlockedByOrganizationPolicyException", 400, ERR_DENIED},
        {NULL, 403, ERR_DENIED},
        {"UnrecognizedClientException", 400, ERR_CREDENTIALS},
        {"ExpiredTokenException", 403, ERR_CREDENTIALS},
        {"InvalidSignatureException", 403, ERR_CREDENTIALS},
        {"IncompleteSignature", 403, ERR_CREDENTIALS},
        {"MissingAuthenticationTokenException", 403, ERR_CREDENTIALS},
        {NULL, 401, ERR_CREDENTIALS},
        {"RepositoryNotFoundException", 400, ERR_NOT_FOUND},
        {"TemplateNotFoundException", 400, ERR_NOT_FOUND},
        {"x.y#LifecyclePolicyNotFoundException:u", 400, ERR_NOT_FOUND},
        /* a proxy's 404 is not a template that is gone, and says nothing about what was sent */
        {NULL, 404, ERR_RETRY},
        {"", 400, ERR_RETRY},
        {"UnknownOperationException", 404, ERR_RETRY},
        {"TemplateAlreadyExistsException", 400, ERR_CONFLICT},
        {"RepositoryNotEmptyException", 400, ERR_CONFLICT},
        {"ValidationException", 400, ERR_INVALID},
        {"InvalidParameterException", 400, ERR_INVALID},
        {"TooManyTagsException", 400, ERR_INVALID},
        {"SomethingNewException", 400, ERR_INVALID},
        {NULL, 413, ERR_RETRY},
        {NULL, 302, ERR_RETRY},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        enum err_class got = aws_error_class(str_from(cases[i].code), cases[i].status);
        if (got != cases[i].want)
            fail_msg("%s %d is %s", cases[i].code ? cases[i].code : "(none)", cases[i].status,
                     err_class_name(got));
    }
}

#define LONG_X   "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define LONGER_X LONG_X LONG_X LONG_X LONG_X LONG_X LONG_X LONG_X LONG_X LONG_X LONG_X

static void test_messages(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *body;
        struct http_header header;
        const char *want_reason;
        const char *want_msg; /* NULL: not compared */
    } cases[] = {
        {400,
         "{\"__type\":\"com.amazonaws.ecr#RepositoryNotFoundException\",\"message\":\"The "
         "repository with name 'x' does not exist\"}",
         {{STR_INIT("x-amzn-RequestId")}, {STR_INIT("r-1")}},
         "RepositoryNotFoundException",
         "Op: RepositoryNotFoundException: The repository with name 'x' does not exist (request id "
         "r-1)"},
        {400,
         "{\"__type\":\"ThrottlingException\",\"Message\":\"Rate\\n  exceeded\"}",
         {{STR_INIT("Date")}, {STR_INIT("x")}},
         "ThrottlingException",
         "Op: ThrottlingException: Rate exceeded"},
        {403,
         "{}",
         {{STR_INIT("X-Amzn-ErrorType")}, {STR_INIT("AccessDeniedException:http://x/")}},
         "AccessDeniedException",
         "Op: AccessDeniedException"},
        {502,
         "<html>\n<b>Bad Gateway</b>",
         {{STR_INIT("Date")}, {STR_INIT("x")}},
         "HTTP502",
         "Op: HTTP502: <html> <b>Bad Gateway</b>"},
        {503, "", {{STR_INIT("Date")}, {STR_INIT("x")}}, "HTTP503", "Op: HTTP503"},
        {400,
         "{\"__type\":42,\"message\":[]}",
         {{STR_INIT("Date")}, {STR_INIT("x")}},
         "HTTP400",
         "Op: HTTP400"},
        {400,
         "\xff\xfe",
         {{STR_INIT("Date")}, {STR_INIT("x")}},
         "HTTP400",
         "Op: HTTP400: (not text)"},
        {403,
         "{\"__type\":\"SignatureDoesNotMatch\",\"message\":\"The request signature does not "
         "match.\\n\\nThe Canonical String for this request should have been\\nPOST\\n...TOKEN\"}",
         {{STR_INIT("Date")}, {STR_INIT("x")}},
         "SignatureDoesNotMatch",
         "Op: SignatureDoesNotMatch: The request signature does not match."},
        {403,
         "{\"__type\":\"ExpiredToken\",\"message\":\"SESSIONTOKEN has expired\"}",
         {{STR_INIT("Date")}, {STR_INIT("x")}},
         "ExpiredToken",
         "Op: ExpiredToken: (the message is withheld, because it repeats the credentials)"},
        {400,
         "{\"__type\":\"" LONGER_X "\",\"message\":\"" LONGER_X LONGER_X "\"}",
         {{STR_INIT("x-amzn-requestid")}, {STR_INIT(LONGER_X)}},
         LONG_X,
         NULL},
    };
    struct err ignored = ERR_INIT;
    struct aws_credentials *c BERTH_CLEANUP(aws_credentials_unrefp) = NULL;
    struct aws_credentials_values v = {STR("AKID"), STR("SECRETKEY"), STR("SESSIONTOKEN"), 0, "x"};
    assert_true(aws_credentials_new(&v, &c, &ignored));
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct http_header header = cases[i].header;
        struct http_response r = {cases[i].status, str_from(cases[i].body), &header, 1, 1};
        struct err e = ERR_INIT;
        assert_false(aws_error_from(&r, "Op", c, &e));
        assert_int_equal(e.http_status, cases[i].status);
        assert_true(strlen(e.msg) < ERR_MSG_MAX - 1);
        assert_null(strstr(e.msg, "TOKEN"));
        if (cases[i].want_msg == NULL) {
            assert_memory_equal(e.reason, cases[i].want_reason, ERR_REASON_MAX - 1);
            continue;
        }
        assert_string_equal(e.reason, cases[i].want_reason);
        assert_string_equal(e.msg, cases[i].want_msg);
    }
}

/* "test", which emulators take for a secret, is in "user/test" too. */
static void test_a_secret_that_aws_never_issued(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct aws_credentials *c BERTH_CLEANUP(aws_credentials_unrefp) = NULL;
    struct aws_credentials_values v = {STR("test"), STR("test"), STR_NULL, 0, "x"};
    assert_true(aws_credentials_new(&v, &c, &e));
    struct http_response r = {
        .status = 400,
        .body = STR("{\"__type\":\"AccessDeniedException\",\"message\":\"user/test: no\"}"),
    };
    assert_false(aws_error_from(&r, "Op", c, &e));
    assert_string_equal(e.msg, "Op: AccessDeniedException: user/test: no");
}

static void test_only_what_is_visible_is_kept(void **state)
{
    (void)state;
    struct http_header header = {STR("x-amzn-RequestId"), STR(" a\x7f\x01-\xff~ b")};
    struct http_response r = {400, STR("{\"message\":\"a\\u0000\\u007f b\\n\"}"), &header, 1, 1};
    char id[AWS_REQUEST_ID_MAX + 1];
    struct err e = ERR_INIT;
    aws_request_id(&r, id);
    assert_string_equal(id, "a-~b");
    r.body = STR("{\"message\":\"a\\u007f b\\n\"}");
    assert_false(aws_error_from(&r, "Op", NULL, &e));
    assert_non_null(strstr(e.msg, "a b"));
}

static void test_retry_after(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
        uint32_t want_ms;
    } cases[] = {
        {"x-amz-retry-after", "1500", 1500}, {"x-amz-retry-after", "99999999", 60000},
        {"Retry-After", "2", 2000},          {"Retry-After", "4000000000000", 60000},
        {"Retry-After", "60", 60000},        {"Retry-After", "Fri, 31 Dec 1999 23:59:59 GMT", 0},
        {"x-amz-retry-after", "-1", 0},      {"other", "2", 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct http_header header = {str_from(cases[i].name), str_from(cases[i].value)};
        struct http_response r = {429, STR(""), &header, 1, 1};
        struct err e = ERR_INIT;
        assert_false(aws_error_from(&r, "Op", NULL, &e));
        assert_int_equal(e.retry_after_ms, cases[i].want_ms);
    }
}

static void test_http_dates(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t want_ms; /* -1: refused */
    } cases[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", INT64_C(784111777000)},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Thu, 29 Feb 2024 00:00:00 GMT", INT64_C(1709164800000)},
        {"Sun, 06 Nov 1994 08:49:37 UTC", -1},
        {"Sun, 06 Xyz 1994 08:49:37 GMT", -1},
        {"Sun, 96 Nov 1994 08:49:37 GMT", -1},
        {"Sun, 06 Nov 1994 28:49:37 GMT", -1},
        {"Sun, 06 Nov 1994 08-49-37 GMT", -1},
        {"Sunday, 06-Nov-94 08:49:37 GMT", -1},
        {"Sun; 06 Nov 1994 08:49:37 GMT", -1},
        {"Sun,-06 Nov 1994 08:49:37 GMT", -1},
        {"Sun, 06-Nov 1994 08:49:37 GMT", -1},
        {"Sun, 06 Nov-1994 08:49:37 GMT", -1},
        {"Sun, 06 Nov 1994-08:49:37 GMT", -1},
        {"", -1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int64_t got = -1;
        bool is_ok = aws_parse_http_date(str_from(cases[i].text), &got);
        if (is_ok != (cases[i].want_ms >= 0) || (is_ok && got != cases[i].want_ms))
            fail_msg("%s", cases[i].text);
    }
}

static void test_skew(void **state)
{
    (void)state;
    static const struct {
        enum err_class cls;
        const char *reason, *msg, *date;
        int64_t signed_ms;
        bool want;
    } cases[] = {
        {ERR_CREDENTIALS, "InvalidSignatureException", "Signature expired: x is earlier than y",
         "Thu, 01 Jan 1970 01:00:00 GMT", 0, true},
        {ERR_CREDENTIALS, "InvalidSignatureException", "Signature not yet current: x",
         "Thu, 01 Jan 1970 00:00:00 GMT", 3600000, true},
        {ERR_CREDENTIALS, "RequestTimeTooSkewed", "x", "Thu, 01 Jan 1970 01:00:00 GMT", 0, true},
        {ERR_CREDENTIALS, "InvalidSignatureException", "The signature does not match",
         "Thu, 01 Jan 1970 01:00:00 GMT", 0, false},
        {ERR_CREDENTIALS, "RequestExpired", "x", "Thu, 01 Jan 1970 00:00:59 GMT", 0, false},
        {ERR_CREDENTIALS, "RequestExpired", "x", "now", 0, false},
        {ERR_DENIED, "AccessDeniedException", "Signature expired", "Thu, 01 Jan 1970 01:00:00 GMT",
         0, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct http_header header = {STR("Date"), str_from(cases[i].date)};
        struct http_response r = {403, STR(""), &header, 1, 1};
        struct err e = ERR_INIT;
        int64_t unix_ms = 0;
        (void)err_set(&e, cases[i].cls, cases[i].reason, "%s", cases[i].msg);
        if (aws_is_skewed(&e, &r, cases[i].signed_ms, &unix_ms) != cases[i].want)
            fail_msg("case %zu", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes),       cmocka_unit_test(test_classes),
        cmocka_unit_test(test_messages),    cmocka_unit_test(test_only_what_is_visible_is_kept),
        cmocka_unit_test(test_retry_after), cmocka_unit_test(test_http_dates),
        cmocka_unit_test(test_skew),        cmocka_unit_test(test_a_secret_that_aws_never_issued),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
