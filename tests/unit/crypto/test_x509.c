// SPDX-License-Identifier: Apache-2.0
/*
 * Certificates made and read, and text that is none. That others take them (openssl, Python's ssl,
 * the API server) is in tests/integration/test_webhook_certs.py.
 */
// clang-format off: cmocka.h needs these four before it
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
// clang-format on

#include "crypto/crypto.h"
#include "crypto/x509.h"
#include "test_random.h"

#include <string.h>

enum { HOUR_MS = 3600 * 1000 };
#define NOW_MS INT64_C(1800000000000)

static struct buf ca, ca_key, ca2, ca2_key, leaf, leaf_key;
static const struct str names[] = {{STR_INIT("berth-webhook.berth.svc")},
                                   {STR_INIT("127.0.0.1")},
                                   {STR_INIT("2001:db8::1")},
                                   {STR_INIT("*.example.com")}};

static struct crypto_leaf leaf_options(void)
{
    return (struct crypto_leaf){
        .common_name = STR("pod"),
        .dns_names = names,
        .dns_name_count = ARRAY_SIZE(names),
        .not_before_unix_ms = NOW_MS - HOUR_MS,
        .not_after_unix_ms = NOW_MS + HOUR_MS,
    };
}

static void init(struct buf *b)
{
    *b = BUF_INIT(CRYPTO_PEM_MAX);
}

static int set_up(void **state)
{
    const struct crypto_leaf o = leaf_options();
    struct err e = ERR_INIT;
    (void)state;
    struct buf *all[] = {&ca, &ca_key, &ca2, &ca2_key, &leaf, &leaf_key};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        init(all[i]);
    const bool is_ok =
        crypto_signer_new(STR("one"), NOW_MS, NOW_MS + 10 * HOUR_MS, &ca, &ca_key, &e) &&
        crypto_signer_new(STR("one"), NOW_MS, NOW_MS + 10 * HOUR_MS, &ca2, &ca2_key, &e) &&
        crypto_leaf_new(&o, buf_str(&ca), buf_str(&ca_key), &leaf, &leaf_key, &e);
    return is_ok ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    struct buf *all[] = {&ca, &ca_key, &ca2, &ca2_key, &leaf, &leaf_key};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        buf_fini(all[i]);
    return 0;
}

static struct crypto_cert_info info_of(const struct buf *cert)
{
    struct crypto_cert_info info;
    struct err e = ERR_INIT;
    if (!crypto_cert_read(buf_str(cert), &info, &e))
        fail_msg("%s", e.msg);
    return info;
}

static void test_made_and_read(void **state)
{
    (void)state;
    struct crypto_cert_info info = info_of(&ca);
    assert_true(info.is_ca);
    assert_true(info.not_before_unix_ms == NOW_MS);
    assert_true(info.not_after_unix_ms == NOW_MS + 10 * HOUR_MS);
    assert_int_equal(strlen(info.fingerprint), CRYPTO_FINGERPRINT - 1);
    assert_string_not_equal(info.fingerprint, info_of(&ca2).fingerprint);
    info = info_of(&leaf);
    assert_false(info.is_ca);
    assert_true(info.not_after_unix_ms == NOW_MS + HOUR_MS);
    assert_true(crypto_key_matches(buf_str(&leaf), buf_str(&leaf_key)));
    assert_false(crypto_key_matches(buf_str(&leaf), buf_str(&ca_key)));
    assert_false(crypto_key_matches(buf_str(&leaf), STR("")));
    assert_false(crypto_key_matches(STR_NULL, STR_NULL));
}

static void test_a_leaf_ends_with_its_signer(void **state)
{
    (void)state;
    struct buf cert BERTH_CLEANUP(buf_fini) = BUF_INIT(CRYPTO_PEM_MAX);
    struct buf key BERTH_CLEANUP(buf_fini) = BUF_INIT(CRYPTO_PEM_MAX);
    struct crypto_leaf o = leaf_options();
    struct err e = ERR_INIT;
    o.not_after_unix_ms = NOW_MS + 100 * HOUR_MS;
    assert_true(crypto_leaf_new(&o, buf_str(&ca), buf_str(&ca_key), &cert, &key, &e));
    assert_true(info_of(&cert).not_after_unix_ms == info_of(&ca).not_after_unix_ms);
}

/* A date after 2049 has another form (RFC 5280, 4.1.2.5). */
static void test_far_dates(void **state)
{
    (void)state;
    struct buf cert BERTH_CLEANUP(buf_fini) = BUF_INIT(CRYPTO_PEM_MAX);
    struct buf key BERTH_CLEANUP(buf_fini) = BUF_INIT(CRYPTO_PEM_MAX);
    struct err e = ERR_INIT;
    const int64_t end_ms = INT64_C(4102444800000); /* 2100 */
    assert_true(crypto_signer_new(STR("x"), NOW_MS, end_ms, &cert, &key, &e));
    assert_true(info_of(&cert).not_after_unix_ms == end_ms);
}

static void test_bad_names(void **state)
{
    (void)state;
    static const char *const bad[] = {"",      "a b",         "a,DNS:b",   "a\nb",
                                      "DNS:b", "under_score", "1.2.3.4/8", "[::1]",
                                      "::1::", "caf\xc3\xa9", "email:copy"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct buf cert BERTH_CLEANUP(buf_fini) = BUF_INIT(CRYPTO_PEM_MAX);
        struct buf key BERTH_CLEANUP(buf_fini) = BUF_INIT(CRYPTO_PEM_MAX);
        const struct str two[] = {STR("good"), str_from(bad[i])};
        struct crypto_leaf o = leaf_options();
        struct err e = ERR_INIT;
        o.dns_names = two;
        o.dns_name_count = 2;
        assert_false(crypto_leaf_new(&o, buf_str(&ca), buf_str(&ca_key), &cert, &key, &e));
        assert_string_equal(e.reason, "InvalidCertificate");
        assert_non_null(strstr(e.msg, bad[i]));
        assert_int_equal(cert.len + key.len, 0);
    }
}

static void test_bad_signers(void **state)
{
    (void)state;
    struct buf cert BERTH_CLEANUP(buf_fini) = BUF_INIT(CRYPTO_PEM_MAX);
    struct buf key BERTH_CLEANUP(buf_fini) = BUF_INIT(CRYPTO_PEM_MAX);
    const struct crypto_leaf o = leaf_options();
    struct err e = ERR_INIT;
    assert_false(crypto_leaf_new(&o, STR("x"), buf_str(&ca_key), &cert, &key, &e));
    assert_string_equal(e.reason, "InvalidCertificate");
    e = ERR_INIT;
    assert_false(crypto_leaf_new(&o, buf_str(&ca), STR(""), &cert, &key, &e));
    e = ERR_INIT;
    assert_false(crypto_signer_new(STR(""), NOW_MS, NOW_MS + 1000, &cert, &key, &e));
    assert_int_equal(cert.len + key.len, 0);
}

/* --- bundles ------------------------------------------------------------------------------------
 */

struct found {
    size_t count, strict;
    char last[CRYPTO_FINGERPRINT];
};

static void count(void *arg, const struct crypto_cert_info *info, struct str pem)
{
    struct found *f = arg;
    struct crypto_cert_info again;
    struct err e = ERR_INIT;
    f->count++;
    f->strict += info->is_strict;
    memcpy(f->last, info->fingerprint, sizeof f->last);
    assert_true(crypto_cert_read(pem, &again, &e));
    assert_string_equal(again.fingerprint, info->fingerprint);
    assert_true(pem.len > 0 && pem.ptr[pem.len - 1] == '\n');
}

static struct found find(struct str bundle)
{
    struct found f = {0};
    crypto_bundle_each(bundle, count, &f);
    return f;
}

/* 1 and 2 stand for two certificates without their last newline. */
static void test_bundles(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t count, strict;
        bool has_second; /* as an API server reads it */
    } cases[] = {
        {"", 0, 0, false},
        {"1\n", 1, 1, false},
        {"1", 1, 1, false},
        {"1\n2\n", 2, 2, true},
        {"1\r\n2\r\n", 2, 2, true},
        {"1 \t\n2\n", 2, 2, true},
        {"words\n1\nmore: words\n\n2", 2, 2, true},
        {"12", 2, 0, false},
        {"x1\n2", 2, 1, true},
        {"1\n 2", 2, 1, false},
        {"1\n2x", 2, 1, false},
        {"-----BEGIN CERTIFICATE-----\n2\n", 1, 1, true},
        {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n2\n", 1, 1, true},
        {"-----BEGIN CERTIFICATE-----", 0, 0, false},
        {"1\n2\n-----BEGIN CERTIFICATE-----", 2, 2, true},
        {"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n2", 1, 1, true},
    };
    const struct crypto_cert_info second = info_of(&ca2);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(CRYPTO_PEM_MAX);
        for (const char *c = cases[i].text; *c != '\0'; c++) {
            const struct buf *cert = *c == '1' ? &ca : &ca2;
            if (*c == '1' || *c == '2')
                buf_append(&text, (struct str){cert->ptr, cert->len - 1});
            else
                buf_append_char(&text, *c);
        }
        const struct found f = find(buf_str(&text));
        if (f.count != cases[i].count || f.strict != cases[i].strict ||
            crypto_bundle_has(buf_str(&text), second.fingerprint) != cases[i].has_second)
            fail_msg("case %zu: %zu certificates, %zu strict", i, f.count, f.strict);
    }
}

/* A header in the block: OpenSSL reads it, Go's encoding/pem does not give it to x509. */
static void test_headers(void **state)
{
    (void)state;
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(CRYPTO_PEM_MAX);
    const size_t mark = strlen("-----BEGIN CERTIFICATE-----\n");
    buf_append(&text, (struct str){ca.ptr, mark});
    buf_append_cstr(&text, "Comment: hello\n\n");
    buf_append(&text, (struct str){ca.ptr + mark, ca.len - mark});
    assert_int_equal(find(buf_str(&text)).strict, 0);
    assert_false(crypto_bundle_has(buf_str(&text), info_of(&ca).fingerprint));
}

static void test_no_more_than_the_limit(void **state)
{
    (void)state;
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(CRYPTO_PEM_MAX);
    for (size_t i = 0; i < CRYPTO_BUNDLE_MAX; i++)
        buf_append(&text, buf_str(&ca));
    buf_append(&text, buf_str(&ca2));
    assert_int_equal(find(buf_str(&text)).count, CRYPTO_BUNDLE_MAX);
    assert_false(crypto_bundle_has(buf_str(&text), info_of(&ca2).fingerprint));
}

static void test_chains(void **state)
{
    (void)state;
    struct buf both BERTH_CLEANUP(buf_fini) = BUF_INIT(CRYPTO_PEM_MAX);
    buf_append(&both, buf_str(&ca2));
    buf_append(&both, buf_str(&ca));
    assert_true(crypto_chain_verifies(buf_str(&leaf), buf_str(&ca)));
    assert_true(crypto_chain_verifies(buf_str(&leaf), buf_str(&both)));
    assert_true(crypto_chain_verifies(buf_str(&leaf), buf_str(&leaf))); /* an end by itself */
    /* the same name, another key */
    assert_false(crypto_chain_verifies(buf_str(&leaf), buf_str(&ca2)));
    assert_false(crypto_chain_verifies(buf_str(&leaf), STR("")));
    assert_false(crypto_chain_verifies(STR(""), buf_str(&ca)));
    assert_false(crypto_chain_verifies(buf_str(&ca_key), buf_str(&ca)));
}

/* Certificates and keys with bytes changed, cut and repeated: an answer, and nothing else. */
static void test_malformed(void **state)
{
    (void)state;
    struct test_random r = {1};
    for (int i = 0; i < 3000; i++) {
        struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(CRYPTO_PEM_MAX);
        const struct buf *from[] = {&ca, &leaf, &leaf_key, &ca2};
        for (uint32_t k = 1 + test_random_below(&r, 3); k > 0; k--)
            buf_append(&text, buf_str(from[test_random_below(&r, 4)]));
        for (uint32_t k = test_random_below(&r, 6); k > 0; k--)
            text.ptr[test_random_below(&r, (uint32_t)text.len)] = (char)test_random_below(&r, 256);
        if (test_random_below(&r, 3) == 0)
            buf_truncate(&text, test_random_below(&r, (uint32_t)text.len));
        struct crypto_cert_info info;
        struct err e = ERR_INIT;
        const bool is_one = crypto_cert_read(buf_str(&text), &info, &e);
        assert_int_equal(is_one, !err_is_set(&e));
        assert_null(strstr(e.msg, "BEGIN"));
        (void)crypto_key_matches(buf_str(&leaf), buf_str(&text));
        (void)crypto_chain_verifies(buf_str(&text), buf_str(&ca));
        assert_true(find(buf_str(&text)).count <= 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_made_and_read), cmocka_unit_test(test_a_leaf_ends_with_its_signer),
        cmocka_unit_test(test_far_dates),     cmocka_unit_test(test_bad_names),
        cmocka_unit_test(test_bad_signers),   cmocka_unit_test(test_bundles),
        cmocka_unit_test(test_headers),       cmocka_unit_test(test_no_more_than_the_limit),
        cmocka_unit_test(test_chains),        cmocka_unit_test(test_malformed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
