// SPDX-License-Identifier: Apache-2.0
/*
 * Calls (POST) against raw bytes: what is answered, by whom and when, what is refused before its
 * body is read, and what the limits do.
 */
#include "web_test.h"

#define JSON   "Content-Type: application/json\r\n"
#define POST   "POST /validate HTTP/1.1\r\nHost: x\r\n"
#define OK     "HTTP/1.1 200 OK\r\n"
#define CLOSED "connection: close\r\n"

/* Each on a connection of its own, which the server closes; what is sent is all that is sent. */
static const struct {
    const char *name, *request, *status; /* NULL: closed without an answer */
    const char *body;
    const char *header; /* NULL, or in the answer */
} answers[] = {
    {"call", POST JSON "Content-Length: 3\r\nConnection: close\r\n\r\nabc", OK, "3 126145", CLOSED},
    {"type", POST JSON "Content-Length: 3\r\nConnection: close\r\n\r\nabc", OK, "3 126145",
     "content-type: application/json\r\n"},
    {"empty", POST JSON "Content-Length: 0\r\nConnection: close\r\n\r\n", OK, "0 1", CLOSED},
    {"1.0", "POST /other HTTP/1.0\r\n" JSON "Content-Length: 3\r\n\r\nabc", "HTTP/1.0 200 OK\r\n",
     "3 126145", CLOSED},
    {"list of connection options",
     POST JSON "Content-Length: 3\r\nConnection: TE, close\r\n\r\nabc", OK, "3 126145", CLOSED},
    {"parameters of the type",
     POST "Content-Type: Application/JSON; charset=utf-8\r\nContent-Length: 3\r\n"
          "Connection: close\r\n\r\nabc",
     OK, "3 126145", NULL},
    {"continue",
     POST JSON "Expect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", NULL, "\r\n\r\n3 126145"},
    {"failed buffer",
     "POST /validate?fail HTTP/1.1\r\nHost: x\r\n" JSON "Content-Length: 0\r\nConnection: close"
     "\r\n\r\n",
     "HTTP/1.1 500 Internal Server Error\r\n", "", NULL},

    {"path", "POST /wrong HTTP/1.1\r\nHost: x\r\n" JSON "Content-Length: 3\r\n\r\nabc",
     "HTTP/1.1 404 Not Found\r\n", "not found\n", CLOSED},
    {"chunked", POST JSON "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
     "HTTP/1.1 411 Length Required\r\n",
     "a body needs a Content-Length here, and cannot be chunked\n", CLOSED},
    {"chunked and length",
     POST JSON "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
     "HTTP/1.1 400 Bad Request\r\n", "the length of the body cannot be read\n", CLOSED},
    {"other coding", POST JSON "Transfer-Encoding: identity\r\n\r\nabc",
     "HTTP/1.1 411 Length Required\r\n", NULL, CLOSED},
    {"no length", POST JSON "\r\n", "HTTP/1.1 411 Length Required\r\n", NULL, CLOSED},
    {"negative", POST JSON "Content-Length: -1\r\n\r\nabc", "HTTP/1.1 400 Bad Request\r\n", NULL,
     CLOSED},
    {"plus", POST JSON "Content-Length: +3\r\n\r\nabc", "HTTP/1.1 400 Bad Request\r\n", NULL,
     CLOSED},
    {"letter", POST JSON "Content-Length: 3x\r\n\r\nabc", "HTTP/1.1 400 Bad Request\r\n", NULL,
     CLOSED},
    {"list", POST JSON "Content-Length: 3, 5\r\n\r\nabc", "HTTP/1.1 400 Bad Request\r\n", NULL,
     CLOSED},
    {"twice", POST JSON "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
     "HTTP/1.1 400 Bad Request\r\n", NULL, CLOSED},
    {"twice and different", POST JSON "Content-Length: 3\r\nContent-Length: 5\r\n\r\nabc",
     "HTTP/1.1 400 Bad Request\r\n", NULL, CLOSED},
    {"no number", POST JSON "Content-Length: abc\r\n\r\nabc", "HTTP/1.1 400 Bad Request\r\n", NULL,
     CLOSED},
    {"overflow", POST JSON "Content-Length: 18446744073709551617\r\n\r\nabc",
     "HTTP/1.1 400 Bad Request\r\n", NULL, CLOSED},
    {"hexadecimal", POST JSON "Content-Length: 0x3\r\n\r\nabc", "HTTP/1.1 400 Bad Request\r\n",
     NULL, CLOSED},
    {"too big", POST JSON "Content-Length: 7340033\r\n\r\n",
     "HTTP/1.1 413 Request Entity Too Large\r\n", "the body is too big\n", CLOSED},
    {"huge", POST JSON "Content-Length: 999999999999999999\r\n\r\n",
     "HTTP/1.1 413 Request Entity Too Large\r\n", "the body is too big\n", CLOSED},
    {"no type", POST "Content-Length: 3\r\n\r\nabc", "HTTP/1.1 415 Unsupported Media Type\r\n",
     "only application/json is served here\n", CLOSED},
    {"other type", POST "Content-Type: application/jsonp\r\nContent-Length: 3\r\n\r\nabc",
     "HTTP/1.1 415 Unsupported Media Type\r\n", NULL, CLOSED},
    {"other expectation", POST JSON "Expect: money\r\nContent-Length: 3\r\n\r\nabc",
     "HTTP/1.1 417 Expectation Failed\r\n", NULL, CLOSED},
    {"put", "PUT /validate HTTP/1.1\r\nHost: x\r\n" JSON "Content-Length: 3\r\n\r\nabc",
     "HTTP/1.1 405 Method Not Allowed\r\n", "only GET, HEAD and POST are served here\n",
     "allow: GET, HEAD, POST\r\n"},
    {"get", "GET /ok HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", OK, "/ok", CLOSED},
    {"get on a call's path", "GET /validate HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
     "HTTP/1.1 404 Not Found\r\n", "/validate", NULL},
    {"encoded NUL", "POST /validate%00 HTTP/1.1\r\nHost: x\r\n" JSON "Content-Length: 0\r\n\r\n",
     NULL, "", NULL},
    {"websocket",
     POST JSON "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length: 3\r\n\r\nabc",
     NULL, "", NULL},
    {"h2c",
     POST JSON "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
               "HTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: 3\r\n\r\nabc",
     NULL, "", NULL},
    {"connect", "CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\nContent-Length: 3\r\n\r\nabc", NULL, "",
     NULL},
};

static void test_answers(void **state)
{
    struct test_server *t = *state;
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        struct test_client c = test_connect(t);
        assert_true(test_send(&c, str_from(answers[i].request)));
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(TEST_ANSWER_MAX);
        test_recv_all(&c, &out);
        test_close(&c);
        const char *got = buf_cstr(&out);
        const char *body = strstr(got, "\r\n\r\n");
        if (answers[i].status == NULL) {
            if (strncmp(got, "HTTP/1.1 1", 10) == 0 || strncmp(got, "HTTP/1.1 2", 10) == 0)
                fail_msg("%s: %s", answers[i].name, got);
            continue;
        }
        if (strncmp(got, answers[i].status, strlen(answers[i].status)) != 0 || body == NULL ||
            (answers[i].body != NULL && strcmp(body + 4, answers[i].body) != 0) ||
            (answers[i].header != NULL && strstr(got, answers[i].header) == NULL))
            fail_msg("%s: %s", answers[i].name, got);
    }
    TEST_WAIT_COUNTS(t, n.connections == 0 && n.calls == 0 && n.body_bytes == 0 && n.queued == 0);
}

/* Whoever is refused can go on sending for a moment: closing at once would fail the sending, and
 * the answer would not be looked for. */
static void test_refusal_is_read(void **state)
{
    struct test_server *t = *state;
    struct buf body BERTH_CLEANUP(buf_fini) = BUF_INIT(TEST_ANSWER_MAX);
    test_fill(&body, 100000, 0);
    struct buf request BERTH_CLEANUP(buf_fini) = BUF_INIT(1000);
    test_post_headers(&request, "", "8000000");
    struct test_client c = test_connect(t);
    assert_true(test_send(&c, buf_str(&request)));
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(TEST_ANSWER_MAX);
    struct str text;
    assert_int_equal(test_recv_answer(&c, &out, &text), 413);
    struct pollfd end = {.fd = c.fd, .events = POLLIN | POLLRDHUP};
    for (int i = 0; i < 3; i++) {
        assert_true(test_send(&c, buf_str(&body)));
        assert_int_equal(poll(&end, 1, 20), 0); /* nor has it ended */
    }
    test_recv_all(&c, &out); /* in the end it does */
    test_close(&c);
}

static void test_keep_alive(void **state)
{
    struct test_server *t = *state;
    struct test_client c = test_connect(t);
    struct buf body BERTH_CLEANUP(buf_fini) = BUF_INIT(TEST_ANSWER_MAX);
    static const size_t sizes[] = {0, 1, 5000, 16384, 32768, 40000, 1000000, 7 * 1024 * 1024, 3};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        buf_reset(&body);
        test_fill(&body, sizes[i], (unsigned)i);
        assert_true(test_post(&c, "", buf_str(&body)));
        test_expect_echo(&c, buf_str(&body));
    }
    /* and a GET in between */
    assert_true(test_send(&c, STR("GET /ok HTTP/1.1\r\nHost: x\r\n\r\n")));
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(TEST_ANSWER_MAX);
    struct str got;
    assert_int_equal(test_recv_answer(&c, &out, &got), 200);
    assert_true(test_post(&c, "", STR("x")));
    test_expect_echo(&c, STR("x"));
    test_close(&c);
}

static void test_fields(void **state)
{
    struct test_server *t = *state;
    const int64_t before_ms = test_now_ms();
    struct test_client c = test_connect(t);
    assert_true(test_post(&c, "a=1&b=x%20y", STR("x")));
    test_expect_echo(&c, STR("x"));
    assert_string_equal(t->last_query, "a=1&b=x y");
    assert_true(t->last.started_mono_ms >= before_ms && t->last.started_mono_ms <= test_now_ms());
    assert_int_equal(t->last.deadline_mono_ms - t->last.started_mono_ms, WEB_REQUEST_TIMEOUT_MS);
    const uint64_t first = t->last.id;
    assert_true(test_post(&c, "", STR("x")));
    test_expect_echo(&c, STR("x"));
    assert_true(first != 0 && t->last.id != 0 && t->last.id != first);
    test_close(&c);
}

static void test_big_answer(void **state)
{
    struct test_server *t = *state;
    struct test_client c = test_connect(t);
    for (int i = 0; i < 3; i++) {
        assert_true(test_post(&c, "big", STR("x")));
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(TEST_ANSWER_MAX);
        struct str body;
        assert_int_equal(test_recv_answer(&c, &out, &body), 200);
        assert_int_equal(body.len, 1024 * 1024);
        for (size_t n = 0; n < body.len; n++)
            if (body.ptr[n] != (char)('a' + n % 23))
                fail_msg("byte %zu", n);
    }
    test_close(&c);
}

/* Later, from another thread, in another order; a second answer changes nothing. */
static void test_answered_later(void **state)
{
    struct test_server *t = *state;
    struct test_client c[3];
    uint64_t ids[3];
    t->n_held = 0;
    for (int i = 0; i < 3; i++) {
        c[i] = test_connect(t);
        assert_true(test_post(&c[i], "hold", STR("x")));
        ids[i] = test_held(t, i);
    }
    for (int i = 2; i >= 0; i--) {
        char text[16];
        (void)snprintf(text, sizeof(text), "%d", i);
        test_echo(t, ids[i], str_n(text, (size_t)i));
        test_expect_echo(&c[i], str_n(text, (size_t)i));
        test_echo(t, ids[i], STR("again"));
    }
    TEST_WAIT_COUNTS(t, n.dropped == 3);
    assert_true(test_post(&c[0], "twice", STR("abc")));
    test_expect_echo(&c[0], STR("abc"));
    assert_true(test_post(&c[0], "", STR("abcd")));
    test_expect_echo(&c[0], STR("abcd"));
    TEST_WAIT_COUNTS(t, n.dropped == 4);
    /* whose place has somebody else by now */
    test_close(&c[0]);
    TEST_WAIT_COUNTS(t, n.connections == 2);
    c[0] = test_connect(t);
    assert_true(test_post(&c[0], "hold", STR("x")));
    const uint64_t next = test_held(t, 3);
    test_echo(t, ids[0], STR("old"));
    TEST_WAIT_COUNTS(t, n.dropped == 5);
    test_echo(t, next, STR("new"));
    test_expect_echo(&c[0], STR("new"));
    web_server_answer(t->server, 0, 200, "application/json", NULL);
    web_server_answer(t->server, UINT64_MAX, 200, "application/json", NULL);
    TEST_WAIT_COUNTS(t, n.dropped == 7);
    for (int i = 0; i < 3; i++)
        test_close(&c[i]);
}

/* lws 4.1.6 completes such a request for ever and serves nobody else. */
static void test_pipelined(void **state)
{
    struct test_server *t = *state;
    struct buf two BERTH_CLEANUP(buf_fini) = BUF_INIT(1000);
    test_post_headers(&two, "hold", "3");
    buf_append(&two, STR("abc"));
    test_post_headers(&two, "hold", "3");
    buf_append(&two, STR("abc"));
    struct test_client c = test_connect(t);
    assert_true(test_send(&c, buf_str(&two)));
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(1000);
    test_recv_all(&c, &out); /* is closed */
    assert_int_equal(out.len, 0);
    test_close(&c);
    struct test_client other = test_connect(t);
    assert_true(test_post(&other, "", STR("abc")));
    test_expect_echo(&other, STR("abc"));
    test_close(&other);
    TEST_WAIT_COUNTS(t, n.calls == 0 && n.connections == 0);
}

/* The same where the second comes while the first waits. */
static void test_pipelined_later(void **state)
{
    struct test_server *t = *state;
    t->n_held = 0;
    struct test_client c = test_connect(t);
    assert_true(test_post(&c, "hold", STR("abc")));
    const uint64_t id = test_held(t, 0);
    assert_true(test_post(&c, "", STR("abc")));
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(1000);
    test_recv_all(&c, &out);
    assert_int_equal(out.len, 0);
    const uint64_t before = web_server_counts(t->server).dropped;
    test_echo(t, id, STR("late"));
    TEST_WAIT_COUNTS(t, n.dropped == before + 1 && n.calls == 0);
    test_close(&c);
}

static void test_in_pieces(void **state)
{
    struct test_server *t = *state;
    struct buf request BERTH_CLEANUP(buf_fini) = BUF_INIT(1000);
    test_post_headers(&request, "", "10");
    buf_append(&request, STR("0123456789"));
    struct test_client c = test_connect(t);
    for (size_t i = 0; i < request.len; i++)
        assert_true(test_send(&c, str_n(request.ptr + i, 1)));
    test_expect_echo(&c, STR("0123456789"));
    test_close(&c);
}

/* The client waits for 100 before it sends, as curl does with bodies above 1 MB. */
static void test_continue(void **state)
{
    struct test_server *t = *state;
    struct test_client c = test_connect(t);
    assert_true(test_send(&c, STR(POST JSON "Expect: 100-Continue\r\nContent-Length: 3\r\n\r\n")));
    char got[100];
    const size_t n = test_recv(&c, got, sizeof(got));
    assert_true(str_eq(str_n(got, n), STR("HTTP/1.1 100 Continue\r\n\r\n")));
    assert_true(test_send(&c, STR("abc")));
    test_expect_echo(&c, STR("abc"));
    /* who is refused is not told to go on */
    assert_true(
        test_send(&c, STR(POST JSON "Expect: 100-continue\r\nContent-Length: 8000000\r\n\r\n")));
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(1000);
    test_recv_all(&c, &out);
    assert_true(str_starts_with(buf_str(&out), STR("HTTP/1.1 413 ")));
    test_close(&c);
}

static void test_long_headers(void **state)
{
    struct test_server *t = *state;
    static const struct {
        int bytes;
        int status;
    } rows[] = {{12 * 1024, 200}, {20 * 1024, 0}, {200 * 1024, 0}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct buf request BERTH_CLEANUP(buf_fini) = BUF_INIT(TEST_ANSWER_MAX);
        buf_append(&request, STR(POST JSON "X-Long: "));
        for (int n = 0; n < rows[i].bytes; n++)
            buf_append_char(&request, 'x');
        buf_append(&request, STR("\r\nContent-Length: 0\r\n\r\n"));
        struct test_client c = test_connect(t);
        (void)test_send(&c, buf_str(&request));
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(1000);
        struct str body;
        assert_int_equal(test_recv_answer(&c, &out, &body), rows[i].status);
        test_close(&c);
    }
}

/* A client that goes before its body is whole, while its call is queued, while it is handled. */
static void test_hang_up(void **state)
{
    (void)state;
    struct test_server *t = test_serve((struct web_options){.workers = 1});
    struct buf request BERTH_CLEANUP(buf_fini) = BUF_INIT(1000);
    test_post_headers(&request, "", "10");
    buf_append(&request, STR("012"));
    struct test_client half = test_connect(t);
    assert_true(test_send(&half, buf_str(&request)));
    TEST_WAIT_COUNTS(t, n.calls == 1 && n.body_bytes == 3);
    test_close(&half);
    TEST_WAIT_COUNTS(t, n.calls == 0 && n.body_bytes == 0 && n.connections == 0);

    test_set_blocked(t, true);
    struct test_client handled = test_connect(t);
    assert_true(test_post(&handled, "", STR("abc")));
    test_wait_for(t, &t->n_blocked, 1);
    struct test_client queued = test_connect(t);
    assert_true(test_post(&queued, "", STR("abcd")));
    TEST_WAIT_COUNTS(t, n.calls == 2 && n.queued == 1 && n.body_bytes == 7);
    test_close(&queued);
    TEST_WAIT_COUNTS(t, n.calls == 1 && n.queued == 0 && n.body_bytes == 3 && n.connections == 1);
    test_close(&handled);
    TEST_WAIT_COUNTS(t, n.calls == 0 && n.body_bytes == 3 && n.connections == 0);
    test_set_blocked(t, false);
    TEST_WAIT_COUNTS(t, n.body_bytes == 0 && n.dropped == 1);
    assert_int_equal(atomic_load(&t->n_handled), 1); /* the queued one never came */

    struct test_client next = test_connect(t);
    assert_true(test_post(&next, "", STR("abc")));
    test_expect_echo(&next, STR("abc"));
    test_close(&next);
    test_stop(t);
}

static void test_queue_full(void **state)
{
    (void)state;
    struct test_server *t = test_serve((struct web_options){.workers = 1, .queue = 2});
    test_set_blocked(t, true);
    struct test_client c[4];
    for (int i = 0; i < 3; i++) {
        c[i] = test_connect(t);
        assert_true(test_post(&c[i], "", STR("abc")));
        if (i == 0)
            test_wait_for(t, &t->n_blocked, 1);
        else
            TEST_WAIT_COUNTS(t, n.queued == i);
    }
    c[3] = test_connect(t);
    for (int i = 0; i < 2; i++) { /* its connection goes on */
        assert_true(test_post(&c[3], "", STR("abc")));
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(1000);
        struct str body;
        assert_int_equal(test_recv_answer(&c[3], &out, &body), 503);
        assert_int_equal(body.len, 0);
        assert_null(strcasestr(buf_cstr(&out), "retry-after"));
        assert_null(strcasestr(buf_cstr(&out), "connection: close"));
    }
    TEST_WAIT_COUNTS(t, n.refused_queue == 2 && n.calls == 3 && n.body_bytes == 9);
    test_set_blocked(t, false);
    for (int i = 0; i < 3; i++)
        test_expect_echo(&c[i], STR("abc"));
    assert_true(test_post(&c[3], "", STR("abc")));
    test_expect_echo(&c[3], STR("abc"));
    for (int i = 0; i < 4; i++)
        test_close(&c[i]);
    test_stop(t);
}

/* What has arrived counts, not what was announced. */
static void test_budget(void **state)
{
    (void)state;
    enum { BUDGET = 100000 };
    struct test_server *t = test_serve((struct web_options){.max_calls_bytes = BUDGET});
    struct buf body BERTH_CLEANUP(buf_fini) = BUF_INIT(TEST_ANSWER_MAX);
    test_fill(&body, BUDGET - 10, 1);
    struct test_client many[10];
    for (int i = 0; i < 10; i++) { /* they announce much, and send little */
        many[i] = test_connect(t);
        struct buf request BERTH_CLEANUP(buf_fini) = BUF_INIT(1000);
        test_post_headers(&request, "", "7000000");
        buf_append(&request, STR("x"));
        assert_true(test_send(&many[i], buf_str(&request)));
    }
    TEST_WAIT_COUNTS(t, n.body_bytes == 10);
    struct test_client c = test_connect(t);
    assert_true(test_post(&c, "", buf_str(&body)));
    test_expect_echo(&c, buf_str(&body));
    TEST_WAIT_COUNTS(t, n.body_bytes == 10);
    buf_append(&body, STR("+"));
    assert_true(test_post(&c, "", buf_str(&body)));
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(1000);
    struct str got;
    assert_int_equal(test_recv_answer(&c, &out, &got), 503);
    assert_int_equal(got.len, 0);
    assert_null(strcasestr(buf_cstr(&out), "retry-after"));
    assert_non_null(strstr(buf_cstr(&out), CLOSED));
    TEST_WAIT_COUNTS(t, n.body_bytes == 10 && n.refused_bytes == 1 && n.calls == 10);
    test_close(&c);
    for (int i = 0; i < 10; i++)
        test_close(&many[i]);
    TEST_WAIT_COUNTS(t, n.body_bytes == 0 && n.connections == 0);
    test_stop(t);
}

/* One byte at a time, each well inside any time-out between bytes: the deadline is the request's.
 */
static void test_slow_body(void **state)
{
    (void)state;
    enum { TIMEOUT_MS = 600 };
    struct test_server *t = test_serve((struct web_options){.call_timeout_ms = TIMEOUT_MS});
    struct buf request BERTH_CLEANUP(buf_fini) = BUF_INIT(1000);
    test_post_headers(&request, "", "1000000");
    struct test_client c = test_connect(t);
    const int64_t start_ms = test_now_ms();
    assert_true(test_send(&c, buf_str(&request)));
    struct pollfd there = {.fd = c.fd, .events = POLLIN};
    while (poll(&there, 1, 20) == 0 && test_now_ms() < start_ms + TEST_WAIT_MS)
        (void)test_send(&c, STR("x"));
    assert_true(test_now_ms() - start_ms >= TIMEOUT_MS);
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(1000);
    test_recv_all(&c, &out);
    assert_true(test_now_ms() - start_ms < TIMEOUT_MS + 10 * 1000);
    assert_true(str_starts_with(buf_str(&out), STR("HTTP/1.1 408 Request Timeout\r\n")));
    test_close(&c);
    TEST_WAIT_COUNTS(t,
                     n.timed_out == 1 && n.calls == 0 && n.connections == 0 && n.body_bytes == 0);
    test_stop(t);
}

/* A call that nobody answers is cut, one that waits too long for a worker is not handled. */
static void test_never_answered(void **state)
{
    (void)state;
    enum { TIMEOUT_MS = 100 };
    struct test_server *t =
        test_serve((struct web_options){.call_timeout_ms = TIMEOUT_MS, .workers = 1});
    const int64_t start_ms = test_now_ms();
    struct test_client never = test_connect(t);
    assert_true(test_post(&never, "never", STR("abc")));
    TEST_WAIT_COUNTS(t, n.calls == 1 && n.queued == 0 && n.body_bytes == 0);
    test_set_blocked(t, true);
    struct test_client blocked = test_connect(t);
    assert_true(test_post(&blocked, "hold", STR("abc")));
    test_wait_for(t, &t->n_blocked, 1);
    struct test_client queued = test_connect(t);
    assert_true(test_post(&queued, "", STR("abc")));
    struct test_client *all[] = {&never, &blocked, &queued};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(1000);
        test_recv_all(all[i], &out);
        assert_true(str_starts_with(buf_str(&out), STR("HTTP/1.1 504 Gateway Timeout\r\n")));
        assert_true(str_ends_with(buf_str(&out), STR("\r\n\r\n")));
        assert_true(test_now_ms() - start_ms >= TIMEOUT_MS + WEB_CALL_GRACE_MS);
        test_close(all[i]);
    }
    TEST_WAIT_COUNTS(t, n.timed_out == 3 && n.calls == 0 && n.queued == 0);
    test_set_blocked(t, false);
    test_echo(t, test_held(t, 0), STR("late"));
    TEST_WAIT_COUNTS(t, n.dropped == 1 && n.body_bytes == 0);
    assert_int_equal(atomic_load(&t->n_handled), 2);
    struct test_client next = test_connect(t);
    assert_true(test_post(&next, "", STR("abc")));
    test_expect_echo(&next, STR("abc"));
    test_close(&next);
    test_stop(t);
}

/* The deadline passes while the call is queued, and its connection is still there. */
static void test_stale_in_queue(void **state)
{
    (void)state;
    enum { TIMEOUT_MS = 100 };
    struct test_server *t =
        test_serve((struct web_options){.call_timeout_ms = TIMEOUT_MS, .workers = 1});
    test_set_blocked(t, true);
    struct test_client blocked = test_connect(t);
    assert_true(test_post(&blocked, "", STR("abc")));
    test_wait_for(t, &t->n_blocked, 1);
    const int64_t sent_ms = test_now_ms();
    struct test_client queued = test_connect(t);
    assert_true(test_post(&queued, "", STR("abcd")));
    TEST_WAIT_COUNTS(t, n.queued == 1 && test_now_ms() > sent_ms + TIMEOUT_MS + 50);
    test_set_blocked(t, false);
    test_expect_echo(&blocked, STR("abc")); /* late, but before it was cut */
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(1000);
    test_recv_all(&queued, &out);
    assert_true(str_starts_with(buf_str(&out), STR("HTTP/1.1 504 ")));
    assert_int_equal(atomic_load(&t->n_handled), 1);
    test_close(&blocked);
    test_close(&queued);
    test_stop(t);
}

/* Small bodies on the loop thread: answered there, later, by somebody else, or never. */
static void test_inline(void **state)
{
    (void)state;
    struct test_server *t =
        test_serve((struct web_options){.inline_bytes = 10, .call_timeout_ms = 100, .workers = 1});
    struct test_client c = test_connect(t);
    for (int i = 0; i < 100; i++) {
        assert_true(test_post(&c, i % 2 == 0 ? "twice" : "", STR("0123456789")));
        test_expect_echo(&c, STR("0123456789"));
        assert_true(test_post(&c, "", STR("0123456789x")));
        test_expect_echo(&c, STR("0123456789x"));
    }
    TEST_WAIT_COUNTS(t, n.answered == 200 && n.dropped == 50 && n.body_bytes == 0);
    assert_true(test_post(&c, "hold", STR("x")));
    test_echo(t, test_held(t, 0), STR("held"));
    test_expect_echo(&c, STR("held"));
    assert_true(test_post(&c, "never", STR("x")));
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(1000);
    test_recv_all(&c, &out);
    assert_true(str_starts_with(buf_str(&out), STR("HTTP/1.1 504 ")));
    test_close(&c);
    test_stop(t);
}

static int set_up(void **state)
{
    *state = test_serve((struct web_options){0});
    return 0;
}

static int tear_down(void **state)
{
    *state = test_stop(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),         cmocka_unit_test(test_answered_later),
        cmocka_unit_test(test_refusal_is_read), cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_fields),          cmocka_unit_test(test_big_answer),
        cmocka_unit_test(test_pipelined),       cmocka_unit_test(test_pipelined_later),
        cmocka_unit_test(test_in_pieces),       cmocka_unit_test(test_continue),
        cmocka_unit_test(test_long_headers),    cmocka_unit_test(test_hang_up),
        cmocka_unit_test(test_queue_full),      cmocka_unit_test(test_budget),
        cmocka_unit_test(test_slow_body),       cmocka_unit_test(test_never_answered),
        cmocka_unit_test(test_stale_in_queue),  cmocka_unit_test(test_inline),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
