// SPDX-License-Identifier: Apache-2.0
/*
 * The work queue, the map, stoppers and log lines.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "base/workqueue.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void expect_key(struct workqueue *q, const char *want)
{
    char key[WORKQUEUE_KEY_MAX];
    size_t len = 0;
    assert_true(workqueue_get(q, key, &len));
    assert_int_equal(len, strlen(want));
    assert_string_equal(key, want);
}

static void test_no_duplicates_and_order(void **state)
{
    (void)state;
    struct workqueue *q = workqueue_new();
    workqueue_add(q, STR("a"));
    workqueue_add(q, STR("b"));
    workqueue_add(q, STR("a"));
    assert_int_equal(workqueue_depth(q), 2);
    assert_false(workqueue_is_working(q, STR("a")));
    expect_key(q, "a");
    assert_true(workqueue_is_working(q, STR("a")));
    assert_false(workqueue_is_working(q, STR("b")));
    assert_false(workqueue_is_working(q, STR("unknown")));
    /* added while it is worked on: comes again only after done */
    workqueue_add(q, STR("a"));
    workqueue_add(q, STR("a"));
    expect_key(q, "b");
    assert_int_equal(workqueue_depth(q), 0);
    workqueue_done(q, STR("b"));
    workqueue_done(q, STR("a"));
    assert_false(workqueue_is_working(q, STR("a")));
    assert_int_equal(workqueue_depth(q), 1);
    expect_key(q, "a");
    workqueue_done(q, STR("a"));
    assert_int_equal(workqueue_depth(q), 0);
    q = workqueue_free(q);
}

static const struct workqueue_name names[] = {{"a/", "first"}, {"b/", "second"}};

/* The value of a series: metric is all before the blank. */
static double measured(struct metrics *m, const char *metric)
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(1 << 20);
    char line[200];
    (void)snprintf(line, sizeof line, "\n%s ", metric);
    metrics_render(m, &out);
    const char *found = strstr(buf_cstr(&out), line);
    if (found == NULL)
        fail_msg("no %s in\n%s", metric, buf_cstr(&out));
    return found != NULL ? strtod(found + strlen(line), NULL) : -1;
}

#define FIRST  "{name=\"first\",controller=\"first\"}"
#define SECOND "{name=\"second\",controller=\"second\"}"

static void test_measures(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    struct workqueue *q = workqueue_new();
    workqueue_measure(q, m, names, ARRAY_SIZE(names));
    assert_true(measured(m, "workqueue_depth" FIRST) == 0);
    assert_true(measured(m, "workqueue_adds_total" SECOND) == 0);
    workqueue_add(q, STR("a/1"));
    workqueue_add(q, STR("a/1"));
    workqueue_add(q, STR("b/1"));
    workqueue_add(q, STR("else")); /* no prefix of ours: the last name */
    assert_true(measured(m, "workqueue_depth" FIRST) == 1);
    assert_true(measured(m, "workqueue_depth" SECOND) == 2);
    assert_true(measured(m, "workqueue_adds_total" FIRST) == 1);
    assert_true(measured(m, "workqueue_adds_total" SECOND) == 2);
    expect_key(q, "a/1");
    expect_key(q, "b/1");
    /* one that is being worked on: waits for the same again, once */
    workqueue_add(q, STR("a/1"));
    workqueue_add(q, STR("a/1"));
    assert_true(measured(m, "workqueue_depth" FIRST) == 1);
    assert_true(measured(m, "workqueue_adds_total" FIRST) == 2);
    assert_true(measured(m, "workqueue_queue_duration_seconds_count" FIRST) == 1);
    assert_true(measured(m, "workqueue_queue_duration_seconds_count" SECOND) == 1);
    workqueue_done(q, STR("a/1"));
    assert_true(measured(m, "workqueue_work_duration_seconds_count" FIRST) == 1);
    assert_true(measured(m, "workqueue_depth" FIRST) == 1);
    assert_true(measured(m, "workqueue_adds_total" FIRST) == 2);
    expect_key(q, "else");
    expect_key(q, "a/1");
    assert_true(measured(m, "workqueue_depth" FIRST) == 0);
    assert_true(measured(m, "workqueue_depth" SECOND) == 0);
    workqueue_done(q, STR("else"));
    workqueue_done(q, STR("b/1"));
    workqueue_done(q, STR("a/1"));
    assert_true(measured(m, "workqueue_work_duration_seconds_count" FIRST) == 2);
    assert_true(measured(m, "workqueue_work_duration_seconds_count" SECOND) == 2);
    q = workqueue_free(q);
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(1 << 20);
    metrics_render(m, &out);
    assert_null(strstr(buf_cstr(&out), "workqueue_depth"));
    metrics_free(m);
}

static void test_measures_of_later_keys(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    struct workqueue *q = workqueue_new();
    workqueue_measure(q, m, names, ARRAY_SIZE(names));
    workqueue_add_failed(q, STR("a/1"));
    workqueue_add_after(q, STR("b/1"), 100000);
    workqueue_add_after(q, STR("b/1"), 200000); /* changes nothing */
    workqueue_add_after(q, STR("b/1"), 90000);
    workqueue_add_after(q, STR("b/2"), 0); /* now is not later */
    assert_true(measured(m, "workqueue_retries_total" FIRST) == 1);
    assert_true(measured(m, "workqueue_retries_total" SECOND) == 2);
    /* who waits for a date is not in the queue yet */
    assert_true(measured(m, "workqueue_depth" SECOND) == 1);
    expect_key(q, "b/2");
    expect_key(q, "a/1");
    assert_true(measured(m, "workqueue_adds_total" FIRST) == 1);
    q = workqueue_free(q);
    metrics_free(m);
}

static void test_measures_of_who_hangs(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    struct workqueue *q = workqueue_new();
    workqueue_measure(q, m, names, ARRAY_SIZE(names));
    struct stopper never;
    stopper_init(&never);
    for (int i = 0; i < 3; i++) {
        static const char *const keys[] = {"a/1", "a/2", "a/3"};
        workqueue_add(q, str_from(keys[i]));
        expect_key(q, keys[i]);
        while (measured(m, "workqueue_longest_running_processor_seconds" FIRST) < 0.02 * (i + 1))
            (void)stopper_wait_ms(&never, 1);
    }
    double longest = measured(m, "workqueue_longest_running_processor_seconds" FIRST);
    double all = measured(m, "workqueue_unfinished_work_seconds" FIRST);
    assert_true(longest >= 0.06 && all >= longest + 0.03 && all <= 3 * longest);
    assert_true(measured(m, "workqueue_unfinished_work_seconds" SECOND) == 0);
    workqueue_done(q, STR("a/2"));
    workqueue_done(q, STR("a/1"));
    assert_true(measured(m, "workqueue_longest_running_processor_seconds" FIRST) >= 0.01);
    assert_true(measured(m, "workqueue_work_duration_seconds_sum" FIRST) >= 0.09);
    workqueue_done(q, STR("a/3"));
    assert_true(measured(m, "workqueue_unfinished_work_seconds" FIRST) == 0);
    assert_true(measured(m, "workqueue_longest_running_processor_seconds" FIRST) == 0);
    stopper_fini(&never);
    q = workqueue_free(q);
    metrics_free(m);
}

static void test_dates_come_in_order(void **state)
{
    (void)state;
    struct workqueue *q = workqueue_new();
    workqueue_add_after(q, STR("late"), 60);
    workqueue_add_after(q, STR("soon"), 30);
    workqueue_add_after(q, STR("never"), 100000);
    workqueue_add_after(q, STR("first"), 10);
    /* an earlier date wins, a later one does not */
    workqueue_add_after(q, STR("late"), 90000);
    workqueue_add_after(q, STR("never"), 80);
    expect_key(q, "first");
    expect_key(q, "soon");
    expect_key(q, "late");
    expect_key(q, "never");
    q = workqueue_free(q);
}

static void test_backoff_doubles_until_forgotten(void **state)
{
    (void)state;
    struct workqueue *q = workqueue_new();
    int64_t before = clock_mono_ms(clock_system());
    for (int i = 0; i < 4; i++) {
        workqueue_add_failed(q, STR("a"));
        expect_key(q, "a");
        workqueue_done(q, STR("a"));
    }
    /* 5 + 10 + 20 + 40 ms, each rounded down by the clock */
    assert_true(clock_mono_ms(clock_system()) - before >= 71);
    workqueue_forget(q, STR("a"));
    before = clock_mono_ms(clock_system());
    workqueue_add_failed(q, STR("a"));
    expect_key(q, "a");
    workqueue_done(q, STR("a"));
    q = workqueue_free(q);
}

struct pair {
    struct workqueue *q;
    int count;
};

static void consume(void *arg)
{
    struct pair *p = arg;
    char key[WORKQUEUE_KEY_MAX];
    size_t len = 0;
    while (workqueue_get(p->q, key, &len)) {
        p->count++;
        workqueue_done(p->q, str_n(key, len));
    }
}

static void test_workers_share_and_stop(void **state)
{
    (void)state;
    struct workqueue *q = workqueue_new();
    struct pair pairs[3] = {{q, 0}, {q, 0}, {q, 0}};
    struct thread threads[3] = {0};
    struct stopper nap;
    for (int i = 0; i < 500; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", i);
        workqueue_add(q, str_from(key));
    }
    for (int i = 0; i < 3; i++)
        thread_start(&threads[i], "consumer", consume, &pairs[i]);
    stopper_init(&nap);
    for (int i = 0; i < 5000 && workqueue_depth(q) != 0; i++)
        (void)stopper_wait_ms(&nap, 1);
    workqueue_shut_down(q);
    for (int i = 0; i < 3; i++)
        thread_join(&threads[i]);
    stopper_fini(&nap);
    assert_int_equal(pairs[0].count + pairs[1].count + pairs[2].count, 500);
    char key[WORKQUEUE_KEY_MAX];
    size_t len = 0;
    workqueue_add(q, STR("x"));
    assert_false(workqueue_get(q, key, &len));
    q = workqueue_free(q);
}

static void test_map(void **state)
{
    (void)state;
    struct map *m = map_new();
    int one = 1;
    int two = 2;
    assert_null(map_put(m, STR("a"), &one));
    assert_null(map_put(m, STR(""), &two));
    assert_ptr_equal(map_put(m, STR("a"), &two), &one);
    assert_ptr_equal(map_get(m, str_n("abc", 1)), &two);
    assert_null(map_get(m, STR("b")));
    assert_int_equal(map_count(m), 2);
    struct map_entry *it = map_first(m);
    assert_true(str_eq(map_key(it), STR("a")));
    it = map_next(it);
    assert_true(str_eq(map_key(it), STR("")));
    assert_null(map_next(it));
    assert_ptr_equal(map_remove(m, STR("a")), &two);
    assert_null(map_remove(m, STR("a")));
    assert_int_equal(map_count(m), 1);
    assert_null(map_free(m, NULL));
}

static void raise_it(void *arg)
{
    stopper_stop(arg);
}

static void test_stopper_wakes(void **state)
{
    (void)state;
    struct stopper s;
    stopper_init(&s);
    assert_false(stopper_wait_ms(&s, 0));
    struct thread t = {0};
    thread_start(&t, "stopper", raise_it, &s);
    assert_true(stopper_wait_ms(&s, 60000));
    assert_true(stopper_is_stopped(&s));
    thread_join(&t);
    thread_join(&t);
    stopper_fini(&s);
}

static void test_log_lines_are_json(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    struct log *lg = log_new(fds[1], LOG_INFO);
    log_debug(lg, "not shown");
    log_info(lg, "hello", KV("s", STR("a\"\\\n\x01\xff")), KV_INT("n", -5), KV_BOOL("b", true),
             KV_TEXT("t", "text"), KV_TEXT("empty", ""), KV_TEXT("absent", NULL),
             KV("none", STR_NULL));
    log_info(NULL, "nowhere");
    lg = log_free(lg);
    (void)close(fds[1]);
    char line[512];
    ssize_t n = read(fds[0], line, sizeof line - 1);
    (void)close(fds[0]);
    assert_true(n > 0);
    line[n] = '\0';
    const char *want =
        "\"level\":\"info\",\"msg\":\"hello\",\"s\":\"a\\\"\\\\\\n\\u0001?\",\"n\":-5,"
        "\"b\":true,\"t\":\"text\",\"none\":null}\n";
    assert_non_null(strstr(line, want));
    assert_int_equal(strncmp(line, "{\"ts\":\"20", 9), 0);
    assert_string_equal(strchr(line, '\n'), "\n");
    enum log_level level = LOG_DEBUG;
    assert_true(log_level_parse(STR("warn"), &level));
    assert_int_equal(level, LOG_WARN);
    assert_false(log_level_parse(STR("WARN"), &level));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_measures),
        cmocka_unit_test(test_measures_of_later_keys),
        cmocka_unit_test(test_measures_of_who_hangs),
        cmocka_unit_test(test_no_duplicates_and_order),
        cmocka_unit_test(test_dates_come_in_order),
        cmocka_unit_test(test_backoff_doubles_until_forgotten),
        cmocka_unit_test(test_workers_share_and_stop),
        cmocka_unit_test(test_map),
        cmocka_unit_test(test_stopper_wakes),
        cmocka_unit_test(test_log_lines_are_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
