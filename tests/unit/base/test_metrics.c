// SPDX-License-Identifier: Apache-2.0
/*
 * Metrics: the text they render to (checked with promtool when this was written), limits, threads.
 */
#include "base/metrics.h"
#include "base/thread.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { LIMIT = 4 * 1024 * 1024 };

#define VALUES(...) ((const char *const[]){__VA_ARGS__})

static void expect(struct metrics *m, const char *want)
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(LIMIT);
    metrics_render(m, &out);
    assert_true(buf_ok(&out));
    assert_string_equal(buf_cstr(&out), want);
}

static void test_everything(void **state)
{
    (void)state;
    static const double buckets[] = {0.005, 0.1, 1, 2.5};
    struct metrics *m = metrics_new();
    struct metric_family *latency = metrics_histogram(
        m, "berth_call_duration_seconds", "How long calls take.", "operation", buckets, 4);
    struct metric_family *calls =
        metrics_counter(m, "berth_calls_total", "Calls to AWS.", "operation,outcome");
    struct metric_family *depth = metrics_gauge(m, "berth_depth", "Keys that wait.", "");
    (void)metrics_gauge(m, "berth_empty", "Has no series: is not rendered.", "x");
    struct metric_family *wait =
        metrics_histogram(m, "berth_wait_seconds", "Waiting.", "", buckets, 1);

    metric_add(calls, VALUES("Update", "ok"), 1);
    metric_add(calls, VALUES("Create", "throttled"), 1);
    metric_add(calls, VALUES("Update", "ok"), 2);
    metric_add(calls, VALUES("Create", "ok"), 0);
    metric_observe(latency, VALUES("Update"), 0.1); /* upper bounds belong to their bucket */
    metric_observe(latency, VALUES("Update"), 0.10001);
    metric_observe(latency, VALUES("Update"), 30);
    metric_set(depth, NULL, 7);
    metric_add(depth, NULL, -2.5);
    (void)wait;
    static const char want[] =
        "# HELP berth_call_duration_seconds How long calls take.\n"
        "# TYPE berth_call_duration_seconds histogram\n"
        "berth_call_duration_seconds_bucket{operation=\"Update\",le=\"0.005\"} 0\n"
        "berth_call_duration_seconds_bucket{operation=\"Update\",le=\"0.1\"} 1\n"
        "berth_call_duration_seconds_bucket{operation=\"Update\",le=\"1\"} 2\n"
        "berth_call_duration_seconds_bucket{operation=\"Update\",le=\"2.5\"} 2\n"
        "berth_call_duration_seconds_bucket{operation=\"Update\",le=\"+Inf\"} 3\n"
        "berth_call_duration_seconds_sum{operation=\"Update\"} 30.20001\n"
        "berth_call_duration_seconds_count{operation=\"Update\"} 3\n"
        "# HELP berth_calls_total Calls to AWS.\n"
        "# TYPE berth_calls_total counter\n"
        "berth_calls_total{operation=\"Create\",outcome=\"ok\"} 0\n"
        "berth_calls_total{operation=\"Create\",outcome=\"throttled\"} 1\n"
        "berth_calls_total{operation=\"Update\",outcome=\"ok\"} 3\n"
        "# HELP berth_depth Keys that wait.\n"
        "# TYPE berth_depth gauge\n"
        "berth_depth 4.5\n"
        "# HELP berth_wait_seconds Waiting.\n"
        "# TYPE berth_wait_seconds histogram\n"
        "berth_wait_seconds_bucket{le=\"0.005\"} 0\n"
        "berth_wait_seconds_bucket{le=\"+Inf\"} 0\n"
        "berth_wait_seconds_sum 0\n"
        "berth_wait_seconds_count 0\n";
    expect(m, want);
    expect(m, want);
    metrics_free(m);
}

static void test_begun_series(void **state)
{
    (void)state;
    static const double buckets[] = {1};
    struct metrics *m = metrics_new();
    struct metric_family *calls = metrics_counter(m, "calls_total", "Calls.", "outcome");
    struct metric_family *took = metrics_histogram(m, "took_seconds", "Time.", "step", buckets, 1);
    metric_add(calls, VALUES("ok"), 3);
    metric_begin(calls, VALUES("ok")); /* what is there stays */
    metric_begin(calls, VALUES("failed"));
    metric_begin(took, VALUES("decode"));
    metric_begin(NULL, VALUES("x"));
    expect(m, "# HELP calls_total Calls.\n"
              "# TYPE calls_total counter\n"
              "calls_total{outcome=\"failed\"} 0\n"
              "calls_total{outcome=\"ok\"} 3\n"
              "# HELP took_seconds Time.\n"
              "# TYPE took_seconds histogram\n"
              "took_seconds_bucket{step=\"decode\",le=\"1\"} 0\n"
              "took_seconds_bucket{step=\"decode\",le=\"+Inf\"} 0\n"
              "took_seconds_sum{step=\"decode\"} 0\n"
              "took_seconds_count{step=\"decode\"} 0\n");
    metrics_free(m);
}

static void test_escapes(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    struct metric_family *f = metrics_gauge(m, "x", "a \"b\" \\ c\nd", "l");
    metric_set(f, VALUES("a\"b\\c\nd"), 1);
    metric_set(f, VALUES(""), 2);
    metric_set(f, VALUES(NULL), 3); /* the same series as "" */
    metric_set(f, VALUES("\xc3\xa9"), 4);
    metric_set(f, VALUES("\xe9"), 5);
    expect(m, "# HELP x a \"b\" \\\\ c\\nd\n"
              "# TYPE x gauge\n"
              "x{l=\"\"} 3\n"
              "x{l=\"a\\\"b\\\\c\\nd\"} 1\n"
              "x{l=\"\xc3\xa9\"} 4\n"
              "x{l=\"?\"} 5\n");
    metrics_free(m);
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *want;
    } rows[] = {
        {0, "0"},
        {1, "1"},
        {-2.5, "-2.5"},
        {0.1, "0.1"},
        {1767225600.123, "1767225600.123"},
        {123456789, "123456789"},
        {1e21, "1e+21"},
        {1.0 / 3, "0.3333333333333333"},
        {(double)INFINITY, "+Inf"},
        {(double)-INFINITY, "-Inf"},
        {(double)NAN, "NaN"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct metrics *m = metrics_new();
        metric_set(metrics_gauge(m, "x", "h", ""), NULL, rows[i].value);
        char want[200];
        (void)snprintf(want, sizeof(want), "# HELP x h\n# TYPE x gauge\nx %s\n", rows[i].want);
        expect(m, want);
        metrics_free(m);
    }
}

static void test_remove(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    struct metric_family *f = metrics_gauge(m, "x", "h", "a,b");
    metric_set(f, VALUES("1", "2"), 1);
    metric_set(f, VALUES("12", ""), 1); /* the same letters, another series */
    metric_remove(f, VALUES("12", ""));
    metric_remove(f, VALUES("not", "there"));
    expect(m, "# HELP x h\n# TYPE x gauge\nx{a=\"1\",b=\"2\"} 1\n");
    metric_remove(f, VALUES("1", "2"));
    expect(m, "");
    metrics_free(m);
}

static void test_twice_and_null(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    struct metric_family *f = metrics_counter(m, "x_total", "h", "");
    assert_ptr_equal(metrics_counter(m, "x_total", "h", ""), f);
    assert_null(metrics_counter(NULL, "x_total", "h", ""));
    assert_null(metrics_gauge(NULL, "x", "h", "l"));
    assert_null(metrics_histogram(NULL, "x", "h", "", NULL, 0));
    assert_null(metrics_collected(NULL, METRIC_GAUGE, "x", "h", ""));
    metrics_collect(NULL, NULL, NULL);
    metrics_collect_end(NULL, NULL);
    metric_emit(NULL, NULL, NULL, 1);
    metric_add(NULL, NULL, 1);
    metric_set(NULL, VALUES("a"), 1);
    metric_observe(NULL, NULL, 1);
    metric_remove(NULL, NULL);
    expect(m, "# HELP x_total h\n# TYPE x_total counter\nx_total 0\n");
    metrics_free(m);
    assert_null(metrics_free(NULL));
}

static void test_series_limit(void **state)
{
    (void)state;
    enum { MORE = 20 };
    struct metrics *m = metrics_new();
    struct metric_family *f = metrics_counter(m, "x_total", "h", "a,b");
    for (int i = 0; i < METRICS_SERIES_MAX + MORE; i++) {
        char value[24];
        (void)snprintf(value, sizeof(value), "%d", i);
        metric_add(f, VALUES(value, "b"), 1);
        metric_add(f, VALUES(value, "b"), 1);
    }
    metric_add(f, VALUES("0", "b"), 1); /* known ones still count for themselves */
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(LIMIT);
    metrics_render(m, &out);
    assert_non_null(strstr(buf_cstr(&out), "\nx_total{a=\"other\",b=\"other\"} 40\n"));
    assert_non_null(strstr(buf_cstr(&out), "\nx_total{a=\"0\",b=\"b\"} 3\n"));
    size_t lines = 0;
    for (size_t i = 0; i < out.len; i++)
        lines += out.ptr[i] == '\n';
    assert_int_equal(lines, 2 + METRICS_SERIES_MAX + 1);
    metrics_free(m);
}

/* --- collected families ------------------------------------------------------------------------
 */

struct source {
    struct metrics *m;
    struct metric_family *seconds, *objects, *scrapes;
    int calls;
    const char *name; /* NULL: it has nothing to emit */
};

static void emit(void *arg, struct metrics_scrape *s)
{
    struct source *source = arg;
    source->calls++;
    /* who counts while a scrape collects does not wait for it */
    metric_add(source->scrapes, NULL, 1);
    if (source->name == NULL)
        return;
    metric_emit(s, source->objects, VALUES(source->name, "a\"b\\c\nd\xe9"), 1);
    metric_emit(s, source->seconds, NULL, 0.5);
    metric_emit(s, source->objects, VALUES(source->name, NULL), 2);
}

static void source_init(struct source *source, const char *name)
{
    *source = (struct source){.m = metrics_new(), .name = name};
    struct metrics *m = source->m;
    source->scrapes = metrics_counter(m, "n_total", "h", "");
    source->seconds = metrics_collected(m, METRIC_COUNTER, "z_seconds_total", "h", "");
    source->objects = metrics_collected(m, METRIC_GAUGE, "a_objects", "a\nb", "name,kind");
    metrics_collect(m, emit, source);
}

static void test_collected(void **state)
{
    (void)state;
    struct source source;
    source_init(&source, "x");
    expect(source.m, "# HELP a_objects a\\nb\n"
                     "# TYPE a_objects gauge\n"
                     "a_objects{name=\"x\",kind=\"a\\\"b\\\\c\\nd?\"} 1\n"
                     "a_objects{name=\"x\",kind=\"\"} 2\n"
                     "# HELP n_total h\n# TYPE n_total counter\nn_total 1\n"
                     "# HELP z_seconds_total h\n"
                     "# TYPE z_seconds_total counter\n"
                     "z_seconds_total 0.5\n");
    /* what is gone is gone, without anybody removing it */
    source.name = NULL;
    expect(source.m, "# HELP n_total h\n# TYPE n_total counter\nn_total 2\n");
    source.name = "x";
    metrics_collect_end(source.m, &source);
    expect(source.m, "# HELP n_total h\n# TYPE n_total counter\nn_total 2\n");
    assert_int_equal(source.calls, 2);
    metrics_free(source.m);
}

static void count_call(void *arg, struct metrics_scrape *s)
{
    (void)s;
    ++*(int *)arg;
}

static void test_several_collectors(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    int calls[3] = {0};
    metrics_collect(m, count_call, &calls[0]);
    metrics_collect(m, count_call, &calls[1]);
    expect(m, "");
    metrics_collect_end(m, &calls[0]);
    metrics_collect(m, count_call, &calls[2]);
    expect(m, "");
    assert_int_equal(calls[0], 1);
    assert_int_equal(calls[1], 2);
    assert_int_equal(calls[2], 1);
    metrics_free(m);
}

static void emit_much(void *arg, struct metrics_scrape *s)
{
    static char value[64 * 1024];
    struct source *source = arg;
    memset(value, 'x', sizeof(value) - 1);
    for (int i = 0; i < METRICS_COLLECTED_MAX_BYTES / (int)sizeof(value) + 10; i++) {
        char number[24];
        (void)snprintf(number, sizeof(number), "%d", i);
        metric_emit(s, source->objects, VALUES(value, number), i);
    }
}

static void test_a_collector_that_emits_too_much(void **state)
{
    (void)state;
    struct source source;
    source_init(&source, NULL);
    metrics_collect(source.m, emit_much, &source);
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(2 * METRICS_COLLECTED_MAX_BYTES);
    metrics_render(source.m, &out);
    assert_true(buf_ok(&out));
    assert_true(out.len <= METRICS_COLLECTED_MAX_BYTES + 1024);
    assert_true(out.len > METRICS_COLLECTED_MAX_BYTES / 2);
    /* whole lines only, and the other families too */
    const char *rest = strstr(buf_cstr(&out), "\n# HELP n_total");
    assert_non_null(rest);
    assert_true(rest[-1] >= '0' && rest[-1] <= '9');
    metrics_free(source.m);
}

struct meeting {
    struct metrics *m;
    struct stopper is_inside, may_leave, has_ended;
    atomic_bool has_left;
    bool had_left_at_end;
};

static void meet(void *arg, struct metrics_scrape *s)
{
    (void)s;
    struct meeting *meeting = arg;
    stopper_stop(&meeting->is_inside);
    (void)stopper_wait_ms(&meeting->may_leave, -1);
    atomic_store(&meeting->has_left, true);
}

static void render(void *arg)
{
    struct meeting *meeting = arg;
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(LIMIT);
    metrics_render(meeting->m, &out);
}

static void end(void *arg)
{
    struct meeting *meeting = arg;
    metrics_collect_end(meeting->m, meeting);
    meeting->had_left_at_end = atomic_load(&meeting->has_left);
    stopper_stop(&meeting->has_ended);
}

/* Who ends a collector may free what it looks at. Meanwhile counting goes on. */
static void test_end_waits_for_a_scrape(void **state)
{
    (void)state;
    struct meeting meeting = {.m = metrics_new()};
    struct thread renderer = {0}, ender = {0};
    struct metric_family *f = metrics_counter(meeting.m, "x_total", "h", "");
    stopper_init(&meeting.is_inside);
    stopper_init(&meeting.may_leave);
    stopper_init(&meeting.has_ended);
    metrics_collect(meeting.m, meet, &meeting);
    thread_start(&renderer, "renderer", render, &meeting);
    (void)stopper_wait_ms(&meeting.is_inside, -1);
    thread_start(&ender, "ender", end, &meeting);
    metric_add(f, NULL, 1);
    assert_false(stopper_wait_ms(&meeting.has_ended, 100));
    stopper_stop(&meeting.may_leave);
    thread_join(&ender);
    thread_join(&renderer);
    assert_true(meeting.had_left_at_end);
    expect(meeting.m, "# HELP x_total h\n# TYPE x_total counter\nx_total 1\n");
    stopper_fini(&meeting.is_inside);
    stopper_fini(&meeting.may_leave);
    stopper_fini(&meeting.has_ended);
    metrics_free(meeting.m);
}

enum { THREADS = 4, ROUNDS = 2000 };

static void add_often(void *arg)
{
    struct metrics *m = arg;
    for (int i = 0; i < ROUNDS; i++) {
        metric_add(metrics_counter(m, "x_total", "h", "l"), VALUES(i % 2 == 0 ? "even" : "odd"), 1);
        struct metric_family *g = metrics_gauge(m, "g", "h", "l");
        metric_set(g, VALUES("x"), i);
        metric_remove(g, VALUES("x"));
        if (i % 500 == 0) {
            struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(LIMIT);
            metrics_render(m, &out);
            assert_true(buf_ok(&out));
        }
    }
}

static void test_threads(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    struct thread threads[THREADS] = {0};
    for (int i = 0; i < THREADS; i++)
        thread_start(&threads[i], "metrics", add_often, m);
    for (int i = 0; i < THREADS; i++)
        thread_join(&threads[i]);
    expect(m, "# HELP x_total h\n# TYPE x_total counter\n"
              "x_total{l=\"even\"} 4000\nx_total{l=\"odd\"} 4000\n");
    metrics_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything),
        cmocka_unit_test(test_begun_series),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_remove),
        cmocka_unit_test(test_twice_and_null),
        cmocka_unit_test(test_series_limit),
        cmocka_unit_test(test_collected),
        cmocka_unit_test(test_several_collectors),
        cmocka_unit_test(test_a_collector_that_emits_too_much),
        cmocka_unit_test(test_end_waits_for_a_scrape),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
