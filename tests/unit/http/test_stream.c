// SPDX-License-Identifier: Apache-2.0
/*
 * http_stream(): pieces come as they arrive, and it ends by the peer, by a callback, by silence or
 * by another thread's wish.
 */
// clang-format off: cmocka.h needs these four before it
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
// clang-format on

#include "http_test.h"

#define HEAD    "HTTP/1.1 200 OK\r\nX-Test: head\r\nTransfer-Encoding: chunked\r\n\r\n"
#define FIRST   "6\r\nfirst\n\r\n"
#define SECOND  "7\r\nsecond\n\r\n"
#define THE_END "0\r\n\r\n"

/* What the callbacks saw, and what they shall do. */
struct sink {
    struct buf data;
    int responses;
    int status;
    char header[32];
    bool stop_at_response;
    size_t stop_at_bytes; /* 0: never */
    struct http_cancel *cancel_at_data;
    /* tells the server that the first piece came */
    struct test_conn *conn;
    const char *then_send;
};

static bool on_response(void *arg, const struct http_response *r)
{
    struct sink *sink = arg;
    sink->responses++;
    sink->status = r->status;
    assert_true(str_is_null(r->body));
    snprintf(sink->header, sizeof(sink->header), "%.*s", STR_ARG(http_header_get(r, "X-Test")));
    return !sink->stop_at_response;
}

static bool on_data(void *arg, struct str data)
{
    struct sink *sink = arg;
    assert_true(data.len > 0);
    buf_append(&sink->data, data);
    if (sink->then_send != NULL) {
        test_send(sink->conn, sink->then_send);
        sink->then_send = NULL;
    }
    if (sink->cancel_at_data != NULL)
        http_cancel_now(sink->cancel_at_data);
    return sink->stop_at_bytes == 0 || sink->data.len < sink->stop_at_bytes;
}

static const struct http_stream_ops ops = {on_response, on_data};

static void sink_fini(struct sink *sink)
{
    buf_fini(&sink->data);
}
#define SINK_INIT ((struct sink){.data = BUF_INIT(1 << 20)})

static void answer_text(struct test_server *s, struct test_conn *c)
{
    test_send(c, s->arg);
}

static void answer_in_bytes(struct test_server *s, struct test_conn *c)
{
    for (const char *p = s->arg; *p != '\0'; p++)
        test_send_bytes(c, p, 1);
}

static void answer_and_close(struct test_server *s, struct test_conn *c)
{
    test_send(c, s->arg);
    test_close(c);
}

static bool run(struct test_server *s, int64_t idle_ms, struct http_cancel *cancel,
                struct sink *sink, struct err *e)
{
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct http_client *c BERTH_CLEANUP(http_client_freep) = plain_client();
    struct http_request rq = {.method = "GET", .url = url_of(s, &a, "/watch")};
    return http_stream(c, &rq, idle_ms, cancel, &ops, sink, e);
}

static const struct {
    const char *name;
    void (*how)(struct test_server *, struct test_conn *);
    const char *script;
    const char *reason; /* NULL: ends in good order */
    int status;
    const char *data;
} ends[] = {
    {"whole", answer_text, HEAD FIRST SECOND THE_END, NULL, 200, "first\nsecond\n"},
    {"whole, in bytes", answer_in_bytes, HEAD FIRST SECOND THE_END, NULL, 200, "first\nsecond\n"},
    {"after 1xx", answer_text, "HTTP/1.1 103 Early Hints\r\nX-Test: no\r\n\r\n" HEAD THE_END, NULL,
     200, ""},
    {"until closed", answer_and_close, "HTTP/1.1 200 OK\r\nX-Test: head\r\n\r\nfirst\n", NULL, 200,
     "first\n"},
    {"an error status", answer_text,
     "HTTP/1.1 410 Gone\r\nX-Test: head\r\nContent-Length: 4\r\n\r\ngone", NULL, 410, "gone"},
    {"cut in a chunk", answer_and_close, HEAD FIRST "7\r\nsec", "ConnectionLost", 200,
     "first\nsec"},
    {"cut between chunks", answer_and_close, HEAD FIRST, "ConnectionLost", 200, "first\n"},
    {"silent", answer_text, HEAD FIRST, "IdleTimeout", 200, "first\n"},
    {"silent from the start", answer_text, "", "IdleTimeout", 0, ""},
};

static void test_ends(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        struct test_server s;
        struct err e = ERR_INIT;
        struct sink sink BERTH_CLEANUP(sink_fini) = SINK_INIT;
        static char script[512];
        snprintf(script, sizeof(script), "%s", ends[i].script);
        test_server_start(&s, ends[i].how, script);
        bool is_silent = ends[i].reason != NULL && strcmp(ends[i].reason, "IdleTimeout") == 0;
        bool is_ok = run(&s, is_silent ? SHORT_TIMEOUT_MS : SAFE_TIMEOUT_MS, NULL, &sink, &e);
        if (is_ok != (ends[i].reason == NULL))
            fail_msg("%s: %s", ends[i].name, e.msg);
        if (ends[i].reason != NULL) {
            assert_int_equal(e.cls, ERR_RETRY);
            assert_string_equal(e.reason, ends[i].reason);
        }
        assert_int_equal(sink.status, ends[i].status);
        assert_int_equal(sink.responses, ends[i].status != 0);
        assert_string_equal(sink.header, ends[i].status != 0 ? "head" : "");
        assert_string_equal(buf_cstr(&sink.data), ends[i].data);
        test_server_stop(&s);
    }
}

/* The server sends the rest only when the first piece was handed on. */
static void answer_first_and_tell(struct test_server *s, struct test_conn *c)
{
    struct sink *sink = s->arg;
    sink->conn = c;
    sink->then_send = SECOND THE_END;
    test_send(c, HEAD FIRST);
}

static void test_pieces_are_not_held_back(void **state)
{
    (void)state;
    struct test_server s;
    struct err e = ERR_INIT;
    struct sink sink BERTH_CLEANUP(sink_fini) = SINK_INIT;
    test_server_start(&s, answer_first_and_tell, &sink);
    if (!run(&s, SAFE_TIMEOUT_MS, NULL, &sink, &e))
        fail_msg("%s", e.msg);
    assert_string_equal(buf_cstr(&sink.data), "first\nsecond\n");
    test_server_stop(&s);
}

static void test_callbacks_end_it(void **state)
{
    (void)state;
    struct test_server s;
    static char script[] = HEAD FIRST;
    test_server_start(&s, answer_text, script);
    struct err e = ERR_INIT;
    struct sink at_response BERTH_CLEANUP(sink_fini) = SINK_INIT;
    at_response.stop_at_response = true;
    assert_true(run(&s, SAFE_TIMEOUT_MS, NULL, &at_response, &e));
    assert_int_equal(at_response.data.len, 0);
    struct sink at_data BERTH_CLEANUP(sink_fini) = SINK_INIT;
    at_data.stop_at_bytes = 1;
    assert_true(run(&s, SAFE_TIMEOUT_MS, NULL, &at_data, &e));
    assert_string_equal(buf_cstr(&at_data.data), "first\n");
    assert_false(err_is_set(&e));
    test_server_stop(&s);
}

static void test_deadline_of_the_whole(void **state)
{
    (void)state;
    struct test_server s;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct err e = ERR_INIT;
    struct sink sink BERTH_CLEANUP(sink_fini) = SINK_INIT;
    static char script[] = HEAD FIRST;
    test_server_start(&s, answer_text, script);
    struct http_client *c BERTH_CLEANUP(http_client_freep) = plain_client();
    struct http_request rq = {
        .method = "GET", .url = url_of(&s, &a, "/"), .timeout_ms = SHORT_TIMEOUT_MS};
    assert_false(http_stream(c, &rq, 0, NULL, &ops, &sink, &e));
    assert_string_equal(e.reason, "Timeout");
    test_server_stop(&s);
}

static void test_cancel_before_start(void **state)
{
    (void)state;
    struct test_server s;
    struct err e = ERR_INIT;
    struct sink sink BERTH_CLEANUP(sink_fini) = SINK_INIT;
    struct http_cancel *cancel BERTH_CLEANUP(http_cancel_freep) = http_cancel_new();
    static char script[] = HEAD;
    test_server_start(&s, answer_text, script);
    assert_false(http_cancel_is_cancelled(cancel));
    http_cancel_now(cancel);
    assert_true(http_cancel_is_cancelled(cancel));
    for (int i = 0; i < 2; i++) { /* it sticks */
        err_clear(&e);
        assert_false(run(&s, 0, cancel, &sink, &e));
        assert_int_equal(e.cls, ERR_CANCELLED);
        assert_string_equal(e.reason, "Cancelled");
    }
    assert_int_equal(s.connections, 0);
    test_server_stop(&s);
}

static void test_cancel_from_a_callback(void **state)
{
    (void)state;
    struct test_server s;
    struct err e = ERR_INIT;
    struct http_cancel *cancel BERTH_CLEANUP(http_cancel_freep) = http_cancel_new();
    struct sink sink BERTH_CLEANUP(sink_fini) = SINK_INIT;
    sink.cancel_at_data = cancel;
    static char script[] = HEAD FIRST;
    test_server_start(&s, answer_text, script);
    assert_false(run(&s, 0, cancel, &sink, &e));
    assert_int_equal(e.cls, ERR_CANCELLED);
    assert_string_equal(buf_cstr(&sink.data), "first\n");
    test_server_stop(&s);
}

/* Cancels when as many streams as wanted wait for their answer: nothing but the wake-up can end
 * them, as they have no deadline. */
struct cancelling {
    struct http_cancel *cancel;
    int wanted;
};

static void cancel_when_all_wait(struct test_server *s, struct test_conn *c)
{
    struct cancelling *me = s->arg;
    test_send(c, HEAD);
    if (s->requests == me->wanted)
        http_cancel_now(me->cancel);
}

struct streamer {
    pthread_t thread;
    struct test_server *server;
    struct http_cancel *cancel;
    struct err e;
};

static void *stream_one(void *arg)
{
    struct streamer *me = arg;
    struct sink sink BERTH_CLEANUP(sink_fini) = SINK_INIT;
    if (run(me->server, 0, me->cancel, &sink, &me->e))
        err_clear(&me->e);
    return NULL;
}

static void test_cancel_wakes_all_streams(void **state)
{
    (void)state;
    enum { STREAMS = 4 };
    struct test_server s;
    struct http_cancel *cancel BERTH_CLEANUP(http_cancel_freep) = http_cancel_new();
    struct cancelling me = {cancel, STREAMS};
    struct streamer streamers[STREAMS];
    test_server_start(&s, cancel_when_all_wait, &me);
    for (int i = 0; i < STREAMS; i++) {
        streamers[i] = (struct streamer){.server = &s, .cancel = cancel, .e = ERR_INIT};
        pthread_create(&streamers[i].thread, NULL, stream_one, &streamers[i]);
    }
    for (int i = 0; i < STREAMS; i++) {
        pthread_join(streamers[i].thread, NULL);
        assert_int_equal(streamers[i].e.cls, ERR_CANCELLED);
    }
    test_server_stop(&s);
}

static void test_bad_request(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct sink sink BERTH_CLEANUP(sink_fini) = SINK_INIT;
    struct http_client *c BERTH_CLEANUP(http_client_freep) = plain_client();
    struct http_request rq = {.method = "GET", .url = STR("ftp://127.0.0.1/")};
    assert_false(http_stream(c, &rq, 0, NULL, &ops, &sink, &e));
    assert_int_equal(e.cls, ERR_INVALID);
    assert_string_equal(e.reason, "BadRequest");
}

int main(void)
{
    http_global_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_pieces_are_not_held_back),
        cmocka_unit_test(test_callbacks_end_it),
        cmocka_unit_test(test_deadline_of_the_whole),
        cmocka_unit_test(test_cancel_before_start),
        cmocka_unit_test(test_cancel_from_a_callback),
        cmocka_unit_test(test_cancel_wakes_all_streams),
        cmocka_unit_test(test_bad_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
