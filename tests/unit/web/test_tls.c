// SPDX-License-Identifier: Apache-2.0
/*
 * HTTPS: which certificates are published and which are refused, what a handshake is served, and
 * which handshakes there are none of.
 */
#include "tls_test.h"

static struct test_cert ca, other_ca, middle, leaf, second;
static SSL_CTX *ctx;

static struct str join(struct buf *out, struct str a, struct str b, struct str c)
{
    buf_reset(out);
    buf_append(out, a);
    buf_append(out, b);
    buf_append(out, c);
    return buf_str(out);
}

static void refused(struct web_tls *tls, const char *name, struct str chain, struct str key,
                    const char *message)
{
    struct err e = ERR_INIT;
    if (web_tls_publish(tls, chain, key, &e))
        fail_msg("%s: published", name);
    if (e.cls != ERR_INVALID || strstr(e.msg, message) == NULL)
        fail_msg("%s: %d %s", name, e.cls, e.msg);
    if (ERR_peek_error() != 0)
        fail_msg("%s: leaves an error in OpenSSL's queue", name);
}

/* Half of a rotation, and all else that must not be served: what was served stays. */
static void test_refused(void **state)
{
    (void)state;
    struct web_tls *tls = test_tls(&leaf);
    struct web_tls_info before;
    assert_true(web_tls_info(tls, &before));
    struct test_cert client =
        test_make_cert((struct test_cert_options){.serial = 9, .extended_usage = "clientAuth"});
    struct test_cert weak = test_make_cert((struct test_cert_options){.rsa_bits = 512});
    struct test_cert locked = test_make_cert((struct test_cert_options){.passphrase = "open"});
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(TEST_ANSWER_MAX);
    const struct str good = buf_str(&leaf.pem);
    const struct str key = buf_str(&leaf.key_pem);
    refused(tls, "new certificate, old key", buf_str(&second.pem), key,
            "the private key is not the certificate's");
    refused(tls, "old certificate, new key", good, buf_str(&second.key_pem),
            "the private key is not the certificate's");
    refused(tls, "empty", STR(""), key, "there is no certificate in it");
    refused(tls, "absent", STR_NULL, key, "there is no certificate in it");
    refused(tls, "no key", good, STR(""), "its private key cannot be read");
    refused(tls, "swapped", key, good, "there is no certificate in it");
    refused(tls, "cut certificate", str_n(good.ptr, good.len / 2), key, "");
    refused(tls, "cut key", good, str_n(key.ptr, key.len / 2), "its private key cannot be read");
    refused(tls, "passphrase", buf_str(&locked.pem), buf_str(&locked.key_pem),
            "its private key cannot be read");
    refused(tls, "no PEM", STR("\x30\x82\x01\x01"), key, "there is no certificate in it");
    refused(tls, "not for servers", buf_str(&client.pem), buf_str(&client.key_pem),
            "its key usage does not allow servers");
    refused(tls, "weak key", buf_str(&weak.pem), buf_str(&weak.key_pem), "OpenSSL refuses it");
    refused(tls, "wrong order", join(&text, good, buf_str(&ca.pem), buf_str(&middle.pem)), key,
            "did not sign the one before it");
    refused(tls, "foreign chain", join(&text, good, buf_str(&other_ca.pem), STR("")), key,
            "did not sign the one before it");
    struct test_cert forged =
        test_make_cert((struct test_cert_options){.name = "middle", .is_ca = true});
    refused(tls, "same name", join(&text, good, buf_str(&forged.pem), STR("")), key,
            "did not sign the one before it");
    test_cert_fini(&forged);
    refused(tls, "broken chain",
            join(&text, good, STR("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"),
                 STR("")),
            key, "a certificate of the chain cannot be read");
    buf_reset(&text);
    for (int i = 0; i <= WEB_TLS_MAX_CHAIN; i++)
        buf_append(&text, buf_str(&other_ca.pem));
    refused(tls, "long chain", buf_str(&text), buf_str(&other_ca.key_pem), "the chain is too long");
    buf_reset(&text);
    test_fill(&text, WEB_TLS_MAX_PEM_BYTES + 1, 0);
    refused(tls, "long text", buf_str(&text), key, "its text is too long");
    refused(tls, "long key", good, buf_str(&text), "its text is too long");
    struct web_tls_info after;
    assert_true(web_tls_info(tls, &after));
    assert_memory_equal(&before, &after, sizeof(before));
    test_cert_fini(&client);
    test_cert_fini(&weak);
    test_cert_fini(&locked);
    web_tls_free(tls);
}

static void test_info(void **state)
{
    (void)state;
    assert_null(web_tls_free(NULL));
    struct web_tls *tls = web_tls_new();
    struct web_tls_info info;
    assert_false(web_tls_info(tls, &info));
    assert_int_equal(info.publications, 0);
    struct err e = ERR_INIT;
    const int64_t now_ms = clock_unix_ms(clock_system());
    assert_true(web_tls_publish(tls, buf_str(&leaf.pem), buf_str(&leaf.key_pem), &e));
    assert_true(web_tls_info(tls, &info));
    assert_string_equal(info.serial, "03E9");
    assert_int_equal(strlen(info.sha256), 64);
    assert_int_equal(info.not_after_unix_ms - info.not_before_unix_ms, (86400 + 3600) * 1000LL);
    assert_true(info.not_before_unix_ms <= now_ms - 3500 * 1000LL &&
                info.not_before_unix_ms >= now_ms - 3700 * 1000LL);
    assert_int_equal(info.publications, 1);
    assert_true(web_tls_publish(tls, buf_str(&second.pem), buf_str(&second.key_pem), &e));
    struct web_tls_info other;
    assert_true(web_tls_info(tls, &other));
    assert_string_equal(other.serial, "02");
    assert_string_not_equal(other.sha256, info.sha256);
    assert_int_equal(other.publications, 2);
    web_tls_free(tls);
}

/* The chain is served with it. */
static void test_chain(void **state)
{
    (void)state;
    struct web_tls *tls = web_tls_new();
    struct err e = ERR_INIT;
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(TEST_ANSWER_MAX);
    if (!web_tls_publish(tls, join(&text, buf_str(&leaf.pem), buf_str(&middle.pem), STR("")),
                         buf_str(&leaf.key_pem), &e))
        fail_msg("%s", e.msg);
    struct test_server *t = test_serve((struct web_options){.tls = tls});
    SSL_CTX *strict = test_client_context();
    TEST_MUST(X509_STORE_add_cert(SSL_CTX_get_cert_store(strict), ca.x509) == 1);
    SSL_CTX_set_verify(strict, SSL_VERIFY_PEER, NULL);
    struct test_client c = test_connect_tls(t, strict);
    assert_int_equal(SSL_get_verify_result(c.ssl), X509_V_OK);
    assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(c.ssl)), 2);
    assert_true(test_post(&c, "", STR("abc")));
    test_expect_echo(&c, STR("abc"));
    test_close(&c);
    SSL_CTX_free(strict);
    test_stop(t);
    web_tls_free(tls);
}

static void test_before_the_first(void **state)
{
    (void)state;
    struct web_tls *tls = web_tls_new();
    struct test_server *t = test_serve((struct web_options){.tls = tls});
    struct test_client c;
    for (int i = 0; i < 3; i++) {
        ERR_clear_error();
        assert_false(test_try_connect_tls(t, ctx, &c));
        assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_TLSV1_ALERT_INTERNAL_ERROR);
    }
    ERR_clear_error();
    TEST_WAIT_COUNTS(t, n.connections == 0 && n.failed_handshakes == 3);
    struct err e = ERR_INIT;
    assert_true(web_tls_publish(tls, buf_str(&leaf.pem), buf_str(&leaf.key_pem), &e));
    c = test_connect_tls(t, ctx);
    assert_true(test_post(&c, "", STR("abc")));
    test_expect_echo(&c, STR("abc"));
    test_close(&c);
    TEST_WAIT_COUNTS(t, n.connections == 0 && n.failed_handshakes == 3);
    test_stop(t);
    web_tls_free(tls);
}

/* New connections see it, those of before go on. A client that would resume cannot. */
static void test_replaced(void **state)
{
    (void)state;
    struct web_tls *tls = test_tls(&leaf);
    struct test_server *t = test_serve((struct web_options){.tls = tls});
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
        SSL_CTX *one = test_client_context();
        SSL_CTX_set_session_cache_mode(one, SSL_SESS_CACHE_CLIENT);
        SSL_CTX_set_max_proto_version(one, versions[i]);
        struct err e = ERR_INIT;
        assert_true(web_tls_publish(tls, buf_str(&leaf.pem), buf_str(&leaf.key_pem), &e));
        struct test_client before = test_connect_tls(t, one);
        assert_int_equal(test_serial(&before), 1001);
        assert_true(test_post(&before, "", STR("abc")));
        test_expect_echo(&before, STR("abc"));
        assert_true(web_tls_publish(tls, buf_str(&second.pem), buf_str(&second.key_pem), &e));
        assert_true(test_post(&before, "", STR("abc")));
        test_expect_echo(&before, STR("abc"));
        struct test_client after = test_connect(t);
        after.ssl = SSL_new(one);
        SSL_SESSION *session = SSL_get1_session(before.ssl);
        assert_false(SSL_SESSION_is_resumable(session));
        TEST_MUST(SSL_set_session(after.ssl, session) == 1 && SSL_set_fd(after.ssl, after.fd) == 1);
        assert_int_equal(SSL_connect(after.ssl), 1);
        assert_false(SSL_session_reused(after.ssl));
        assert_int_equal(test_serial(&after), 2);
        SSL_SESSION_free(session);
        test_close(&before);
        test_close(&after);
        SSL_CTX_free(one);
    }
    test_stop(t);
    web_tls_free(tls);
}

static void test_versions(void **state)
{
    (void)state;
    struct web_tls *tls = test_tls(&leaf);
    struct test_server *t = test_serve((struct web_options){.tls = tls});
    static const struct {
        int version;
        const char *ciphers;
        bool is_served;
    } rows[] = {{TLS1_1_VERSION, "ALL:@SECLEVEL=0", false},
                {TLS1_2_VERSION, "AES128-SHA:AES256-GCM-SHA384:@SECLEVEL=0", false},
                {TLS1_2_VERSION, "ECDHE-ECDSA-AES256-SHA", false},
                {TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", true},
                {TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305", true},
                {TLS1_3_VERSION, "ALL", true}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        SSL_CTX *one = test_client_context();
        TEST_MUST(SSL_CTX_set_cipher_list(one, rows[i].ciphers) == 1);
        TEST_MUST(SSL_CTX_set_min_proto_version(one, rows[i].version) == 1);
        TEST_MUST(SSL_CTX_set_max_proto_version(one, rows[i].version) == 1);
        struct test_client c;
        if (test_try_connect_tls(t, one, &c) != rows[i].is_served)
            fail_msg("row %zu", i);
        if (rows[i].is_served) {
            assert_int_equal(SSL_version(c.ssl), rows[i].version);
            if (rows[i].version == TLS1_2_VERSION) { /* no renegotiation */
                assert_int_equal(SSL_renegotiate(c.ssl), 1);
                assert_int_not_equal(SSL_do_handshake(c.ssl), 1);
            }
            test_close(&c);
        }
        SSL_CTX_free(one);
    }
    ERR_clear_error();
    test_stop(t);
    web_tls_free(tls);
}

static void test_alpn(void **state)
{
    (void)state;
    struct web_tls *tls = test_tls(&leaf);
    struct test_server *t = test_serve((struct web_options){.tls = tls});
    static const struct {
        const char *offer, *chosen;
    } rows[] = {{"\x02h2\x08http/1.1", "http/1.1"},
                {"\x08http/1.1\x02h2", "http/1.1"},
                {"\x08http/1.1", "http/1.1"},
                {"\x02h2", ""},
                {NULL, ""}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct test_client c = test_connect(t);
        c.ssl = SSL_new(ctx);
        TEST_MUST(SSL_set_fd(c.ssl, c.fd) == 1);
        char host[] = "anything.example";
        SSL_set_tlsext_host_name(c.ssl, host);
        if (rows[i].offer != NULL)
            TEST_MUST(SSL_set_alpn_protos(c.ssl, (const unsigned char *)rows[i].offer,
                                          (unsigned)strlen(rows[i].offer)) == 0);
        assert_int_equal(SSL_connect(c.ssl), 1);
        const unsigned char *name = NULL;
        unsigned n = 0;
        SSL_get0_alpn_selected(c.ssl, &name, &n);
        if (!str_eq_cstr(str_n((const char *)name, n), rows[i].chosen))
            fail_msg("row %zu", i);
        if (i == 3) { /* and who speaks HTTP/2 all the same is not understood */
            struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(1000);
            (void)test_send(&c, STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
            test_recv_all(&c, &out);
            assert_null(strstr(buf_cstr(&out), "200"));
        } else {
            assert_true(test_post(&c, "", STR("abc")));
            test_expect_echo(&c, STR("abc"));
        }
        test_close(&c);
    }
    ERR_clear_error();
    test_stop(t);
    web_tls_free(tls);
}

/* Bodies over many records, answers over many records, one byte a record. */
static void test_records(void **state)
{
    (void)state;
    struct web_tls *tls = test_tls(&leaf);
    struct test_server *t = test_serve((struct web_options){.tls = tls});
    struct test_client c = test_connect_tls(t, ctx);
    struct buf body BERTH_CLEANUP(buf_fini) = BUF_INIT(TEST_ANSWER_MAX);
    static const size_t sizes[] = {0, 1, 5000, 16383, 16384, 16385, 32768, 65536, 7 * 1024 * 1024};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        buf_reset(&body);
        test_fill(&body, sizes[i], (unsigned)i);
        assert_true(test_post(&c, "", buf_str(&body)));
        test_expect_echo(&c, buf_str(&body));
    }
    buf_reset(&body);
    test_post_headers(&body, "", "3");
    buf_append(&body, STR("abc"));
    for (size_t i = 0; i < body.len; i++)
        assert_true(test_send(&c, str_n(body.ptr + i, 1)));
    test_expect_echo(&c, STR("abc"));
    assert_true(test_post(&c, "big", STR("x")));
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(TEST_ANSWER_MAX);
    struct str got;
    assert_int_equal(test_recv_answer(&c, &out, &got), 200);
    assert_int_equal(got.len, 1024 * 1024);
    /* who is refused reads why, and a clean end */
    buf_reset(&body);
    test_post_headers(&body, "", "8000000");
    assert_true(test_send(&c, buf_str(&body)));
    buf_reset(&out);
    test_recv_all(&c, &out);
    assert_true(str_starts_with(buf_str(&out), STR("HTTP/1.1 413 ")));
    assert_int_equal(SSL_get_shutdown(c.ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
    test_close(&c);
    test_stop(t);
    web_tls_free(tls);
}

static void test_not_tls(void **state)
{
    (void)state;
    struct web_tls *tls = test_tls(&leaf);
    struct test_server *t = test_serve((struct web_options){.tls = tls});
    static const struct str texts[] = {{STR_INIT("GET /ok HTTP/1.1\r\nHost: x\r\n\r\n")},
                                       {STR_INIT("\x16\x03\x01\x00\x05hello")},
                                       {STR_INIT("\x80\x80\x80")}};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct test_client c = test_connect(t);
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(1000);
        assert_true(test_send(&c, texts[i]));
        if (i == 2)
            (void)shutdown(c.fd, SHUT_WR);
        test_recv_all(&c, &out);
        assert_null(strstr(buf_cstr(&out), "HTTP/1"));
        test_close(&c);
    }
    TEST_WAIT_COUNTS(t, n.connections == 0 && n.failed_handshakes == ARRAY_SIZE(texts));
    test_stop(t);
    web_tls_free(tls);
}

static int set_up(void **state)
{
    (void)state;
    ca = test_make_cert((struct test_cert_options){.name = "ca", .serial = 1, .is_ca = true});
    other_ca = test_make_cert((struct test_cert_options){.name = "other", .is_ca = true});
    middle = test_make_cert(
        (struct test_cert_options){.name = "middle", .serial = 7, .issuer = &ca, .is_ca = true});
    leaf = test_make_cert((struct test_cert_options){
        .serial = 1001, .issuer = &middle, .extended_usage = "serverAuth"});
    second = test_make_cert((struct test_cert_options){.serial = 2, .rsa_bits = 2048});
    ctx = test_client_context();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    SSL_CTX_free(ctx);
    struct test_cert *all[] = {&ca, &other_ca, &middle, &leaf, &second};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        test_cert_fini(all[i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),  cmocka_unit_test(test_info),
        cmocka_unit_test(test_chain),    cmocka_unit_test(test_before_the_first),
        cmocka_unit_test(test_replaced), cmocka_unit_test(test_versions),
        cmocka_unit_test(test_alpn),     cmocka_unit_test(test_records),
        cmocka_unit_test(test_not_tls),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
