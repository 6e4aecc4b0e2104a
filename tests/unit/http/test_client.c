// SPDX-License-Identifier: Apache-2.0
/*
 * http_send() against a scripted server: what answers become, however they arrive, and what the
 * pool does with connections.
 */
// clang-format off: cmocka.h needs these four before it
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
// clang-format on

#include "http_test.h"

#include <sched.h>

/* Sends s->arg, a C string, in one piece. */
static void answer_text(struct test_server *s, struct test_conn *c)
{
    test_send(c, s->arg);
}

/* Byte by byte. */
static void answer_in_bytes(struct test_server *s, struct test_conn *c)
{
    for (const char *p = s->arg; *p != '\0'; p++) {
        test_send_bytes(c, p, 1);
        sched_yield();
    }
}

static void answer_and_close(struct test_server *s, struct test_conn *c)
{
    test_send(c, s->arg);
    test_close(c);
}

static const struct {
    const char *name;
    void (*how)(struct test_server *, struct test_conn *);
    const char *answer;
    int status;
    const char *body;
    const char *header; /* value of X-Test; NULL: absent */
} answers[] = {
    {"with a length", answer_text, "HTTP/1.1 200 OK\r\nX-Test: a\r\nContent-Length: 5\r\n\r\nhello",
     200, "hello", "a"},
    {"in bytes", answer_in_bytes, "HTTP/1.1 200 OK\r\nX-Test: a\r\nContent-Length: 5\r\n\r\nhello",
     200, "hello", "a"},
    {"chunked", answer_text,
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n",
     200, "hello", NULL},
    {"chunked in bytes", answer_in_bytes,
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", 200,
     "hello", NULL},
    {"trailers are passed over", answer_text,
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Test: late\r\n\r\n",
     200, "hello", NULL},
    {"until the end of the connection", answer_and_close, "HTTP/1.1 200 OK\r\n\r\nhello", 200,
     "hello", NULL},
    {"HTTP/1.0", answer_and_close, "HTTP/1.0 404 Not Found\r\nX-Test: b\r\n\r\nno", 404, "no", "b"},
    {"no content", answer_text, "HTTP/1.1 204 No Content\r\n\r\n", 204, "", NULL},
    {"an error status is an answer", answer_text,
     "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy", 503, "busy", NULL},
    {"no redirect is followed", answer_text,
     "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", 302, "",
     NULL},
    {"1xx before the answer", answer_in_bytes,
     "HTTP/1.1 100 Continue\r\nX-Test: no\r\n\r\nHTTP/1.1 103 Early Hints\r\nX-Test: no\r\n\r\n"
     "HTTP/1.1 200 OK\r\nX-Test: yes\r\nContent-Length: 2\r\n\r\nok",
     200, "ok", "yes"},
    {"the name's case does not matter", answer_text,
     "HTTP/1.1 200 OK\r\nx-TEST:   spaced out  \r\nContent-Length: 0\r\n\r\n", 200, "",
     "spaced out"},
    {"empty value", answer_text, "HTTP/1.1 200 OK\r\nX-Test:\r\nContent-Length: 0\r\n\r\n", 200, "",
     ""},
    {"the first of two", answer_text,
     "HTTP/1.1 200 OK\r\nX-Test: 1\r\nX-Test: 2\r\nContent-Length: 0\r\n\r\n", 200, "", "1"},
    {"compressed bytes stay what they are", answer_text,
     "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nraw", 200, "raw", NULL},
};

static void test_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        struct test_server s;
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct err e = ERR_INIT;
        struct http_response r;
        struct http_client *c BERTH_CLEANUP(http_client_freep) = plain_client();
        static char script[2048];
        snprintf(script, sizeof(script), "%s", answers[i].answer);
        test_server_start(&s, answers[i].how, script);
        struct http_request rq = get_of(url_of(&s, &a, "/"));
        if (!http_send(c, &rq, &a, &r, &e))
            fail_msg("%s: %s", answers[i].name, e.msg);
        assert_int_equal(r.status, answers[i].status);
        assert_string_equal(r.body.ptr, answers[i].body);
        assert_int_equal(r.body.len, strlen(answers[i].body));
        struct str got = http_header_get(&r, "X-Test");
        if (answers[i].header == NULL)
            assert_true(str_is_null(got));
        else if (!str_eq_cstr(got, answers[i].header))
            fail_msg("%s: header is %.*s", answers[i].name, STR_ARG(got));
        test_server_stop(&s);
    }
}

static void test_all_bytes_come_through(void **state)
{
    (void)state;
    static char script[1024];
    int n = snprintf(script, sizeof(script), "HTTP/1.1 200 OK\r\nContent-Length: 255\r\n\r\n");
    for (int i = 0; i < 255; i++)
        script[n + i] = (char)(i + 1);
    struct test_server s;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct err e = ERR_INIT;
    struct http_response r;
    struct http_client *c BERTH_CLEANUP(http_client_freep) = plain_client();
    test_server_start(&s, answer_in_bytes, script);
    struct http_request rq = get_of(url_of(&s, &a, "/"));
    assert_true(http_send(c, &rq, &a, &r, &e));
    assert_int_equal(r.body.len, 255);
    assert_memory_equal(r.body.ptr, script + n, 255);
    test_server_stop(&s);
}

static void answer_folded(struct test_server *s, struct test_conn *c)
{
    (void)s;
    test_send(c, "HTTP/1.1 200 OK\r\nX-Test: one\r\n two\r\nContent-Length: 0\r\n\r\n");
}

static void test_folded_header(void **state)
{
    (void)state;
    struct test_server s;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct err e = ERR_INIT;
    struct http_response r;
    struct http_client *c BERTH_CLEANUP(http_client_freep) = plain_client();
    test_server_start(&s, answer_folded, NULL);
    struct http_request rq = get_of(url_of(&s, &a, "/"));
    assert_true(http_send(c, &rq, &a, &r, &e));
    struct str got = http_header_get(&r, "X-Test");
    assert_true(str_starts_with(got, STR("one ")) && str_ends_with(got, STR(" two")));
    assert_memory_equal(got.ptr + got.len, "\0", 1);
    test_server_stop(&s);
}

/* How many headers of which size: s->arg. */
struct many {
    int count;
    int bytes;
};

static void answer_many_headers(struct test_server *s, struct test_conn *c)
{
    const struct many *m = s->arg;
    char line[4096];
    memset(line, 'v', sizeof(line));
    test_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
    for (int i = 1; i < m->count; i++) {
        char name[16];
        int n = snprintf(name, sizeof(name), "X-%04d: ", i);
        test_send_bytes(c, name, (size_t)n);
        test_send_bytes(c, line, (size_t)(m->bytes - n - 2));
        test_send(c, "\r\n");
    }
    test_send(c, "\r\n");
}

static void test_header_limits(void **state)
{
    (void)state;
    static const struct {
        struct many many;
        bool is_ok;
    } cases[] = {
        {{HTTP_MAX_HEADERS, 100}, true},
        {{HTTP_MAX_HEADERS + 1, 100}, false},
        {{100, 100}, false},
        {{16, 4000}, true},
        {{18, 4000}, false}, /* 68000 bytes */
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct test_server s;
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct err e = ERR_INIT;
        struct http_response r;
        struct http_client *c BERTH_CLEANUP(http_client_freep) = plain_client();
        struct many many = cases[i].many;
        test_server_start(&s, answer_many_headers, &many);
        struct http_request rq = get_of(url_of(&s, &a, "/"));
        assert_int_equal(http_send(c, &rq, &a, &r, &e), cases[i].is_ok);
        if (cases[i].is_ok) {
            assert_int_equal(r.header_count, cases[i].many.count);
            assert_int_equal(http_header_get(&r, "x-0001").len, cases[i].many.bytes - 10);
        } else {
            assert_int_equal(e.cls, ERR_INVALID);
            assert_string_equal(e.reason, "TooLarge");
        }
        test_server_stop(&s);
    }
}

static const struct {
    const char *name;
    const char *answer;
    bool is_ok;
} sizes[] = {
    {"as large as may be", "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n12345678", true},
    {"announced as larger", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789", false},
    {"announced and never sent", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", false},
    {"larger without announcement",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n123456789\r\n", false},
};

static void test_body_limit(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        struct test_server s;
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct err e = ERR_INIT;
        struct http_response r;
        struct http_client *c BERTH_CLEANUP(http_client_freep) = plain_client();
        static char script[256];
        snprintf(script, sizeof(script), "%s", sizes[i].answer);
        test_server_start(&s, answer_text, script);
        struct http_request rq = get_of(url_of(&s, &a, "/"));
        rq.max_body_bytes = 8;
        if (http_send(c, &rq, &a, &r, &e) != sizes[i].is_ok)
            fail_msg("%s: %s", sizes[i].name, e.msg);
        if (!sizes[i].is_ok) {
            assert_int_equal(e.cls, ERR_INVALID);
            assert_string_equal(e.reason, "TooLarge");
            assert_non_null(strstr(e.msg, "larger than 8 bytes"));
            assert_int_equal(r.status, 0);
        }
        test_server_stop(&s);
    }
}

static void answer_ok(struct test_server *s, struct test_conn *c)
{
    (void)s;
    test_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

static void test_connection_is_reused(void **state)
{
    (void)state;
    struct test_server s;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct err e = ERR_INIT;
    struct http_response r;
    struct http_client *c BERTH_CLEANUP(http_client_freep) = plain_client();
    test_server_start(&s, answer_ok, NULL);
    struct http_request rq = get_of(url_of(&s, &a, "/"));
    for (int i = 0; i < 10; i++) {
        assert_true(http_send(c, &rq, &a, &r, &e));
        assert_int_equal(r.sent, 1);
    }
    assert_int_equal(s.requests, 10);
    assert_int_equal(s.connections, 1);
    /* a request that cannot be sent costs no connection */
    struct http_request bad = rq;
    bad.method = "get";
    assert_false(http_send(c, &bad, &a, &r, &e));
    assert_true(http_send(c, &rq, &a, &r, &(struct err){0}));
    assert_int_equal(s.connections, 1);
    test_server_stop(&s);
}

static void answer_first_then_close(struct test_server *s, struct test_conn *c)
{
    bool is_second = c->requests == 2;
    if (is_second)
        test_close(c);
    else
        answer_ok(s, c);
}

/* The server closes a kept connection when the next request arrives: curl asks on a new one. */
static void test_closed_keepalive_is_asked_anew(void **state)
{
    (void)state;
    struct test_server s;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct err e = ERR_INIT;
    struct http_response r;
    struct http_client *c BERTH_CLEANUP(http_client_freep) = plain_client();
    test_server_start(&s, answer_first_then_close, NULL);
    struct http_request rq = get_of(url_of(&s, &a, "/"));
    assert_true(http_send(c, &rq, &a, &r, &e));
    if (!http_send(c, &rq, &a, &r, &e))
        fail_msg("%s", e.msg);
    assert_int_equal(s.connections, 2);
    assert_int_equal(s.requests, 3);
    assert_int_equal(r.sent, 2);
    test_server_stop(&s);
}

static void answer_cut_every_second(struct test_server *s, struct test_conn *c)
{
    if (s->requests % 2 == 0) {
        test_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        test_close(c);
        return;
    }
    answer_ok(s, c);
}

static void test_handle_with_error_is_not_reused(void **state)
{
    (void)state;
    struct test_server s;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct http_response r;
    struct http_client *c BERTH_CLEANUP(http_client_freep) = plain_client();
    test_server_start(&s, answer_cut_every_second, NULL);
    struct http_request rq = get_of(url_of(&s, &a, "/"));
    for (int i = 0; i < 6; i++) {
        struct err e = ERR_INIT;
        assert_int_equal(http_send(c, &rq, &a, &r, &e), i % 2 == 0);
        if (i % 2 != 0)
            assert_string_equal(e.reason, "ConnectionLost");
    }
    assert_int_equal(s.connections, 3);
    test_server_stop(&s);
}

/* Answers when as many requests wait as the test's threads are. */
struct gathering {
    int wanted;
    int count;
    struct test_conn *waiting[16];
};

static void answer_together(struct test_server *s, struct test_conn *c)
{
    struct gathering *g = s->arg;
    g->waiting[g->count++] = c;
    if (g->count < g->wanted)
        return;
    for (int i = 0; i < g->count; i++)
        answer_ok(s, g->waiting[i]);
    g->count = 0;
}

struct sender {
    pthread_t thread;
    const struct http_client *client;
    const struct test_server *server;
    bool is_ok;
};

static void *send_one(void *arg)
{
    struct sender *me = arg;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct err e = ERR_INIT;
    struct http_response r;
    struct http_request rq = get_of(url_of(me->server, &a, "/"));
    me->is_ok = http_send(me->client, &rq, &a, &r, &e) && str_eq(r.body, STR("ok"));
    return NULL;
}

static void send_together(struct http_client *c, struct test_server *s, int count)
{
    struct sender senders[16];
    ((struct gathering *)s->arg)->wanted = count;
    for (int i = 0; i < count; i++) {
        senders[i] = (struct sender){.client = c, .server = s};
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_one, &senders[i]), 0);
    }
    for (int i = 0; i < count; i++) {
        pthread_join(senders[i].thread, NULL);
        assert_true(senders[i].is_ok);
    }
}

/* Twelve callers at once get twelve connections; three are kept for the next twelve. */
static void test_pool_keeps_only_so_many(void **state)
{
    (void)state;
    struct test_server s;
    struct gathering g = {0};
    struct http_client *c BERTH_CLEANUP(http_client_freep) =
        client_with((struct http_options){.max_connections = 3});
    test_server_start(&s, answer_together, &g);
    send_together(c, &s, 12);
    assert_int_equal(s.connections, 12);
    send_together(c, &s, 3);
    assert_int_equal(s.connections, 12);
    send_together(c, &s, 12);
    assert_int_equal(s.connections, 12 + 9);
    test_server_stop(&s);
}

/* Stops the client instead of answering. */
int main(void)
{
    http_global_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_all_bytes_come_through),
        cmocka_unit_test(test_folded_header),
        cmocka_unit_test(test_header_limits),
        cmocka_unit_test(test_body_limit),
        cmocka_unit_test(test_connection_is_reused),
        cmocka_unit_test(test_closed_keepalive_is_asked_anew),
        cmocka_unit_test(test_handle_with_error_is_not_reused),
        cmocka_unit_test(test_pool_keeps_only_so_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
