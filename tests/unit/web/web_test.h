// SPDX-License-Identifier: Apache-2.0
/*
 * For the tests of the server: one with a handler that does what the query says, and clients that
 * speak to it byte by byte, plain or over TLS.
 */
#pragma once

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/str.h"
#include "base/thread.h"
#include "web/server.h"
#include "web/tls.h"

#include <openssl/ssl.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    TEST_BIG = 1024 * 1024,
    TEST_HUGE = 12 * 1024 * 1024,
    TEST_ANSWER_MAX = 8 * 1024 * 1024,
    TEST_WAIT_MS = 30 * 1000,
    TEST_HELD_MAX = 256
};

static inline int64_t test_now_ms(void)
{
    return clock_mono_ms(clock_system());
}

/* The server */

/* POST /validate answers "<bytes> <sum>" of the body, by the query:
 *     (absent)  at once         hold   when test_release() says so      never  never
 *     twice     twice           fail   with a buffer that has failed    big    with 1 MiB
 *     huge   with more than the kernel takes from us */
struct test_server {
    struct web_server *server;
    struct web_options options;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    uint64_t held[TEST_HELD_MAX];
    int n_held;
    bool is_blocked; /* handlers stay in here (the pool is busy) */
    int n_blocked;
    atomic_int n_handled;
    struct web_call last; /* of the newest call; its path and query are "" */
    char last_query[64];
};

static inline unsigned test_sum(struct str bytes)
{
    unsigned sum = 1;
    for (size_t i = 0; i < bytes.len; i++)
        sum = sum * 31 + (unsigned char)bytes.ptr[i];
    return sum;
}

static inline void test_echo(struct test_server *t, uint64_t id, struct str bytes)
{
    struct buf body = BUF_INIT(100);
    buf_printf(&body, "%zu %u", bytes.len, test_sum(bytes));
    web_server_answer(t->server, id, 200, "application/json", &body);
}

static inline void test_hold(struct test_server *t, uint64_t id)
{
    pthread_mutex_lock(&t->mutex);
    if (t->n_held < TEST_HELD_MAX)
        t->held[t->n_held++] = id;
    pthread_cond_broadcast(&t->cond);
    pthread_mutex_unlock(&t->mutex);
}

/* n bytes of abc…w over and over. */
static inline void test_alphabet(struct buf *out, size_t n)
{
    char block[23 * 100];
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = (char)('a' + i % 23);
    while (n > 0 && buf_ok(out)) {
        const size_t some = n < sizeof(block) ? n : sizeof(block);
        buf_append_bytes(out, block, some);
        n -= some;
    }
}

static inline void test_handle(void *arg, struct web_call *call)
{
    struct test_server *t = arg;
    pthread_mutex_lock(&t->mutex);
    t->last = *call;
    t->last.body = BUF_INIT(0);
    t->last.path = t->last.query = STR_NULL;
    (void)snprintf(t->last_query, sizeof(t->last_query), "%.*s", STR_ARG(call->query));
    t->n_blocked++;
    pthread_cond_broadcast(&t->cond);
    while (t->is_blocked)
        (void)thread_cond_wait_ms(&t->cond, &t->mutex, TEST_WAIT_MS);
    t->n_blocked--;
    pthread_mutex_unlock(&t->mutex);
    atomic_fetch_add(&t->n_handled, 1);
    const struct str how = call->query;
    if (str_eq(how, STR("never")))
        return;
    if (str_eq(how, STR("hold"))) {
        test_hold(t, call->id);
        return;
    }
    if (str_eq(how, STR("fail")) || str_eq(how, STR("big")) || str_eq(how, STR("huge"))) {
        struct buf body = BUF_INIT(TEST_HUGE);
        if (str_eq(how, STR("fail")))
            body.max = 1;
        test_alphabet(&body, str_eq(how, STR("huge")) ? TEST_HUGE : TEST_BIG);
        web_server_answer(t->server, call->id, 200, "application/json", &body);
        return;
    }
    test_echo(t, call->id, buf_str(&call->body));
    if (str_eq(how, STR("twice")))
        test_echo(t, call->id, STR("second"));
}

static inline void test_get(void *arg, const struct web_request *rq, struct web_response *rs)
{
    (void)arg;
    rs->status = str_eq(rq->path, STR("/ok")) ? 200 : 404;
    buf_append(&rs->body, rq->path);
}

static const char *const test_paths[] = {"/validate", "/other", NULL};

/* What is 0 in `o` is the test's or the server's own choice. */
static inline struct test_server *test_serve(struct web_options o)
{
    struct test_server *t = mem_alloc(sizeof(*t));
    pthread_mutex_init(&t->mutex, NULL);
    thread_cond_init(&t->cond);
    o.listen = o.listen != NULL ? o.listen : "127.0.0.1:0";
    o.name = "test";
    o.handler = test_get;
    o.call_handler = test_handle;
    o.call_arg = t;
    o.call_paths = test_paths;
    t->options = o;
    struct err e = ERR_INIT;
    if (!web_server_new(&o, &t->server, &e))
        fail_msg("%s", e.msg);
    web_server_start(t->server);
    return t;
}

static inline void test_set_blocked(struct test_server *t, bool is_blocked)
{
    pthread_mutex_lock(&t->mutex);
    t->is_blocked = is_blocked;
    pthread_cond_broadcast(&t->cond);
    pthread_mutex_unlock(&t->mutex);
}

static inline struct test_server *test_stop(struct test_server *t)
{
    test_set_blocked(t, false);
    t->server = web_server_stop(t->server);
    pthread_cond_destroy(&t->cond);
    pthread_mutex_destroy(&t->mutex);
    return mem_free(t);
}

/* Waits until n handlers are in (blocked), or n calls are held. */
static inline void test_wait_for(struct test_server *t, const int *what, int n)
{
    const int64_t end_ms = test_now_ms() + TEST_WAIT_MS;
    pthread_mutex_lock(&t->mutex);
    while (*what < n && test_now_ms() < end_ms)
        (void)thread_cond_wait_ms(&t->cond, &t->mutex, end_ms - test_now_ms());
    const int got = *what;
    pthread_mutex_unlock(&t->mutex);
    assert_true(got >= n);
}

static inline uint64_t test_held(struct test_server *t, int i)
{
    test_wait_for(t, &t->n_held, i + 1);
    pthread_mutex_lock(&t->mutex);
    const uint64_t id = t->held[i];
    pthread_mutex_unlock(&t->mutex);
    return id;
}

/* Waits until CONDITION on the counts `n` holds. */
#define TEST_WAIT_COUNTS(T, CONDITION)                                                             \
    do {                                                                                           \
        const int64_t end_ms_ = test_now_ms() + TEST_WAIT_MS;                                      \
        struct web_counts n = web_server_counts((T)->server);                                      \
        while (!(CONDITION) && test_now_ms() < end_ms_) {                                          \
            (void)poll(NULL, 0, 1);                                                                \
            n = web_server_counts((T)->server);                                                    \
        }                                                                                          \
        if (!(CONDITION))                                                                          \
            fail_msg("not in time: " #CONDITION ": %d connections, %d calls, %d queued, %zu "      \
                     "bytes, %llu failed, %llu dropped",                                           \
                     n.connections, n.calls, n.queued, n.body_bytes,                               \
                     (unsigned long long)n.failed_handshakes, (unsigned long long)n.dropped);      \
    } while (0)

/* A client: plain where ssl is NULL */

struct test_client {
    int fd;
    SSL *ssl;
};

static inline int test_dial(const struct test_server *t)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    const struct timeval limit = {.tv_sec = TEST_WAIT_MS / 1000};
    const int on = 1;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)), 0);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)web_server_port(t->server)),
                                   .sin_addr = {htonl(INADDR_LOOPBACK)}};
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static inline struct test_client test_connect(const struct test_server *t)
{
    return (struct test_client){.fd = test_dial(t)};
}

static inline void test_close(struct test_client *c)
{
    SSL_free(c->ssl);
    if (c->fd >= 0)
        (void)close(c->fd);
    *c = (struct test_client){.fd = -1};
}

/* False: the peer has closed. */
static inline bool test_send(struct test_client *c, struct str bytes)
{
    while (bytes.len > 0) {
        ssize_t n = 0;
        if (c->ssl != NULL)
            n = SSL_write(c->ssl, bytes.ptr, (int)bytes.len);
        else
            n = send(c->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        bytes = str_from_offset(bytes, (size_t)n);
    }
    return true;
}

/* The bytes of one read, 0 at the end; fails the test where nothing comes. */
static inline size_t test_recv(struct test_client *c, void *bytes, size_t size)
{
    const ssize_t n =
        c->ssl != NULL ? SSL_read(c->ssl, bytes, (int)size) : recv(c->fd, bytes, size, 0);
    if (n < 0 && errno == EAGAIN)
        fail_msg("nothing came");
    return n > 0 ? (size_t)n : 0;
}

/* All there is to the end of the stream. */
static inline void test_recv_all(struct test_client *c, struct buf *out)
{
    char piece[16 * 1024];
    for (size_t n = test_recv(c, piece, sizeof(piece)); n > 0;
         n = test_recv(c, piece, sizeof(piece)))
        buf_append_bytes(out, piece, n);
}

/* One answer, by its content-length; what it says after 100 is skipped. Returns its status, 0 where
 * the stream ended; *body is what follows the headers. */
static inline int test_recv_answer(struct test_client *c, struct buf *out, struct str *body)
{
    char piece[16 * 1024];
    buf_reset(out);
    *body = STR_NULL;
    for (;;) {
        const char *end = strstr(buf_cstr(out), "\r\n\r\n");
        const char *length = strstr(buf_cstr(out), "content-length: ");
        if (end != NULL && str_starts_with(buf_str(out), STR("HTTP/1.1 100 "))) {
            buf_consume(out, (size_t)(end + 4 - out->ptr));
            continue;
        }
        if (end != NULL && length != NULL && length < end) {
            uint64_t n = 0;
            const char *digits = length + strlen("content-length: ");
            assert_true(num_parse_u64(str_n(digits, strspn(digits, "0123456789")), &n));
            *body = str_from_offset(buf_str(out), (size_t)(end + 4 - out->ptr));
            uint64_t status = 0;
            if (body->len >= n && num_parse_u64(str_n(out->ptr + 9, 3), &status))
                return body->len == n ? (int)status : -1;
        }
        const size_t n = test_recv(c, piece, sizeof(piece));
        if (n == 0)
            return 0;
        buf_append_bytes(out, piece, n);
    }
}

static inline void test_post_headers(struct buf *out, const char *query, const char *length)
{
    buf_printf(out,
               "POST /validate%s%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
               "Content-Length: %s\r\n\r\n",
               query[0] != '\0' ? "?" : "", query, length);
}

static inline bool test_post(struct test_client *c, const char *query, struct str body)
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(TEST_ANSWER_MAX);
    char length[24];
    (void)snprintf(length, sizeof(length), "%zu", body.len);
    test_post_headers(&out, query, length);
    buf_append(&out, body);
    return test_send(c, buf_str(&out));
}

/* The answer must be the echo of `body`. */
static inline void test_expect_echo(struct test_client *c, struct str body)
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(TEST_ANSWER_MAX);
    struct str got;
    const int status = test_recv_answer(c, &out, &got);
    char want[100];
    (void)snprintf(want, sizeof(want), "%zu %u", body.len, test_sum(body));
    if (status != 200 || !str_eq_cstr(got, want))
        fail_msg("%d, wanted %s: %s", status, want, buf_cstr(&out));
}

/* n bytes that differ by `seed`. */
static inline void test_fill(struct buf *out, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++)
        buf_append_char(out, (char)('a' + (i * 7 + seed + i / 1000) % 26));
}
