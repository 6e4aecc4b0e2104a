// SPDX-License-Identifier: Apache-2.0
/*
 * When a call is tried again, and after how long.
 */
#include "aws/retry.h"
#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct err error(enum err_class cls, const char *reason)
{
    struct err e = ERR_INIT;
    (void)err_set(&e, cls, reason, "x");
    return e;
}

static void test_classes(void **state)
{
    (void)state;
    static const struct {
        enum err_class cls;
        bool is_again;
    } cases[] = {
        {ERR_RETRY, true},  {ERR_THROTTLED, true},  {ERR_DENIED, false},   {ERR_CREDENTIALS, false},
        {ERR_QUOTA, false}, {ERR_NOT_FOUND, false}, {ERR_CONFLICT, false}, {ERR_INVALID, false},
        {ERR_GONE, false},  {ERR_CANCELLED, false}, {ERR_BUG, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct aws_retry_quota q = AWS_RETRY_QUOTA_INIT;
        struct aws_retry r = AWS_RETRY_INIT;
        struct err e = error(cases[i].cls, "LimitExceededException");
        int64_t delay = -1;
        assert_int_equal(aws_retry_next(&r, &q, &e, 0.5, &delay), cases[i].is_again);
        assert_int_equal(q.available, AWS_RETRY_QUOTA - (cases[i].is_again ? 5 : 0));
        assert_int_equal(delay, cases[i].is_again ? 500 : 0);
    }
}

static void test_delays(void **state)
{
    (void)state;
    static const struct {
        int attempt;
        double random;
        uint32_t after_ms;
        int64_t want_ms;
    } cases[] = {
        {1, 0, 0, 0},         {1, 0.999, 0, 999},    {2, 0.5, 0, 1000},
        {3, 0.5, 0, 2000},    {5, 0.5, 0, 8000},     {6, 0.5, 0, 10000},
        {40, 0.25, 0, 5000},  {1, 0.5, 100, 500}, /* never sooner than the delay */
        {1, 0.5, 3000, 3000}, {1, 0.5, 60000, 5500},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct aws_retry_quota q = AWS_RETRY_QUOTA_INIT;
        struct aws_retry r = {.attempts_max = 100, .attempts = cases[i].attempt - 1};
        struct err e = error(ERR_THROTTLED, "ThrottlingException");
        e.retry_after_ms = cases[i].after_ms;
        int64_t delay = -1;
        assert_true(aws_retry_next(&r, &q, &e, cases[i].random, &delay));
        assert_int_equal(delay, cases[i].want_ms);
    }
}

static void test_attempts(void **state)
{
    (void)state;
    struct aws_retry_quota q = AWS_RETRY_QUOTA_INIT;
    struct aws_retry r = AWS_RETRY_INIT;
    struct err e = error(ERR_RETRY, "ConnectionLost");
    int64_t delay = 0;
    assert_true(aws_retry_next(&r, &q, &e, 0, &delay));
    assert_true(aws_retry_next(&r, &q, &e, 0, &delay));
    assert_false(aws_retry_next(&r, &q, &e, 0, &delay));
    assert_int_equal(r.attempts, AWS_RETRY_ATTEMPTS);
    assert_int_equal(q.available, AWS_RETRY_QUOTA - 10);
    struct aws_retry one = {.attempts_max = 1};
    assert_false(aws_retry_next(&one, &q, &e, 0, &delay));
}

static void test_quota(void **state)
{
    (void)state;
    struct aws_retry_quota q = {.available = 19};
    struct err timeout = error(ERR_RETRY, "Timeout");
    struct err lost = error(ERR_RETRY, "ConnectionLost");
    int64_t delay = 0;
    struct aws_retry r = AWS_RETRY_INIT;
    assert_true(aws_retry_next(&r, &q, &timeout, 0, &delay));
    assert_int_equal(q.available, 9);
    assert_false(aws_retry_next(&(struct aws_retry){0}, &q, &timeout, 0, &delay));
    assert_true(aws_retry_next(&(struct aws_retry){0}, &q, &lost, 0, &delay));
    assert_int_equal(q.available, 4);
    assert_false(aws_retry_next(&(struct aws_retry){0}, &q, &lost, 0, &delay));
    assert_int_equal(q.available, 4);
    aws_retry_succeeded(&r, &q);
    assert_int_equal(q.available, 14);
    /* what was given back is not given again */
    aws_retry_succeeded(&r, &q);
    assert_int_equal(q.available, 15);
    q.available = AWS_RETRY_COST;
    assert_true(aws_retry_next(&(struct aws_retry){0}, &q, &lost, 0, &delay));
    assert_int_equal(q.available, 0);
    q.available = AWS_RETRY_QUOTA;
    aws_retry_succeeded(&(struct aws_retry){0}, &q);
    assert_int_equal(q.available, AWS_RETRY_QUOTA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_delays),
        cmocka_unit_test(test_attempts),
        cmocka_unit_test(test_quota),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
