// SPDX-License-Identifier: Apache-2.0
/*
 * The server while it is busy: many clients of which some hang up, certificates that are replaced,
 * draining. No call that was sent goes without its right answer.
 */
#include "load_test.h"

static struct test_cert certs[2];
static SSL_CTX *ctx;

static void run(struct web_options o, SSL_CTX *client, int clients, int calls)
{
    struct test_server *t = test_serve(o);
    struct load l = {.server = t, .ctx = client, .hang_up_percent = 10};
    load_start(&l, clients);
    load_wait(&l, calls);
    load_stop(&l);
    assert_int_equal(atomic_load(&l.failed), 0);
    assert_true(atomic_load(&l.hung_up) > 0);
    TEST_WAIT_COUNTS(t, n.connections == 0 && n.calls == 0 && n.queued == 0 && n.body_bytes == 0);
    const struct web_counts n = web_server_counts(t->server);
    assert_true(n.answered >= (uint64_t)atomic_load(&l.answered));
    assert_int_equal(n.refused_queue + n.refused_bytes + n.timed_out + n.failed_handshakes, 0);
    test_stop(t);
}

static void test_many(void **state)
{
    (void)state;
    struct web_tls *tls = test_tls(&certs[0]);
    run((struct web_options){.tls = tls, .workers = 3}, ctx, 8, 1000);
    web_tls_free(tls);
}

static void test_plain_inline(void **state)
{
    (void)state;
    run((struct web_options){.inline_bytes = 6000}, NULL, 4, 1000);
}

/* More clients than places: who has none waits. */
static void test_few_places(void **state)
{
    (void)state;
    run((struct web_options){.max_connections = 3, .workers = 1}, NULL, 10, 1000);
}

static void test_replaced(void **state)
{
    (void)state;
    struct web_tls *tls = test_tls(&certs[0]);
    struct test_server *t = test_serve((struct web_options){.tls = tls});
    struct load l = {.server = t, .ctx = ctx};
    load_start(&l, 6);
    for (int i = 0; i < 30; i++) {
        const struct test_cert *good = &certs[i % 2];
        const struct test_cert *other = &certs[1 - i % 2];
        struct err e = ERR_INIT;
        assert_true(web_tls_publish(tls, buf_str(&good->pem), buf_str(&good->key_pem), &e));
        assert_false(web_tls_publish(tls, buf_str(&other->pem), buf_str(&good->key_pem), &e));
        struct test_client c = test_connect_tls(t, ctx);
        assert_int_equal(test_serial(&c), i % 2 + 1);
        test_close(&c);
        load_wait(&l, 20);
    }
    load_stop(&l);
    assert_int_equal(atomic_load(&l.failed), 0);
    assert_true(atomic_load(&l.serial) != 0);
    test_stop(t);
    web_tls_free(tls);
}

static void test_drained(void **state)
{
    (void)state;
    struct web_tls *tls = test_tls(&certs[0]);
    struct test_server *t = test_serve((struct web_options){.tls = tls});
    struct load l = {.server = t, .ctx = ctx};
    load_start(&l, 6);
    load_wait(&l, 200);
    assert_int_equal(atomic_load(&l.closed), 0);
    web_server_drain(t->server);
    web_server_drain(t->server);
    load_wait(&l, 6 + 1); /* one each may have been on its way */
    const int before = atomic_load(&l.answered) - atomic_load(&l.closed);
    load_wait(&l, 200);
    load_stop(&l);
    assert_int_equal(atomic_load(&l.failed), 0);
    assert_true(atomic_load(&l.answered) - atomic_load(&l.closed) <= before + 6);
    assert_true(atomic_load(&l.closed) >= 190);
    assert_true(web_server_finish(t->server, TEST_WAIT_MS));
    test_stop(t);
    web_tls_free(tls);
}

/* Clients that give up at once, everywhere in their handshake and their call. */
static void test_torn(void **state)
{
    (void)state;
    struct web_tls *tls = test_tls(&certs[0]);
    struct test_server *t = test_serve((struct web_options){.tls = tls, .workers = 1});
    struct load l = {.server = t, .ctx = ctx};
    load_start(&l, 2);
    for (int i = 0; i < 100; i++) {
        struct test_client c = test_connect(t);
        c.ssl = SSL_new(ctx);
        TEST_MUST(SSL_set_fd(c.ssl, c.fd) == 1);
        const struct linger reset = {.l_onoff = i % 2, .l_linger = 0};
        (void)setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        if (i % 5 == 1)
            (void)test_send(&(struct test_client){.fd = c.fd}, STR("\x16\x03\x01"));
        if (i % 5 >= 2)
            TEST_MUST(SSL_connect(c.ssl) == 1);
        if (i % 5 == 3)
            (void)test_send(&c, STR("POST /validate HTTP/1.1\r\nContent-Le"));
        if (i % 5 == 4)
            (void)test_post(&c, i % 10 == 4 ? "big" : "", STR("abc"));
        test_close(&c);
    }
    load_wait(&l, 20);
    load_stop(&l);
    assert_int_equal(atomic_load(&l.failed), 0);
    TEST_WAIT_COUNTS(t, n.connections == 0 && n.calls == 0 && n.body_bytes == 0);
    test_stop(t);
    web_tls_free(tls);
}

static int set_up(void **state)
{
    (void)state;
    certs[0] = test_make_cert((struct test_cert_options){.serial = 1});
    certs[1] = test_make_cert((struct test_cert_options){.serial = 2});
    ctx = test_client_context();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    SSL_CTX_free(ctx);
    test_cert_fini(&certs[0]);
    test_cert_fini(&certs[1]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many),       cmocka_unit_test(test_plain_inline),
        cmocka_unit_test(test_few_places), cmocka_unit_test(test_replaced),
        cmocka_unit_test(test_drained),    cmocka_unit_test(test_torn),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
