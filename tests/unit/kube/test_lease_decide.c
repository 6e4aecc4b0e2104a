// SPDX-License-Identifier: Apache-2.0
/*
 * Leader election's rules as tables: who may have the Lease, what is written, how long to wait.
 */
#include "lease_priv.h"
#include "test_random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ME    STR("me_1")
#define OTHER STR("other_2")

static struct lease_record record(struct str holder, int64_t duration_s)
{
    return (struct lease_record){.holder = holder,
                                 .acquire_time = STR("2020-01-01T00:00:00.000000Z"),
                                 .renew_time = STR("2020-01-01T00:00:05.000000Z"),
                                 .duration_s = duration_s,
                                 .transitions = 3};
}

static void decisions(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *holder;
        int64_t duration_s;
        bool is_absent;
        int64_t age_ms; /* since it was first seen so */
        enum lease_action want;
        int64_t want_wait_ms;
    } CASES[] = {
        {"nobody's", "", 15, false, 0, LEASE_ACQUIRE, 0},
        {"given back", "", 1, false, 0, LEASE_ACQUIRE, 0},
        {"another's, just seen", "other_2", 15, false, 0, LEASE_WAIT, 15000},
        {"another's, almost run out", "other_2", 15, false, 14999, LEASE_WAIT, 1},
        {"another's, run out", "other_2", 15, false, 15000, LEASE_ACQUIRE, 0},
        {"another's, long run out", "other_2", 15, false, 1000000, LEASE_ACQUIRE, 0},
        {"another's, its own duration", "other_2", 60, false, 59000, LEASE_WAIT, 1000},
        {"another's, longest", "other_2", INT32_MAX, false, 0, LEASE_WAIT,
         (int64_t)INT32_MAX * 1000},
        {"another's, without duration", "other_2", 0, false, 0, LEASE_ACQUIRE, 0},
        {"ours", "me_1", 15, false, 0, LEASE_RENEW, 0},
        {"ours, run out", "me_1", 15, false, 20000, LEASE_RENEW, 0},
        {"a name that begins as ours", "me_", 15, false, 0, LEASE_WAIT, 15000},
        {"never there", "", 0, true, 0, LEASE_CREATE, 0},
        {"another's, deleted just now", "other_2", 15, true, 0, LEASE_WAIT, 15000},
        {"another's, deleted long ago", "other_2", 15, true, 15000, LEASE_CREATE, 0},
        {"given back, deleted", "", 1, true, 0, LEASE_CREATE, 0},
        {"ours, deleted", "me_1", 15, true, 0, LEASE_CREATE, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        struct lease_observation o = {.is_known = true,
                                      .is_absent = CASES[i].is_absent,
                                      .record =
                                          record(str_from(CASES[i].holder), CASES[i].duration_s),
                                      .changed_ms = 7000};
        int64_t now_ms = 7000 + CASES[i].age_ms, until_ms = -1;
        enum lease_action action = kube_lease_decide(&o, ME, now_ms, &until_ms);
        if (action != CASES[i].want || until_ms - now_ms != CASES[i].want_wait_ms)
            fail_msg("%s: action %d, wait %lld", CASES[i].name, (int)action,
                     (long long)(until_ms - now_ms));
    }
}

/* The age of a record is counted anew by every change of it, and by nothing else. */
static void observations(void **state)
{
    (void)state;
    struct lease_record was = record(OTHER, 15);
    struct lease_observation o = {0};
    kube_lease_observe(&o, &was, 1000);
    assert_true(o.is_known);
    assert_int_equal(o.changed_ms, 1000);
    char copy[] = "other_2"; /* the same text elsewhere */
    struct lease_record same = was;
    same.holder = str_from(copy);
    kube_lease_observe(&o, &same, 2000);
    assert_int_equal(o.changed_ms, 1000);
    assert_ptr_equal(o.record.holder.ptr, copy);

    struct lease_record changes[] = {was, was, was, was, was};
    changes[0].holder = STR("third_3");
    changes[1].acquire_time = STR("2020-01-01T00:00:00.000001Z");
    changes[2].renew_time = STR("2020-01-01T00:00:05.000001Z");
    changes[3].duration_s = 16;
    changes[4].transitions = 4;
    for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
        struct lease_observation seen = o;
        kube_lease_observe(&seen, &changes[i], 3000);
        assert_int_equal(seen.changed_ms, 3000);
    }

    kube_lease_observe(&o, NULL, 4000);
    assert_true(o.is_absent);
    assert_int_equal(o.changed_ms, 4000);
    assert_true(str_eq(o.record.holder, OTHER));
    kube_lease_observe(&o, NULL, 5000);
    assert_int_equal(o.changed_ms, 4000);
    kube_lease_observe(&o, &was, 6000); /* restored: as new */
    assert_false(o.is_absent);
    assert_int_equal(o.changed_ms, 6000);

    struct lease_observation fresh = {0};
    kube_lease_observe(&fresh, NULL, 8000);
    assert_int_equal(fresh.changed_ms, 8000);
}

static void records(void **state)
{
    (void)state;
    struct str now = STR("2026-01-01T00:00:00.000000Z"), then = STR("2020-01-01T00:00:00.000000Z");
    struct lease_observation o = {.is_known = true, .record = record(ME, 60)};
    struct lease_record next = kube_lease_next(&o, LEASE_RENEW, ME, now);
    assert_true(str_eq(next.holder, ME) && str_eq(next.renew_time, now));
    assert_true(str_eq(next.acquire_time, then));
    assert_int_equal(next.transitions, 3);
    assert_int_equal(next.duration_s, 15);
    o.record.acquire_time = STR("");
    assert_true(str_eq(kube_lease_next(&o, LEASE_RENEW, ME, now).acquire_time, now));

    o.record = record(OTHER, 60);
    next = kube_lease_next(&o, LEASE_ACQUIRE, ME, now);
    assert_true(str_eq(next.holder, ME) && str_eq(next.renew_time, now));
    assert_true(str_eq(next.acquire_time, now));
    assert_int_equal(next.transitions, 4);
    assert_int_equal(next.duration_s, 15);
    o.record.transitions = INT32_MAX;
    assert_int_equal(kube_lease_next(&o, LEASE_ACQUIRE, ME, now).transitions, INT32_MAX);
    assert_int_equal(kube_lease_next(&o, LEASE_CREATE, ME, now).transitions, 0);
    assert_true(str_eq(kube_lease_next(&o, LEASE_CREATE, ME, now).acquire_time, now));

    o.record = record(ME, 15);
    next = kube_lease_given_back(&o.record, now);
    assert_true(str_is_empty(next.holder) && !str_is_null(next.holder));
    assert_true(str_eq(next.acquire_time, now) && str_eq(next.renew_time, now));
    assert_int_equal(next.duration_s, 1);
    assert_int_equal(next.transitions, 3);
}

static void pauses(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct lease_pause pause;
        int64_t want;
    } CASES[] = {
        {"leader", {.now_ms = 0, .left_ms = 10000}, 2000},
        {"leader, slow answer", {.now_ms = 1500, .left_ms = 8500}, 500},
        {"leader, slower", {.now_ms = 4000, .left_ms = 6000}, 0},
        {"leader, failed", {.now_ms = 0, .left_ms = 8000, .has_failed = true}, 2000},
        {"leader, runs out", {.now_ms = 0, .left_ms = 3000, .has_failed = true}, 1500},
        {"leader, almost out", {.now_ms = 0, .left_ms = 300, .has_failed = true}, 250},
        {"leader, to the deadline", {.now_ms = 0, .left_ms = 100, .has_failed = true}, 100},
        {"leader, throttled", {.left_ms = 8000, .has_failed = true, .retry_after_ms = 9000}, 2000},
        {"candidate, least", {.now_ms = 0, .entropy = 0}, 2000},
        {"candidate, most", {.now_ms = 0, .entropy = 1023}, 2000 + 2400 * 1023 / 1024},
        {"candidate, entropy", {.now_ms = 0, .entropy = UINT32_MAX}, 2000 + 2400 * 1023 / 1024},
        {"runs out soon", {.now_ms = 5000, .until_ms = 5100}, 100},
        {"runs out later", {.now_ms = 5000, .until_ms = 15100}, 2000},
        {"candidate, throttled", {.retry_after_ms = 7000, .has_failed = true}, 7000},
        {"candidate, throttled in vain", {.retry_after_ms = 3600000, .has_failed = true}, 30000},
    };
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        int64_t got = kube_lease_pause_ms(&CASES[i].pause);
        if (got != CASES[i].want)
            fail_msg("%s: %lld, want %lld", CASES[i].name, (long long)got,
                     (long long)CASES[i].want);
    }
}

static void pauses_are_bounded(void **state)
{
    (void)state;
    struct test_random r = {1};
    for (int i = 0; i < 20000; i++) {
        struct lease_pause p = {.started_ms = test_random_below(&r, 100000),
                                .left_ms =
                                    test_random_below(&r, 3) ? 0 : test_random_below(&r, 10001),
                                .has_failed = test_random_below(&r, 2),
                                .entropy = test_random_below(&r, UINT32_MAX)};
        p.now_ms = p.started_ms + test_random_below(&r, 30000);
        p.until_ms = p.now_ms - 20000 + test_random_below(&r, 40000);
        int64_t got = kube_lease_pause_ms(&p);
        if (p.left_ms > 0)
            assert_in_range(got, 0,
                            p.left_ms < KUBE_LEASE_RETRY_MS ? p.left_ms : KUBE_LEASE_RETRY_MS);
        else
            assert_in_range(got, p.until_ms > p.now_ms ? 1 : KUBE_LEASE_RETRY_MS,
                            KUBE_LEASE_RETRY_MS * 22 / 10);
        int64_t call_ms = kube_lease_call_ms(p.left_ms);
        assert_in_range(call_ms, 1, KUBE_LEASE_CALL_MS);
        if (p.left_ms > 0)
            assert_true(call_ms <= p.left_ms);
    }
}

static void calls_leave_time_for_another(void **state)
{
    (void)state;
    static const struct {
        int64_t left_ms, want;
    } CASES[] = {{0, 5000},   {-5, 5000}, {10000, 5000}, {8000, 4000},
                 {1001, 500}, {600, 500}, {400, 400},    {1, 1}};
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++)
        assert_int_equal(kube_lease_call_ms(CASES[i].left_ms), CASES[i].want);
}

static struct kube_object *object(const char *spec)
{
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(4096);
    struct kube_object *o = NULL;
    struct err e = ERR_INIT;
    buf_printf(&text, "{\"metadata\":{\"name\":\"lock\",\"resourceVersion\":\"9\"}%s}", spec);
    assert_true(kube_object_parse(buf_str(&text), &o, &e));
    return o;
}

static void reading(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *holder, *acquire, *renew;
        int64_t duration_s, transitions;
    } CASES[] = {
        {"", "", "", "", 0, 0},
        {",\"spec\":{}", "", "", "", 0, 0},
        {",\"spec\":null", "", "", "", 0, 0},
        {",\"spec\":{\"holderIdentity\":\"h\",\"leaseDurationSeconds\":15,\"acquireTime\":\"a\","
         "\"renewTime\":\"r\",\"leaseTransitions\":7,\"strategy\":\"x\"}",
         "h", "a", "r", 15, 7},
        {",\"spec\":{\"holderIdentity\":null,\"leaseDurationSeconds\":-1,\"acquireTime\":1,"
         "\"renewTime\":{},\"leaseTransitions\":-7}",
         "", "", "", 0, 0},
        {",\"spec\":{\"leaseDurationSeconds\":9007199254740991,\"leaseTransitions\":1.5}", "", "",
         "", INT32_MAX, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        struct kube_object *o BERTH_CLEANUP(kube_object_unrefp) = object(CASES[i].spec);
        struct lease_record r;
        struct err e = ERR_INIT;
        assert_true(kube_lease_read(o, &r, &e));
        assert_true(!str_is_null(r.holder) && str_eq_cstr(r.holder, CASES[i].holder));
        assert_true(str_eq_cstr(r.acquire_time, CASES[i].acquire));
        assert_true(str_eq_cstr(r.renew_time, CASES[i].renew));
        assert_int_equal(r.duration_s, CASES[i].duration_s);
        assert_int_equal(r.transitions, CASES[i].transitions);
    }
    struct kube_object *bad BERTH_CLEANUP(kube_object_unrefp) =
        object(",\"spec\":{\"a\":1,\"a\":2}");
    struct lease_record r;
    struct err e = ERR_INIT;
    assert_false(kube_lease_read(bad, &r, &e));
    assert_int_equal(e.cls, ERR_INVALID);
    assert_string_equal(e.reason, "Undecodable");
}

static void writing(void **state)
{
    (void)state;
    struct lease_record r = record(ME, 15);
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(4096);
    struct err e = ERR_INIT;
#define SPEC                                                                                       \
    "\"spec\":{\"holderIdentity\":\"me_1\",\"leaseDurationSeconds\":15,"                           \
    "\"acquireTime\":\"2020-01-01T00:00:00.000000Z\",\"renewTime\":\"2020-01-01T00:00:05."         \
    "000000Z\",\"leaseTransitions\":3}}"
#define HEAD "{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"metadata\":"
    assert_true(kube_lease_write(&r, "ns", "lock", NULL, &out, &e));
    assert_string_equal(buf_cstr(&out), HEAD "{\"name\":\"lock\",\"namespace\":\"ns\"}," SPEC);
    /* whatever somebody put there stays */
    struct kube_object *old BERTH_CLEANUP(kube_object_unrefp) = NULL;
    assert_true(kube_object_parse(STR("{\"metadata\":{\"name\":\"lock\",\"resourceVersion\":\"9\","
                                      "\"labels\":{\"a\":\"b\"}},\"spec\":{\"x\":1}}"),
                                  &old, &e));
    buf_reset(&out);
    assert_true(kube_lease_write(&r, "ns", "lock", old, &out, &e));
    assert_string_equal(buf_cstr(&out),
                        HEAD "{\"name\":\"lock\",\"resourceVersion\":\"9\",\"labels\":{\"a\":"
                             "\"b\"}}," SPEC);
    struct buf small BERTH_CLEANUP(buf_fini) = BUF_INIT(100);
    assert_false(kube_lease_write(&r, "ns", "lock", old, &small, &e));
    assert_string_equal(e.reason, "TooLarge");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decisions),
        cmocka_unit_test(observations),
        cmocka_unit_test(records),
        cmocka_unit_test(pauses),
        cmocka_unit_test(pauses_are_bounded),
        cmocka_unit_test(calls_leave_time_for_another),
        cmocka_unit_test(reading),
        cmocka_unit_test(writing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
