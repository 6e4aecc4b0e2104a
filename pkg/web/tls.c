// SPDX-License-Identifier: Apache-2.0
/*
 * The certificate: checked whole, published as one immutable counted bundle, taken by each
 * handshake. libwebsockets' own ways to replace one are not used: 4.1.6 loads certificate and key
 * one after the other into what is serving, and forgets the chain of one in memory.
 */
#include "web/tls.h"

#include "base/mem.h"
#include "server_priv.h"
#include "tls_priv.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Forward secrecy and authenticated encryption only; TLS 1.3 has nothing else. */
static const char ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

struct bundle {
    atomic_int refs;
    X509 *leaf;
    STACK_OF(X509) * chain; /* above the leaf */
    EVP_PKEY *key;
    struct web_tls_info info;
};

struct web_tls {
    pthread_mutex_t mutex;
    struct bundle *current; /* NULL: nothing is published */
    uint64_t publications;
};

/* Bundles */

static struct bundle *bundle_unref(struct bundle *b)
{
    if (b == NULL || atomic_fetch_sub(&b->refs, 1) > 1)
        return NULL;
    X509_free(b->leaf);
    sk_X509_pop_free(b->chain, X509_free);
    EVP_PKEY_free(b->key);
    return mem_free(b);
}
BERTH_DEFINE_CLEANUP(struct bundle *, bundle_unref);

static struct bundle *current_ref(struct web_tls *t)
{
    pthread_mutex_lock(&t->mutex);
    struct bundle *b = t->current;
    if (b != NULL)
        atomic_fetch_add(&b->refs, 1);
    pthread_mutex_unlock(&t->mutex);
    return b;
}

static bool fail(struct err *e, const char *what)
{
    ERR_clear_error();
    return err_set(e, ERR_INVALID, "InvalidCertificate", "cannot serve this certificate: %s", what);
}

/* With OpenSSL's word for it. Its words are about what, never about the content. */
static bool fail_openssl(struct err *e, const char *what)
{
    const char *why = ERR_reason_error_string(ERR_peek_last_error());
    (void)err_set(e, ERR_INVALID, "InvalidCertificate", "cannot serve this certificate: %s (%s)",
                  what, why != NULL ? why : "unknown reason");
    ERR_clear_error();
    return false;
}

/* A key with a passphrase is refused; without this OpenSSL asks on the terminal. */
static int no_passphrase(char *text, int size, int is_writing, void *arg)
{
    (void)text;
    (void)size;
    (void)is_writing;
    (void)arg;
    return -1;
}

static bool read_chain(struct bundle *b, BIO *in, struct err *e)
{
    b->chain = sk_X509_new_null();
    for (int n = 0;; n++) {
        X509 *one = PEM_read_bio_X509(in, NULL, no_passphrase, NULL);
        if (one == NULL)
            break;
        if (n == WEB_TLS_MAX_CHAIN) {
            X509_free(one);
            return fail(e, "the chain is too long");
        }
        if (n == 0)
            b->leaf = one;
        else if (sk_X509_push(b->chain, one) <= 0) {
            X509_free(one);
            return fail(e, "memory is out");
        }
    }
    /* the end of the text is an error of this kind */
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return fail_openssl(e, "a certificate of the chain cannot be read");
    ERR_clear_error();
    return b->leaf != NULL || fail(e, "there is no certificate in it (PEM is expected)");
}

static bool read_key(struct bundle *b, BIO *in, struct err *e)
{
    b->key = PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL);
    return b->key != NULL || fail_openssl(e, "its private key cannot be read (PEM without a "
                                             "passphrase is expected)");
}

static bool check_chain(const struct bundle *b, struct err *e)
{
    X509 *below = b->leaf;
    for (int i = 0; i < sk_X509_num(b->chain); i++) {
        X509 *above = sk_X509_value(b->chain, i);
        if (X509_check_issued(above, below) != X509_V_OK ||
            X509_verify(below, X509_get0_pubkey(above)) != 1)
            return fail(e, "a certificate of the chain did not sign the one before it; the "
                           "server's own comes first, then upwards");
        below = above;
    }
    return true;
}

/* As a handshake would use it. */
static bool check_use(const struct bundle *b, struct err *e)
{
    if (X509_check_private_key(b->leaf, b->key) != 1)
        return fail(e, "the private key is not the certificate's");
    if (X509_check_purpose(b->leaf, X509_PURPOSE_SSL_SERVER, 0) != 1)
        return fail(e, "its key usage does not allow servers");
    SSL_CTX *probe = SSL_CTX_new(TLS_server_method());
    const bool is_ok = probe != NULL && web_tls_configure(probe, NULL) &&
                       SSL_CTX_use_cert_and_key(probe, b->leaf, b->key, b->chain, 1) == 1;
    SSL_CTX_free(probe);
    return is_ok || fail_openssl(e, "OpenSSL refuses it");
}

/* Of a certificate that OpenSSL has parsed. */
static int64_t unix_ms(const ASN1_TIME *at)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(at, &tm) != 1)
        return 0;
    return (int64_t)timegm(&tm) * 1000;
}

static void describe(struct bundle *b)
{
    struct web_tls_info *info = &b->info;
    info->not_before_unix_ms = unix_ms(X509_get0_notBefore(b->leaf));
    info->not_after_unix_ms = unix_ms(X509_get0_notAfter(b->leaf));
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(b->leaf), NULL);
    char *hex = number != NULL ? BN_bn2hex(number) : NULL;
    if (hex != NULL)
        (void)snprintf(info->serial, sizeof(info->serial), "%s", hex);
    OPENSSL_free(hex);
    BN_free(number);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (X509_digest(b->leaf, EVP_sha256(), digest, &n) == 1)
        for (unsigned i = 0; i < n && 2 * i + 2 < sizeof(info->sha256); i++)
            (void)snprintf(info->sha256 + 2 * (size_t)i, 3, "%02x", digest[i]);
}

static bool parse(struct bundle *b, struct str chain, struct str key, struct err *e)
{
    ERR_clear_error();
    if (chain.len > WEB_TLS_MAX_PEM_BYTES || key.len > WEB_TLS_MAX_PEM_BYTES)
        return fail(e, "its text is too long");
    BIO *chain_in = BIO_new_mem_buf(chain.len > 0 ? chain.ptr : "", (int)chain.len);
    BIO *key_in = BIO_new_mem_buf(key.len > 0 ? key.ptr : "", (int)key.len);
    const bool is_read = chain_in != NULL && key_in != NULL
                             ? read_chain(b, chain_in, e) && read_key(b, key_in, e)
                             : fail(e, "memory is out");
    BIO_free(chain_in);
    BIO_free(key_in);
    return is_read && check_chain(b, e) && check_use(b, e);
}

/* Handshakes */

static int on_certificate(SSL *ssl, void *arg)
{
    struct bundle *b BERTH_CLEANUP(bundle_unrefp) = current_ref(arg);
    if (b == NULL)
        return 0; /* an alert, and the handshake ends */
    const int rc = SSL_use_cert_and_key(ssl, b->leaf, b->key, b->chain, 1);
    ERR_clear_error();
    return rc;
}

static void on_info(const SSL *ssl, int where, int rc)
{
    (void)rc;
    struct connection *c = SSL_get_app_data(ssl);
    if ((where & SSL_CB_HANDSHAKE_DONE) != 0 && c != NULL)
        c->is_secured = true;
}

bool web_tls_configure(void *ssl_ctx, struct web_tls *t)
{
    SSL_CTX *ctx = ssl_ctx;
    /* Sessions are not resumed: then every connection sees the newest certificate, and there is no
     * cache to bound. API servers keep their connections. */
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(ctx, ciphers) != 1 || SSL_CTX_set_num_tickets(ctx, 0) != 1)
        return false;
    if (t != NULL) {
        SSL_CTX_set_cert_cb(ctx, on_certificate, t);
        SSL_CTX_set_info_callback(ctx, on_info);
    }
    return true;
}

/* Holders */

struct web_tls *web_tls_new(void)
{
    struct web_tls *t = mem_alloc(sizeof(*t));
    pthread_mutex_init(&t->mutex, NULL);
    return t;
}

struct web_tls *web_tls_free(struct web_tls *t)
{
    if (t == NULL)
        return NULL;
    bundle_unref(t->current);
    pthread_mutex_destroy(&t->mutex);
    return mem_free(t);
}

bool web_tls_publish(struct web_tls *t, struct str chain, struct str key, struct err *e)
{
    struct bundle *b BERTH_CLEANUP(bundle_unrefp) = mem_alloc(sizeof(*b));
    atomic_store(&b->refs, 1);
    if (!parse(b, chain, key, e))
        return false;
    describe(b);
    pthread_mutex_lock(&t->mutex);
    struct bundle *before = t->current;
    b->info.publications = ++t->publications;
    t->current = TAKE(b);
    pthread_mutex_unlock(&t->mutex);
    bundle_unref(before);
    return true;
}

bool web_tls_info(struct web_tls *t, struct web_tls_info *ret)
{
    struct bundle *b BERTH_CLEANUP(bundle_unrefp) = current_ref(t);
    *ret = b != NULL ? b->info : (struct web_tls_info){0};
    return b != NULL;
}
