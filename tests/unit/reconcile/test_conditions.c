// SPDX-License-Identifier: Apache-2.0
/*
 * Conditions: what kstatus and people rely on holds after any sequence of verdicts.
 */
#include "reconcile_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static bool is_true(const struct schema_list *conditions, const char *type)
{
    const struct api_condition *c = api_condition_find(conditions, type);
    return c != NULL && str_eq_cstr(c->status, "True");
}

/* Invariants FAIL0001 to FAIL0011 of fluxcd/pkg runtime/conditions/check, as far as one object's
 * conditions show them. */
static void check_kstatus(const struct schema_list *conditions, int64_t generation)
{
    const struct api_condition *items = conditions->items;
    assert_non_null(api_condition_find(conditions, API_CONDITION_READY));
    assert_non_null(api_condition_find(conditions, API_CONDITION_SYNCED));
    bool is_ready = is_true(conditions, API_CONDITION_READY);
    bool is_reconciling = is_true(conditions, API_CONDITION_RECONCILING);
    bool is_stalled = is_true(conditions, API_CONDITION_STALLED);
    assert_false(is_ready && (is_reconciling || is_stalled));
    assert_false(is_reconciling && is_stalled);
    for (size_t i = 0; i < conditions->count; i++) {
        assert_true(items[i].observed_generation.has);
        assert_true(items[i].observed_generation.value <= generation);
        assert_true(items[i].last_transition_time.has);
        assert_true(items[i].reason.len > 0);
        assert_true(items[i].message.len > 0);
        /* the abnormal ones are there only while they are true */
        if (str_eq_cstr(items[i].type, API_CONDITION_RECONCILING) ||
            str_eq_cstr(items[i].type, API_CONDITION_STALLED))
            assert_true(str_eq_cstr(items[i].status, "True"));
        for (size_t k = 0; k < i; k++)
            assert_false(str_eq(items[i].type, items[k].type));
    }
}

static const struct verdict verdicts[] = {
    {.ready = "True", .reason = API_REASON_AVAILABLE, .message = {STR_INIT("ok")}},
    {.ready = "False",
     .reason = API_REASON_CREATING,
     .message = {STR_INIT("why")},
     .is_reconciling = true},
    {.ready = "False",
     .reason = API_REASON_INVALID_SPEC,
     .message = {STR_INIT("why")},
     .is_stalled = true,
     .is_error = true},
    {.ready = "False", .reason = API_REASON_DRIFT_DETECTED, .message = {STR_INIT("why")}},
    {.ready = "False",
     .reason = API_REASON_THROTTLED,
     .message = {STR_INIT("why")},
     .is_reconciling = true,
     .is_error = true},
};

static void test_every_pair_of_verdicts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++) {
        for (size_t k = 0; k < ARRAY_SIZE(verdicts); k++) {
            struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
            struct schema_list none = {0};
            struct schema_list first = conditions_from(&verdicts[i], &none, 1, 5000, &a);
            struct schema_list second = conditions_from(&verdicts[k], &first, 2, 9000, &a);
            check_kstatus(&first, 1);
            check_kstatus(&second, 2);
            const struct api_condition *ready = api_condition_find(&second, API_CONDITION_READY);
            bool has_moved = strcmp(verdicts[i].ready, verdicts[k].ready) != 0;
            assert_int_equal(ready->last_transition_time.value, has_moved ? 9000 : 5000);
            struct schema_list paused = conditions_paused(&second, STR("paused"), 2, 9500, &a);
            check_kstatus(&paused, 2);
            /* written once: pausing again changes nothing */
            struct schema_list again = conditions_paused(&paused, STR("paused"), 2, 99000, &a);
            assert_int_equal(again.count, paused.count);
            const struct api_condition *synced = api_condition_find(&again, API_CONDITION_SYNCED);
            assert_true(str_eq_cstr(synced->reason, API_REASON_RECONCILE_PAUSED));
            assert_int_equal(
                synced->last_transition_time.value,
                api_condition_find(&paused, API_CONDITION_SYNCED)->last_transition_time.value);
        }
    }
}

static void test_pausing_what_was_never_reconciled(void **state)
{
    (void)state;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct schema_list none = {0};
    struct schema_list paused = conditions_paused(&none, STR("paused"), 1, 5000, &a);
    check_kstatus(&paused, 1);
    assert_false(is_true(&paused, API_CONDITION_READY));
}

static void test_transition_times_are_whole_seconds(void **state)
{
    (void)state;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct schema_list none = {0};
    struct schema_list c = conditions_from(&verdicts[0], &none, 1, 5999, &a);
    assert_int_equal(api_condition_find(&c, API_CONDITION_READY)->last_transition_time.value, 5000);
}

static void test_verdict_of_errors(void **state)
{
    (void)state;
    static const struct {
        enum err_class cls;
        const char *reason;
        const char *want;
        bool is_stalled;
    } cases[] = {
        {ERR_DENIED, "AccessDeniedException", API_REASON_ACCESS_DENIED, false},
        {ERR_CREDENTIALS, "NoCredentials", API_REASON_CREDENTIALS_UNAVAILABLE, false},
        {ERR_THROTTLED, "ThrottlingException", API_REASON_THROTTLED, false},
        {ERR_QUOTA, "LimitExceededException", API_REASON_QUOTA_EXCEEDED, false},
        {ERR_INVALID, "ValidationException", API_REASON_INVALID_SPEC, true},
        {ERR_RETRY, "ConnectFailed", API_REASON_ENDPOINT_UNREACHABLE, false},
        {ERR_RETRY, "TLSFailed", API_REASON_ENDPOINT_UNREACHABLE, false},
        {ERR_RETRY, "ServerException", API_REASON_AWS_ERROR, false},
        {ERR_BUG, "", API_REASON_AWS_ERROR, false},
        {ERR_NOT_FOUND, "NotFound", API_REASON_AWS_ERROR, false},
        {ERR_CONFLICT, "Conflict", API_REASON_AWS_ERROR, false},
        {ERR_GONE, "Gone", API_REASON_AWS_ERROR, false},
        {ERR_CANCELLED, "Stopped", API_REASON_AWS_ERROR, false},
    };
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err e = ERR_INIT;
        assert_false(err_set(&e, cases[i].cls, cases[i].reason,
                             "after %zu attempts: why (request id %zu)", i, i));
        struct verdict v = verdict_from_error(&e, &a);
        assert_string_equal(v.reason, cases[i].want);
        assert_int_equal(v.is_stalled, cases[i].is_stalled);
        assert_int_equal(v.is_reconciling, !cases[i].is_stalled);
        assert_string_equal(v.ready, "False");
        assert_true(v.is_error);
        /* what changes at each try is not in the status */
        assert_true(str_eq(v.message, STR("why")));
    }
}

static void test_messages_that_only_look_like_attempts(void **state)
{
    (void)state;
    static const char *const messages[][2] = {
        {"why", "why"},
        {"after lunch", "after lunch"},
        {"after 3 attempts", "after 3 attempts"},
        {"after three attempts: why", "after three attempts: why"},
        {"after 3 attempts: ", ""},
        {"op: after 12 attempts: why", "op: why"},
        {"why (request id x) and more", "why"},
    };
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    for (size_t i = 0; i < ARRAY_SIZE(messages); i++) {
        struct err e = ERR_INIT;
        assert_false(err_set(&e, ERR_RETRY, "X", "%s", messages[i][0]));
        struct verdict v = verdict_from_error(&e, &a);
        if (!str_eq_cstr(v.message, messages[i][1]))
            fail_msg("%s: %.*s", messages[i][0], STR_ARG(v.message));
    }
}

/* Somebody wrote conditions without a date: ours gets one, though nothing else has changed. */
static void test_a_date_that_is_missing(void **state)
{
    (void)state;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct schema_list none = {0};
    struct schema_list first = conditions_from(&verdicts[0], &none, 1, 5000, &a);
    struct api_condition *items = first.items;
    for (size_t i = 0; i < first.count; i++)
        items[i].last_transition_time = (struct schema_i64){0};
    struct schema_list second = conditions_from(&verdicts[0], &first, 1, 9000, &a);
    check_kstatus(&second, 1);
    assert_int_equal(api_condition_find(&second, API_CONDITION_READY)->last_transition_time.value,
                     9000);
}

static void test_news(void **state)
{
    (void)state;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct schema_list none = {0};
    struct schema_list c = conditions_from(&verdicts[2], &none, 1, 5000, &a);
    assert_true(verdict_is_news(&verdicts[2], &none));
    assert_false(verdict_is_news(&verdicts[2], &c));
    assert_true(verdict_is_news(&verdicts[3], &c));
    struct verdict other = verdicts[2];
    other.message = STR("another path");
    assert_true(verdict_is_news(&other, &c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_pair_of_verdicts),
        cmocka_unit_test(test_pausing_what_was_never_reconciled),
        cmocka_unit_test(test_transition_times_are_whole_seconds),
        cmocka_unit_test(test_verdict_of_errors),
        cmocka_unit_test(test_messages_that_only_look_like_attempts),
        cmocka_unit_test(test_a_date_that_is_missing),
        cmocka_unit_test(test_news),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
