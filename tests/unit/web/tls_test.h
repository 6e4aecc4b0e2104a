// SPDX-License-Identifier: Apache-2.0
/*
 * For the tests of HTTPS: certificates made on the spot, and clients that say what they were
 * served.
 */
#pragma once

#include "web_test.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

struct test_cert {
    X509 *x509;
    EVP_PKEY *key;
    struct buf pem, key_pem;
};

/* What is 0 is: an EC key, no CA, one day from an hour ago, signed by itself. */
struct test_cert_options {
    const char *name;
    long serial;
    const struct test_cert *issuer;
    bool is_ca;
    const char *extended_usage; /* NULL: none */
    int rsa_bits;
    const char *passphrase;
};

#define TEST_MUST(CONDITION)                                                                       \
    do {                                                                                           \
        if (!(CONDITION))                                                                          \
            fail_msg("cannot set up: " #CONDITION);                                                \
    } while (0)

static inline void test_take_bio(BIO *bio, struct buf *out)
{
    char *bytes = NULL;
    const long n = BIO_get_mem_data(bio, &bytes);
    buf_append_bytes(out, bytes, (size_t)n);
    BIO_free(bio);
}

static inline void test_add_extension(X509 *x509, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    TEST_MUST(extension != NULL && X509_add_ext(x509, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static inline struct test_cert test_make_cert(struct test_cert_options o)
{
    struct test_cert c = {
        .x509 = X509_new(), .pem = BUF_INIT(TEST_ANSWER_MAX), .key_pem = BUF_INIT(TEST_ANSWER_MAX)};
    c.key = o.rsa_bits > 0 ? EVP_RSA_gen((unsigned)o.rsa_bits) : EVP_EC_gen("P-256");
    const char *name = o.name != NULL ? o.name : "localhost";
    TEST_MUST(c.key != NULL && X509_set_version(c.x509, 2) == 1);
    TEST_MUST(ASN1_INTEGER_set(X509_get_serialNumber(c.x509), o.serial) == 1);
    TEST_MUST(X509_gmtime_adj(X509_getm_notBefore(c.x509), -3600) != NULL);
    TEST_MUST(X509_gmtime_adj(X509_getm_notAfter(c.x509), 86400) != NULL);
    TEST_MUST(X509_NAME_add_entry_by_txt(X509_get_subject_name(c.x509), "CN", MBSTRING_UTF8,
                                         (const unsigned char *)name, -1, -1, 0) == 1);
    const struct test_cert *issuer = o.issuer != NULL ? o.issuer : &c;
    TEST_MUST(X509_set_issuer_name(c.x509, X509_get_subject_name(issuer->x509)) == 1);
    TEST_MUST(X509_set_pubkey(c.x509, c.key) == 1);
    test_add_extension(c.x509, NID_basic_constraints, o.is_ca ? "critical,CA:TRUE" : "CA:FALSE");
    test_add_extension(c.x509, NID_subject_alt_name, "DNS:localhost");
    if (o.extended_usage != NULL)
        test_add_extension(c.x509, NID_ext_key_usage, o.extended_usage);
    TEST_MUST(X509_sign(c.x509, issuer->key, EVP_sha256()) > 0);
    BIO *bio = BIO_new(BIO_s_mem());
    TEST_MUST(PEM_write_bio_X509(bio, c.x509) == 1);
    test_take_bio(bio, &c.pem);
    bio = BIO_new(BIO_s_mem());
    TEST_MUST(PEM_write_bio_PrivateKey(bio, c.key, o.passphrase != NULL ? EVP_aes_128_cbc() : NULL,
                                       (const unsigned char *)o.passphrase,
                                       o.passphrase != NULL ? (int)strlen(o.passphrase) : 0, NULL,
                                       NULL) == 1);
    test_take_bio(bio, &c.key_pem);
    return c;
}

static inline void test_cert_fini(struct test_cert *c)
{
    X509_free(c->x509);
    EVP_PKEY_free(c->key);
    buf_fini(&c->pem);
    buf_fini(&c->key_pem);
}

static inline struct web_tls *test_tls(const struct test_cert *c)
{
    struct web_tls *tls = web_tls_new();
    struct err e = ERR_INIT;
    if (!web_tls_publish(tls, buf_str(&c->pem), buf_str(&c->key_pem), &e))
        fail_msg("%s", e.msg);
    return tls;
}

static inline SSL_CTX *test_client_context(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    TEST_MUST(ctx != NULL);
    SSL_CTX_set_mode(ctx, SSL_MODE_AUTO_RETRY);
    return ctx;
}

/* On a connection of its own. False: the handshake failed. */
static inline bool test_try_connect_tls(const struct test_server *t, SSL_CTX *ctx,
                                        struct test_client *ret)
{
    *ret = test_connect(t);
    ret->ssl = SSL_new(ctx);
    TEST_MUST(ret->ssl != NULL && SSL_set_fd(ret->ssl, ret->fd) == 1);
    if (SSL_connect(ret->ssl) == 1)
        return true;
    test_close(ret);
    return false;
}

static inline struct test_client test_connect_tls(const struct test_server *t, SSL_CTX *ctx)
{
    struct test_client c;
    if (!test_try_connect_tls(t, ctx, &c))
        fail_msg("no handshake");
    return c;
}

/* The serial number of what was served. */
static inline long test_serial(const struct test_client *c)
{
    X509 *x509 = SSL_get1_peer_certificate(c->ssl);
    TEST_MUST(x509 != NULL);
    const long serial = ASN1_INTEGER_get(X509_get0_serialNumber(x509));
    X509_free(x509);
    return serial;
}
