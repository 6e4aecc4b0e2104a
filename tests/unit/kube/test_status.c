// SPDX-License-Identifier: Apache-2.0
/*
 * What becomes of answers that are no success: the table of kube/client.h.
 */
#include "status_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define STATUS(REST) "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\"," REST "}"

static const struct {
    const char *name;
    int http_status;
    const char *body;
    const char *retry_after;
    enum kube_result want;
    enum err_class cls;
    const char *reason;
    uint32_t retry_after_ms;
    const char *message; /* must be in it */
} CASES[] = {
    {"forbidden", 403,
     STATUS("\"reason\":\"Forbidden\",\"message\":\"things is forbidden: User x cannot list\","
            "\"code\":403"),
     NULL, KUBE_FAILED, ERR_DENIED, "Forbidden", 0, "cannot list"},
    {"quota", 403, STATUS("\"reason\":\"Forbidden\",\"message\":\"exceeded quota: q, used: 1\""),
     NULL, KUBE_FAILED, ERR_QUOTA, "Forbidden", 0, "exceeded quota"},
    {"unauthorized", 401, STATUS("\"reason\":\"Unauthorized\",\"message\":\"Unauthorized\""), NULL,
     KUBE_FAILED, ERR_CREDENTIALS, "Unauthorized", 0, "Unauthorized"},
    {"not found", 404, STATUS("\"reason\":\"NotFound\",\"message\":\"x not found\""), NULL,
     KUBE_NOT_FOUND, ERR_NONE, "", 0, ""},
    {"not found as text", 404, "404 page not found\n", NULL, KUBE_NOT_FOUND, ERR_NONE, "", 0, ""},
    {"exists", 409, STATUS("\"reason\":\"AlreadyExists\",\"message\":\"x already exists\""), NULL,
     KUBE_EXISTS, ERR_NONE, "", 0, ""},
    {"conflict", 409, STATUS("\"reason\":\"Conflict\",\"message\":\"modified\""), NULL,
     KUBE_CONFLICT, ERR_NONE, "", 0, ""},
    {"expired", 410, STATUS("\"reason\":\"Expired\",\"message\":\"too old\""), NULL, KUBE_FAILED,
     ERR_GONE, "Expired", 0, "too old"},
    {"inside a watch", 0, STATUS("\"reason\":\"Expired\",\"message\":\"too old\",\"code\":410"),
     NULL, KUBE_FAILED, ERR_GONE, "Expired", 0, "(HTTP 410)"},
    {"version of the future", 504,
     STATUS("\"reason\":\"Timeout\",\"message\":\"Too large resource version\",\"details\":{"
            "\"causes\":[{\"reason\":\"ResourceVersionTooLarge\",\"message\":\"Too large "
            "resource version\"}],\"retryAfterSeconds\":1}"),
     NULL, KUBE_FAILED, ERR_GONE, "Timeout", 1000, "Too large"},
    {"too many requests", 429,
     STATUS("\"reason\":\"TooManyRequests\",\"message\":\"slow\",\"details\":{"
            "\"retryAfterSeconds\":3}"),
     "1", KUBE_FAILED, ERR_THROTTLED, "TooManyRequests", 3000, "slow"},
    {"retry after by header", 429, "slow down", "7", KUBE_FAILED, ERR_THROTTLED, "", 7000,
     "slow down (HTTP 429)"},
    {"retry after is bounded", 503, "", "999999999", KUBE_FAILED, ERR_RETRY, "", 3600000,
     "no message"},
    {"retry after is a date", 503, "", "Wed, 21 Oct 2026 07:28:00 GMT", KUBE_FAILED, ERR_RETRY, "",
     0, ""},
    {"invalid with causes", 422,
     STATUS("\"reason\":\"Invalid\",\"message\":\"a is invalid\",\"details\":{\"causes\":[{"
            "\"field\":\"spec.x\",\"message\":\"Required value\"},{\"field\":\"spec.y\","
            "\"message\":\"is invalid\"}]}"),
     NULL, KUBE_FAILED, ERR_INVALID, "Invalid", 0, "a is invalid; spec.x: Required value (HTTP"},
    {"bad request", 400, STATUS("\"reason\":\"BadRequest\",\"message\":\"m\""), NULL, KUBE_FAILED,
     ERR_INVALID, "BadRequest", 0, "m"},
    {"too large", 413, "", NULL, KUBE_FAILED, ERR_INVALID, "", 0, ""},
    {"method", 405, "", NULL, KUBE_FAILED, ERR_INVALID, "", 0, ""},
    {"redirect", 302, "", NULL, KUBE_FAILED, ERR_INVALID, "", 0, "(HTTP 302)"},
    {"request timeout", 408, "", NULL, KUBE_FAILED, ERR_RETRY, "", 0, ""},
    {"internal", 500, STATUS("\"reason\":\"InternalError\",\"message\":\"m\""), NULL, KUBE_FAILED,
     ERR_RETRY, "InternalError", 0, "m"},
    {"a proxy's page", 502, "<html>\n<b>Bad gateway</b></html>", NULL, KUBE_FAILED, ERR_RETRY, "",
     0, "<html> <b>Bad gateway</b></html> (HTTP 502)"},
    {"no text", 502, "\xff\xfe", NULL, KUBE_FAILED, ERR_RETRY, "", 0, "no message"},
    {"one line", 500, STATUS("\"message\":\"a\\nb\""), NULL, KUBE_FAILED, ERR_RETRY, "", 0,
     "a b (HTTP 500)"},
    {"controls", 500, STATUS("\"message\":\"a\\u0001b\\u007fc\""), NULL, KUBE_FAILED, ERR_RETRY, "",
     0, "a b c (HTTP 500)"},
    {"causes without a field or words", 422,
     STATUS("\"message\":\"m\",\"details\":{\"causes\":[{\"field\":\"a\"},{\"message\":\"why\"},{"
            "\"field\":\"\",\"message\":\"how\"},7]}"),
     NULL, KUBE_FAILED, ERR_INVALID, "", 0, "m; why; how (HTTP 422)"},
    {"a code inside does not count where HTTP has one", 500, STATUS("\"code\":410"), NULL,
     KUBE_FAILED, ERR_RETRY, "", 0, "(HTTP 500)"},
    {"a code that is none, too low", 0, STATUS("\"code\":99"), NULL, KUBE_FAILED, ERR_RETRY, "", 0,
     "(HTTP 0)"},
    {"a code that is none, too high", 0, STATUS("\"code\":600"), NULL, KUBE_FAILED, ERR_RETRY, "",
     0, "(HTTP 0)"},
    {"not even a redirect", 299, "", NULL, KUBE_FAILED, ERR_RETRY, "", 0, "no message (HTTP 299)"},
    {"asked to wait no time", 429, "", "0", KUBE_FAILED, ERR_THROTTLED, "", 0, "no message"},
    {"asked to wait until a date", 429, "", "Fri, 31 Dec 1999 23:59:59 GMT", KUBE_FAILED,
     ERR_THROTTLED, "", 0, "no message"},
    {"asked to wait for ever", 429, "", "999999999999", KUBE_FAILED, ERR_THROTTLED, "",
     STATUS_RETRY_AFTER_MAX_S * 1000, "no message"},
    {"not a Status", 500, "{\"kind\":\"Other\",\"message\":\"hidden\"}", NULL, KUBE_FAILED,
     ERR_RETRY, "", 0, "\"kind\":\"Other\""},
};

static void answers_are_classified(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        struct err e = ERR_INIT;
        enum kube_result got =
            kube_status_result(CASES[i].http_status, str_from(CASES[i].body),
                               str_from(CASES[i].retry_after), "get things \"a\"", &e);
        if (got != CASES[i].want || e.cls != CASES[i].cls ||
            e.retry_after_ms != CASES[i].retry_after_ms || strcmp(e.reason, CASES[i].reason) != 0 ||
            strstr(e.msg, CASES[i].message) == NULL)
            fail_msg("%s: got %d %s/%s after %u: %s", CASES[i].name, (int)got,
                     err_class_name(e.cls), e.reason, e.retry_after_ms, e.msg);
        if (got == KUBE_FAILED)
            assert_true(str_starts_with(str_from(e.msg), STR("get things \"a\": ")));
    }
}

static void outcomes_can_be_errors_too(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    assert_false(kube_status_fail(404, STR("gone"), STR_NULL, "watch things", &e));
    assert_int_equal(e.cls, ERR_NOT_FOUND);
    assert_int_equal(e.http_status, 404);
    err_clear(&e);
    assert_false(kube_status_fail(409, STR(""), STR_NULL, "watch things", &e));
    assert_int_equal(e.cls, ERR_CONFLICT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_classified),
        cmocka_unit_test(outcomes_can_be_errors_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
