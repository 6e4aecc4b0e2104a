// SPDX-License-Identifier: Apache-2.0
/*
 * The server against raw bytes on loopback sockets: what it answers, refuses and survives.
 */
#include "web/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

enum { LIMIT = 8 * 1024 * 1024, BIG = 5 * 1024 * 1024 };

static void handle(void *arg, const struct web_request *rq, struct web_response *rs)
{
    (void)arg;
    if (str_eq_cstr(rq->path, "/echo")) {
        buf_printf(&rs->body, "%.*s|%.*s|%d", STR_ARG(rq->method), STR_ARG(rq->query),
                   str_is_null(rq->query));
    } else if (str_eq_cstr(rq->path, "/unready")) {
        rs->status = 503;
        rs->content_type = "application/json";
        buf_append(&rs->body, STR("{}"));
    } else if (str_eq_cstr(rq->path, "/empty")) {
        rs->content_type = "text/html";
    } else if (str_eq_cstr(rq->path, "/failed")) {
        rs->body.max = 3;
        buf_append(&rs->body, STR("four"));
    } else if (str_eq_cstr(rq->path, "/big")) {
        for (int i = 0; i < BIG; i++)
            buf_append_char(&rs->body, (char)('a' + i % 23));
    } else {
        rs->status = 404;
        buf_append(&rs->body, rq->path);
    }
}

static struct web_server *server_on(const char *listen, int max_connections)
{
    const struct web_options o = {
        .listen = listen, .name = "test", .handler = handle, .max_connections = max_connections};
    struct err e = ERR_INIT;
    struct web_server *s;
    if (!web_server_new(&o, &s, &e))
        fail_msg("%s", e.msg);
    return s;
}

static int dial(const struct web_server *s)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    const struct timeval limit = {.tv_sec = 20};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)web_server_port(s)),
                                   .sin_addr = {htonl(INADDR_LOOPBACK)}};
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static void say(int fd, struct str text)
{
    while (text.len > 0) {
        const ssize_t n = send(fd, text.ptr, text.len, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* the server may have closed already: what it said is still read */
        text = str_from_offset(text, (size_t)n);
    }
}

/* Reads on until `until` was read (NULL: to the end of the stream, which is waited for). */
static void hear(int fd, struct buf *out, const char *until)
{
    char piece[4096];
    while (until == NULL || !str_contains(buf_str(out), str_from(until))) {
        const ssize_t n = recv(fd, piece, sizeof(piece), 0);
        if (n < 0 && errno == EAGAIN)
            fail_msg("no end after: %.*s", 200, buf_cstr(out));
        if (n <= 0)
            return;
        buf_append_bytes(out, piece, (size_t)n);
    }
}

#define CLOSE "connection: close\r\n"

static const struct {
    const char *name, *request, *status; /* NULL: closed without an answer */
    const char *body;
    const char *header; /* NULL, or in the answer */
} answers[] = {
    {"get", "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 OK\r\n",
     "GET||1", "content-type: text/plain; charset=utf-8\r\n"},
    {"length", "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 OK\r\n",
     "GET||1", "content-length: 6\r\n"},
    {"sniffing", "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
     "HTTP/1.1 200 OK\r\n", "GET||1", "x-content-type-options: nosniff\r\n"},
    {"1.0", "GET /echo HTTP/1.0\r\n\r\n", "HTTP/1.0 200 OK\r\n", "GET||1", NULL},
    {"query", "GET /echo?a=1&b=x%20y HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
     "HTTP/1.1 200 OK\r\n", "GET|a=1&b=x y|0", NULL},
    {"head", "HEAD /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 OK\r\n",
     "", "content-length: 7\r\n"},
    {"status and type", "GET /unready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
     "HTTP/1.1 503 Service Unavailable\r\n", "{}", "content-type: application/json\r\n"},
    {"no body", "GET /empty HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
     "HTTP/1.1 200 OK\r\n", "", "content-length: 0\r\n"},
    {"buffer failed", "GET /failed HTTP/1.1\r\nHost: x\r\n\r\n",
     "HTTP/1.1 500 Internal Server Error\r\n", "the answer is too big\n", CLOSE},
    {"percent", "GET /a%2Db HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
     "HTTP/1.1 404 Not Found\r\n", "/a-b", NULL},
    {"dots", "GET /a/../../etc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
     "HTTP/1.1 404 Not Found\r\n", "/etc", NULL},
    {"encoded NUL", "GET /a%00b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", NULL, "", NULL},
    {"post", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
     "HTTP/1.1 405 Method Not Allowed\r\n", "only GET and HEAD are served here\n",
     "allow: GET, HEAD\r\n"},
    {"post without length", "POST /echo HTTP/1.1\r\nHost: x\r\n\r\n",
     "HTTP/1.1 405 Method Not Allowed\r\n", "only GET and HEAD are served here\n", CLOSE},
    {"put", "PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
     "HTTP/1.1 405 Method Not Allowed\r\n", "only GET and HEAD are served here\n", CLOSE},
    {"delete", "DELETE /echo HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 405 Method Not Allowed\r\n",
     "only GET and HEAD are served here\n", CLOSE},
    {"chunked",
     "GET /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
     "HTTP/1.1 413 Request Entity Too Large\r\n", "a request with a body is not served here\n",
     CLOSE},
    {"body", "GET /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
     "HTTP/1.1 413 Request Entity Too Large\r\n", "a request with a body is not served here\n",
     CLOSE},
    {"negative length", "GET /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
     "HTTP/1.1 413 Request Entity Too Large\r\n", "a request with a body is not served here\n",
     CLOSE},
    {"no length", "GET /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
     "HTTP/1.1 200 OK\r\n", "GET||1", NULL},
    {"websocket",
     "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
     NULL, "", NULL},
    {"h2c",
     "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
     "HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
     NULL, "", NULL},
    {"h2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", NULL, "", NULL},
    {"connect", "CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n", NULL, "", NULL},
    {"not http", "\x16\x03\x01\x02\x01\x01\x01\xfc\x03\x03 tls\r\n\r\n", NULL, "", NULL},
};

static void test_answers(void **state)
{
    struct web_server *s = *state;
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        const int fd = dial(s);
        say(fd, str_from(answers[i].request));
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(LIMIT);
        hear(fd, &out, NULL);
        (void)close(fd);
        const char *got = buf_cstr(&out);
        const char *body = strstr(got, "\r\n\r\n");
        if (answers[i].status == NULL) {
            if (strncmp(got, "HTTP/1.1 1", 10) == 0 || strncmp(got, "HTTP/1.1 2", 10) == 0)
                fail_msg("%s: %s", answers[i].name, got);
            continue;
        }
        if (strncmp(got, answers[i].status, strlen(answers[i].status)) != 0 || body == NULL ||
            strcmp(body + 4, answers[i].body) != 0 ||
            (answers[i].header != NULL && strstr(got, answers[i].header) == NULL))
            fail_msg("%s: %s", answers[i].name, got);
    }
}

static void test_big(void **state)
{
    struct web_server *s = *state;
    const int fd = dial(s);
    say(fd, STR("GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(LIMIT);
    hear(fd, &out, NULL);
    (void)close(fd);
    const char *body = strstr(buf_cstr(&out), "\r\n\r\n");
    assert_non_null(body);
    body += 4;
    assert_int_equal(out.len - (size_t)(body - out.ptr), BIG);
    for (int i = 0; i < BIG; i++)
        if (body[i] != (char)('a' + i % 23))
            fail_msg("byte %d", i);
}

/* A peer that asks for much and does not read holds up nobody. */
static void test_slow_reader(void **state)
{
    struct web_server *s = *state;
    const int slow = dial(s);
    say(slow, STR("GET /big HTTP/1.1\r\nHost: x\r\n\r\n"));
    for (int i = 0; i < 3; i++) {
        const int fd = dial(s);
        say(fd, STR("GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(LIMIT);
        hear(fd, &out, NULL);
        assert_true(str_ends_with(buf_str(&out), STR("GET||1")));
        (void)close(fd);
    }
    (void)close(slow);
}

static void test_keep_alive(void **state)
{
    struct web_server *s = *state;
    const int fd = dial(s);
    for (int i = 0; i < 5; i++) {
        char request[80];
        char want[40];
        (void)snprintf(request, sizeof(request), "GET /echo?%d HTTP/1.1\r\nHost: x\r\n\r\n", i);
        (void)snprintf(want, sizeof(want), "\r\n\r\nGET|%d|0", i);
        say(fd, str_from(request));
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(LIMIT);
        hear(fd, &out, want);
        assert_true(str_ends_with(buf_str(&out), str_from(want)));
        assert_false(str_contains(buf_str(&out), STR("connection: close")));
    }
    (void)close(fd);
}

static void test_pipelined(void **state)
{
    struct web_server *s = *state;
    const int fd = dial(s);
    say(fd, STR("GET /echo?1 HTTP/1.1\r\nHost: x\r\n\r\nGET /echo?2 HTTP/1.1\r\nHost: x\r\n"
                "Connection: close\r\n\r\n"));
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(LIMIT);
    hear(fd, &out, NULL);
    assert_true(str_contains(buf_str(&out), STR("\r\n\r\nGET|1|0HTTP/1.1 200 OK")));
    assert_true(str_ends_with(buf_str(&out), STR("\r\n\r\nGET|2|0")));
    (void)close(fd);
}

static void test_in_pieces(void **state)
{
    struct web_server *s = *state;
    static const char request[] = "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    const int fd = dial(s);
    const int on = 1;
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof(on)), 0);
    for (size_t i = 0; i + 1 < sizeof(request); i++)
        say(fd, str_n(request + i, 1));
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(LIMIT);
    hear(fd, &out, NULL);
    assert_true(str_ends_with(buf_str(&out), STR("GET||1")));
    (void)close(fd);
}

static void test_long_headers(void **state)
{
    struct web_server *s = *state;
    static const struct {
        int bytes;
        bool is_served;
    } rows[] = {{12 * 1024, true}, {20 * 1024, false}, {200 * 1024, false}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct buf request BERTH_CLEANUP(buf_fini) = BUF_INIT(LIMIT);
        buf_append(&request, STR("GET /echo?"));
        for (int n = 0; n < rows[i].bytes; n++)
            buf_append_char(&request, 'x');
        buf_append(&request, STR(" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
        const int fd = dial(s);
        say(fd, buf_str(&request));
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(LIMIT);
        hear(fd, &out, NULL);
        assert_int_equal(str_starts_with(buf_str(&out), STR("HTTP/1.1 200 ")), rows[i].is_served);
        (void)close(fd);
    }
}

/* One more than fits waits until there is room; connections that end make room. */
static void test_connection_limit(void **state)
{
    (void)state;
    struct web_server *s = server_on("127.0.0.1:0", 2);
    web_server_start(s);
    int idle[2];
    for (int i = 0; i < 2; i++) {
        idle[i] = dial(s);
        say(idle[i], STR("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"));
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(LIMIT);
        hear(idle[i], &out, "GET||1"); /* is served: holds a place, kept alive */
    }
    const int third = dial(s);
    say(third, STR("GET /echo?third HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    say(idle[0], STR("GET /echo?again HTTP/1.1\r\nHost: x\r\n\r\n"));
    struct buf again BERTH_CLEANUP(buf_fini) = BUF_INIT(LIMIT);
    hear(idle[0], &again, "GET|again|0");
    char byte;
    assert_int_equal(recv(third, &byte, 1, MSG_DONTWAIT), -1); /* still waits */
    (void)close(idle[1]);
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(LIMIT);
    hear(third, &out, NULL);
    assert_true(str_ends_with(buf_str(&out), STR("GET|third|0")));
    (void)close(third);
    for (int i = 0; i < 10; i++) { /* places are given back, time and again */
        const int fd = dial(s);
        say(fd, STR("GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
        struct buf next BERTH_CLEANUP(buf_fini) = BUF_INIT(LIMIT);
        hear(fd, &next, NULL);
        assert_true(str_ends_with(buf_str(&next), STR("GET||1")));
        (void)close(fd);
    }
    (void)close(idle[0]);
    assert_null(web_server_stop(s));
}

/* Connections made before the start wait; stopping ends open ones. */
static void test_life(void **state)
{
    (void)state;
    assert_null(web_server_stop(NULL));
    assert_null(web_server_stop(server_on("127.0.0.1:0", 0)));
    struct web_server *s = server_on("127.0.0.1:0", 0);
    const int early = dial(s);
    say(early, STR("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"));
    web_server_start(s);
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(LIMIT);
    hear(early, &out, "GET||1");
    const int half = dial(s);
    say(half, STR("GET /ec"));
    const int writing = dial(s);
    say(writing, STR("GET /big HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_null(web_server_stop(s));
    buf_reset(&out);
    hear(early, &out, NULL);
    assert_int_equal(out.len, 0);
    (void)close(early);
    (void)close(half);
    (void)close(writing);
}

static void test_two_servers(void **state)
{
    struct web_server *first = *state;
    struct web_server *second = server_on("127.0.0.1:0", 0);
    web_server_start(second);
    assert_int_not_equal(web_server_port(first), web_server_port(second));
    struct web_server *both[] = {first, second};
    for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
        const int fd = dial(both[i]);
        say(fd, STR("GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(LIMIT);
        hear(fd, &out, NULL);
        assert_true(str_ends_with(buf_str(&out), STR("GET||1")));
        (void)close(fd);
    }
    web_server_stop(second);
}

static int set_up(void **state)
{
    struct web_server *s = server_on(":0", 0); /* all addresses, of both families */
    web_server_start(s);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    *state = web_server_stop(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),      cmocka_unit_test(test_big),
        cmocka_unit_test(test_slow_reader),  cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_pipelined),    cmocka_unit_test(test_in_pieces),
        cmocka_unit_test(test_long_headers), cmocka_unit_test(test_connection_limit),
        cmocka_unit_test(test_life),         cmocka_unit_test(test_two_servers),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
