// SPDX-License-Identifier: Apache-2.0
/*
 * Ends: draining, finishing, stopping while calls are under way, and the peers that do not go on.
 */
#include "tls_test.h"

static struct test_cert cert;
static SSL_CTX *ctx;

/* Idle connections are closed, the answer of a call that began before ends its connection, and new
 * ones are still taken. */
static void test_drain(void **state)
{
    (void)state;
    struct test_server *t = test_serve((struct web_options){0});
    struct test_client idle = test_connect(t);
    assert_true(test_post(&idle, "", STR("abc")));
    test_expect_echo(&idle, STR("abc"));
    struct test_client fresh = test_connect(t);
    struct test_client busy = test_connect(t);
    assert_true(test_post(&busy, "hold", STR("abc")));
    const uint64_t id = test_held(t, 0);
    const int64_t start_ms = test_now_ms();
    web_server_drain(t->server);
    struct test_client *all[] = {&idle, &fresh};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(1000);
        test_recv_all(all[i], &out);
        assert_int_equal(out.len, 0);
        const int64_t took_ms = test_now_ms() - start_ms;
        assert_true(took_ms >= WEB_DRAIN_IDLE_MS && took_ms < 4 * WEB_DRAIN_IDLE_MS);
        test_close(all[i]);
    }
    TEST_WAIT_COUNTS(t, n.connections == 1 && n.calls == 1);
    test_echo(t, id, STR("abc"));
    struct test_client late = test_connect(t);
    assert_true(test_send(&late, STR("GET /ok HTTP/1.1\r\nHost: x\r\n\r\n")));
    struct test_client *answered[] = {&busy, &late};
    for (size_t i = 0; i < ARRAY_SIZE(answered); i++) {
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(1000);
        test_recv_all(answered[i], &out);
        assert_true(str_starts_with(buf_str(&out), STR("HTTP/1.1 200 OK\r\n")));
        assert_non_null(strstr(buf_cstr(&out), "connection: close\r\n"));
        test_close(answered[i]);
    }
    test_stop(t);
}

struct later {
    struct test_server *server;
    int n;
};

static void answer_later(void *arg)
{
    const struct later *l = arg;
    /* web_server_finish() is under way when the idle one is gone */
    TEST_WAIT_COUNTS(l->server, n.connections == l->n);
    for (int i = 0; i < l->n; i++)
        test_echo(l->server, test_held(l->server, i), STR("later"));
}

/* What has begun is answered, then there is nobody. */
static void test_finish(void **state)
{
    (void)state;
    enum { BUSY = 5 };
    struct web_tls *tls = test_tls(&cert);
    struct test_server *t = test_serve((struct web_options){.tls = tls});
    struct test_client busy[BUSY];
    for (int i = 0; i < BUSY; i++) {
        busy[i] = test_connect_tls(t, ctx);
        assert_true(test_post(&busy[i], "hold", STR("abc")));
        (void)test_held(t, i);
    }
    struct test_client idle = test_connect_tls(t, ctx);
    TEST_WAIT_COUNTS(t, n.connections == BUSY + 1);
    struct later later = {.server = t, .n = BUSY};
    struct thread thread = {0};
    thread_start(&thread, "later", answer_later, &later);
    assert_true(web_server_finish(t->server, TEST_WAIT_MS));
    thread_join(&thread);
    assert_int_equal(web_server_counts(t->server).connections, 0);
    for (int i = 0; i < BUSY; i++) {
        test_expect_echo(&busy[i], STR("later"));
        test_close(&busy[i]);
    }
    test_close(&idle);
    /* nobody listens, and who answers now is not heard */
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)web_server_port(t->server)),
                                   .sin_addr = {htonl(INADDR_LOOPBACK)}};
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), -1);
    (void)close(fd);
    test_echo(t, test_held(t, 0), STR("late"));
    assert_int_equal(web_server_counts(t->server).dropped, 1);
    assert_true(web_server_finish(t->server, 0)); /* again: nothing */
    test_stop(t);
    web_tls_free(tls);
}

/* Who does not close its side is not waited for: without a handshake, without a request, with half
 * of one, with its answer. */
static void test_finish_with_peers_that_stay(void **state)
{
    (void)state;
    struct web_tls *tls = test_tls(&cert);
    struct test_server *t = test_serve((struct web_options){.tls = tls});
    struct test_client peers[] = {test_connect(t), test_connect_tls(t, ctx),
                                  test_connect_tls(t, ctx), test_connect_tls(t, ctx)};
    assert_true(test_send(&peers[2], STR("POST /call HTTP/1.1\r\nHost: x\r\n")));
    TEST_WAIT_COUNTS(t, n.connections == (int)ARRAY_SIZE(peers));
    web_server_drain(t->server);
    assert_true(test_post(&peers[3], "", STR("abc")));
    TEST_WAIT_COUNTS(t, n.answered == 1);
    const int64_t start_ms = test_now_ms();
    assert_true(web_server_finish(t->server, TEST_WAIT_MS));
    assert_int_equal(web_server_counts(t->server).connections, 0);
    assert_true(test_now_ms() - start_ms < 5000); /* libwebsockets would wait for 10 s */
    for (size_t i = 0; i < ARRAY_SIZE(peers); i++)
        test_close(&peers[i]);
    test_stop(t);
    web_tls_free(tls);
}

/* What is not answered in time is cut, and said so. */
static void test_finish_cuts(void **state)
{
    (void)state;
    struct test_server *t = test_serve((struct web_options){.workers = 1});
    struct test_client busy = test_connect(t);
    assert_true(test_post(&busy, "hold", STR("abc")));
    const uint64_t id = test_held(t, 0);
    const int64_t start_ms = test_now_ms();
    assert_false(web_server_finish(t->server, 300));
    assert_true(test_now_ms() - start_ms >= 300);
    test_echo(t, id, STR("late"));
    test_stop(t);
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(1000);
    test_recv_all(&busy, &out);
    assert_int_equal(out.len, 0);
    test_close(&busy);
}

struct blocked {
    struct test_server *server;
};

static void unblock(void *arg)
{
    const struct blocked *b = arg;
    TEST_WAIT_COUNTS(b->server, n.connections == 1); /* the loop is still there */
    test_set_blocked(b->server, false);
}

/* At once, with calls in a handler, in the queue, half read, unanswered, and answers half written.
 */
static void test_stop_busy(void **state)
{
    (void)state;
    struct test_server *t = test_serve((struct web_options){.workers = 1});
    struct test_client c[5];
    for (int i = 0; i < 5; i++)
        c[i] = test_connect(t);
    assert_true(test_post(&c[0], "hold", STR("abc")));
    (void)test_held(t, 0);
    assert_true(test_post(&c[1], "big", STR("abc"))); /* which it does not read */
    TEST_WAIT_COUNTS(t, n.answered == 1);
    test_set_blocked(t, true);
    assert_true(test_post(&c[2], "", STR("abc")));
    test_wait_for(t, &t->n_blocked, 1);
    assert_true(test_post(&c[3], "", STR("abc")));
    struct buf half BERTH_CLEANUP(buf_fini) = BUF_INIT(1000);
    test_post_headers(&half, "", "1000");
    buf_append(&half, STR("abc"));
    assert_true(test_send(&c[4], buf_str(&half)));
    TEST_WAIT_COUNTS(t, n.queued == 1 && n.body_bytes == 9);
    test_stop(t); /* unblocks, then stops */
    for (int i = 0; i < 5; i++)
        test_close(&c[i]);
    /* and with connections that are only there */
    t = test_serve((struct web_options){0});
    struct test_client idle = test_connect(t);
    TEST_WAIT_COUNTS(t, n.connections == 1);
    struct thread thread = {0};
    struct blocked blocked = {.server = t};
    test_set_blocked(t, true);
    thread_start(&thread, "unblock", unblock, &blocked);
    thread_join(&thread);
    test_stop(t);
    test_close(&idle);
}

static void test_never_started(void **state)
{
    (void)state;
    struct web_tls *tls = test_tls(&cert);
    const struct web_options o = {.listen = "127.0.0.1:0",
                                  .name = "test",
                                  .tls = tls,
                                  .call_handler = test_handle,
                                  .call_paths = test_paths};
    struct web_server *s;
    struct err e = ERR_INIT;
    assert_true(web_server_new(&o, &s, &e));
    web_server_drain(s);
    web_server_answer(s, 1, 200, "application/json", NULL);
    assert_true(web_server_finish(s, TEST_WAIT_MS));
    assert_null(web_server_stop(s));
    web_tls_free(tls);
}

/* Peers that stall at each step; all at once, because libwebsockets' own time-outs are whole
 * seconds. Bytes that trickle in do not lengthen them. */
static void test_stalled(void **state)
{
    (void)state;
    enum { PLAIN = 4, SECURE = 3, ALL = PLAIN + SECURE, LIMIT_MS = 25 * 1000 };
    static const struct str first[ALL] = {
        {STR_INIT("")},
        {STR_INIT("POST /validate HTTP/1.1\r\n")},
        {STR_INIT("GET /ok HTTP/1.1\r\nHost: x\r\n\r\n")}, /* and a second one, half */
        {STR_INIT("GET /")},
        {STR_INIT("")},
        {STR_INIT("\x16\x03\x01")},
        {STR_INIT("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")},
    };
    struct web_tls *tls = test_tls(&cert);
    struct test_server *plain = test_serve((struct web_options){0});
    struct test_server *secure = test_serve((struct web_options){.tls = tls});
    struct pollfd there[ALL];
    for (int i = 0; i < ALL; i++) {
        struct test_client c = test_connect(i < PLAIN ? plain : secure);
        assert_true(test_send(&c, first[i]));
        there[i] = (struct pollfd){.fd = c.fd, .events = POLLIN};
        if (i != 2)
            continue;
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(1000);
        struct str body;
        assert_int_equal(test_recv_answer(&c, &out, &body), 200);
        assert_true(test_send(&c, STR("GET /")));
    }
    const int64_t start_ms = test_now_ms();
    int open = ALL;
    while (open > 0 && test_now_ms() < start_ms + LIMIT_MS) {
        (void)poll(there, ALL, 200);
        for (int i = 0; i < ALL; i++) {
            char byte;
            if (there[i].fd < 0)
                continue;
            struct test_client c = {.fd = there[i].fd};
            if (there[i].revents == 0) {
                if (first[i].len > 0) /* who said something goes on, slowly */
                    (void)test_send(&c, i < PLAIN ? STR("x") : STR("\x01"));
                continue;
            }
            if (recv(c.fd, &byte, 1, 0) > 0) {
                assert_true(i >= PLAIN && byte != 'H'); /* an alert */
                continue;
            }
            (void)close(c.fd);
            there[i].fd = -1;
            open--;
        }
    }
    for (int i = 0; i < ALL; i++)
        if (there[i].fd >= 0)
            fail_msg("%d is still open", i);
    TEST_WAIT_COUNTS(plain, n.connections == 0);
    TEST_WAIT_COUNTS(secure, n.connections == 0 && n.failed_handshakes == SECURE);
    test_stop(plain);
    test_stop(secure);
    web_tls_free(tls);
}

/* Peers that do not read their answers are cut at the deadline, and hold no place. */
static void test_unread(void **state)
{
    (void)state;
    enum { TIMEOUT_MS = 2000, PEERS = 4 };
    struct test_server *t =
        test_serve((struct web_options){.call_timeout_ms = TIMEOUT_MS, .max_connections = PEERS});
    struct test_client c[PEERS];
    const int64_t start_ms = test_now_ms();
    for (int i = 0; i < PEERS; i++) {
        c[i] = test_connect(t);
        assert_true(test_post(&c[i], "huge", STR("abc")));
    }
    TEST_WAIT_COUNTS(t, n.answered == PEERS && n.calls == PEERS);
    TEST_WAIT_COUNTS(t, n.calls == 0);
    assert_true(test_now_ms() - start_ms >= TIMEOUT_MS + WEB_CALL_GRACE_MS);
    struct test_client next = test_connect(t);
    assert_true(test_post(&next, "", STR("abc")));
    test_expect_echo(&next, STR("abc"));
    test_close(&next);
    for (int i = 0; i < PEERS; i++)
        test_close(&c[i]);
    test_stop(t);
}

static int set_up(void **state)
{
    (void)state;
    cert = test_make_cert((struct test_cert_options){.serial = 1});
    ctx = test_client_context();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    SSL_CTX_free(ctx);
    test_cert_fini(&cert);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_finish),
        cmocka_unit_test(test_finish_with_peers_that_stay),
        cmocka_unit_test(test_finish_cuts),
        cmocka_unit_test(test_stop_busy),
        cmocka_unit_test(test_never_started),
        cmocka_unit_test(test_stalled),
        cmocka_unit_test(test_unread),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
