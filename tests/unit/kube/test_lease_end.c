// SPDX-License-Identifier: Apache-2.0
/*
 * How leader election ends: giving the Lease back, leaving it, and the thread around it all.
 */
#include "lease_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void stop_and_finish(struct fixture *f, bool is_releasing)
{
    kube_lease_begin_stop(f->lease, is_releasing);
    assert_false(leads(f)); /* from here on, whatever is under way */
    kube_lease_finish(f->lease);
    assert_false(leads(f));
}

static void gives_back(void **state)
{
    struct fixture *f = *state;
    (void)step(f);
    clock_fake_advance(&f->clock, 500);
    stop_and_finish(f, true);
    assert_int_equal(f->stopped, 1);
    check_spec(f, "", 1, f->clock.unix_ms, f->clock.unix_ms, 0);
    assert_int_equal(kube_lease_wait_role(f->lease, 100000), KUBE_LEASE_UNKNOWN);
}

static void gives_back_after_doubt(void **state)
{
    struct fixture *f = *state;
    (void)step(f);
    f->link.mode = LINK_LOSES_ANSWER;
    (void)step(f);
    f->link.mode = LINK_FINE;
    stop_and_finish(f, true);
    assert_true(strstr(f->server.spec, "\"holderIdentity\":\"\"") != NULL);
}

static bool lose_answers_from_now_on(void *arg, const char *method, struct str body)
{
    struct fixture *f = arg;
    (void)method;
    (void)body;
    f->link.mode = LINK_LOSES_ANSWER;
    return false;
}

/* Acquired, but the answer was lost: not the leader, and yet the holder. */
static void gives_back_what_it_never_knew(void **state)
{
    struct fixture *f = *state;
    fake_lease_put(&f->server, "{}");
    f->link.defer = lose_answers_from_now_on;
    (void)step(f);
    assert_false(leads(f));
    assert_true(strstr(f->server.spec, kube_lease_identity(f->lease)) != NULL);
    f->link.defer = NULL;
    f->link.mode = LINK_FINE;
    stop_and_finish(f, true);
    assert_true(strstr(f->server.spec, "\"holderIdentity\":\"\"") != NULL);
}

static void leaves_what_is_not_ours(void **state)
{
    struct fixture *f = *state;
    fake_lease_put(&f->server, OTHERS("2001-01-01T00:00:00.000000Z"));
    (void)step(f);
    stop_and_finish(f, true);
    assert_string_equal(f->server.spec, OTHERS("2001-01-01T00:00:00.000000Z"));
    assert_int_equal(f->server.updates, 0);
}

static void stops_as_a_crash(void **state)
{
    struct fixture *f = *state;
    (void)step(f);
    stop_and_finish(f, false);
    assert_int_equal(f->stopped, 1);
    assert_int_equal(f->server.updates, 0);
}

static void says_that_it_is_not_given_back(void **state)
{
    struct fixture *f = *state;
    (void)step(f);
    f->link.mode = LINK_REFUSED;
    stop_and_finish(f, true);
    assert_int_equal(f->errors, 1);
    assert_true(strstr(f->error.msg, "not given back") != NULL);
}

static void stopped_in_a_round(void **state)
{
    struct fixture *f = *state;
    kube_lease_begin_stop(f->lease, true);
    (void)step(f); /* was under way: it acquires, and yet does not lead */
    assert_false(leads(f));
    assert_int_equal(f->started, 0);
    kube_lease_finish(f->lease);
    assert_true(strstr(f->server.spec, "\"holderIdentity\":\"\"") != NULL);
}

static void long_names_are_cut(void **state)
{
    struct fixture *f = *state;
    char spec[1000], holder[KUBE_LEASE_HOLDER_MAX], x[601];
    memset(x, 'x', sizeof(x) - 1);
    x[sizeof(x) - 1] = '\0';
    snprintf(spec, sizeof(spec), "{\"holderIdentity\":\"%s\",\"leaseDurationSeconds\":15}", x);
    fake_lease_put(&f->server, spec);
    (void)step(f);
    kube_lease_holder(f->lease, holder);
    assert_int_equal(strlen(holder), KUBE_LEASE_HOLDER_MAX - 1);
    struct kube_lease_options o = {
        .client = f->client, .namespace = "ns", .name = "lock", .instance = x};
    struct kube_lease *l = kube_lease_new(&o);
    assert_int_equal(strlen(kube_lease_identity(l)), KUBE_LEASE_HOLDER_MAX - 1);
    assert_false(kube_lease_is_leader(l));
    kube_lease_free(l);
}

/* The thread: started, waited for, ended. Its clock stands still: the pauses are the system's. */
static void thread_from_start_to_release(void **state)
{
    struct fixture *f = *state;
    kube_lease_start(f->lease);
    assert_true(stopper_wait_ms(&f->is_told, 20000));
    assert_int_equal(kube_lease_wait_role(f->lease, 20000), KUBE_LEASE_LEADER);
    kube_lease_release(f->lease);
    assert_int_equal(f->started, 1);
    assert_int_equal(f->stopped, 1);
    assert_true(strstr(f->server.spec, "\"holderIdentity\":\"\"") != NULL);
    kube_lease_release(f->lease);
    kube_lease_stop(f->lease);
    assert_int_equal(f->server.updates, 1);
}

static void thread_is_stopped(void **state)
{
    struct fixture *f = *state;
    kube_lease_start(f->lease);
    assert_true(stopper_wait_ms(&f->is_told, 20000));
    assert_int_equal(kube_lease_wait_role(f->lease, 20000), KUBE_LEASE_LEADER);
    kube_lease_stop(f->lease);
    kube_lease_release(f->lease); /* too late */
    assert_int_equal(f->stopped, 1);
    assert_true(strstr(f->server.spec, kube_lease_identity(f->lease)) != NULL);
}

/* A server that never answers: the call ends only because it is cut. */
static bool send_hangs(void *impl, const struct http_request *rq, struct arena *a,
                       struct http_response *ret, struct err *e)
{
    struct stopper *is_called = impl;
    struct stopper never;
    (void)a;
    *ret = (struct http_response){0};
    stopper_stop(is_called);
    stopper_init(&never);
    while (!http_cancel_is_cancelled(rq->cancel))
        (void)stopper_wait_ms(&never, 1);
    stopper_fini(&never);
    return err_set(e, ERR_CANCELLED, "Cancelled", "fake: cancelled");
}

static void release_cuts_a_call_that_hangs(void **state)
{
    struct fixture *f = *state;
    struct stopper is_called;
    stopper_init(&is_called);
    f->link.client.send = send_hangs;
    f->link.client.impl = &is_called;
    kube_lease_start(f->lease);
    assert_true(stopper_wait_ms(&is_called, 20000));
    kube_lease_release(f->lease);
    assert_int_equal(f->errors + f->started, 0);
    stopper_fini(&is_called);
}

/* Nothing is sent once calls were cut. */
static void nothing_is_sent_after_the_cut(void **state)
{
    struct fixture *f = *state;
    (void)step(f);
    int calls = f->link.calls;
    http_cancel_now(f->lease->cancel);
    (void)step(f);
    stop_and_finish(f, true);
    assert_int_equal(f->link.calls, calls);
    assert_int_equal(f->errors, 0); /* nobody's failure */
}

/* What the operator does not ask for is not needed; the clock is the system's. */
static void without_options(void **state)
{
    struct fixture *f = *state;
    struct kube_lease_options o = {.client = f->client, .namespace = "ns", .name = "lock"};
    struct kube_lease *l = kube_lease_new(&o);
    assert_int_equal(kube_lease_identity(l)[0], '_');
    assert_in_range(kube_lease_step(l), 1, KUBE_LEASE_RETRY_MS);
    assert_true(kube_lease_is_leader(l));
    assert_in_range(kube_lease_left_ms(l), 1, KUBE_LEASE_RENEW_DEADLINE_MS);
    f->server.refusal = 500;
    (void)kube_lease_step(l);
    kube_lease_free(l);
    assert_null(kube_lease_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(gives_back),
        TEST(gives_back_after_doubt),
        TEST(gives_back_what_it_never_knew),
        TEST(leaves_what_is_not_ours),
        TEST(stops_as_a_crash),
        TEST(says_that_it_is_not_given_back),
        TEST(stopped_in_a_round),
        TEST(long_names_are_cut),
        TEST(thread_from_start_to_release),
        TEST(thread_is_stopped),
        TEST(release_cuts_a_call_that_hangs),
        TEST(nothing_is_sent_after_the_cut),
        TEST(without_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
