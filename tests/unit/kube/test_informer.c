// SPDX-License-Identifier: Apache-2.0
/*
 * Informers against a scripted server: lists by stream and by pages, resuming, 410, objects that
 * vanish, objects that cannot be read.
 */
#include "fake_http.h"
#include "kube/client.h"
#include "kube/config.h"
#include "kube/informer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct kube_resource THINGS = {"test.dev", "v1", "things", "Thing", false};

#define META(NAME, RV)                                                                             \
    "{\"metadata\":{\"name\":\"" NAME "\",\"uid\":\"u-" NAME "\",\"resourceVersion\":\"" RV "\"}"
#define EVENT(TYPE, NAME, RV) "{\"type\":\"" TYPE "\",\"object\":" META(NAME, RV) "}}\n"
#define BOOKMARK(RV)                                                                               \
    "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"" RV "\"}}}\n"
#define END_MARK(RV)                                                                               \
    "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"" RV                   \
    "\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n"
#define GONE                                                                                       \
    "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"reason\":\"Expired\",\"message\":"      \
    "\"too old resource version\",\"code\":410}}\n"
#define STREAM_LIST "sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
#define NO_STREAM_LIST                                                                             \
    "{\"kind\":\"Status\",\"reason\":\"Invalid\",\"message\":\"sendInitialEvents is forbidden "    \
    "for "                                                                                         \
    "watch unless the WatchList feature gate is enabled\",\"code\":422}"

/* What an informer did: "+name" for a change, "-name" for a deletion, "!reason" for an error,
 * "~name@version" for a last state. */
struct seen {
    struct buf text;
    struct kube_informer *informer;
};

static void on_change(void *arg, struct str namespace, struct str name, bool is_deleted)
{
    struct seen *s = arg;
    (void)namespace;
    buf_printf(&s->text, "%c%.*s ", is_deleted ? '-' : '+', STR_ARG(name));
    struct kube_object *o = kube_informer_get(s->informer, STR(""), name); /* it may be read */
    if ((o == NULL) != is_deleted)
        buf_append(&s->text, STR("(store disagrees) "));
    kube_object_unref(o);
}

static void on_deleted(void *arg, const struct kube_object *last)
{
    struct seen *s = arg;
    buf_printf(&s->text, "~%s@%s ", kube_object_name(last).ptr,
               kube_object_resource_version(last).ptr);
}

static void on_error(void *arg, const struct err *e)
{
    struct seen *s = arg;
    buf_printf(&s->text, "!%s ", e->reason);
}

/* Runs an informer through the script until the server was asked once more than the script has
 * lines, and compares what it did. split: bytes of a piece. */
static void play(const struct fake_line *script, size_t count, size_t split, const char *want,
                 const char *last_url, size_t want_objects)
{
    struct fake_http http;
    struct kube_config config = {.server = STR("https://api")};
    struct kube_client *client = NULL;
    struct err e = ERR_INIT;
    struct seen seen = {.text = BUF_INIT(4096)};
    fake_http_init(&http, script, count);
    http.split = split;
    struct kube_client_options co = {.config = &config, .user_agent = "test", .http = &http.client};
    assert_true(kube_client_new(&co, &client, &e));
    struct kube_informer_options io = {.client = client,
                                       .resource = &THINGS,
                                       .on_change = on_change,
                                       .on_deleted = on_deleted,
                                       .on_error = on_error,
                                       .arg = &seen,
                                       .backoff_min_ms = 1};
    seen.informer = kube_informer_new(&io);
    kube_informer_start(seen.informer);
    assert_true(fake_http_wait(&http, count + 1));
    assert_true(kube_informer_has_synced(seen.informer));
    fake_http_release(&http);
    kube_informer_stop(seen.informer);
    if (strcmp(buf_cstr(&seen.text), want) != 0)
        fail_msg("split %zu: got \"%s\", want \"%s\"", split, buf_cstr(&seen.text), want);
    if (strstr(http.asked[count].url, last_url) == NULL)
        fail_msg("%s is not in %s", last_url, http.asked[count].url);
    assert_int_equal(kube_informer_count(seen.informer), want_objects);
    kube_informer_free(seen.informer);
    kube_client_free(client);
    fake_http_check(&http);
    fake_http_fini(&http);
    buf_fini(&seen.text);
}
#define PLAY(WANT, LAST_URL, OBJECTS, ...)                                                         \
    do {                                                                                           \
        static const struct fake_line SCRIPT[] = {__VA_ARGS__};                                    \
        static const size_t SPLITS[] = {0, 1, 7, 64};                                              \
        for (size_t i = 0; i < ARRAY_SIZE(SPLITS); i++)                                            \
            play(SCRIPT, ARRAY_SIZE(SCRIPT), SPLITS[i], (WANT), (LAST_URL), (OBJECTS));            \
    } while (0)

static void lists_by_stream_and_resumes(void **state)
{
    (void)state;
    PLAY("+a +b +a ~b@7 -b !ConnectionLost +c ", "resourceVersion=30", 2,
         {"GET", "/things?watch=true&allowWatchBookmarks=true&timeoutSeconds=", 200,
          EVENT("ADDED", "a", "1") EVENT("ADDED", "b", "2") BOOKMARK("2") END_MARK("5")
              EVENT("MODIFIED", "a", "6") EVENT("DELETED", "b", "7"),
          FAKE_ENDS},
         {"GET", "resourceVersion=7", 200, BOOKMARK("20"), FAKE_BREAKS},
         {"GET", "resourceVersion=20", 200, EVENT("ADDED", "c", "21") BOOKMARK("30"), FAKE_ENDS});
}

static void errors_are_reported(void **state)
{
    (void)state;
    static const struct fake_line SCRIPT[] = {
        {"GET", STREAM_LIST, 200, END_MARK("5"), FAKE_BREAKS},
        {"GET", "resourceVersion=5", 0},
        {"GET", "resourceVersion=5", 403,
         "{\"kind\":\"Status\",\"reason\":\"Forbidden\",\"message\":\"no\",\"code\":403}"},
        {"GET", "resourceVersion=5", 200, EVENT("ADDED", "a", "6"), FAKE_ENDS},
    };
    play(SCRIPT, ARRAY_SIZE(SCRIPT), 0, "!ConnectionLost !ConnectFailed !Forbidden +a ",
         "resourceVersion=6", 1);
}

/* Before 1.32, or with the gate off: pages, and no second attempt by stream. */
static void lists_by_pages(void **state)
{
    (void)state;
    PLAY("+a +b +c ", "resourceVersion=9", 3, {"GET", STREAM_LIST, 422, NO_STREAM_LIST},
         {"GET", "/things?limit=500", 200,
          "{\"metadata\":{\"resourceVersion\":\"9\",\"continue\":\"t\"},\"items\":[" META(
              "a", "1") "}," META("b", "2") "}]}",
          FAKE_ENDS},
         {"GET", "/things?limit=500&continue=t", 200,
          "{\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[" META("c", "3") "}]}", FAKE_ENDS});
}

/* A server that does not know sendInitialEvents at all answers a plain watch. */
static void stream_without_end_mark_turns_to_pages(void **state)
{
    (void)state;
    PLAY("!NoEndMark +a ", "resourceVersion=9", 1,
         {"GET", STREAM_LIST, 200, EVENT("ADDED", "x", "1"), FAKE_ENDS},
         {"GET", "/things?limit=500", 200,
          "{\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[" META("a", "1") "}]}", FAKE_ENDS});
}

/* 410 inside the watch, and as its status: a new list, and what it lacks was deleted. */
static void gone_lists_again(void **state)
{
    (void)state;
    PLAY("+a +b -b +c -a +b +c ", "resourceVersion=60", 2,
         {"GET", STREAM_LIST, 200,
          EVENT("ADDED", "a", "1") EVENT("ADDED", "b", "2") END_MARK("5")
              GONE EVENT("ADDED", "never-read", "6"),
          FAKE_HANGS},
         {"GET", STREAM_LIST, 200,
          EVENT("ADDED", "a", "1") EVENT("ADDED", "c", "30") END_MARK("40"), FAKE_ENDS},
         {"GET", "resourceVersion=40", 410,
          "{\"kind\":\"Status\",\"reason\":\"Expired\",\"message\":\"too old\",\"code\":410}"},
         {"GET", STREAM_LIST, 200,
          EVENT("ADDED", "b", "50") EVENT("ADDED", "gone", "51") EVENT("MODIFIED", "c", "52")
              EVENT("DELETED", "gone", "53") END_MARK("60"),
          FAKE_ENDS});
}

/* Half a stream list changes nothing. */
static void cut_lists_are_not_taken(void **state)
{
    (void)state;
    PLAY("+a +b !ConnectionLost -b ", "resourceVersion=50", 1,
         {"GET", STREAM_LIST, 200,
          EVENT("ADDED", "a", "1") EVENT("ADDED", "b", "2") END_MARK("5") GONE, FAKE_ENDS},
         {"GET", STREAM_LIST, 200, EVENT("ADDED", "c", "30"), FAKE_BREAKS},
         {"GET", "/things?limit=500", 200,
          "{\"metadata\":{\"resourceVersion\":\"50\"},\"items\":[" META("a", "1") "}]}",
          FAKE_ENDS});
}

/* Objects that make a page too big are listed by smaller pages. */
static void big_pages_are_halved(void **state)
{
    (void)state;
    char *big = mem_alloc(KUBE_PAGE_MAX_BYTES + 2);
    memset(big, ' ', KUBE_PAGE_MAX_BYTES + 1);
    const struct fake_line script[] = {
        {"GET", STREAM_LIST, 422, NO_STREAM_LIST},
        {"GET", "/things?limit=500", 200, big},
        {"GET", "/things?limit=250", 200,
         "{\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[" META("a", "1") "}]}"},
    };
    play(script, ARRAY_SIZE(script), 1 << 16, "+a ", "resourceVersion=9", 1);
    mem_free(big);
}

static void expired_pages_start_over(void **state)
{
    (void)state;
    PLAY(
        "+b ", "resourceVersion=10", 1, {"GET", STREAM_LIST, 422, NO_STREAM_LIST},
        {"GET", "/things?limit=500", 200,
         "{\"metadata\":{\"resourceVersion\":\"9\",\"continue\":\"t\"},\"items\":[" META("a",
                                                                                         "1") "}]}",
         FAKE_ENDS},
        {"GET", "continue=t", 410,
         "{\"kind\":\"Status\",\"reason\":\"Expired\",\"message\":\"too old\",\"code\":410}"},
        {"GET", "/things?limit=500", 200,
         "{\"metadata\":{\"resourceVersion\":\"10\"},\"items\":[" META("b", "1") "}]}", FAKE_ENDS});
}

/* One object that cannot be read, a line that is no event, an object without a name. */
static void bad_objects_do_not_stop_it(void **state)
{
    (void)state;
    PLAY("!Undecodable +bad +a !Undecodable !NoName +b ", "resourceVersion=8", 3,
         {"GET", STREAM_LIST, 200,
          "{\"type\":\"ADDED\",\"object\":" META("bad", "2") ",\"spec\":\"\\u0000\"}}\n" EVENT(
              "ADDED", "a", "3")
              END_MARK("5") "garbage\n"
                            "{\"type\":\"ADDED\",\"object\":{}}\n" EVENT("ADDED", "b", "8"),
          FAKE_ENDS});
}

static void unknown_kind_is_waited_for(void **state)
{
    (void)state;
    PLAY("!NotFound !NotFound +a ", "resourceVersion=5", 1,
         {"GET", STREAM_LIST, 404,
          "{\"kind\":\"Status\",\"reason\":\"NotFound\",\"message\":\"no\",\"code\":404}"},
         {"GET", STREAM_LIST, 404,
          "{\"kind\":\"Status\",\"reason\":\"NotFound\",\"message\":\"no\",\"code\":404}"},
         {"GET", STREAM_LIST, 200, EVENT("ADDED", "a", "3") END_MARK("5"), FAKE_ENDS});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_by_stream_and_resumes),
        cmocka_unit_test(errors_are_reported),
        cmocka_unit_test(lists_by_pages),
        cmocka_unit_test(stream_without_end_mark_turns_to_pages),
        cmocka_unit_test(gone_lists_again),
        cmocka_unit_test(cut_lists_are_not_taken),
        cmocka_unit_test(big_pages_are_halved),
        cmocka_unit_test(expired_pages_start_over),
        cmocka_unit_test(bad_objects_do_not_stop_it),
        cmocka_unit_test(unknown_kind_is_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
