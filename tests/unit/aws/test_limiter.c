// SPDX-License-Identifier: Apache-2.0
/*
 * The rate limiter: its decisions over simulated time, and waiting in threads.
 */
#include "aws/limiter.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/thread.h"
#include "limiter_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Serves who waits for `seconds`, looking every ms; counts by class. */
static void simulate(struct limiter_state *s, int64_t *now_ms, int seconds, const bool *is_waiting,
                     int *served)
{
    for (int64_t end = *now_ms + seconds * 1000; *now_ms < end; ++*now_ms) {
        enum aws_rate_class cls;
        limiter_state_fill(s, *now_ms);
        while (limiter_state_serve(s, is_waiting, &cls) && served[0] + served[1] + served[2] < 9999)
            served[cls]++;
    }
}

static void assert_near(double got, double want, double within)
{
    if (got < want - within || got > want + within)
        fail_msg("%f is not within %f of %f", got, within, want);
}

static void test_shares(void **state)
{
    (void)state;
    static const struct {
        bool is_waiting[AWS_RATE_CLASSES]; /* read, write, admission */
        int want[AWS_RATE_CLASSES];        /* of 100 */
    } cases[] = {
        {{true, true, true}, {25, 25, 50}},  {{true, false, true}, {33, 0, 67}},
        {{true, true, false}, {50, 50, 0}},  {{false, false, true}, {0, 0, 100}},
        {{true, false, false}, {100, 0, 0}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct limiter_state s;
        int served[AWS_RATE_CLASSES] = {0};
        int64_t now_ms = 1000;
        limiter_state_init(&s, 10, now_ms);
        s.tokens = 0;
        simulate(&s, &now_ms, 10, cases[i].is_waiting, served);
        for (int c = 0; c < AWS_RATE_CLASSES; c++)
            assert_near(served[c], cases[i].want[c], 1.5);
    }
}

static void test_idle_class_saves_nothing_up(void **state)
{
    (void)state;
    struct limiter_state s;
    int served[AWS_RATE_CLASSES] = {0};
    int64_t now_ms = 0;
    limiter_state_init(&s, 10, now_ms);
    simulate(&s, &now_ms, 60, (const bool[]){true, false, false}, served);
    limiter_state_arrive(&s, AWS_RATE_ADMISSION);
    served[AWS_RATE_READ] = 0;
    simulate(&s, &now_ms, 3, (const bool[]){true, false, true}, served);
    assert_near(served[AWS_RATE_ADMISSION], 20, 1.5);
    assert_near(served[AWS_RATE_READ], 10, 1.5);
}

static void test_burst(void **state)
{
    (void)state;
    static const struct {
        double limit;
        int want;
    } cases[] = {{10, 10}, {1, 1}, {0.25, 1}, {1000, 1000}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct limiter_state s;
        int served[AWS_RATE_CLASSES] = {0};
        enum aws_rate_class cls;
        limiter_state_init(&s, cases[i].limit, 0);
        limiter_state_fill(&s, 1000000);
        while (limiter_state_serve(&s, (const bool[]){true, false, false}, &cls))
            served[cls]++;
        assert_int_equal(served[AWS_RATE_READ], cases[i].want);
        assert_true(limiter_state_wait_ms(&s) > 0);
        assert_true(limiter_state_wait_ms(&s) <= 1 + (int64_t)(1000 / cases[i].limit));
    }
}

static void test_wait_is_until_the_next_token(void **state)
{
    (void)state;
    struct limiter_state s;
    enum aws_rate_class cls;
    limiter_state_init(&s, 4, 0);
    s.tokens = 0.5;
    int64_t wait_ms = limiter_state_wait_ms(&s);
    assert_in_range(wait_ms, 125, 126);
    limiter_state_fill(&s, wait_ms);
    assert_true(limiter_state_serve(&s, (const bool[]){true, false, false}, &cls));
    /* one is there already, or there is no limit: at once, which is a millisecond */
    s.tokens = 1;
    assert_int_equal(limiter_state_wait_ms(&s), 1);
    limiter_state_init(&s, 0, 0);
    s.tokens = 0;
    assert_int_equal(limiter_state_wait_ms(&s), 1);
}

static void test_slow_down_and_recovery(void **state)
{
    (void)state;
    struct limiter_state s;
    limiter_state_init(&s, 10, 0);
    limiter_state_slow_down(&s, 1000);
    assert_near(limiter_state_rate(&s, 1000), 7, 1e-6);
    assert_true(s.tokens <= 0);
    /* a debt stays one */
    struct limiter_state owing;
    limiter_state_init(&owing, 10, 0);
    owing.tokens = -5;
    limiter_state_slow_down(&owing, 0);
    assert_near(owing.tokens, -5, 1e-6);
    limiter_state_slow_down(&s, 1499); /* the same burst of refusals */
    assert_near(limiter_state_rate(&s, 1000), 7, 1e-6);
    limiter_state_slow_down(&s, 1500);
    assert_near(limiter_state_rate(&s, 1500), (7 + 10 * 0.5 / 60) * 0.7, 1e-6);
    for (int64_t t = 2000; t < 60000; t += 500)
        limiter_state_slow_down(&s, t);
    assert_near(limiter_state_rate(&s, 59500), 0.5, 1e-6);
    assert_near(limiter_state_rate(&s, 59500 + 30000), 5.5, 1e-6);
    assert_near(limiter_state_rate(&s, 59500 + 60000), 10, 1e-6);
    assert_near(limiter_state_rate(&s, 1000000), 10, 1e-6);
}

static void test_slow_limits_stay_above_zero(void **state)
{
    (void)state;
    struct limiter_state s;
    limiter_state_init(&s, 0.2, 0);
    for (int64_t t = 1000; t < 10000; t += 500)
        limiter_state_slow_down(&s, t);
    assert_near(limiter_state_rate(&s, 10000), 0.2, 1e-6);
}

static void test_recovery_serves_what_the_ramp_gives(void **state)
{
    (void)state;
    struct limiter_state s;
    int served[AWS_RATE_CLASSES] = {0};
    int64_t now_ms = 0;
    limiter_state_init(&s, 10, 0);
    limiter_state_slow_down(&s, 0);
    /* from 7 to 10 a second in 18 s, then 12 s at 10 */
    simulate(&s, &now_ms, 30, (const bool[]){true, false, false}, served);
    assert_near(served[AWS_RATE_READ], 8.5 * 18 + 120, 2);
}

static void test_take_by_fake_clock(void **state)
{
    (void)state;
    struct clock_fake clock;
    struct err e = ERR_INIT;
    clock_fake_init(&clock, 0);
    struct aws_limiter *l = aws_limiter_new(2, &clock.clock);
    int64_t now_ms = clock_mono_ms(&clock.clock);
    assert_true(aws_limiter_take(l, AWS_RATE_READ, now_ms + 100, NULL, &e));
    assert_true(aws_limiter_take(l, AWS_RATE_WRITE, now_ms + 100, NULL, &e));
    /* the next token comes after 500 ms: not waited for in vain */
    assert_false(aws_limiter_take(l, AWS_RATE_ADMISSION, now_ms + 499, NULL, &e));
    assert_int_equal(e.cls, ERR_RETRY);
    assert_string_equal(e.reason, "RateLimited");
    err_clear(&e);
    clock_fake_advance(&clock, 500);
    assert_true(aws_limiter_take(l, AWS_RATE_ADMISSION, now_ms + 501, NULL, &e));
    aws_limiter_throttled(l);
    assert_near(aws_limiter_rate(l), 1.4, 1e-6);
    aws_limiter_set_rate(l, 100);
    assert_near(aws_limiter_rate(l), 100, 1e-6);
    aws_limiter_set_rate(l, 0);
    for (int i = 0; i < 10000; i++)
        assert_true(aws_limiter_take(l, AWS_RATE_READ, now_ms, NULL, &e));
    aws_limiter_throttled(l);
    assert_near(aws_limiter_rate(l), 0, 0);
    l = aws_limiter_free(l);
    assert_null(aws_limiter_free(NULL));
}

static void test_stopper_ends_the_wait(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct stopper stopper;
    stopper_init(&stopper);
    struct aws_limiter *l = aws_limiter_new(0.001, clock_system());
    assert_true(aws_limiter_take(l, AWS_RATE_READ, 0, &stopper, &e));
    stopper_stop(&stopper);
    assert_false(aws_limiter_take(l, AWS_RATE_READ, 0, &stopper, &e));
    assert_int_equal(e.cls, ERR_CANCELLED);
    l = aws_limiter_free(l);
    stopper_fini(&stopper);
}

enum { THREADS = 6, TAKES = 20 };
struct taker {
    struct thread thread;
    struct aws_limiter *limiter;
    struct stopper *stopper;
    enum aws_rate_class cls;
    int taken;
    bool is_cancelled;
};

static void take_many(void *arg)
{
    struct taker *t = arg;
    struct err e = ERR_INIT;
    for (int i = 0; i < TAKES; i++)
        if (aws_limiter_take(t->limiter, t->cls, 0, t->stopper, &e))
            t->taken++;
    t->is_cancelled = e.cls == ERR_CANCELLED;
}

static void test_threads_all_get_theirs(void **state)
{
    (void)state;
    struct taker takers[THREADS] = {0};
    struct stopper stopper;
    stopper_init(&stopper);
    struct aws_limiter *l = aws_limiter_new(2000, clock_system());
    for (int i = 0; i < THREADS; i++) {
        takers[i] = (struct taker){
            .limiter = l, .stopper = &stopper, .cls = (enum aws_rate_class)(i % AWS_RATE_CLASSES)};
        thread_start(&takers[i].thread, "taker", take_many, &takers[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        thread_join(&takers[i].thread);
        assert_int_equal(takers[i].taken, TAKES);
    }
    l = aws_limiter_free(l);
    stopper_fini(&stopper);
}

static void take_one(void *arg)
{
    struct taker *t = arg;
    struct err e = ERR_INIT;
    t->taken = aws_limiter_take(t->limiter, t->cls, 0, t->stopper, &e);
    t->is_cancelled = e.cls == ERR_CANCELLED;
}

static void test_stopper_wakes_who_waits(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct stopper stopper;
    stopper_init(&stopper);
    struct aws_limiter *l = aws_limiter_new(0.001, clock_system());
    assert_true(aws_limiter_take(l, AWS_RATE_READ, 0, &stopper, &e));
    struct taker t = {.limiter = l, .stopper = &stopper, .cls = AWS_RATE_WRITE};
    thread_start(&t.thread, "taker", take_one, &t);
    stopper_stop(&stopper);
    thread_join(&t.thread);
    assert_int_equal(t.taken, 0);
    assert_true(t.is_cancelled);
    l = aws_limiter_free(l);
    stopper_fini(&stopper);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_idle_class_saves_nothing_up),
        cmocka_unit_test(test_burst),
        cmocka_unit_test(test_wait_is_until_the_next_token),
        cmocka_unit_test(test_slow_down_and_recovery),
        cmocka_unit_test(test_slow_limits_stay_above_zero),
        cmocka_unit_test(test_recovery_serves_what_the_ramp_gives),
        cmocka_unit_test(test_take_by_fake_clock),
        cmocka_unit_test(test_stopper_ends_the_wait),
        cmocka_unit_test(test_threads_all_get_theirs),
        cmocka_unit_test(test_stopper_wakes_who_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
