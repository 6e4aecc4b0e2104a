// SPDX-License-Identifier: Apache-2.0
/*
 * The loop of leader election, round by round: taking the Lease, keeping it, losing it.
 */
#include "lease_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void creates_and_renews(void **state)
{
    struct fixture *f = *state;
    expect_metric(f, "leader_election_master_status{name=\"lock\"} 0\n");
    assert_false(leads(f));
    assert_int_equal(step(f), KUBE_LEASE_RETRY_MS);
    assert_true(leads(f));
    assert_int_equal(f->started, 1);
    assert_int_equal(kube_lease_left_ms(f->lease), KUBE_LEASE_RENEW_DEADLINE_MS);
    const char *me = kube_lease_identity(f->lease);
    assert_int_equal(strncmp(me, "pod_", 4), 0);
    assert_int_equal(strlen(me), 4 + 36);
    int64_t t = START_UNIX_MS + 1;
    check_spec(f, me, 15, t, t, 0);
    assert_int_equal(f->server.reads, 1);
    assert_int_equal(f->server.creations, 1);
    assert_int_equal(f->link.timeout_ms, KUBE_LEASE_CALL_MS);
    clock_fake_advance(&f->clock, 2000);
    assert_int_equal(kube_lease_left_ms(f->lease), 8000);
    snprintf(f->server.labels, sizeof(f->server.labels), "{\"team\":\"a\"}");
    assert_int_equal(step(f), KUBE_LEASE_RETRY_MS);
    check_spec(f, me, 15, t, t + 2000, 0);
    assert_int_equal(f->server.reads, 1); /* the fast path: one request */
    assert_int_equal(f->server.updates, 1);
    assert_int_equal(f->link.timeout_ms, 4000);
    assert_int_equal(kube_lease_left_ms(f->lease), KUBE_LEASE_RENEW_DEADLINE_MS);
    rounds(f, 60000);
    assert_true(leads(f));
    assert_int_equal(f->started, 1);
    assert_int_equal(f->stopped + f->errors, 0);
    assert_string_equal(buf_cstr(&f->holders), "[me]");
    expect_metric(f, "leader_election_master_status{name=\"lock\"} 1\n");
    expect_metric(f, "berth_leader_election_transitions_total{name=\"lock\"} 1\n");
}

static void keeps_what_others_put_there(void **state)
{
    struct fixture *f = *state;
    fake_lease_put(&f->server, "{}");
    snprintf(f->server.labels, sizeof(f->server.labels), "{\"team\":\"a\"}");
    rounds(f, 10000);
    assert_true(leads(f));
    assert_string_equal(f->server.labels, "{\"team\":\"a\"}");
}

static void waits_for_another_to_run_out(void **state)
{
    struct fixture *f = *state;
    char holder[KUBE_LEASE_HOLDER_MAX];
    /* its times say that it ran out years ago: nobody asks them */
    fake_lease_put(&f->server, OTHERS("2001-01-01T00:00:00.000000Z"));
    assert_int_equal(kube_lease_wait_role(f->lease, 0), KUBE_LEASE_UNKNOWN);
    int64_t first_ms = f->clock.mono_ms;
    assert_int_equal(step(f), 2000);
    kube_lease_holder(f->lease, holder);
    assert_string_equal(holder, "other");
    assert_int_equal(kube_lease_wait_role(f->lease, 0), KUBE_LEASE_FOLLOWER);
    rounds(f, 9000);
    /* one more renewal starts the 15 s anew; where they end the next attempt is made */
    fake_lease_put(&f->server, OTHERS("2001-01-01T00:00:01.000000Z"));
    clock_fake_advance(&f->clock, 1000);
    (void)step(f);
    int64_t seen_ms = f->clock.mono_ms;
    rounds(f, 15000);
    assert_false(leads(f));
    assert_int_equal(kube_lease_wait_role(f->lease, 0), KUBE_LEASE_UNKNOWN);
    assert_int_equal(f->clock.mono_ms, seen_ms + 15000);
    assert_true(seen_ms > first_ms);
    assert_int_equal(f->server.updates + f->server.creations, 0);
    (void)step(f);
    assert_true(leads(f));
    assert_int_equal(kube_lease_wait_role(f->lease, 0), KUBE_LEASE_LEADER);
    check_spec(f, kube_lease_identity(f->lease), 15, f->clock.unix_ms, f->clock.unix_ms, 5);
    assert_string_equal(buf_cstr(&f->holders), "[other][me]");
}

static void takes_what_is_given_back(void **state)
{
    struct fixture *f = *state;
    fake_lease_put(&f->server, OTHERS("2001-01-01T00:00:00.000000Z"));
    (void)step(f);
    fake_lease_put(&f->server, "{\"holderIdentity\":\"\",\"leaseDurationSeconds\":1,"
                               "\"leaseTransitions\":4}");
    (void)step(f);
    assert_true(leads(f));
    check_spec(f, kube_lease_identity(f->lease), 15, f->clock.unix_ms, f->clock.unix_ms, 5);
}

static void outage(struct fixture *f, enum fake_link_mode mode, int64_t ms)
{
    f->link.mode = mode;
    rounds(f, ms);
    f->link.mode = LINK_FINE;
}

static void rides_out_nine_seconds(void **state)
{
    struct fixture *f = *state;
    static const enum fake_link_mode MODES[] = {LINK_REFUSED, LINK_HANGS, LINK_LOSES_ANSWER};
    (void)step(f);
    for (size_t i = 0; i < ARRAY_SIZE(MODES); i++) {
        outage(f, MODES[i], 9000);
        assert_true(leads(f));
        clock_fake_advance(&f->clock, kube_lease_left_ms(f->lease) / 2);
        (void)step(f);
        assert_true(leads(f));
        assert_int_equal(kube_lease_left_ms(f->lease), KUBE_LEASE_RENEW_DEADLINE_MS);
    }
    assert_int_equal(f->started, 1);
    assert_int_equal(f->stopped, 0);
}

/* Whatever way the server is away, the end is at 10 s, and told at 10 s. */
static void ends_at_ten_seconds(void **state)
{
    struct fixture *f = *state;
    static const enum fake_link_mode MODES[] = {LINK_REFUSED, LINK_HANGS, LINK_LOSES_ANSWER};
    for (size_t i = 0; i < ARRAY_SIZE(MODES); i++) {
        f->link.mode = LINK_FINE;
        (void)step(f);
        int64_t renewed_ms = f->clock.mono_ms;
        assert_int_equal(f->started, i + 1);
        f->link.mode = MODES[i];
        rounds(f, 10000);
        assert_int_equal(f->clock.mono_ms, renewed_ms + 10000);
        assert_false(leads(f));
        (void)step(f);
        assert_int_equal(f->stopped, i + 1);
        assert_int_equal(f->stopped_ms, renewed_ms + 10000); /* no call goes past it */
        assert_int_equal(kube_lease_left_ms(f->lease), 0);
        expect_metric(f, "leader_election_master_status{name=\"lock\"} 0\n");
        rounds(f, 20000);
        assert_false(leads(f));
    }
    f->link.mode = LINK_FINE;
    (void)step(f); /* nobody took it: ours again, the same term in the record */
    assert_true(leads(f));
    assert_true(strstr(f->server.spec, "\"leaseTransitions\":0") != NULL);
}

/* SIGSTOP, or a suspended machine: time goes on, and nobody asked meanwhile. */
static void a_sleeper_does_not_believe(void **state)
{
    struct fixture *f = *state;
    (void)step(f);
    assert_true(leads(f));
    clock_fake_advance(&f->clock, KUBE_LEASE_RENEW_DEADLINE_MS - 1);
    assert_true(leads(f));
    clock_fake_advance(&f->clock, 1);
    assert_false(leads(f));
    assert_int_equal(f->stopped, 0); /* not even told yet */
    clock_fake_advance(&f->clock, 10000);
    fake_lease_put(&f->server, OTHERS("2001-01-01T00:00:00.000000Z"));
    (void)step(f);
    assert_false(leads(f));
    assert_int_equal(f->stopped, 1);
    assert_int_equal(f->server.updates, 0); /* read before it is written: it is old */
    assert_string_equal(buf_cstr(&f->holders), "[me][other]");
}

/* Sleeps in each call but the first, and notes whether the end was told before it. */
static bool sleep_in_call(void *arg, const char *method, struct str body)
{
    struct fixture *f = arg;
    (void)method;
    (void)body;
    if (f->link.calls > 1)
        assert_int_equal(f->stopped, 1);
    f->server.resource_version += f->link.calls == 1; /* a conflict: it is read again */
    clock_fake_advance(&f->clock, 20000);
    return false;
}

static void the_end_is_told_before_the_next_call(void **state)
{
    struct fixture *f = *state;
    (void)step(f);
    clock_fake_advance(&f->clock, 2000);
    f->link.calls = 0;
    f->link.defer = sleep_in_call;
    (void)step(f); /* update, read, update: accepted, and too old when the answer is there */
    assert_int_equal(f->link.calls, 3);
    assert_false(leads(f));
    assert_int_equal(f->started, 1);
    /* the same where it sleeps in the read */
    f->link.defer = NULL;
    (void)step(f);
    assert_true(leads(f));
    clock_fake_advance(&f->clock, 2000);
    f->lease->is_unsure = true;
    f->stopped = 0;
    f->link.calls = 0;
    f->link.defer = sleep_in_call;
    (void)step(f); /* read, update */
    assert_int_equal(f->link.calls, 2);
    assert_false(leads(f));
}

/* The process sleeps between its request and the answer. */
static void a_late_answer_is_no_leadership(void **state)
{
    struct fixture *f = *state;
    f->link.latency_ms = 2400;
    (void)step(f); /* GET 4.8 s, POST 4.8 s: counted from before the POST */
    assert_int_equal(kube_lease_left_ms(f->lease), KUBE_LEASE_RENEW_DEADLINE_MS - 4800);
}

static void wall_clock_jumps_change_nothing(void **state)
{
    struct fixture *f = *state;
    (void)step(f);
    f->clock.unix_ms += 86400000;
    assert_true(leads(f));
    rounds(f, 4000);
    f->clock.unix_ms -= 2 * 86400000LL;
    assert_true(leads(f));
    rounds(f, 30000);
    assert_true(leads(f));
    assert_int_equal(f->stopped, 0);
    /* a candidate neither */
    fake_lease_put(&f->server, OTHERS("2001-01-01T00:00:00.000000Z"));
    (void)step(f);
    f->clock.unix_ms += 86400000;
    rounds(f, 14000);
    assert_false(leads(f));
    assert_int_equal(f->stopped, 1);
}

static void another_under_our_feet(void **state)
{
    struct fixture *f = *state;
    (void)step(f);
    clock_fake_advance(&f->clock, 2000);
    fake_lease_put(&f->server, OTHERS("2001-01-01T00:00:00.000000Z"));
    (void)step(f); /* the update conflicts, it is read again */
    assert_false(leads(f));
    assert_int_equal(f->stopped, 1);
    assert_int_equal(f->errors, 0);
    assert_int_equal(f->server.updates, 1);
    rounds(f, 10000);
    assert_int_equal(f->server.updates, 1);
}

/* Somebody led between our two renewals, and is gone: ours again, but not without a break. */
static void another_in_between(void **state)
{
    struct fixture *f = *state;
    (void)step(f);
    clock_fake_advance(&f->clock, 2000);
    fake_lease_put(&f->server, "{\"holderIdentity\":\"\",\"leaseDurationSeconds\":1}");
    (void)step(f);
    assert_true(leads(f));
    assert_int_equal(f->stopped, 1);
    assert_int_equal(f->started, 2);
}

/* Somebody edits labels: the update conflicts, is made again, and leadership goes on. */
static void harmless_conflict(void **state)
{
    struct fixture *f = *state;
    (void)step(f);
    clock_fake_advance(&f->clock, 2000);
    f->server.resource_version++;
    (void)step(f);
    assert_true(leads(f));
    assert_int_equal(kube_lease_left_ms(f->lease), KUBE_LEASE_RENEW_DEADLINE_MS);
    assert_int_equal(f->stopped + f->errors, 0);
    assert_int_equal(f->server.updates, 2);
}

static void deleted_under_the_leader(void **state)
{
    struct fixture *f = *state;
    (void)step(f);
    clock_fake_advance(&f->clock, 2000);
    fake_lease_delete(&f->server);
    (void)step(f);
    assert_true(leads(f));
    assert_int_equal(f->stopped, 0);
    assert_int_equal(f->server.creations, 2);
    assert_string_equal(buf_cstr(&f->holders), "[me]");
    /* and if it cannot be made anew, leadership has ended */
    clock_fake_advance(&f->clock, 2000);
    fake_lease_delete(&f->server);
    f->server.has_namespace = false;
    (void)step(f);
    assert_false(leads(f));
    assert_int_equal(f->stopped, 1);
    assert_string_equal(f->error.reason, "NamespaceNotFound");
}

static void deleted_under_another(void **state)
{
    struct fixture *f = *state;
    fake_lease_put(&f->server, OTHERS("2001-01-01T00:00:00.000000Z"));
    rounds(f, 8000);
    fake_lease_delete(&f->server);
    rounds(f, 14000);
    assert_int_equal(f->server.creations, 0);
    rounds(f, 4000);
    assert_true(leads(f));
}

static bool create_other(void *arg, const char *method, struct str body)
{
    struct fixture *f = arg;
    (void)body;
    if (strcmp(method, "POST") == 0)
        fake_lease_put(&f->server, OTHERS("2001-01-01T00:00:00.000000Z"));
    return false;
}

static void somebody_creates_first(void **state)
{
    struct fixture *f = *state;
    f->link.defer = create_other; /* just before our POST */
    (void)step(f);
    assert_false(leads(f));
    assert_int_equal(f->started + f->errors, 0);
    assert_int_equal(f->server.reads, 2);
    assert_string_equal(buf_cstr(&f->holders), "[other]");
}

static void answer_lost(void **state)
{
    struct fixture *f = *state;
    f->link.mode = LINK_LOSES_ANSWER;
    (void)step(f); /* the GET */
    f->link.mode = LINK_FINE;
    (void)step(f);
    assert_true(leads(f));
    clock_fake_advance(&f->clock, 2000);
    f->link.mode = LINK_LOSES_ANSWER; /* renewed, but we do not know: it does not count */
    (void)step(f);
    f->link.mode = LINK_FINE;
    assert_int_equal(kube_lease_left_ms(f->lease), 4000);
    assert_string_equal(f->error.reason, "Timeout");
    int puts = f->server.updates;
    (void)step(f); /* read first: no conflict */
    assert_true(leads(f));
    assert_int_equal(f->server.updates, puts + 1);
    assert_int_equal(f->stopped, 0);
}

static void errors_are_told_once(void **state)
{
    struct fixture *f = *state;
    f->server.refusal = 403;
    rounds(f, 59000);
    assert_int_equal(f->errors, 1);
    assert_int_equal(f->error.cls, ERR_DENIED);
    assert_string_equal(f->error.msg, "get leases ns/lock: m (HTTP 403)");
    rounds(f, 60000);
    assert_int_equal(f->errors, 2);
    f->server.refusal = 500;
    (void)step(f);
    assert_int_equal(f->errors, 3);
    f->server.refusal = 0;
    (void)step(f);
    assert_true(leads(f));
    f->server.refusal = 500;
    (void)step(f);
    assert_int_equal(f->errors, 4);
    assert_true(leads(f));
}

static void what_cannot_be_read(void **state)
{
    struct fixture *f = *state;
    f->server.refusal = 409; /* a proxy's idea */
    (void)step(f);
    assert_string_equal(f->error.reason, "Unexpected");
    f->server.refusal = 0;
    fake_lease_put(&f->server, "{\"x\":1,\"x\":2}");
    (void)step(f);
    assert_string_equal(f->error.reason, "Undecodable");
    assert_int_equal(f->server.updates + f->server.creations + f->started, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(creates_and_renews),
        TEST(keeps_what_others_put_there),
        TEST(waits_for_another_to_run_out),
        TEST(takes_what_is_given_back),
        TEST(rides_out_nine_seconds),
        TEST(ends_at_ten_seconds),
        TEST(a_sleeper_does_not_believe),
        TEST(the_end_is_told_before_the_next_call),
        TEST(a_late_answer_is_no_leadership),
        TEST(wall_clock_jumps_change_nothing),
        TEST(another_under_our_feet),
        TEST(another_in_between),
        TEST(harmless_conflict),
        TEST(deleted_under_the_leader),
        TEST(deleted_under_another),
        TEST(somebody_creates_first),
        TEST(answer_lost),
        TEST(errors_are_told_once),
        TEST(what_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
