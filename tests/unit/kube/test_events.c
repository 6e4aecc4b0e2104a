// SPDX-License-Identifier: Apache-2.0
/*
 * Events: series, limits and names as pure functions under a clock of the test's, and the recorder
 * against a scripted server.
 */
#include "base/clock.h"
#include "event_series_priv.h"
#include "fake_http.h"
#include "json/json.h"
#include "kube/client.h"
#include "kube/config.h"
#include "kube/events.h"
#include "kube/object.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct kube_object *object(const char *name)
{
    struct kube_object *o = NULL;
    struct err e = ERR_INIT;
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(2048);
    buf_printf(&text,
               "{\"apiVersion\":\"test.dev/v1\",\"kind\":\"Thing\",\"metadata\":{\"name\":\"%s\","
               "\"uid\":\"u\",\"resourceVersion\":\"7\"}}",
               name);
    assert_true(kube_object_parse(buf_str(&text), &o, &e));
    return o;
}

static struct event_series *say(struct event_table *t, const struct kube_object *o,
                                const char *reason, const char *note, int64_t ms)
{
    struct event *ev = kube_event_new(o, KUBE_EVENT_WARNING, reason, "Act", str_from(note));
    ev->unix_ms = 1767323045000 + ms;
    ev->mono_ms = ms;
    return kube_event_table_add(t, ev);
}

static void repeats_are_one_series(void **state)
{
    (void)state;
    struct event_table *t = kube_event_table_new();
    struct kube_object *a = object("a"), *b = object("b");
    struct event_series *s = say(t, a, "R", "n", 0);
    assert_int_equal(s->count, 1);
    assert_ptr_equal(say(t, a, "R", "n", 1000), s);
    assert_int_equal(s->count, 2);
    assert_int_equal(s->last_unix_ms, 1767323046000);
    assert_int_equal(s->event->unix_ms, 1767323045000);
    assert_ptr_not_equal(say(t, a, "R", "other", 1000), s);
    assert_ptr_not_equal(say(t, a, "R2", "n", 1000), s);
    assert_ptr_not_equal(say(t, b, "R", "n", 1000), s);
    /* each repeat prolongs the series; six quiet minutes end it */
    assert_int_equal(say(t, a, "R", "n", 1000 + KUBE_EVENT_SERIES_MS)->count, 3);
    assert_int_equal(say(t, a, "R", "n", 1001 + 2 * KUBE_EVENT_SERIES_MS)->count, 1);
    kube_event_table_expire(t, 1002 + 3 * (int64_t)KUBE_EVENT_SERIES_MS);
    assert_int_equal(kube_event_table_count(t), 0);
    kube_object_unref(a);
    kube_object_unref(b);
    kube_event_table_free(t);
}

static void floods_are_held_back(void **state)
{
    (void)state;
    struct event_table *t = kube_event_table_new();
    struct kube_object *a = object("a"), *b = object("b");
    struct event_series *s = say(t, a, "R", "n", 0);
    for (int i = 0; i < KUBE_EVENT_BURST; i++)
        assert_true(kube_event_table_may_send(t, s, 0));
    assert_false(kube_event_table_may_send(t, s, 0));
    /* the same object and reason in other words share the limit; others have their own */
    assert_false(kube_event_table_may_send(t, say(t, a, "R", "other", 0), 0));
    assert_true(kube_event_table_may_send(t, say(t, a, "R2", "n", 0), 0));
    assert_true(kube_event_table_may_send(t, say(t, b, "R", "n", 0), 0));
    assert_false(kube_event_table_may_send(t, s, KUBE_EVENT_REFILL_MS - 1));
    assert_true(kube_event_table_may_send(t, s, KUBE_EVENT_REFILL_MS));
    assert_false(kube_event_table_may_send(t, s, KUBE_EVENT_REFILL_MS));
    assert_true(kube_event_table_may_send(t, s, 2 * KUBE_EVENT_REFILL_MS));
    /* a full bucket is no more than the burst */
    int64_t late_ms = 1000 * (int64_t)KUBE_EVENT_REFILL_MS;
    for (int i = 0; i < KUBE_EVENT_BURST; i++)
        assert_true(kube_event_table_may_send(t, s, late_ms));
    assert_false(kube_event_table_may_send(t, s, late_ms));
    kube_object_unref(a);
    kube_object_unref(b);
    kube_event_table_free(t);
}

static void what_was_held_back_comes_later(void **state)
{
    (void)state;
    struct event_table *t = kube_event_table_new();
    struct kube_object *a = object("a");
    struct event_series *s = say(t, a, "R", "n", 0);
    s->sent_count = 1;
    assert_null(kube_event_table_next_unsent(t, 0));
    while (kube_event_table_may_send(t, s, 0))
        ;
    s = say(t, a, "R", "n", 10);
    assert_null(kube_event_table_next_unsent(t, 10));
    assert_ptr_equal(kube_event_table_next_unsent(t, KUBE_EVENT_REFILL_MS), s);
    kube_object_unref(a);
    kube_event_table_free(t);
}

static void memory_is_bounded(void **state)
{
    (void)state;
    struct event_table *t = kube_event_table_new();
    struct kube_object *a = object("a");
    char note[32];
    for (int i = 0; i < EVENT_SERIES_MAX + 10; i++) {
        snprintf(note, sizeof(note), "%d", i);
        (void)say(t, a, "R", note, i);
        (void)say(t, a, "R", "kept", i); /* repeated: never the oldest */
    }
    assert_int_equal(kube_event_table_count(t), EVENT_SERIES_MAX);
    assert_int_equal(say(t, a, "R", "kept", EVENT_SERIES_MAX + 10)->count, EVENT_SERIES_MAX + 11);
    kube_object_unref(a);
    kube_event_table_free(t);
}

static void names_are_valid(void **state)
{
    (void)state;
    char long_name[KUBE_NAME_MAX + 1], long_want[KUBE_NAME_MAX + 1];
    memset(long_name, 'a', KUBE_NAME_MAX);
    long_name[KUBE_NAME_MAX] = '\0';
    snprintf(long_want, sizeof(long_want), "%.*s.00000000000000ff", KUBE_NAME_MAX - 17, long_name);
    const struct {
        const char *name, *want;
    } cases[] = {
        {"a.b-c", "a.b-c.00000000000000ff"},     {"system:X_y", "system---y.00000000000000ff"},
        {":x-", "x.00000000000000ff"},           {":::", "00000000000000ff"},
        {"..x..", "x.00000000000000ff"},         {"a9z0", "a9z0.00000000000000ff"},
        {"a~b{c/d", "a-b-c-d.00000000000000ff"}, {long_name, long_want}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct event_table *t = kube_event_table_new();
        struct kube_object *o = object(cases[i].name);
        struct event_series *s = say(t, o, "R", "n", 0);
        kube_event_series_rename(s, 255);
        assert_string_equal(s->object_name, cases[i].want);
        kube_object_unref(o);
        kube_event_table_free(t);
    }
}

static void notes_are_cut(void **state)
{
    (void)state;
    struct event_table *t = kube_event_table_new();
    struct kube_object *o = object("a");
    struct buf note BERTH_CLEANUP(buf_fini) = BUF_INIT(4096);
    buf_append(&note, STR("x"));
    for (int i = 0; i < 600; i++)
        buf_append(&note, STR("\xc3\xa9")); /* é: the 1024th byte is in the middle of one */
    struct str cut = say(t, o, "R", buf_cstr(&note), 0)->event->note;
    assert_int_equal(cut.len, 1023);
    assert_true(str_is_utf8(cut));
    cut = say(t, o, "R", "bad \xff\xfe text", 0)->event->note;
    assert_true(str_eq(cut, STR("bad ?? text")));
    /* too long, and no text either: a text of the right length comes out */
    buf_append(&note, STR("\xff"));
    cut = say(t, o, "R", buf_cstr(&note), 0)->event->note;
    assert_true(cut.len <= KUBE_EVENT_NOTE_MAX_BYTES && cut.len > KUBE_EVENT_NOTE_MAX_BYTES - 4);
    assert_true(str_is_utf8(cut));
    kube_object_unref(o);
    kube_event_table_free(t);
}

/* How many may be sent at that time. */
static int allowed(struct event_table *t, const struct event_series *s, int64_t ms)
{
    int n = 0;
    while (kube_event_table_may_send(t, s, ms))
        n++;
    return n;
}

static void forgetting_gives_nothing_away(void **state)
{
    (void)state;
    for (int early = 0; early < 2; early++) {
        struct event_table *t = kube_event_table_new();
        struct kube_object *o = object("a");
        struct event_series *s = say(t, o, "R", "n", 0);
        int64_t ms = KUBE_EVENT_REFILL_MS - early;
        assert_true(kube_event_table_may_send(t, s, 0));
        kube_event_table_expire(t, ms);
        assert_int_equal(kube_event_table_count(t), 1); /* said a moment ago */
        assert_int_equal(allowed(t, s, ms), KUBE_EVENT_BURST - early);
        kube_object_unref(o);
        assert_null(kube_event_table_free(t));
    }
    assert_null(kube_event_table_free(NULL));
    assert_null(kube_event_free(NULL));
}

static void namespaces_are_those_of_the_objects(void **state)
{
    (void)state;
    static const char *const texts[][2] = {{"", "default"}, {",\"namespace\":\"team\"", "team"}};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(256);
        struct event_table *t = kube_event_table_new();
        struct kube_object *o = NULL;
        struct err e = ERR_INIT;
        buf_printf(&text, "{\"apiVersion\":\"v1\",\"kind\":\"T\",\"metadata\":{\"name\":\"a\"%s}}",
                   texts[i][0]);
        assert_true(kube_object_parse(buf_str(&text), &o, &e));
        assert_string_equal(kube_event_series_namespace(say(t, o, "R", "n", 0)), texts[i][1]);
        kube_object_unref(o);
        kube_event_table_free(t);
    }
}

static const char FIRST[] =
    "{\"apiVersion\":\"events.k8s.io/v1\",\"kind\":\"Event\",\"metadata\":{\"name\":\"%s\","
    "\"namespace\":\"default\"},\"eventTime\":\"2026-01-02T03:04:05.000000Z\",\"type\":\"Warning\","
    "\"reason\":\"R\",\"action\":\"Act\",\"note\":\"n 1\",\"reportingController\":\"test.dev/c\","
    "\"reportingInstance\":\"pod\",\"regarding\":{\"apiVersion\":\"test.dev/v1\",\"kind\":\"Thing\""
    ",\"name\":\"a\",\"uid\":\"u\",\"resourceVersion\":\"7\"}%s}";

static void check_created(const struct fake_asked *asked, const char *series)
{
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    struct buf want BERTH_CLEANUP(buf_fini) = BUF_INIT(4096);
    struct err e = ERR_INIT;
    assert_true(json_parse(str_from(asked->body), 1 << 16, &doc, &e));
    struct str name = json_str_or_null(json_path(json_root(doc), "metadata.name"));
    assert_true(str_starts_with(name, STR("a.")) && name.len == 2 + EVENT_NAME_HEX);
    char *format BERTH_CLEANUP(mem_freecp) = mem_strdup(FIRST);
    struct str rest = str_from(format), part;
    assert_true(str_next(&rest, '%', &part));
    buf_append(&want, part);
    buf_append(&want, name);
    assert_true(str_next(&rest, '%', &part));
    buf_append(&want, str_from_offset(part, 1));
    buf_append_cstr(&want, series);
    buf_append(&want, str_from_offset(rest, 1));
    assert_string_equal(asked->body, buf_cstr(&want));
}

struct fixture {
    struct fake_http http;
    struct kube_config config;
    struct clock_fake clock;
    struct kube_client *client;
    struct kube_recorder *recorder;
    struct kube_object *object;
    int errors;
    struct err error;
};

static void on_error(void *arg, const struct err *e)
{
    struct fixture *f = arg;
    f->errors++;
    f->error = *e;
}

static void start(struct fixture *f, const struct fake_line *script, size_t count)
{
    struct err e = ERR_INIT;
    fake_http_init(&f->http, script, count);
    clock_fake_init(&f->clock, 1767323045000);
    f->config = (struct kube_config){.server = STR("https://api")};
    struct kube_client_options o = {
        .config = &f->config, .user_agent = "test", .http = &f->http.client};
    assert_true(kube_client_new(&o, &f->client, &e));
    struct kube_recorder_options r = {.client = f->client,
                                      .reporting_controller = "test.dev/c",
                                      .reporting_instance = "pod",
                                      .clock = &f->clock.clock,
                                      .on_error = on_error,
                                      .arg = f};
    f->errors = 0;
    f->recorder = kube_recorder_new(&r);
    f->object = object("a");
}

static void finish(struct fixture *f)
{
    kube_recorder_stop(f->recorder); /* flushes */
    kube_client_free(f->client);
    kube_object_unref(f->object);
    fake_http_check(&f->http);
}

#define EVENTS_URL "/apis/events.k8s.io/v1/namespaces/default/events"

static void recorder_creates_and_patches(void **state)
{
    (void)state;
    static const struct fake_line SCRIPT[] = {
        {"POST", EVENTS_URL, 201, "{}"},
        {"PATCH", EVENTS_URL "/a.", 200, "{}"},
        {"PATCH", EVENTS_URL "/a.", 404, ""}, /* the server's hour is over */
        {"POST", EVENTS_URL, 409, "{\"kind\":\"Status\",\"reason\":\"AlreadyExists\"}"},
        {"POST", EVENTS_URL, 201, "{}"},
        {"POST", EVENTS_URL, 403, ""}, /* another event: refused, not retried */
    };
    struct fixture f;
    start(&f, SCRIPT, ARRAY_SIZE(SCRIPT));
    kube_eventf(f.recorder, f.object, KUBE_EVENT_WARNING, "R", "Act", "n %d", 1);
    assert_true(fake_http_wait(&f.http, 1));
    clock_fake_advance(&f.clock, 1500);
    kube_eventf(f.recorder, f.object, KUBE_EVENT_WARNING, "R", "Act", "n %d", 1);
    kube_eventf(f.recorder, f.object, KUBE_EVENT_WARNING, "R", "Act", "n %d", 1);
    kube_event(f.recorder, f.object, KUBE_EVENT_NORMAL, "Q", "Act", STR("x"));
    kube_event(NULL, f.object, KUBE_EVENT_NORMAL, "Q", "Act", STR("x"));
    finish(&f);
    assert_int_equal(f.errors, 1);
    assert_int_equal(f.error.cls, ERR_DENIED);
    static const char SERIES[] =
        ",\"series\":{\"count\":3,\"lastObservedTime\":\"2026-01-02T03:04:06.500000Z\"}";
    check_created(&f.http.asked[0], "");
    assert_string_equal(f.http.asked[1].body, "{\"series\":{\"count\":2,\"lastObservedTime\":"
                                              "\"2026-01-02T03:04:06.500000Z\"}}");
    assert_string_equal(f.http.asked[1].content_type, "application/merge-patch+json");
    check_created(&f.http.asked[3], SERIES);
    check_created(&f.http.asked[4], SERIES);
    assert_string_not_equal(f.http.asked[3].body, f.http.asked[4].body); /* another name */
    assert_non_null(strstr(f.http.asked[5].body, "\"type\":\"Normal\""));
    fake_http_fini(&f.http);
}

/* The Event of an attempt whose answer was lost is found by its name, and not made again. */
static void a_lost_answer_makes_no_second_event(void **state)
{
    (void)state;
    static const struct fake_line SCRIPT[] = {
        {"POST", EVENTS_URL, 0},
        {"POST", EVENTS_URL, 409, "{\"kind\":\"Status\",\"reason\":\"AlreadyExists\"}"},
        {"PATCH", EVENTS_URL "/a.", 200, "{}"}, /* said again: its series */
    };
    struct fixture f;
    start(&f, SCRIPT, ARRAY_SIZE(SCRIPT));
    kube_eventf(f.recorder, f.object, KUBE_EVENT_WARNING, "R", "Act", "n %d", 1);
    assert_true(fake_http_wait(&f.http, 2));
    kube_eventf(f.recorder, f.object, KUBE_EVENT_WARNING, "R", "Act", "n %d", 1);
    finish(&f);
    assert_int_equal(f.errors, 0);
    check_created(&f.http.asked[0], "");
    assert_string_equal(f.http.asked[0].body, f.http.asked[1].body); /* the same name */
    fake_http_fini(&f.http);
}

static void refusals_are_told_once(void **state)
{
    (void)state;
    static const struct fake_line SCRIPT[] = {
        {"POST", EVENTS_URL, 403, ""}, {"POST", EVENTS_URL, 403, ""}, {"POST", EVENTS_URL, 422, ""},
        {"POST", EVENTS_URL, 201, ""}, {"POST", EVENTS_URL, 422, ""}, {"POST", EVENTS_URL, 422, ""},
    };
    struct fixture f;
    start(&f, SCRIPT, ARRAY_SIZE(SCRIPT));
    for (int i = 0; i < (int)ARRAY_SIZE(SCRIPT); i++)
        kube_eventf(f.recorder, f.object, KUBE_EVENT_WARNING, "R", "Act", "n %d", i);
    finish(&f);
    /* the first, the one that is another, and the one after what went well */
    assert_int_equal(f.errors, 3);
    fake_http_fini(&f.http);
}

static void recorder_limits_calls(void **state)
{
    (void)state;
    static struct fake_line script[KUBE_EVENT_BURST];
    for (size_t i = 0; i < ARRAY_SIZE(script); i++)
        script[i] = (struct fake_line){
            .method = i ? "PATCH" : "POST", .url = EVENTS_URL, .status = 200, .body = "{}"};
    struct fixture f;
    start(&f, script, ARRAY_SIZE(script));
    for (int i = 0; i < 10 * KUBE_EVENT_BURST; i++)
        kube_event(f.recorder, f.object, KUBE_EVENT_WARNING, "R", "Act", STR("n 1"));
    finish(&f);
    assert_int_equal(f.http.asked_count, KUBE_EVENT_BURST);
    fake_http_fini(&f.http);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repeats_are_one_series),
        cmocka_unit_test(floods_are_held_back),
        cmocka_unit_test(what_was_held_back_comes_later),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(names_are_valid),
        cmocka_unit_test(notes_are_cut),
        cmocka_unit_test(forgetting_gives_nothing_away),
        cmocka_unit_test(namespaces_are_those_of_the_objects),
        cmocka_unit_test(recorder_creates_and_patches),
        cmocka_unit_test(a_lost_answer_makes_no_second_event),
        cmocka_unit_test(refusals_are_told_once),
        cmocka_unit_test(recorder_limits_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
