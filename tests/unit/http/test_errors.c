// SPDX-License-Identifier: Apache-2.0
/*
 * How exchanges fail: the class, the reason and the words, for each thing that a network or a peer
 * can do to us; and that no deadline is passed, not even by a resolver that hangs.
 */
// clang-format off: cmocka.h needs these four before it
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
// clang-format on

#include "base/clock.h"
#include "http_test.h"

#include <netdb.h>

/* ---- a resolver that hangs, in place of the C library's ---- */

static pthread_mutex_t dns_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t dns_cond = PTHREAD_COND_INITIALIZER;
static bool dns_is_released;
static int dns_running;
static bool dns_is_asked_by_stream;

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret) __attribute__((visibility("default")));

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret)
{
    (void)service;
    (void)hints;
    *ret = NULL;
    bool is_stream = strcmp(name, "hangs-too.invalid") == 0;
    if (!is_stream && strcmp(name, "hangs.invalid") != 0)
        return EAI_NONAME;
    pthread_mutex_lock(&dns_mutex);
    dns_running++;
    dns_is_asked_by_stream = dns_is_asked_by_stream || is_stream;
    pthread_cond_broadcast(&dns_cond);
    while (!dns_is_released)
        pthread_cond_wait(&dns_cond, &dns_mutex);
    dns_running--;
    pthread_cond_broadcast(&dns_cond);
    pthread_mutex_unlock(&dns_mutex);
    return EAI_AGAIN;
}

static void dns_release(void)
{
    pthread_mutex_lock(&dns_mutex);
    dns_is_released = true;
    pthread_cond_broadcast(&dns_cond);
    while (dns_running > 0)
        pthread_cond_wait(&dns_cond, &dns_mutex);
    pthread_mutex_unlock(&dns_mutex);
}

static void dns_wait_for_stream(void)
{
    pthread_mutex_lock(&dns_mutex);
    while (!dns_is_asked_by_stream)
        pthread_cond_wait(&dns_cond, &dns_mutex);
    pthread_mutex_unlock(&dns_mutex);
}

static void answer_text(struct test_server *s, struct test_conn *c)
{
    test_send(c, s->arg);
}

static void answer_and_close(struct test_server *s, struct test_conn *c)
{
    test_send(c, s->arg);
    test_close(c);
}

static void answer_and_reset(struct test_server *s, struct test_conn *c)
{
    test_send(c, s->arg);
    test_reset(c);
}

static const struct {
    const char *name;
    void (*how)(struct test_server *, struct test_conn *);
    const char *answer;
    int64_t timeout_ms;
    const char *reason;
    const char *words;
} failures[] = {
    {"closed without an answer", answer_and_close, "", SAFE_TIMEOUT_MS, "ConnectionLost",
     "the connection ended before the answer was whole"},
    {"reset without an answer", answer_and_reset, "", SAFE_TIMEOUT_MS, "ConnectionLost",
     "the connection ended before the answer was whole"},
    {"closed in the body", answer_and_close, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
     SAFE_TIMEOUT_MS, "ConnectionLost", "the connection ended before the answer was whole"},
    {"closed in a chunk", answer_and_close,
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nhalf", SAFE_TIMEOUT_MS,
     "ConnectionLost", "the connection ended before the answer was whole"},
    {"closed between chunks", answer_and_close,
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", SAFE_TIMEOUT_MS,
     "ConnectionLost", "the connection ended before the answer was whole"},
    {"no chunk length", answer_and_close,
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", SAFE_TIMEOUT_MS, NULL, NULL},
    {"no HTTP", answer_and_close, "SSH-2.0-OpenSSH_9.2\r\n", SAFE_TIMEOUT_MS, "ProtocolError",
     "no HTTP answer that can be read"},
    {"silent", answer_text, "", SHORT_TIMEOUT_MS, "Timeout", "no complete answer in time"},
    {"silent in the headers", answer_text, "HTTP/1.1 200 OK\r\nX: ", SHORT_TIMEOUT_MS, "Timeout",
     "no complete answer in time"},
    {"silent in the body", answer_text, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
     SHORT_TIMEOUT_MS, "Timeout", "no complete answer in time"},
};

static void test_failures(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(failures); i++) {
        struct test_server s;
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct err e = ERR_INIT;
        struct http_response r;
        struct http_client *c BERTH_CLEANUP(http_client_freep) = plain_client();
        static char script[256];
        snprintf(script, sizeof(script), "%s", failures[i].answer);
        test_server_start(&s, failures[i].how, script);
        struct http_header secret = {STR("Authorization"), STR("s3cret")};
        struct http_request rq = get_of(url_of(&s, &a, "/path?query"));
        rq.headers = &secret;
        rq.header_count = 1;
        rq.timeout_ms = failures[i].timeout_ms;
        if (http_send(c, &rq, &a, &r, &e))
            fail_msg("succeeded: %s", failures[i].name);
        char where[64];
        int n = snprintf(where, sizeof(where), "GET 127.0.0.1:%d: ", s.port);
        if (strncmp(e.msg, where, (size_t)n) != 0)
            fail_msg("%s: %s", failures[i].name, e.msg);
        assert_int_equal(e.cls, ERR_RETRY);
        if (failures[i].reason != NULL &&
            (strcmp(e.reason, failures[i].reason) != 0 ||
             strncmp(e.msg + n, failures[i].words, strlen(failures[i].words)) != 0))
            fail_msg("%s: %s: %s", failures[i].name, e.reason, e.msg);
        assert_null(strstr(e.msg, "s3cret"));
        assert_null(strstr(e.msg, "query"));
        assert_int_equal(r.status, 0);
        assert_int_equal(e.http_status, 0);
        test_server_stop(&s);
    }
}

static void test_connection_refused(void **state)
{
    (void)state;
    struct test_server s;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct err e = ERR_INIT;
    struct http_response r;
    struct http_client *c BERTH_CLEANUP(http_client_freep) = plain_client();
    test_server_start(&s, answer_text, NULL);
    test_server_stop(&s); /* nobody listens at its port now */
    struct http_request rq = get_of(url_of(&s, &a, "/"));
    char want[128];
    snprintf(want, sizeof(want), "GET 127.0.0.1:%d: cannot connect: Connection refused", s.port);
    assert_false(http_send(c, &rq, &a, &r, &e));
    assert_int_equal(e.cls, ERR_RETRY);
    assert_string_equal(e.reason, "ConnectFailed");
    assert_string_equal(e.msg, want);
}

static void test_name_is_unknown(void **state)
{
    (void)state;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct err e = ERR_INIT;
    struct http_response r;
    struct http_client *c BERTH_CLEANUP(http_client_freep) = plain_client();
    struct http_request rq = get_of(STR("https://unknown.invalid/x"));
    assert_false(http_send(c, &rq, &a, &r, &e));
    assert_int_equal(e.cls, ERR_RETRY);
    assert_string_equal(e.reason, "DNSFailed");
    assert_string_equal(e.msg, "GET unknown.invalid:443: the host name cannot be resolved");
}

static void refuse_tunnel(struct test_server *s, struct test_conn *c)
{
    (void)s;
    test_send(c, test_starts_with(c, "CONNECT ")
                     ? "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
                     : "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

static void test_proxy_refuses(void **state)
{
    (void)state;
    struct test_server s;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct err e = ERR_INIT;
    struct http_response r;
    test_server_start(&s, refuse_tunnel, NULL);
    struct http_client *c BERTH_CLEANUP(http_client_freep) = client_with((struct http_options){
        .proxy_url = arena_printf(&a, "http://user:s3cret@127.0.0.1:%d", s.port).ptr});
    struct http_request rq = get_of(STR("https://unknown.invalid/"));
    assert_false(http_send(c, &rq, &a, &r, &e));
    assert_string_equal(e.reason, "ConnectFailed");
    assert_string_equal(
        e.msg, "GET unknown.invalid:443: the proxy refused the connection with status 407");
    test_server_stop(&s);
}

static void test_resolver_that_hangs(void **state)
{
    (void)state;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct err e = ERR_INIT;
    struct http_response r;
    struct http_client *c BERTH_CLEANUP(http_client_freep) = plain_client();
    struct http_request rq = get_of(STR("http://hangs.invalid/"));
    rq.connect_timeout_ms = 100;
    /* the resolver is released only after this returned: waiting for it would never end */
    assert_false(http_send(c, &rq, &a, &r, &e));
    assert_string_equal(e.reason, "Timeout");
    assert_non_null(strstr(e.msg, "GET hangs.invalid:80: no connection in time"));
}

static void *cancel_once_resolving(void *arg)
{
    dns_wait_for_stream();
    http_cancel_now(arg);
    return NULL;
}

static bool no_response(void *arg, const struct http_response *r)
{
    (void)arg;
    (void)r;
    return true;
}

static bool no_data(void *arg, struct str data)
{
    (void)arg;
    (void)data;
    return true;
}

static void test_stream_is_cancelled_while_resolving(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct http_client *c BERTH_CLEANUP(http_client_freep) = plain_client();
    struct http_cancel *cancel BERTH_CLEANUP(http_cancel_freep) = http_cancel_new();
    const struct http_stream_ops ops = {no_response, no_data};
    struct http_request rq = {.method = "GET", .url = STR("http://hangs-too.invalid/")};
    rq.connect_timeout_ms = SAFE_TIMEOUT_MS;
    pthread_t thread;
    pthread_create(&thread, NULL, cancel_once_resolving, cancel);
    assert_false(http_stream(c, &rq, 0, cancel, &ops, NULL, &e));
    pthread_join(thread, NULL);
    assert_int_equal(e.cls, ERR_CANCELLED);
}

static int release_resolver(void **state)
{
    (void)state;
    dns_release();
    return 0;
}

int main(void)
{
    http_global_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_connection_refused),
        cmocka_unit_test(test_name_is_unknown),
        cmocka_unit_test(test_proxy_refuses),
        cmocka_unit_test(test_resolver_that_hangs),
        cmocka_unit_test(test_stream_is_cancelled_while_resolving),
    };
    return cmocka_run_group_tests(tests, NULL, release_resolver);
}
